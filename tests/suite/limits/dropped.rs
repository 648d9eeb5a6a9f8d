//! Callers that go away: before their load began they leave nothing behind.

use super::{busy, places, reading, value};
use crate::reads::ends;
use std::time::Duration;
use tricache_test_support::{CountingStore, eventually};

#[tokio::test(start_paused = true)]
async fn a_thousand_callers_that_are_dropped_in_the_queue_leave_it_empty() {
    let nodes = places(1).await;
    let tiers = &nodes.nodes[0].0;
    let store = CountingStore::new();
    store.hold();
    let running = reading(nodes.cache(0), &store, 5000);
    store.wait_for_waiting(1).await;
    let gone: Vec<_> = (0..1000)
        .map(|key| reading(nodes.cache(0), &store, key))
        .collect();
    busy(tiers, 1, 1000).await;

    for caller in &gone {
        caller.abort();
    }

    busy(tiers, 1, 0).await;
    store.release();
    value(running).await;
    busy(tiers, 0, 0).await;
    assert_eq!(store.loads(), 1);
    // No lease is left either: each of them would have to be waited for.
    value(reading(nodes.cache(0), &store, 0)).await;
    assert_eq!(nodes.counters(0).lease_waits, 0);
}

#[tokio::test(start_paused = true)]
async fn a_thousand_callers_of_one_key_that_are_dropped_stop_no_load() {
    let nodes = places(1).await;
    let store = CountingStore::new();
    store.hold();
    let gone: Vec<_> = (0..1000)
        .map(|_| reading(nodes.cache(0), &store, 1))
        .collect();
    store.wait_for_waiting(1).await;

    for caller in &gone {
        caller.abort();
    }
    store.release();

    eventually("the value is there", async || {
        nodes.cache(0).get(&1).await.unwrap().is_some()
    })
    .await;
    assert_eq!(store.loads(), 1);
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_with_a_dropped_caller_queues_in_its_place() {
    let nodes = places(1).await;
    let tiers = &nodes.nodes[0].0;
    let store = CountingStore::new();
    store.hold();
    let running = reading(nodes.cache(0), &store, 1);
    store.wait_for_waiting(1).await;
    let leader = reading(nodes.cache(0), &store, 2);
    busy(tiers, 1, 1).await;
    let follower = reading(nodes.cache(0), &store, 2);
    eventually("it follows", async || nodes.counters(0).flights_joined == 1).await;

    leader.abort();
    assert!(ends(leader).await.unwrap_err().is_cancelled());
    eventually("it queues itself", async || {
        nodes.counters(0).queued_loads == 2
    })
    .await;
    store.release();

    value(running).await;
    assert_eq!((value(follower).await, store.loads_of(&2)), (0, 1));
    tokio::time::timeout(Duration::from_secs(30), busy(tiers, 0, 0))
        .await
        .unwrap();
}
