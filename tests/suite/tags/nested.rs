//! A value that was made of other cached values is as old as the oldest of them.

use super::labelled::{invalidate, load, pair, plain, red};
use crate::nodes::{Node, Remote};
use crate::reads::{Numbers, counters, ends, held_read, numbers};
use std::time::Duration;
use tokio::task::JoinHandle;
use tricache::{Cached, Error, Loaded, Outcome, Policy, Tag, Visibility};
use tricache_test_support::{CountingStore, eventually};

/// Ten times the inner value of key 1, tagged `outer`.
async fn outer(node: &Node, store: &CountingStore, dress: fn(u64) -> Loaded<u64>) -> Cached<u64> {
    let (inner, store) = (node.cache.clone(), store.clone());
    let load = |_| async move {
        let shown = load(&inner, &store, 1, dress).await?;
        Ok::<_, Error>(Loaded::new(*shown * 10).tag("outer"))
    };
    ends(sums(node).get_or_load(&7, load)).await.unwrap()
}

/// Ten times the inner value of key 1, by a load that waits at the gate once it has read that value.
fn slow_sum(
    sums: &Numbers,
    node: &Node,
    (store, gate): (&CountingStore, &CountingStore),
    made: fn(u64) -> Loaded<u64>,
) -> JoinHandle<Result<Cached<u64>, Error>> {
    let (sums, inner) = (sums.clone(), node.cache.clone());
    let (store, gate) = (store.clone(), gate.clone());
    tokio::spawn(async move {
        let load = |_| async move {
            let shown = load(&inner, &store, 1, plain).await?;
            gate.load(&0).await;
            Ok::<_, Error>(made(*shown * 10))
        };
        sums.get_or_load(&7, load).await
    })
}

fn sums(node: &Node) -> Numbers {
    let policy = Policy::ttl(Duration::from_secs(600));
    node.tiers.cache("sum", policy).unwrap()
}

#[tokio::test]
async fn invalidating_what_a_value_shows_makes_it_old_on_every_node() {
    for remote in Remote::both() {
        let (one, other) = pair(&remote).await;
        let store = CountingStore::new();
        assert_eq!(*outer(&one, &store, plain).await, 0);
        assert_eq!(
            outer(&other, &store, plain).await.outcome(),
            Outcome::RemoteHit
        );
        for round in 1..=5 {
            store.commit(&1);

            let receipt = ends(one.cache.invalidate(&1)).await.unwrap();

            assert!(!receipt.is_pending());
            assert_eq!(*outer(&one, &store, plain).await, round * 10);
            eventually("the other node has heard", async || {
                *outer(&other, &store, plain).await == round * 10
            })
            .await;
        }
        // One load of the inner value for each commit: what is shown is not loaded twice.
        assert_eq!(store.loads(), 6);
    }
}

#[tokio::test]
async fn a_tag_of_what_a_value_shows_is_a_tag_of_the_value() {
    for remote in Remote::both() {
        let (one, other) = pair(&remote).await;
        let store = CountingStore::new();
        let made = outer(&one, &store, red).await;
        assert_eq!(made.tags(), [Tag::new("outer"), Tag::new("red")]);
        store.commit(&1);

        invalidate(&other, "red").await;

        assert_eq!(*outer(&other, &store, red).await, 10);
        eventually("the first node has heard", async || {
            *outer(&one, &store, red).await == 10
        })
        .await;
    }
}

#[tokio::test]
async fn life_and_visibility_of_what_a_value_shows_are_handed_on() {
    fn short(value: u64) -> Loaded<u64> {
        Loaded::new(value)
            .ttl_at_most(Duration::from_secs(5))
            .visibility(Visibility::User)
    }
    for remote in Remote::both() {
        let (one, other) = pair(&remote).await;
        let store = CountingStore::new();

        for node in [&one, &other] {
            let made = outer(node, &store, short).await;

            assert!(made.remaining() < Duration::from_secs(6));
            assert_eq!(made.visibility(), Visibility::User);
        }
    }
}

#[tokio::test]
async fn a_value_that_shows_what_was_invalidated_meanwhile_is_not_kept() {
    for remote in Remote::both() {
        let node = remote.node().await;
        let (store, gate) = (CountingStore::new(), CountingStore::new());
        gate.hold();
        let making = slow_sum(&sums(&node), &node, (&store, &gate), Loaded::new);
        gate.wait_for_waiting(1).await;

        store.commit(&1);
        ends(node.cache.invalidate(&1)).await.unwrap();
        gate.release();

        assert_eq!(*ends(making).await.unwrap().unwrap(), 0);
        assert_eq!(counters(&node).stale_dependencies, 1);
        assert_eq!(*outer(&node, &store, plain).await, 10);
    }
}

/// A list had read a row and was still being made when the row was invalidated. It was kept nowhere, but readers who
/// came after the invalidation joined its load, and got what it had made of the old row.
#[tokio::test]
async fn a_reader_that_comes_after_the_invalidation_of_what_is_shown_gets_nothing_made_of_the_old()
{
    for made in [Loaded::new, |sum| Loaded::new(sum).do_not_store()] {
        for remote in Remote::both() {
            let node = remote.node().await;
            let (sums, store, gate) = (sums(&node), CountingStore::new(), CountingStore::new());
            eventually("its feed is live", async || {
                let sum = load(&sums, &CountingStore::new(), 7, plain).await.unwrap();
                sum.outcome() == Outcome::LocalHit
            })
            .await;
            ends(node.tiers.clear()).await.unwrap();
            // From now on Redis knows that nothing shows the inner value, and no tag tells of its invalidation.
            load(&node.cache, &store, 1, plain).await.unwrap();
            ends(node.cache.invalidate(&1)).await.unwrap();
            gate.hold();
            let making = slow_sum(&sums, &node, (&store, &gate), made);
            gate.wait_for_waiting(1).await;
            store.commit(&1);
            ends(node.cache.invalidate(&1)).await.unwrap();

            let after = slow_sum(&sums, &node, (&store, &gate), made);
            eventually("it waits for the load", async || {
                counters(&node).flights_joined == 1
            })
            .await;
            gate.release();

            assert_eq!(*ends(after).await.unwrap().unwrap(), 10);
            assert_eq!(*ends(making).await.unwrap().unwrap(), 0);
        }
    }
}

#[tokio::test]
async fn a_value_that_shows_an_absence_is_made_anew_once_the_thing_exists() {
    fn from_the_first(value: u64) -> Loaded<u64> {
        (value > 0).then_some(value).into()
    }
    async fn described(node: &Node, store: &CountingStore) -> u64 {
        let (inner, store) = (node.cache.clone(), store.clone());
        let load = |_| async move {
            match load(&inner, &store, 1, from_the_first).await {
                Err(error) if error.is_absent() => Ok(99),
                shown => shown.map(|shown| *shown),
            }
        };
        *ends(sums(node).get_or_load(&7, load)).await.unwrap()
    }
    for remote in Remote::both() {
        let (one, other) = pair(&remote).await;
        let store = CountingStore::new();
        assert_eq!(described(&one, &store).await, 99);
        assert_eq!(described(&other, &store).await, 99);
        assert_eq!(store.loads(), 1);

        store.commit(&1);
        ends(one.cache.invalidate(&1)).await.unwrap();

        assert_eq!(described(&one, &store).await, 1);
        eventually("the other node has heard", async || {
            described(&other, &store).await == 1
        })
        .await;
    }
}

#[tokio::test]
async fn a_value_three_deep_is_made_anew_too() {
    for remote in Remote::both() {
        let (one, other) = pair(&remote).await;
        let store = CountingStore::new();
        assert_eq!(top(&one, &store).await, 1);
        assert_eq!(top(&other, &store).await, 1);
        store.commit(&1);

        ends(other.cache.invalidate(&1)).await.unwrap();

        assert_eq!(top(&other, &store).await, 11);
        eventually("the first node has heard", async || {
            top(&one, &store).await == 11
        })
        .await;
    }
}

/// The outer value and one, in a third cache.
async fn top(node: &Node, store: &CountingStore) -> u64 {
    let policy = Policy::ttl(Duration::from_secs(600));
    let tops: Numbers = node.tiers.cache("top", policy).unwrap();
    let (sums, inner, store) = (sums(node), node.cache.clone(), store.clone());
    let middle = |_| async move {
        let shown = load(&inner, &store, 1, plain).await?;
        Ok::<_, Error>(*shown * 10)
    };
    let outermost = |_| async move { Ok::<_, Error>(*sums.get_or_load(&7, middle).await? + 1) };
    *ends(tops.get_or_load(&8, outermost)).await.unwrap()
}

#[tokio::test]
async fn invalidating_what_nobody_shows_costs_one_bump() {
    for remote in Remote::both() {
        let node = remote.node().await;
        let store = CountingStore::new();
        for round in 1..=5 {
            load(&node.cache, &store, 1, plain).await.unwrap();

            ends(node.cache.invalidate(&1)).await.unwrap();

            let counted = (counters(&node).bumps, counters(&node).tag_bumps);
            assert_eq!(counted, (round, 0));
        }
    }
}

/// A heartbeat had asked for the heads before the first use of a bucket, and was answered after it: the bucket counted as lost, and
/// with it all that shows its entities.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_use_of_a_bucket_is_no_loss() {
    for remote in Remote::both() {
        for round in 0..30_u64 {
            let space = format!("space-{round}");
            let builder = match &remote {
                Remote::Redis(redis) => tricache::Tiers::builder(&space).redis(&redis.url()),
                Remote::Hub(hub) => tricache::Tiers::builder(&space).in_process(hub),
            };
            let builder = builder.heartbeat(Duration::from_millis(10));
            let policy = Policy::ttl(Duration::from_secs(600));
            let (tiers, cache) =
                numbers(builder.remote_timeout(Duration::from_secs(5)), policy).await;
            let store = CountingStore::new();

            for key in 0..50 {
                load(&cache, &store, key, plain).await.unwrap();
            }

            let counters = *tiers.report().counters();
            assert_eq!((counters.gaps, counters.tag_bumps), (0, 0));
        }
    }
}

/// A pointer that is gone took along who depended on it.
#[tokio::test]
async fn a_value_is_made_anew_although_redis_has_evicted_the_pointer_of_what_it_shows() {
    let remote = Remote::around_redis();
    let (one, other) = pair(&remote).await;
    let store = CountingStore::new();
    outer(&one, &store, plain).await;
    outer(&other, &store, plain).await;
    store.commit(&1);

    let pointer = remote.only_key("tc1:*:p:number/1");
    assert_eq!(remote.server().command(&["DEL", &pointer]), "1");
    ends(one.cache.invalidate(&1)).await.unwrap();

    assert_eq!(*outer(&one, &store, plain).await, 10);
    eventually("the other node has heard", async || {
        *outer(&other, &store, plain).await == 10
    })
    .await;
}

#[tokio::test]
async fn a_value_of_other_tiers_hands_on_its_tags_and_its_life_only() {
    let (here, elsewhere) = (Remote::both().remove(0), Remote::both().remove(0));
    let node = here.node().await;
    let policy = Policy::ttl(Duration::from_secs(5));
    let (_tiers, far) = numbers(elsewhere.builder(), policy).await;
    let store = CountingStore::new();

    let load = |_| async move {
        let shown = load(&far, &store, 1, red).await?;
        Ok::<_, Error>(*shown)
    };
    let made = ends(sums(&node).get_or_load(&7, load)).await.unwrap();

    assert_eq!(made.tags(), [Tag::new("red")]);
    assert!(made.remaining() < Duration::from_secs(6));
    assert_eq!(counters(&node).stale_dependencies, 0);
}

#[tokio::test]
async fn two_loads_of_one_value_hand_on_what_both_have_read() {
    // The nested read joins a load that somebody else leads: it is a read all the same.
    for remote in Remote::both() {
        let node = remote.quiet_node([1, 7]).await;
        let store = CountingStore::new();
        let leading = held_read(&node, &store, 1).await;
        let making = tokio::spawn({
            let (sums, inner, store) = (sums(&node), node.cache.clone(), store.clone());
            async move {
                let load =
                    |_| async move { load(&inner, &store, 1, plain).await.map(|it| *it * 10) };
                sums.get_or_load(&7, load).await
            }
        });
        eventually("the nested read joins", async || {
            counters(&node).flights_joined == 1
        })
        .await;
        store.release();
        assert_eq!(leading.value().await, 0);
        ends(making).await.unwrap().unwrap();

        store.commit(&1);
        ends(node.cache.invalidate(&1)).await.unwrap();

        assert_eq!(*outer(&node, &store, plain).await, 10);
    }
}
