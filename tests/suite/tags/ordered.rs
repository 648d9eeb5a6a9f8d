//! Values with the store's own version: the newer one wins, whatever the order; and pinned reads.

use super::labelled::{load, pair, plain};
use crate::nodes::{Node, Remote};
use crate::reads::{counters, ends};
use std::io;
use tricache::{Loaded, Outcome};
use tricache_test_support::{CountingStore, eventually};

/// A load that says which commit it has read.
fn confirmed(value: u64) -> Loaded<u64> {
    Loaded::new(value).at_version(value)
}

async fn insert_at(node: &Node, version: u64) {
    let receipt = ends(node.cache.insert_at(&1, version, version))
        .await
        .unwrap();
    assert!(!receipt.is_pending());
    assert_eq!(receipt.stamps().len(), 1);
}

async fn held_by(node: &Node) -> Option<(u64, Outcome)> {
    let found = ends(node.cache.get(&1)).await.unwrap();
    found.map(|found| (*found, found.outcome()))
}

#[tokio::test]
async fn after_a_load_that_knew_its_version_the_newest_insert_is_kept() {
    for remote in Remote::both() {
        let (one, other) = pair(&remote).await;
        let store = CountingStore::new();
        load(&one.cache, &store, 1, confirmed).await.unwrap();

        insert_at(&one, 2).await;
        insert_at(&other, 3).await;
        // The writer of the older commit is late.
        insert_at(&one, 1).await;

        assert_eq!(held_by(&other).await.map(|held| held.0), Some(3));
        eventually("the first node has heard", async || {
            held_by(&one).await.map(|held| held.0) == Some(3)
        })
        .await;
        assert_eq!(store.loads(), 1);
    }
}

#[tokio::test]
async fn where_the_order_is_unknown_an_insert_is_an_invalidation_only() {
    for remote in Remote::both() {
        let node = remote.node().await;
        let store = CountingStore::new();

        // Redis has never heard of the key.
        insert_at(&node, 1).await;
        assert_eq!(held_by(&node).await, None);
        // A load that does not say what it has read teaches nothing.
        load(&node.cache, &store, 1, plain).await.unwrap();
        insert_at(&node, 2).await;
        assert_eq!(held_by(&node).await, None);
        // What was invalidated without a version is unknown again.
        load(&node.cache, &store, 1, confirmed).await.unwrap();
        ends(node.cache.invalidate(&1)).await.unwrap();
        insert_at(&node, 3).await;

        assert_eq!(held_by(&node).await, None);
        assert_eq!(counters(&node).bumps, 4);
    }
}

/// Case 9c of the literature: the pointer is evicted with the newest version in it, and a late writer makes it anew.
#[tokio::test]
async fn an_evicted_order_is_not_taken_from_whoever_comes_first() {
    let remote = Remote::around_redis();
    let node = remote.node().await;
    let store = CountingStore::new();
    load(&node.cache, &store, 1, confirmed).await.unwrap();
    insert_at(&node, 5).await;

    let pointer = remote.only_key("tc1:*:p:number/1");
    remote.server().command(&["DEL", &pointer]);
    insert_at(&node, 2).await;
    insert_at(&node, 3).await;

    assert_eq!(held_by(&node).await, None);
}

#[tokio::test]
async fn a_load_older_than_what_is_known_is_not_stored() {
    // The load asked a replica that lags behind.
    for remote in Remote::both() {
        let node = remote.node().await;
        let (store, replica) = (CountingStore::new(), CountingStore::new());
        for _ in 0..5 {
            store.commit(&1);
        }
        load(&node.cache, &store, 1, confirmed).await.unwrap();
        ends(node.cache.insert_at(&1, 6_u64, 6)).await.unwrap();
        let lifeless = Loaded::new(7).at_version(7_u64).do_not_store();
        ends(node.cache.insert_at(&1, 7_u64, lifeless))
            .await
            .unwrap();
        assert_eq!(held_by(&node).await, None);

        assert_eq!(*load(&node.cache, &replica, 1, confirmed).await.unwrap(), 0);

        assert_eq!(held_by(&node).await, None);
        assert_eq!(counters(&node).stale_fills, 1);
    }
}

#[tokio::test]
async fn a_commit_that_a_load_has_seen_already_is_told_all_the_same() {
    // Another node may hold what was loaded before that commit under the same pointer.
    for remote in Remote::both() {
        let (one, other) = pair(&remote).await;
        let store = CountingStore::new();
        load(&other.cache, &store, 1, confirmed).await.unwrap();
        store.commit(&1);

        ends(one.cache.insert_at(&1, 1_u64, 1)).await.unwrap();
        ends(one.cache.insert_at(&1, 1_u64, 1)).await.unwrap();

        eventually("the other node has heard", async || {
            *load(&other.cache, &store, 1, confirmed).await.unwrap() == 1
        })
        .await;
    }
}

async fn pinned(node: &Node, store: &CountingStore, pin: u64, says: Option<u64>) -> (u64, Outcome) {
    let store = store.clone();
    let load = |_| async move {
        let loaded = Loaded::new(store.load(&1).await);
        Ok::<_, io::Error>(match says {
            Some(version) => loaded.at_version(version),
            None => loaded,
        })
    };
    let pinned = node.cache.pinned(pin);
    let cached = ends(pinned.get_or_load(&1, load)).await.unwrap();
    (*cached, cached.outcome())
}

#[tokio::test]
async fn a_pinned_value_is_kept_under_its_version() {
    for remote in Remote::both() {
        let (one, other) = pair(&remote).await;
        let store = CountingStore::new();
        pinned(&one, &store, 1, Some(1)).await;
        store.commit(&1);
        pinned(&one, &store, 2, Some(2)).await;

        assert_eq!(
            pinned(&other, &store, 1, Some(1)).await,
            (0, Outcome::RemoteHit)
        );
        assert_eq!(
            pinned(&other, &store, 2, Some(2)).await,
            (1, Outcome::RemoteHit)
        );
        assert_eq!(store.loads(), 2);
        // An update makes another key, so the key's own invalidation has nothing to do with it.
        ends(one.cache.invalidate(&1)).await.unwrap();
        assert_ne!(pinned(&one, &store, 1, Some(1)).await.1, Outcome::Loaded);
        let unpinned = ends(one.cache.get(&1)).await.unwrap();
        assert!(unpinned.is_none());
    }
}

#[tokio::test]
async fn a_pinned_value_of_another_version_is_answered_and_kept_nowhere() {
    for remote in Remote::both() {
        let node = remote.node().await;
        let store = CountingStore::new();

        for says in [Some(2), None, Some(2)] {
            assert_eq!(pinned(&node, &store, 1, says).await, (0, Outcome::Loaded));
        }

        assert_eq!(store.loads(), 3);
        assert_eq!(counters(&node).other_versions, 3);
        let kept = ends(node.cache.pinned(1_u64).get(&1)).await.unwrap();
        assert!(kept.is_none());
    }
}

/// A replica that lagged had no row yet of the version that the caller had read elsewhere. The absence was remembered, and no
/// invalidation of the key could end it.
#[tokio::test]
async fn an_absence_of_another_version_is_not_remembered_under_the_pinned_one() {
    for remote in Remote::both() {
        let node = remote.node().await;
        let absent = async |says: Option<u64>| {
            let load = |_| async move {
                let absent = Loaded::<u64>::absent();
                Ok::<_, io::Error>(match says {
                    Some(version) => absent.at_version(version),
                    None => absent,
                })
            };
            let pinned = node.cache.pinned(1_u64);
            ends(pinned.get_or_load(&1, load)).await.unwrap_err()
        };

        for says in [None, Some(2), Some(1), None] {
            assert!(absent(says).await.is_absent());
        }

        assert_eq!(counters(&node).loads, 3, "the last one was remembered");
    }
}

#[tokio::test]
async fn a_clear_reaches_pinned_values() {
    for remote in Remote::both() {
        let (one, other) = pair(&remote).await;
        let store = CountingStore::new();
        pinned(&one, &store, 1, Some(1)).await;
        pinned(&other, &store, 1, Some(1)).await;

        ends(one.cache.clear()).await.unwrap();

        assert_eq!(pinned(&one, &store, 1, Some(1)).await.1, Outcome::Loaded);
        eventually("the other node has heard", async || {
            counters(&other).tag_events == 1
        })
        .await;
        let again = pinned(&other, &store, 1, Some(1)).await;
        assert_ne!(again.1, Outcome::LocalHit);
    }
}
