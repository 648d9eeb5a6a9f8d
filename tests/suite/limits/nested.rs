//! Loads that loads ask for: with all places taken by those who wait for them, they must get on.

use super::{HOUR, batches::batch, busy, places, policy, reading, value};
use crate::reads::{Numbers, ends};
use crate::stale::{Nodes, TTL, WINDOW, good, windows};
use std::time::Duration;
use tricache::{Cached, Error};
use tricache_test_support::{CountingStore, eventually};

/// Reads `outer`, whose loader passes the gate of `store` and then reads `inner`.
async fn outer(
    cache: Numbers,
    outer: u64,
    store: CountingStore,
    inner: (Numbers, u64),
) -> Result<Cached<u64>, Error> {
    let load = |_| async move {
        store.load(&outer).await;
        let (cache, key) = inner;
        let within = store.clone();
        let load = |_| async move { Ok::<_, std::io::Error>(within.load(&key).await) };
        Ok::<_, Error>(*cache.get_or_load(&key, load).await? + 100)
    };
    cache.get_or_load(&outer, load).await
}

#[tokio::test(start_paused = true)]
async fn a_nested_load_runs_within_the_place_of_its_outer_load() {
    let nodes = Nodes::with::<1>(policy().max_loads(1), |it| it.max_loads(1)).await;
    let other = policy().max_loads(1);
    let other = nodes.nodes[0].0.cache("other", other).unwrap();
    let store = CountingStore::new();

    // In its own cache, and in another.
    for (key, inner) in [(1, nodes.cache(0)), (2, &other)] {
        let read = outer(
            nodes.cache(0).clone(),
            key,
            store.clone(),
            (inner.clone(), key + 10),
        );
        assert_eq!(*ends(read).await.unwrap(), 100);
    }

    assert_eq!(nodes.counters(0).queued_loads, 0);
    busy(&nodes.nodes[0].0, 0, 0).await;
}

#[tokio::test(start_paused = true)]
async fn as_many_nested_loads_as_there_are_places_get_on() {
    let nodes = places(4).await;
    let store = CountingStore::new();
    store.hold();
    let reads: Vec<_> = (0..10)
        .map(|key| {
            let cache = nodes.cache(0).clone();
            let inner = (cache.clone(), key + 100);
            tokio::spawn(outer(cache, key, store.clone(), inner))
        })
        .collect();
    busy(&nodes.nodes[0].0, 4, 6).await;

    store.release();

    for read in reads {
        assert_eq!(value(read).await, 100);
    }
    assert_eq!((store.loads(), store.peak()), (20, 4));
}

/// The running load waits for one that queues for the running load's place.
#[tokio::test(start_paused = true)]
async fn a_load_that_queues_is_hurried_by_a_running_one_that_waits_for_it() {
    for in_batch in [false, true] {
        let nodes = places(1).await;
        let (tiers, cache) = (&nodes.nodes[0].0, nodes.cache(0));
        let store = CountingStore::new();
        store.hold();
        let inner = (cache.clone(), 2);
        let running = tokio::spawn(outer(cache.clone(), 1, store.clone(), inner));
        store.wait_for_waiting(1).await;
        let single = (!in_batch).then(|| reading(cache, &store, 2));
        let many = in_batch.then(|| batch(cache, &store, &[2, 3]));
        busy(tiers, 1, 1).await;

        store.release();

        let expected = if in_batch { 120 } else { 100 };
        assert_eq!(value(running).await, expected);
        if let Some(single) = single {
            assert_eq!(value(single).await, 0);
        }
        if let Some(many) = many {
            assert_eq!(ends(many).await.unwrap().unwrap().len(), 2);
        }
        busy(tiers, 0, 0).await;
        assert_eq!(store.loads(), 2);
    }
}

/// The flight that queues was detached: the running load waits for its lease, and not for the flight.
#[tokio::test(start_paused = true)]
async fn a_detached_load_that_queues_is_hurried_too() {
    // Nobody has used the key's bucket: its first use begins its epoch, and detaches the flight that asked.
    let nodes = Nodes::with::<1>(policy(), |builder| builder.max_loads(1)).await;
    let (tiers, cache) = (&nodes.nodes[0].0, nodes.cache(0));
    let store = CountingStore::new();
    store.hold();
    let inner = (cache.clone(), 2);
    let running = tokio::spawn(outer(cache.clone(), 1, store.clone(), inner));
    store.wait_for_waiting(1).await;
    let queued = reading(cache, &store, 2);
    busy(tiers, 1, 1).await;
    store.release();

    assert_eq!(value(running).await, 100);
    assert_eq!(value(queued).await, 0);
    assert_eq!(nodes.counters(0).loaded_alone, 0);
}

#[tokio::test(start_paused = true)]
async fn a_nested_batch_gets_on() {
    let nodes = places(1).await;
    let cache = nodes.cache(0);
    let store = CountingStore::new();
    let (inner, within) = (cache.clone(), store.clone());
    let load = |_| async move {
        let load = |cx: tricache::BatchContext<u64>| {
            let store = within.clone();
            async move {
                store.load(&cx.keys()[0]).await;
                Ok::<_, std::io::Error>(
                    cx.into_keys()
                        .into_iter()
                        .map(|key| (key, key))
                        .collect::<Vec<_>>(),
                )
            }
        };
        let batch = inner.get_or_load_many(&[2, 3], load).await?;
        Ok::<_, Error>(batch.into_found()?.len() as u64)
    };

    let read = ends(cache.get_or_load(&1, load)).await.unwrap();

    assert_eq!((*read, store.loads()), (2, 1));
}

/// What a nested read asks for in the background is nobody's to wait for: it has no right to the place.
#[tokio::test(start_paused = true)]
async fn a_refresh_that_a_nested_read_asks_for_gives_way() {
    let stale = windows(WINDOW, Duration::ZERO).hard_timeout(HOUR);
    let nodes = Nodes::with::<1>(stale, |builder| builder.max_loads(1)).await;
    let (cache, store) = (nodes.cache(0), CountingStore::new());
    good(cache, &store, 2).await;
    nodes.clock.advance(TTL);

    let inner = (cache.clone(), 2);
    let read = ends(outer(cache.clone(), 1, store.clone(), inner)).await;

    assert_eq!(*read.unwrap(), 100);
    eventually("it was dropped", async || {
        nodes.counters(0).dropped_refreshes == 1
    })
    .await;
    assert_eq!(store.loads_of(&2), 1);
}
