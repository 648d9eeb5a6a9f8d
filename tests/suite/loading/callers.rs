//! The callers of one node: they share a load, and none of them is needed for it.

use crate::nodes::Remote;
use crate::reads::{counters, ends, held_read, read, spawn_read};
use tricache::Outcome;
use tricache_test_support::{CountingStore, eventually};

#[tokio::test]
async fn waiters_get_their_value_when_the_first_caller_is_dropped() {
    for remote in Remote::both() {
        let node = remote.quiet_node([1]).await;
        let store = CountingStore::new();
        let first = held_read(&node, &store, 1).await;
        let waiters: Vec<_> = (0..50)
            .map(|_| spawn_read(&node.cache, &store, 1))
            .collect();
        eventually("all wait", async || counters(&node).flights_joined == 50).await;

        first.drop_caller().await;
        store.release();

        for waiter in waiters {
            assert_eq!(waiter.value().await, 0);
        }
        assert_eq!(store.loads(), 1);
    }
}

#[tokio::test]
async fn a_waiter_goes_on_when_the_first_caller_is_dropped_before_its_load() {
    for remote in Remote::both() {
        let (elsewhere, node) = (remote.node().await, remote.quiet_node([1]).await);
        let store = CountingStore::new();
        let loading = held_read(&elsewhere, &store, 1).await;
        // The first caller leads, and waits for the other node's lease.
        let first = spawn_read(&node.cache, &store, 1);
        eventually("the first one leads", async || {
            counters(&node).lease_waits == 1
        })
        .await;
        let waiters: Vec<_> = (0..50)
            .map(|_| spawn_read(&node.cache, &store, 1))
            .collect();
        eventually("all wait", async || counters(&node).flights_joined == 50).await;

        first.drop_caller().await;
        eventually("another one leads", async || {
            counters(&node).lease_waits == 2
        })
        .await;
        store.release();

        assert_eq!(loading.value().await, 0);
        for waiter in waiters {
            assert_eq!(waiter.value().await, 0);
        }
        assert_eq!(store.loads(), 1);
    }
}

#[tokio::test]
async fn the_value_of_a_dropped_caller_fills_every_tier() {
    for remote in Remote::both() {
        let (node, other) = (remote.node().await, remote.node().await);
        let store = CountingStore::new();
        let only = held_read(&node, &store, 1).await;

        only.drop_caller().await;
        store.release();

        eventually("the value is there", async || {
            ends(other.cache.get(&1)).await.unwrap().is_some()
        })
        .await;
        // The feeds of a hub are begun; in Redis this was the first value of its bucket.
        let outcome = match &remote {
            Remote::Hub(_) => Outcome::LocalHit,
            Remote::Redis(_) => Outcome::LocalRevalidated,
        };
        assert_eq!(read(&node.cache, &store, 1).await.outcome(), outcome);
        assert_eq!(store.loads(), 1);
    }
}

#[tokio::test]
async fn who_asks_after_an_invalidation_does_not_get_the_load_from_before() {
    for remote in Remote::both() {
        let node = remote.quiet_node([1]).await;
        let store = CountingStore::new();
        let before = held_read(&node, &store, 1).await;
        let joined = spawn_read(&node.cache, &store, 1);
        eventually("one joins", async || counters(&node).flights_joined == 1).await;

        store.commit(&1);
        node.cache.invalidate(&1).await.unwrap();
        let after: Vec<_> = (0..10)
            .map(|_| spawn_read(&node.cache, &store, 1))
            .collect();
        eventually("the later ones share a load of their own", async || {
            counters(&node).flights_joined == 10 && store.waiting() == 2
        })
        .await;
        store.release();

        assert_eq!((before.value().await, joined.value().await), (0, 0));
        for reading in after {
            assert_eq!(reading.value().await, 1);
        }
        assert_eq!(store.loads(), 2);
    }
}

#[tokio::test]
async fn get_finds_what_is_there_and_loads_nothing() {
    for remote in Remote::both() {
        let (node, other) = (remote.node().await, remote.node().await);
        let store = CountingStore::new();

        assert!(ends(node.cache.get(&1)).await.unwrap().is_none());
        read(&node.cache, &store, 1).await;
        let here = ends(node.cache.get(&1)).await.unwrap().unwrap();
        let there = ends(other.cache.get(&1)).await.unwrap().unwrap();

        assert_eq!((*here, *there), (0, 0));
        assert_eq!(there.outcome(), Outcome::RemoteHit);
        assert_eq!(store.loads(), 1);
        assert_eq!(counters(&other).loads, 0);
    }
}
