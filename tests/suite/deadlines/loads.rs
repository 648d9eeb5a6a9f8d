//! Loads that never end: nobody is held up by one for longer than the policy says.

use super::{HARD, Hanging, policy, reading};
use crate::reads::ends;
use crate::stale::Nodes;
use std::{collections::HashMap, time::Duration};
use tokio::time::timeout;
use tricache_test_support::{CountingStore, eventually};

const LOAD: Duration = Duration::from_secs(8);

#[tokio::test(start_paused = true)]
async fn a_loader_that_never_ends_is_stopped_and_the_next_read_loads() {
    let nodes = Nodes::start::<2>(policy().load_timeout(LOAD)).await;
    nodes.use_buckets().await;
    let (hanging, store) = (Hanging::default(), CountingStore::new());

    let late = ends(nodes.cache(0).get_or_load(&1, |_| hanging.clone().load())).await;
    assert!(late.unwrap_err().is_timeout());
    assert_eq!((hanging.begun(), hanging.dropped()), (1, 0));
    // It joins that load, and is answered when it is stopped.
    let joined = ends(reading(nodes.cache(0), &store, 1)).await.unwrap();

    let error = joined.unwrap_err();
    assert!(error.is_timeout() && error.to_string().contains("8s"));
    assert_eq!((hanging.dropped(), store.loads()), (1, 0));
    let counters = nodes.counters(0);
    assert_eq!((counters.load_timeouts, counters.load_errors), (1, 1));
    assert_eq!((counters.timeouts, counters.failed), (1, 2));
    // The lease was given back: another node loads without waiting for its end.
    let elsewhere = ends(reading(nodes.cache(1), &store, 1)).await.unwrap();
    assert_eq!((*elsewhere.unwrap(), store.loads()), (0, 1));
    assert_eq!(nodes.counters(1).lease_waits, 0);
}

#[tokio::test(start_paused = true)]
async fn without_a_limit_on_loads_all_readers_of_the_key_would_be_late() {
    let hours = Duration::from_secs(36_000);
    let nodes = Nodes::start::<1>(policy().load_timeout(hours)).await;
    nodes.use_buckets().await;
    let (hanging, store) = (Hanging::default(), CountingStore::new());
    let late = ends(nodes.cache(0).get_or_load(&1, |_| hanging.clone().load())).await;
    assert!(late.unwrap_err().is_timeout());

    let beyond = timeout(LOAD, reading(nodes.cache(0), &store, 1)).await;

    assert!(beyond.unwrap().unwrap().unwrap_err().is_timeout());
    assert_eq!((hanging.dropped(), store.loads()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn told_so_a_late_load_does_not_go_on() {
    let nodes = Nodes::start::<1>(policy().load_timeout(HARD)).await;
    let hanging = Hanging::default();

    let late = ends(nodes.cache(0).get_or_load(&1, |_| hanging.clone().load())).await;

    assert!(late.unwrap_err().is_timeout());
    eventually("it is stopped", async || hanging.dropped() == 1).await;
}

#[tokio::test(start_paused = true)]
async fn a_batchs_loader_is_stopped_for_all_its_keys() {
    let patient = policy().hard_timeout(LOAD * 2).load_timeout(LOAD);
    let nodes = Nodes::start::<1>(patient).await;
    let hanging = Hanging::default();
    let load = |_| {
        let hanging = hanging.clone();
        async move {
            hanging
                .load()
                .await
                .map(|value| HashMap::from([(1, value)]))
        }
    };

    let batch = ends(nodes.cache(0).get_or_load_many(&[1, 2], load)).await;

    for (_, result) in batch.unwrap().iter() {
        assert!(result.unwrap_err().is_timeout());
    }
    assert_eq!((hanging.begun(), hanging.dropped()), (1, 1));
    assert_eq!(nodes.counters(0).load_timeouts, 1);
}

#[tokio::test(start_paused = true)]
async fn a_load_in_the_background_is_stopped_like_any_other() {
    use crate::stale::{TTL, WINDOW, good, windows};
    let nodes = Nodes::start::<1>(windows(WINDOW, WINDOW).load_timeout(LOAD)).await;
    let (hanging, store) = (Hanging::default(), CountingStore::new());
    good(nodes.cache(0), &store, 1).await;
    nodes.clock.advance(TTL);

    let stale = ends(nodes.cache(0).get_or_load(&1, |_| hanging.clone().load())).await;

    assert!(stale.unwrap().is_stale());
    eventually("it is stopped", async || hanging.dropped() == 1).await;
    assert_eq!(nodes.counters(0).failed, 0);
}
