//! Invalidations that cross each other, and what shows the value that they are about.

use super::labelled::{invalidate, load, pair, plain};
use crate::nodes::{Node, Remote};
use crate::reads::{Numbers, counters, ends};
use std::time::Duration;
use tokio::task::JoinHandle;
use tricache::{Cached, Error, InProcess, Loaded, Outcome, Policy, Tiers};
use tricache_test_support::{CountingStore, eventually};

pub(super) fn sums(node: &Node) -> Numbers {
    let policy = Policy::ttl(Duration::from_secs(600));
    node.tiers.cache("sum", policy).unwrap()
}

/// Ten times the value of key 1.
pub(super) async fn outer(node: &Node, sums: &Numbers, store: &CountingStore) -> u64 {
    *ends(made(node, sums, store)).await.unwrap()
}

async fn made(node: &Node, sums: &Numbers, store: &CountingStore) -> Result<Cached<u64>, Error> {
    let (inner, store) = (node.cache.clone(), store.clone());
    let load = |_| async move {
        let shown = load(&inner, &store, 1, plain).await?;
        Ok::<_, Error>(*shown * 10)
    };
    sums.get_or_load(&7, load).await
}

type Making = JoinHandle<Result<Cached<u64>, Error>>;

/// The same value, whose load is held after it has read what it shows. Nobody may keep it.
async fn held_outer(
    node: &Node,
    sums: &Numbers,
    store: &CountingStore,
    gate: &CountingStore,
) -> Making {
    gate.hold();
    let (sums, inner) = (sums.clone(), node.cache.clone());
    let (store, late) = (store.clone(), gate.clone());
    let making = tokio::spawn(async move {
        let load = |_| async move {
            let shown = load(&inner, &store, 1, plain).await?;
            late.load(&0).await;
            Ok::<_, Error>(Loaded::new(*shown * 10).do_not_store())
        };
        sums.get_or_load(&7, load).await
    });
    gate.wait_for_waiting(1).await;
    making
}

/// A writer learned that a value shows what it had invalidated, and died before it told so. The bump had taken that
/// knowledge out of Redis: the next writer was told that nobody showed the entity, and the value stayed.
#[tokio::test]
async fn who_invalidates_next_tells_what_the_one_before_could_not() {
    let remote = Remote::around_redis();
    let (one, other) = pair(&remote).await;
    let (sums, store) = (sums(&other), CountingStore::new());
    assert_eq!(outer(&other, &sums, &store).await, 0);
    store.commit(&1);
    let server = remote.server();
    server.command(&["RENAME", "tc1:{test:tags}:t", "{test:tags}:kept"]);
    server.command(&["SET", "tc1:{test:tags}:t", "no hash"]);
    let receipt = ends(one.cache.invalidate(&1)).await.unwrap();
    assert!(receipt.is_pending());
    assert_eq!(one.tiers.shutdown(Duration::ZERO).await.pending(), 1);
    server.command(&["DEL", "tc1:{test:tags}:t"]);
    server.command(&["RENAME", "{test:tags}:kept", "tc1:{test:tags}:t"]);

    let receipt = ends(other.cache.invalidate(&1)).await.unwrap();

    assert!(!receipt.is_pending());
    assert_eq!(outer(&other, &sums, &store).await, 10);
}

/// The first writer had told whatever showed the entity, and took the mark back. A second one, on a node that had not heard of
/// that yet, was told that nobody showed the entity: it was acknowledged, and its own node served the value of before.
#[tokio::test]
async fn who_invalidates_next_tells_its_own_node_what_it_has_not_heard_yet() {
    let hub = InProcess::new();
    let remote = Remote::Hub(hub.clone());
    let (one, late) = (remote.node().await, remote.quiet_node([1, 7]).await);
    let (sums, store) = (sums(&late), CountingStore::new());
    assert_eq!(outer(&late, &sums, &store).await, 0);
    hub.lose_pushes(true);
    store.commit(&1);
    ends(one.cache.invalidate(&1)).await.unwrap();
    store.commit(&1);

    let receipt = ends(late.cache.invalidate(&1)).await.unwrap();

    assert!(!receipt.is_pending());
    assert_eq!(outer(&late, &sums, &store).await, 20);
}

/// A bump was counted before its second step. Whoever waited for the count took what shows the entity for old already.
#[tokio::test]
async fn an_invalidation_counts_once_what_shows_its_entity_was_told() {
    let remote = Remote::around_redis();
    let node = remote.quiet_node([1, 2, 7]).await;
    let (sums, store) = (sums(&node), CountingStore::new());
    assert_eq!(outer(&node, &sums, &store).await, 0);
    let (server, table) = (remote.server(), "tc1:{test:tags}:t");
    server.command(&["DEL", table]);
    server.command(&["SET", table, "no hash"]);

    // The bump that began key 2's bucket has marked it, too.
    let one = ends(node.cache.invalidate(&1)).await.unwrap();
    let both = ends(node.cache.invalidate_many(&[1, 2])).await.unwrap();

    assert!(one.is_pending() && both.is_pending());
    assert_eq!(counters(&node).bumps, 0);
}

/// What shows an entity was told of its first invalidation only, as long as nothing marked it anew.
#[tokio::test]
async fn each_invalidation_of_what_was_shown_is_told_to_what_shows_it() {
    for remote in Remote::both() {
        let node = remote.quiet_node([1, 7]).await;
        let (sums, store) = (sums(&node), CountingStore::new());
        assert_eq!(outer(&node, &sums, &store).await, 0);

        for _ in 0..2 {
            ends(node.cache.invalidate(&1)).await.unwrap();
        }

        assert_eq!(counters(&node).tag_bumps, 2);
    }
}

/// Redis evicted the pointer that knew of the value, a reader made it anew, and the next writer was told that nobody showed
/// the entity.
#[tokio::test]
async fn a_pointer_that_a_reader_made_anew_does_not_forget_who_shows_the_entity() {
    let remote = Remote::around_redis();
    let (one, other) = pair(&remote).await;
    let (sums, store) = (sums(&one), CountingStore::new());
    assert_eq!(outer(&one, &sums, &store).await, 0);
    let pointer = remote.only_key("tc1:*:p:number/1");
    assert_eq!(remote.server().command(&["DEL", &pointer]), "1");
    assert_eq!(*load(&other.cache, &store, 1, plain).await.unwrap(), 0);
    store.commit(&1);

    ends(one.cache.invalidate(&1)).await.unwrap();

    assert_eq!(outer(&one, &sums, &store).await, 10);
}

/// Redis lost a bucket's control record and a pointer, and with them who shows the bucket's entities. The next bump was told that
/// nobody does, and on every node the value stayed that shows the entity.
#[tokio::test]
async fn what_shows_an_entity_is_made_anew_where_redis_has_forgotten_who_does() {
    let remote = Remote::around_redis();
    let (one, other) = pair(&remote).await;
    let (here, there, store) = (sums(&one), sums(&other), CountingStore::new());
    assert_eq!(outer(&one, &here, &store).await, 0);
    assert_eq!(outer(&other, &there, &store).await, 0);
    let pointer = remote.only_key("tc1:*:p:number/1");
    let bucket = &pointer[..pointer.find("p:number").unwrap()];
    store.commit(&1);

    let lost = [&pointer, &format!("{bucket}c"), &format!("{bucket}l")];
    assert_eq!(
        remote.server().command(&["DEL", lost[0], lost[1], lost[2]]),
        "3"
    );
    // A reader makes both anew.
    assert_eq!(*load(&other.cache, &store, 1, plain).await.unwrap(), 1);
    ends(one.cache.invalidate(&1)).await.unwrap();

    for (node, sums) in [(&one, &here), (&other, &there)] {
        eventually("the node has heard", async || {
            outer(node, sums, &store).await == 10
        })
        .await;
    }
}

/// What shows an entity knew the entity by its key only, and stayed when all of the entity's cache was invalidated.
#[tokio::test]
async fn a_clear_reaches_what_shows_a_value_of_the_cache() {
    for remote in Remote::both() {
        let (one, other) = pair(&remote).await;
        let (here, there, store) = (sums(&one), sums(&other), CountingStore::new());
        assert_eq!(outer(&one, &here, &store).await, 0);
        assert_eq!(outer(&other, &there, &store).await, 0);
        store.commit(&1);

        ends(one.cache.clear()).await.unwrap();

        assert_eq!(outer(&one, &here, &store).await, 10);
        eventually("the other node has heard", async || {
            outer(&other, &there, &store).await == 10
        })
        .await;
    }
}

/// A late insert of an older commit changes nothing in Redis. The node that had sent it went on to serve what was older
/// still, because the event of the newer insert had not reached it.
#[tokio::test]
async fn an_older_insert_makes_its_own_node_as_new_as_redis() {
    fn confirmed(value: u64) -> Loaded<u64> {
        Loaded::new(value).at_version(value)
    }
    let hub = InProcess::new();
    let remote = Remote::Hub(hub.clone());
    let (one, late) = (remote.node().await, remote.quiet_node([1]).await);
    let store = CountingStore::new();
    for _ in 0..2 {
        load(&late.cache, &store, 1, confirmed).await.unwrap();
    }
    store.commit(&1);
    store.commit(&1);
    hub.lose_pushes(true);
    ends(one.cache.insert_at(&1, 2_u64, 2)).await.unwrap();

    let receipt = ends(late.cache.insert_at(&1, 1_u64, 1)).await.unwrap();

    assert!(!receipt.is_pending());
    let shown = load(&late.cache, &store, 1, confirmed).await.unwrap();
    assert_eq!((*shown, shown.outcome()), (2, Outcome::RemoteHit));
}

/// A load had read a value that was invalidated before the load ended. Nobody kept what it made, but a reader that began
/// after the invalidation joined it, since its own key was not the one that was invalidated.
#[tokio::test]
async fn a_reader_gets_nothing_that_shows_what_was_invalidated_before_it_began() {
    for remote in Remote::both() {
        let node = remote.node().await;
        let (sums, store, gate) = (sums(&node), CountingStore::new(), CountingStore::new());
        // Their buckets are in use from here on: no fence detaches the load.
        ends(node.cache.invalidate(&1)).await.unwrap();
        ends(sums.invalidate(&7)).await.unwrap();
        let making = held_outer(&node, &sums, &store, &gate).await;

        store.commit(&1);
        ends(node.cache.invalidate(&1)).await.unwrap();
        let late = outer(&node, &sums, &store);
        let joined = async {
            eventually("the late reader joins", async || {
                counters(&node).flights_joined == 1
            })
            .await;
            gate.release();
        };
        let (late, ()) = tokio::join!(late, joined);

        assert_eq!(*ends(making).await.unwrap().unwrap(), 0);
        assert_eq!(late, 10);
    }
}

/// A load that began while Redis was away may read what Redis has proven, once it is back. What it makes stays in this
/// process for a second, and nothing told it that what it shows was invalidated by this very process.
#[tokio::test]
async fn what_was_loaded_without_redis_hears_of_what_it_shows() {
    let hub = InProcess::new();
    let node = Remote::Hub(hub.clone()).quiet_node([1]).await;
    let (sums, store, gate) = (sums(&node), CountingStore::new(), CountingStore::new());
    gate.hold();
    hub.refuse(true);
    let making = tokio::spawn({
        let (sums, inner) = (sums.clone(), node.cache.clone());
        let (store, first) = (store.clone(), gate.clone());
        async move {
            let load = |_| async move {
                first.load(&0).await;
                load(&inner, &store, 1, plain).await.map(|it| *it * 10)
            };
            sums.get_or_load(&7, load).await
        }
    });
    gate.wait_for_waiting(1).await;
    hub.refuse(false);
    gate.release();
    assert_eq!(*ends(making).await.unwrap().unwrap(), 0);
    store.commit(&1);

    let receipt = ends(node.cache.invalidate(&1)).await.unwrap();

    assert!(!receipt.is_pending());
    assert_eq!(outer(&node, &sums, &store).await, 10);
}

/// A process that only writes has no cache, so it knew no longest life of a value, and kept every tag for ever.
#[tokio::test]
async fn who_has_no_cache_remembers_no_tags() {
    let remote = Remote::both().remove(0);
    let node = remote.node().await;
    let beats = Duration::from_millis(10);
    let writer = remote.builder().heartbeat(beats).build().await.unwrap();

    invalidate(&node, "red").await;

    eventually("the writer has heard", async || {
        writer.report().counters().tag_events == 1
    })
    .await;
    eventually("and forgotten", async || writer.report().bumped_tags() == 0).await;
}

/// Each set of tiers knew only its own half of the circle, and both loads waited for each other for ever.
#[tokio::test]
async fn loads_of_two_sets_of_tiers_do_not_wait_for_each_other_in_a_circle() {
    async fn numbers(namespace: &str) -> (Tiers, Numbers) {
        let tiers = Tiers::builder(namespace).build().await.unwrap();
        let cache = tiers.cache("number", Policy::ttl(Duration::from_secs(600)));
        (tiers, cache.unwrap())
    }
    let ((_left, left), (_right, right)) = (numbers("left").await, numbers("right").await);
    // The bucket is in use from here on: no fence detaches the load.
    ends(left.invalidate(&1)).await.unwrap();

    let back = left.clone();
    let error = left.get_or_load(&1, |_| async move {
        let through = |_| async move {
            let own = back.get_or_load(&1, |_| async { Ok::<_, Error>(0) });
            own.await.map(|own| *own)
        };
        right.get_or_load(&2, through).await.map(|it| *it)
    });

    assert!(ends(error).await.unwrap_err().is_circular());
}
