//! Loads that find no place: they wait in turn, by their deadline, and only so many.

use super::{HOUR, busy, places, policy, reading, value};
use crate::reads::ends;
use crate::stale::{Nodes, TTL, WINDOW, good, windows};
use std::{
    io,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::time::advance;
use tricache::Outcome;
use tricache_test_support::{CountingStore, eventually};

#[tokio::test(start_paused = true)]
async fn the_queue_is_in_turn() {
    let nodes = places(1).await;
    let tiers = &nodes.nodes[0].0;
    let (store, order) = (CountingStore::new(), Arc::new(Mutex::new(Vec::new())));
    store.hold();
    let running = reading(nodes.cache(0), &store, 100);
    let mut queued = Vec::new();
    for key in 0..10 {
        busy(tiers, 1, queued.len()).await;
        let (cache, order) = (nodes.cache(0).clone(), Arc::clone(&order));
        queued.push(tokio::spawn(async move {
            let load = |_| async move {
                order.lock().unwrap().push(key);
                Ok::<_, io::Error>(key)
            };
            cache.get_or_load(&key, load).await
        }));
    }
    busy(tiers, 1, 10).await;

    store.release();

    value(running).await;
    for (key, read) in (0..).zip(queued) {
        assert_eq!(value(read).await, key);
    }
    assert_eq!(*order.lock().unwrap(), (0..10).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn what_the_queue_has_no_room_for_is_shed_at_once() {
    let limited = policy().max_loads(1).max_queued_loads(1);
    let nodes = Nodes::start::<2>(limited).await;
    nodes.use_buckets().await;
    let (store, other) = (CountingStore::new(), CountingStore::new());
    store.hold();
    let running = reading(nodes.cache(0), &store, 1);
    store.wait_for_waiting(1).await;
    let queued = reading(nodes.cache(0), &store, 2);
    eventually("it queues", async || {
        nodes.cache(0).loads().unwrap().queued() == 1
    })
    .await;

    let shed = ends(reading(nodes.cache(0), &store, 3)).await.unwrap();

    assert!(shed.unwrap_err().is_overloaded());
    let counters = nodes.counters(0);
    assert_eq!((counters.shed_loads, counters.failed), (1, 1));
    assert_eq!((counters.load_errors, store.loads()), (0, 1));
    // Its lease was given back: another node loads the key.
    assert_eq!(value(reading(nodes.cache(1), &other, 3)).await, 0);
    store.release();
    value(running).await;
    value(queued).await;
    assert_eq!(value(reading(nodes.cache(0), &store, 3)).await, 0);
}

#[tokio::test(start_paused = true)]
async fn without_a_bound_of_the_queue_nothing_would_be_shed() {
    let nodes = Nodes::start::<1>(policy().max_loads(1).max_queued_loads(1000)).await;
    let store = CountingStore::new();
    store.hold();
    let reads: Vec<_> = (0..500)
        .map(|key| reading(nodes.cache(0), &store, key))
        .collect();
    eventually("they queue", async || {
        nodes.cache(0).loads().unwrap().queued() == 499
    })
    .await;

    store.release();

    for read in reads {
        value(read).await;
    }
    assert_eq!(nodes.counters(0).shed_loads, 0);
}

#[tokio::test(start_paused = true)]
async fn a_stale_value_stands_in_for_a_load_that_is_shed() {
    let limited = windows(Duration::ZERO, WINDOW).hard_timeout(HOUR);
    let nodes = Nodes::start::<1>(limited.max_loads(1).max_queued_loads(0)).await;
    let store = CountingStore::new();
    good(nodes.cache(0), &store, 1).await;
    nodes.clock.advance(TTL);
    store.hold();
    let running = reading(nodes.cache(0), &store, 2);
    store.wait_for_waiting(1).await;

    let stale = ends(reading(nodes.cache(0), &store, 1)).await.unwrap();

    assert_eq!(stale.unwrap().outcome(), Outcome::StaleIfError);
    ends(nodes.cache(0).invalidate(&1)).await.unwrap();
    let hard = ends(reading(nodes.cache(0), &store, 1)).await.unwrap();
    assert!(hard.unwrap_err().is_overloaded());
    store.release();
    value(running).await;
}

#[tokio::test(start_paused = true)]
async fn the_wait_for_a_place_is_within_the_deadline() {
    let limited = policy().hard_timeout(Duration::from_secs(5));
    let nodes = Nodes::with::<1>(limited, |builder| builder.max_loads(1)).await;
    let tiers = &nodes.nodes[0].0;
    let store = CountingStore::new();
    store.hold();
    let running = reading(nodes.cache(0), &store, 1);
    store.wait_for_waiting(1).await;

    let late = ends(reading(nodes.cache(0), &store, 2)).await.unwrap();

    assert!(late.unwrap_err().is_timeout());
    busy(tiers, 1, 0).await;
    assert!(ends(running).await.unwrap().unwrap_err().is_timeout());
    store.release();
    busy(tiers, 0, 0).await;
    assert_eq!(
        (
            store.loads(),
            value(reading(nodes.cache(0), &store, 2)).await
        ),
        (1, 0)
    );
}

/// Longer than a lease lives, so it is kept alive in the queue.
#[tokio::test(start_paused = true)]
async fn a_load_that_queues_keeps_its_lease() {
    let nodes = Nodes::with::<2>(policy(), |builder| builder.max_loads(1)).await;
    nodes.use_buckets().await;
    let store = CountingStore::new();
    store.hold();
    let running = reading(nodes.cache(0), &store, 1);
    store.wait_for_waiting(1).await;
    let queued = reading(nodes.cache(0), &store, 2);
    busy(&nodes.nodes[0].0, 1, 1).await;
    let elsewhere = reading(nodes.cache(1), &store, 2);
    for _ in 0..8 {
        advance(Duration::from_secs(1)).await;
        nodes.clock.advance(Duration::from_secs(1));
    }

    store.release();

    value(running).await;
    value(queued).await;
    value(elsewhere).await;
    assert_eq!((store.loads_of(&2), nodes.counters(1).loads), (1, 0));
}
