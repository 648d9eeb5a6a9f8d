//! A batch is one call of the store, so it takes one place.

use super::{HOUR, busy, places, policy, reading, value};
use crate::reads::{Numbers, ends};
use crate::stale::Nodes;
use std::{collections::HashMap, io};
use tokio::{task::JoinHandle, time::timeout};
use tricache::{Batch, Error};
use tricache_test_support::CountingStore;

/// One query for all keys: the store counts it as the load of the first.
pub(super) fn batch(
    cache: &Numbers,
    store: &CountingStore,
    keys: &[u64],
) -> JoinHandle<Result<Batch<u64, u64>, Error>> {
    let (cache, store, keys) = (cache.clone(), store.clone(), keys.to_vec());
    tokio::spawn(async move {
        let load = |cx: tricache::BatchContext<u64>| {
            let store = store.clone();
            async move {
                let keys = cx.into_keys();
                store.load(&keys[0]).await;
                let rows = keys.into_iter().map(|key| (key, key * 10));
                Ok::<_, io::Error>(rows.collect::<HashMap<_, _>>())
            }
        };
        cache.get_or_load_many(&keys, load).await
    })
}

#[tokio::test(start_paused = true)]
async fn a_batch_takes_one_place_however_many_its_keys() {
    let nodes = places(2).await;
    let store = CountingStore::new();
    store.hold();

    let first = batch(nodes.cache(0), &store, &[1, 2, 3, 4, 5]);
    let second = batch(nodes.cache(0), &store, &[6, 7, 8, 9]);
    let third = batch(nodes.cache(0), &store, &[10, 11]);
    busy(&nodes.nodes[0].0, 2, 1).await;
    store.release();

    for (batch, keys) in [(first, 5), (second, 4), (third, 2)] {
        let batch = ends(batch).await.unwrap().unwrap();
        assert_eq!(batch.into_found().unwrap().len(), keys);
    }
    assert_eq!((store.loads(), store.peak()), (3, 2));
    assert_eq!(nodes.counters(0).queued_loads, 1);
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_queues_takes_what_others_load_meanwhile() {
    let nodes = places(1).await;
    let (slow, store) = (CountingStore::new(), CountingStore::new());
    slow.hold();
    let running = reading(nodes.cache(0), &slow, 1);
    slow.wait_for_waiting(1).await;

    let queued = batch(nodes.cache(0), &store, &[1, 2]);
    busy(&nodes.nodes[0].0, 1, 1).await;
    slow.release();

    value(running).await;
    let batch = ends(queued).await.unwrap().unwrap();
    assert_eq!(**batch.get(&1).unwrap().unwrap(), 0);
    assert_eq!(**batch.get(&2).unwrap().unwrap(), 20);
    assert_eq!((slow.loads(), store.loads()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_batch_waits_for_a_place_no_longer_than_its_deadline() {
    let limited = policy().hard_timeout(HOUR / 60).load_timeout(HOUR);
    let nodes = Nodes::start::<1>(limited.max_loads(1)).await;
    let store = CountingStore::new();
    value(reading(nodes.cache(0), &store, 9)).await;
    store.hold();
    let _running = reading(nodes.cache(0), &store, 1);
    store.wait_for_waiting(1).await;

    let late = timeout(HOUR / 30, batch(nodes.cache(0), &store, &[2, 9, 3])).await;

    let late = late.unwrap().unwrap().unwrap();
    assert!(late.get(&9).unwrap().is_ok());
    for key in [2, 3] {
        assert!(late.get(&key).unwrap().unwrap_err().is_timeout());
    }
    assert_eq!(
        (store.loads(), nodes.cache(0).loads().unwrap().queued()),
        (2, 0)
    );
    store.release();
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_is_dropped_in_the_queue_hands_over() {
    let nodes = places(1).await;
    let tiers = &nodes.nodes[0].0;
    let store = CountingStore::new();
    store.hold();
    let running = reading(nodes.cache(0), &store, 1);
    store.wait_for_waiting(1).await;
    let gone = batch(nodes.cache(0), &store, &[2, 3]);
    busy(tiers, 1, 1).await;

    gone.abort();

    busy(tiers, 1, 0).await;
    let other = reading(nodes.cache(0), &store, 2);
    busy(tiers, 1, 1).await;
    store.release();
    value(running).await;
    assert_eq!((value(other).await, store.loads_of(&2)), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_batch_for_which_there_is_no_room_is_shed() {
    let limited = policy().max_loads(1).max_queued_loads(0);
    let nodes = Nodes::start::<1>(limited).await;
    let store = CountingStore::new();
    value(reading(nodes.cache(0), &store, 9)).await;
    store.hold();
    let running = reading(nodes.cache(0), &store, 1);
    store.wait_for_waiting(1).await;

    let shed = ends(batch(nodes.cache(0), &store, &[2, 9, 3])).await;

    let shed = shed.unwrap().unwrap();
    assert!(shed.get(&9).unwrap().is_ok());
    for key in [2, 3] {
        assert!(shed.get(&key).unwrap().unwrap_err().is_overloaded());
    }
    assert_eq!(nodes.counters(0).shed_loads, 1);
    store.release();
    value(running).await;
}
