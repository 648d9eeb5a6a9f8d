//! What is shared: one value by all that read it, its entities by all caches of one name, nothing by caches of two.

use crate::nodes::{Node, Remote};
use crate::reads::{ends, numbers, read, spawn_read};
use crate::stale::{Nodes, TTL, WINDOW, good, load, windows};
use serde::{Deserialize, Serialize};
use std::{io, ptr, sync::Arc, time::Duration};
use tricache::{Loaded, Outcome, Policy, TieredCache};
use tricache_test_support::{CountingStore, eventually};

/// Nobody can copy it.
#[derive(Serialize, Deserialize)]
struct Page {
    body: String,
}

#[tokio::test]
async fn all_readers_share_one_value() {
    for remote in Remote::both() {
        let node = remote.quiet_node([1]).await;
        let policy = Policy::ttl(Duration::from_secs(600));
        let pages: TieredCache<u64, Page> = node.tiers.cache("number", policy).unwrap();
        let load = |_| async {
            let body = "lamp".to_owned();
            Ok::<_, io::Error>(Page { body })
        };

        let (one, other) = tokio::join!(pages.get_or_load(&1, load), pages.get_or_load(&1, load));
        let (one, other) = (one.unwrap(), other.unwrap());
        let hit = ends(pages.get(&1)).await.unwrap().unwrap();

        assert_eq!((&*hit.body, hit.outcome()), ("lamp", Outcome::LocalHit));
        for shared in [&other, &hit, &hit.clone()] {
            assert!(ptr::eq::<Page>(&**shared, &*one));
        }
    }
}

#[tokio::test]
async fn equal_keys_of_two_caches_are_two_things_on_every_node() {
    for remote in Remote::both() {
        let (one, other) = (remote.node().await, remote.node().await);
        let (numbers, prices) = (CountingStore::new(), CountingStore::new());
        let price = |node: &Node| node.tiers.cache("price", *node.cache.policy());
        let (here, there) = (price(&one).unwrap(), price(&other).unwrap());
        prices.commit(&1);
        for (node, cache) in [(&one, &here), (&other, &there)] {
            assert_eq!(*read(&node.cache, &numbers, 1).await, 0);
            assert_eq!(*read(cache, &prices, 1).await, 1);
        }

        numbers.commit(&1);
        prices.commit(&1);
        ends(one.cache.invalidate(&1)).await.unwrap();

        eventually("the other node has heard", async || {
            *read(&other.cache, &numbers, 1).await == 1
        })
        .await;
        assert_eq!(*read(&one.cache, &numbers, 1).await, 1);
        for cache in [&here, &there] {
            assert_eq!(*read(cache, &prices, 1).await, 1);
        }
    }
}

#[tokio::test]
async fn what_one_cache_of_a_name_invalidates_is_old_in_all_of_that_name() {
    for remote in Remote::both() {
        let node = remote.node().await;
        let same = node.tiers.cache("number", *node.cache.policy()).unwrap();
        let store = CountingStore::new();
        for cache in [&node.cache, &same] {
            read(cache, &store, 1).await;
        }

        store.commit(&1);
        ends(node.cache.invalidate(&1)).await.unwrap();

        assert_eq!(*read(&same, &store, 1).await, 1);
        assert_eq!(*read(&node.cache, &store, 1).await, 1);
    }
}

/// The load of the one has read what was there before the other was told.
#[tokio::test]
async fn a_load_of_one_cache_of_a_name_is_not_served_after_the_other_has_invalidated() {
    for remote in Remote::both() {
        let node = remote.quiet_node([1]).await;
        let same = node.tiers.cache("number", *node.cache.policy()).unwrap();
        let store = CountingStore::new();
        store.hold();
        let before = spawn_read(&same, &store, 1);
        store.wait_for_waiting(1).await;

        store.commit(&1);
        ends(node.cache.invalidate(&1)).await.unwrap();
        let after = spawn_read(&same, &store, 1);
        store.wait_for_waiting(2).await;
        store.release();

        assert_eq!((before.value().await, after.value().await), (0, 1));
        assert_eq!(*read(&same, &store, 1).await, 1);
    }
}

#[tokio::test]
async fn a_tag_of_one_environment_is_nobody_elses() {
    for remote in Remote::both() {
        let mut caches = Vec::new();
        for prefix in ["live", "staging"] {
            let node = Node::start(remote.builder().key_prefix(prefix)).await;
            let load = |_| async { Ok::<_, io::Error>(Loaded::new(7).tag("red")) };
            ends(node.cache.get_or_load(&1, load)).await.unwrap();
            caches.push(node);
        }

        ends(caches[1].tiers.invalidate_tags(["red"]))
            .await
            .unwrap();

        assert!(ends(caches[1].cache.get(&1)).await.unwrap().is_none());
        assert!(ends(caches[0].cache.get(&1)).await.unwrap().is_some());
    }
}

#[tokio::test]
async fn a_clear_ends_stale_values_too_and_holds_for_nodes_that_start_later() {
    let nodes = Nodes::start::<1>(windows(WINDOW, WINDOW)).await;
    let store = CountingStore::new();
    for key in [1, 2] {
        good(nodes.cache(0), &store, key).await;
    }
    nodes.clock.advance(TTL);

    ends(nodes.cache(0).clear()).await.unwrap();

    let remote = Remote::Hub(nodes.hub.clone());
    let builder = remote.builder().clock(Arc::new(nodes.clock.clone()));
    let (_late, late) = numbers(builder, *nodes.cache(0).policy()).await;
    assert!(load(&late, &store, 1, true).await.is_err());
    assert!(load(nodes.cache(0), &store, 1, true).await.is_err());
    let loaded = good(&late, &store, 2).await;
    assert_eq!(loaded.outcome(), Outcome::Loaded);
}
