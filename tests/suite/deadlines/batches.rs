//! The deadline of a batch: one for all its keys.

use super::{HARD, SOFT, filled, policy, reading};
use crate::reads::{Numbers, ends};
use crate::stale::{Nodes, TTL, WINDOW, good, windows};
use std::{collections::HashMap, io, time::Duration};
use tokio::{task::JoinHandle, time::timeout};
use tricache::{Batch, Error, Outcome};
use tricache_test_support::CountingStore;

/// Reads many keys in a task of its own; a held store holds the whole batch's load.
fn batch(
    cache: &Numbers,
    store: &CountingStore,
    keys: &[u64],
) -> JoinHandle<Result<Batch<u64, u64>, Error>> {
    let (cache, store, keys) = (cache.clone(), store.clone(), keys.to_vec());
    tokio::spawn(async move {
        let load = |cx: tricache::BatchContext<u64>| {
            let store = store.clone();
            async move {
                let mut rows = HashMap::new();
                for key in cx.into_keys() {
                    rows.insert(key, store.load(&key).await);
                }
                Ok::<_, io::Error>(rows)
            }
        };
        cache.get_or_load_many(&keys, load).await
    })
}

fn outcome(batch: &Batch<u64, u64>, key: u64) -> Option<Outcome> {
    let result = batch.get(&key).unwrap();
    result.map(|cached| cached.outcome()).ok()
}

#[tokio::test(start_paused = true)]
async fn keys_that_others_load_too_late_are_late_and_the_rest_has_values() {
    let nodes = Nodes::start::<2>(policy()).await;
    let (slow, quick) = (CountingStore::new(), CountingStore::new());
    good(nodes.cache(0), &quick, 1).await;
    slow.hold();
    // One by this process, one by another.
    let _here = reading(nodes.cache(0), &slow, 2);
    let _there = reading(nodes.cache(1), &slow, 3);
    slow.wait_for_waiting(2).await;

    let batch = ends(batch(nodes.cache(0), &quick, &[1, 2, 3, 4])).await;

    let batch = batch.unwrap().unwrap();
    assert!(outcome(&batch, 1).is_some());
    assert_eq!(outcome(&batch, 4), Some(Outcome::Loaded));
    // The single reads began before the batch, so their loads were late for themselves, too.
    for key in [2, 3] {
        assert!(batch.get(&key).unwrap().unwrap_err().is_timeout());
    }
    slow.release();
    filled(nodes.cache(0), 2, 0).await;
    filled(nodes.cache(0), 3, 0).await;
    assert_eq!((slow.loads(), quick.loads()), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn a_batchs_own_load_goes_on_and_fills() {
    let nodes = Nodes::start::<1>(policy()).await;
    let store = CountingStore::new();
    good(nodes.cache(0), &store, 1).await;
    store.hold();

    let late = ends(batch(nodes.cache(0), &store, &[1, 2, 3])).await;

    let late = late.unwrap().unwrap();
    assert!(outcome(&late, 1).is_some() && outcome(&late, 2).is_none());
    let counters = nodes.counters(0);
    assert_eq!((counters.timeouts, counters.failed), (2, 2));
    store.release();
    filled(nodes.cache(0), 2, 0).await;
    filled(nodes.cache(0), 3, 0).await;
    assert_eq!(store.loads(), 3);
}

#[tokio::test(start_paused = true)]
async fn without_a_near_deadline_the_batch_waits_on() {
    let nodes = Nodes::start::<1>(policy().hard_timeout(HARD * 100)).await;
    let store = CountingStore::new();
    store.hold();
    let mut waiting = batch(nodes.cache(0), &store, &[1, 2]);

    assert!(timeout(HARD * 10, &mut waiting).await.is_err());

    store.release();
    let batch = ends(waiting).await.unwrap().unwrap();
    assert_eq!(batch.into_found().unwrap().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn past_the_soft_timeout_a_batch_of_stale_values_is_the_answer() {
    let policy = windows(Duration::ZERO, WINDOW).hard_timeout(HARD);
    let nodes = Nodes::start::<1>(policy.soft_timeout(SOFT)).await;
    let store = CountingStore::new();
    for key in [1, 2] {
        good(nodes.cache(0), &store, key).await;
    }
    nodes.clock.advance(TTL);
    good(nodes.cache(0), &store, 3).await;
    store.hold();

    let all = timeout(HARD - SOFT, batch(nodes.cache(0), &store, &[1, 2, 3])).await;

    let all = all.unwrap().unwrap().unwrap();
    assert_eq!(outcome(&all, 1), Some(Outcome::StaleIfError));
    assert_eq!(outcome(&all, 2), Some(Outcome::StaleIfError));
    assert!(!all.get(&3).unwrap().unwrap().is_stale());
    assert_eq!(nodes.counters(0).stale_if_error, 2);
    store.release();
    filled(nodes.cache(0), 1, 0).await;
}

/// The batch has to wait for the new key anyway, so the others may still get their loaded values.
#[tokio::test(start_paused = true)]
async fn a_batch_with_a_new_key_waits_until_its_deadline_and_no_longer() {
    let policy = windows(Duration::ZERO, WINDOW).hard_timeout(HARD);
    let nodes = Nodes::start::<1>(policy.soft_timeout(SOFT)).await;
    let store = CountingStore::new();
    good(nodes.cache(0), &store, 1).await;
    nodes.clock.advance(TTL);
    store.hold();
    let mut waiting = batch(nodes.cache(0), &store, &[1, 2]);

    assert!(timeout(HARD - SOFT, &mut waiting).await.is_err());
    let mixed = ends(waiting).await.unwrap().unwrap();

    assert_eq!(outcome(&mixed, 1), Some(Outcome::StaleIfError));
    assert!(mixed.get(&2).unwrap().unwrap_err().is_timeout());
    let counters = nodes.counters(0);
    assert_eq!((counters.stale_if_error, counters.timeouts), (1, 1));
}
