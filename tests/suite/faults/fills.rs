//! F1 to F4: what is filled late, and what is filled after half of a record was lost.

use crate::nodes::{Node, Remote};
use crate::reads::{counters, held_read, numbers, read, spawn_read};
use std::{sync::Arc, time::Duration};
use tricache::{InProcess, ManualClock, Outcome, Policy};
use tricache_test_support::{CountingStore, eventually};

#[tokio::test]
async fn f1_a_fill_after_an_invalidation_is_refused() {
    for remote in Remote::both() {
        let (reader, writer) = (remote.node().await, remote.node().await);
        let store = CountingStore::new();
        let slow = held_read(&reader, &store, 1).await;

        store.commit(&1);
        assert!(!writer.cache.invalidate(&1).await.unwrap().is_pending());
        store.release();

        // It began before the invalidation: the old number is its own, and nobody else's.
        assert_eq!(slow.value().await, 0);
        assert_eq!(counters(&reader).stale_fills, 1);
        let next = read(&reader.cache, &store, 1).await;
        assert_eq!((*next, next.outcome()), (1, Outcome::Loaded));
        let there = read(&writer.cache, &store, 1).await;
        assert_eq!((*there, there.outcome()), (1, Outcome::RemoteHit));
    }
}

#[tokio::test]
async fn f1_a_fill_after_an_invalidation_by_the_same_node_is_refused() {
    for remote in Remote::both() {
        let (node, other) = (remote.node().await, remote.node().await);
        let store = CountingStore::new();
        let slow = held_read(&node, &store, 1).await;

        store.commit(&1);
        assert!(!node.cache.invalidate(&1).await.unwrap().is_pending());
        store.release();

        assert_eq!(slow.value().await, 0);
        assert_eq!(*read(&node.cache, &store, 1).await, 1);
        assert_eq!(*read(&other.cache, &store, 1).await, 1);
        assert_eq!((counters(&node).stale_fills, store.loads()), (1, 2));
    }
}

#[tokio::test]
async fn f2_a_reader_that_outlived_its_lease_fills_nothing_and_releases_nothing() {
    for fleet in [Fleet::around_redis(), Fleet::around_a_hub()] {
        let [zombie, second, writer, third, follower] = fleet.nodes().await;
        let (zombies, seconds, thirds) = <(CountingStore, CountingStore, CountingStore)>::default();
        let slow = held_read(&zombie, &zombies, 1).await;
        fleet.end_leases();
        let replacing = held_read(&second, &seconds, 1).await;

        for store in [&zombies, &seconds, &thirds] {
            store.commit(&1);
        }
        assert!(!writer.cache.invalidate(&1).await.unwrap().is_pending());
        let current = held_read(&third, &thirds, 1).await;
        zombies.release();
        seconds.release();
        assert_eq!((slow.value().await, replacing.value().await), (0, 0));

        // The lease is the third's still: whoever asks now waits for it, and loads nothing.
        let waiting = spawn_read(&follower.cache, &zombies, 1);
        eventually("the last one waits for the lease", async || {
            counters(&follower).lease_waits == 1
        })
        .await;
        thirds.release();
        assert_eq!((current.value().await, waiting.value().await), (1, 1));
        assert_eq!(
            (counters(&zombie).stale_fills, counters(&second).stale_fills),
            (1, 1)
        );
        assert_eq!((zombies.loads(), counters(&follower).remote_hits), (1, 1));
    }
}

#[tokio::test]
async fn f3_without_its_pointer_a_value_is_not_served() {
    // Redis only: a hub evicts a pointer when its bucket holds 65,536 of them.
    let remote = Remote::around_redis();
    let (one, other, third) = (
        remote.node().await,
        remote.node().await,
        remote.node().await,
    );
    let store = CountingStore::new();
    let old = read(&one.cache, &store, 1).await;
    store.commit(&1);
    one.cache.invalidate(&1).await.unwrap();

    let redis = remote.server();
    assert_eq!(redis.command(&["DEL", &remote.only_key("tc1:*:p:*")]), "1");
    assert_eq!(
        redis.command(&["EXISTS", &remote.only_key("tc1:*:v:*")]),
        "1"
    );
    let new = read(&other.cache, &store, 1).await;

    assert_eq!((*new, new.outcome()), (1, Outcome::Loaded));
    assert!(new.version() > old.version());
    let there = read(&third.cache, &store, 1).await;
    assert_eq!((*there, there.outcome()), (1, Outcome::RemoteHit));
}

#[tokio::test]
async fn f4_a_lost_value_is_filled_again_under_the_same_version() {
    let remote = Remote::around_redis();
    let (one, other) = (remote.node().await, remote.node().await);
    let store = CountingStore::new();
    let before = read(&one.cache, &store, 1).await;

    let redis = remote.server();
    assert_eq!(
        redis.command(&["UNLINK", &remote.only_key("tc1:*:v:*")]),
        "1"
    );
    let after = read(&other.cache, &store, 1).await;

    assert_eq!(after.outcome(), Outcome::Loaded);
    assert_eq!(after.version(), before.version());
    assert_eq!(store.loads(), 2);
}

#[tokio::test]
async fn f4_a_value_that_is_over_is_filled_again_under_the_same_version() {
    // What a hub loses is what is over; its pointers live a minute longer.
    let clock = ManualClock::new();
    let hub = InProcess::with_clock(Arc::new(clock.clone()));
    let builder = Remote::Hub(hub).builder().clock(Arc::new(clock.clone()));
    let ttl = Duration::from_secs(10);
    let (_tiers, cache) = numbers(builder, Policy::ttl(ttl)).await;
    let store = CountingStore::new();
    let before = read(&cache, &store, 1).await;

    clock.advance(ttl);
    let after = read(&cache, &store, 1).await;

    assert_eq!(after.outcome(), Outcome::Loaded);
    assert_eq!(after.version(), before.version());
    assert_eq!(store.loads(), 2);
}

/// Nodes whose leases can be ended, as those of a node that is paused for too long.
struct Fleet {
    remote: Remote,
    hub_clock: ManualClock,
}

impl Fleet {
    fn around_redis() -> Self {
        Self {
            remote: Remote::around_redis(),
            hub_clock: ManualClock::new(),
        }
    }

    fn around_a_hub() -> Self {
        let hub_clock = ManualClock::new();
        let hub = InProcess::with_clock(Arc::new(hub_clock.clone()));
        Self {
            remote: Remote::Hub(hub),
            hub_clock,
        }
    }

    async fn nodes<const N: usize>(&self) -> [Node; N] {
        let mut nodes = Vec::new();
        for _ in 0..N {
            nodes.push(self.remote.node().await);
        }
        nodes.try_into().map_err(|_| "N nodes").unwrap()
    }

    fn end_leases(&self) {
        match &self.remote {
            Remote::Redis(redis) => {
                let lease = self.remote.only_key("tc1:*:s:*");
                assert_eq!(redis.command(&["DEL", &lease]), "1");
            }
            Remote::Hub(_) => self.hub_clock.advance(Duration::from_secs(10)),
        }
    }
}
