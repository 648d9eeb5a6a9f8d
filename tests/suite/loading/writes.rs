//! Writes: what is inserted or invalidated, one key or many, and what is left of calls after a shutdown.

use crate::nodes::Remote;
use crate::reads::{counters, ends, held_read, read};
use std::{io, time::Duration};
use tricache::Outcome;
use tricache_test_support::{CountingStore, eventually};

#[tokio::test]
async fn an_inserted_value_is_read_on_every_node_without_a_load() {
    for remote in Remote::both() {
        let (one, other) = (remote.node().await, remote.node().await);
        let store = CountingStore::new();
        for node in [&one, &other] {
            read(&node.cache, &store, 1).await;
        }

        let receipt = ends(one.cache.insert(&1, 7)).await.unwrap();

        assert!(!receipt.is_pending());
        assert_eq!(*read(&one.cache, &store, 1).await, 7);
        eventually("the other node reads it", async || {
            *read(&other.cache, &store, 1).await == 7
        })
        .await;
        assert_eq!(store.loads(), 1);
    }
}

#[tokio::test]
async fn an_inserted_value_replaces_the_load_that_began_before() {
    for remote in Remote::both() {
        let (one, other) = (remote.node().await, remote.node().await);
        let store = CountingStore::new();
        let slow = held_read(&one, &store, 1).await;

        ends(other.cache.insert(&1, 7)).await.unwrap();
        store.release();

        assert_eq!(slow.value().await, 0);
        assert_eq!(*read(&one.cache, &store, 1).await, 7);
        assert_eq!(*read(&other.cache, &store, 1).await, 7);
        assert_eq!(counters(&one).stale_fills, 1);
    }
}

#[tokio::test]
async fn an_inserted_value_is_invalidated_like_any_other() {
    for remote in Remote::both() {
        let node = remote.node().await;
        let store = CountingStore::new();
        ends(node.cache.insert(&1, 7)).await.unwrap();

        ends(node.cache.invalidate(&1)).await.unwrap();

        assert!(ends(node.cache.get(&1)).await.unwrap().is_none());
        assert_eq!(*read(&node.cache, &store, 1).await, 0);
    }
}

#[tokio::test]
async fn no_key_one_key_and_three_hundred_are_invalidated_in_one_call() {
    for remote in Remote::both() {
        let (one, other) = (remote.node().await, remote.node().await);
        for count in [0, 1, 300] {
            let store = CountingStore::new();
            let keys: Vec<u64> = (0..count).collect();
            for key in &keys {
                ends(one.cache.invalidate(key)).await.unwrap();
                read(&other.cache, &store, *key).await;
                store.commit(key);
            }

            let receipt = ends(one.cache.invalidate_many(&keys)).await.unwrap();

            assert!(!receipt.is_pending());
            assert_eq!(receipt.stamps().len(), keys.len());
            for key in &keys {
                assert_eq!(*read(&one.cache, &store, *key).await, 1);
                eventually("the other node reads it", async || {
                    *read(&other.cache, &store, *key).await == 1
                })
                .await;
            }
            assert_eq!(store.loads(), 2 * count);
        }
    }
}

#[tokio::test]
async fn a_key_that_is_named_twice_is_invalidated_twice() {
    for remote in Remote::both() {
        let node = remote.node().await;

        let receipt = ends(node.cache.invalidate_many(&[1, 1])).await.unwrap();

        let [one, other] = receipt.stamps() else {
            panic!("{receipt:?}")
        };
        assert_eq!(one.bucket(), other.bucket());
        assert_ne!(one.n(), other.n());
    }
}

#[tokio::test]
async fn every_call_after_a_shutdown_says_that_it_is_closed() {
    for remote in Remote::both() {
        let (node, other) = (remote.node().await, remote.node().await);
        let store = CountingStore::new();
        read(&node.cache, &store, 1).await;

        let drained = ends(node.tiers.shutdown(Duration::from_secs(5))).await;

        assert!(drained.is_complete());
        let load = |_| async { Ok::<u64, io::Error>(1) };
        let cache = &node.cache;
        let refused = [
            ends(cache.get(&1)).await.unwrap_err(),
            ends(cache.get_or_load(&1, load)).await.unwrap_err(),
            ends(cache.invalidate(&1)).await.unwrap_err(),
            ends(cache.invalidate_many(&[1])).await.unwrap_err(),
            ends(cache.insert(&1, 1)).await.unwrap_err(),
            node.tiers
                .cache::<u64, u64>("more", *cache.policy())
                .unwrap_err(),
        ];
        assert!(
            refused.iter().all(tricache::Error::is_closed),
            "{refused:?}"
        );
        assert!(ends(node.tiers.shutdown(Duration::MAX)).await.is_complete());
        let elsewhere = read(&other.cache, &store, 1).await;
        assert_eq!(elsewhere.outcome(), Outcome::RemoteHit);
    }
}

#[tokio::test]
async fn a_shutdown_tells_what_redis_never_took() {
    let remote = Remote::around_redis();
    let node = remote.node().await;
    let redis = remote.server();
    redis.kill();
    ends(node.cache.invalidate_many(&[1, 2, 3])).await.unwrap();

    let drained = ends(node.tiers.shutdown(Duration::ZERO)).await;

    assert!(!drained.is_complete());
    assert_eq!(drained.pending(), 3);
}
