//! Redis goes away and comes back: the store is asked within the limit all the time.

use super::{busy, reading, value};
use crate::nodes::Remote;
use crate::reads::{Numbers, numbers};
use std::time::Duration;
use tricache::{Policy, RemoteState, Tiers};
use tricache_test_support::{CountingStore, eventually};

const KEYS: u64 = 60;

/// Reads so many new keys at once, as far as the store is concerned.
async fn flood(tiers: &Tiers, cache: &Numbers, store: &CountingStore, from: u64, limit: usize) {
    store.hold();
    let keys = from..from + KEYS;
    let reads: Vec<_> = keys.map(|key| reading(cache, store, key)).collect();
    let running = limit.min(reads.len());
    busy(tiers, running, reads.len() - running).await;
    // A place is taken a moment before its loader begins.
    store.wait_for_waiting(running).await;
    store.release();
    for read in reads {
        value(read).await;
    }
}

/// How many loads were at the store at once while Redis answered, was away, and was back, empty.
async fn peak(limit: usize) -> usize {
    let remote = Remote::around_redis();
    let builder = remote.builder().max_loads(limit);
    let policy = Policy::ttl(Duration::from_secs(600));
    let (tiers, cache) = numbers(builder, policy).await;
    let store = CountingStore::new();
    flood(&tiers, &cache, &store, 0, limit).await;

    remote.server().kill();
    eventually("it is away", async || {
        tiers.report().remote() == RemoteState::Away
    })
    .await;
    flood(&tiers, &cache, &store, 1000, limit).await;
    remote.server().restart_empty();
    eventually("it is back", async || {
        tiers.report().remote() == RemoteState::Up
    })
    .await;
    flood(&tiers, &cache, &store, 2000, limit).await;

    store.peak()
}

#[tokio::test]
async fn the_store_is_asked_within_the_limit_before_during_and_after_an_outage() {
    assert_eq!(peak(4).await, 4);
}

#[tokio::test]
async fn without_a_limit_all_of_them_are_at_the_store_at_once() {
    assert_eq!(peak(1000).await, 60);
}
