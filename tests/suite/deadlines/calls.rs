//! The hard timeout of single calls.

use super::{HARD, filled, policy, reading};
use crate::reads::ends;
use crate::stale::Nodes;
use std::{io, time::Duration};
use tokio::time::{Instant, advance, timeout};
use tricache::{Policy, Tiers};
use tricache_test_support::{CountingStore, eventually};

#[tokio::test(start_paused = true)]
async fn a_call_ends_at_its_deadline_and_its_load_goes_on_and_fills() {
    let nodes = Nodes::start::<1>(policy()).await;
    let store = CountingStore::new();
    store.hold();

    let began = Instant::now();
    let late = ends(reading(nodes.cache(0), &store, 1)).await.unwrap();

    let error = late.unwrap_err();
    assert!(error.is_timeout() && error.to_string().contains("5s"));
    // The clock is tokio's, and paused: nothing else lets it pass.
    assert!(began.elapsed() < HARD + Duration::from_millis(2));
    let counters = nodes.counters(0);
    assert_eq!((counters.timeouts, counters.failed), (1, 1));
    assert_eq!((counters.load_errors, counters.load_timeouts), (0, 0));
    store.release();
    filled(nodes.cache(0), 1, 0).await;
    assert_eq!(store.loads(), 1);
}

#[tokio::test(start_paused = true)]
async fn without_a_near_deadline_the_call_waits_on() {
    let hour = Duration::from_secs(3600);
    let nodes = Nodes::start::<1>(policy().hard_timeout(hour)).await;
    let store = CountingStore::new();
    store.hold();
    let mut waiting = reading(nodes.cache(0), &store, 1);

    assert!(timeout(HARD * 10, &mut waiting).await.is_err());

    store.release();
    assert_eq!(*ends(waiting).await.unwrap().unwrap(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_late_leader_leaves_those_who_joined_later_their_own_time() {
    let nodes = Nodes::start::<1>(policy()).await;
    nodes.use_buckets().await;
    let store = CountingStore::new();
    store.hold();
    let leader = reading(nodes.cache(0), &store, 1);
    store.wait_for_waiting(1).await;
    advance(HARD / 2).await;
    let follower = reading(nodes.cache(0), &store, 1);
    eventually("it has joined", async || {
        nodes.counters(0).flights_joined == 1
    })
    .await;

    assert!(ends(leader).await.unwrap().unwrap_err().is_timeout());
    store.release();

    assert_eq!(*ends(follower).await.unwrap().unwrap(), 0);
    assert_eq!((store.loads(), nodes.counters(0).timeouts), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_late_follower_disturbs_nobody() {
    let nodes = Nodes::start::<1>(policy()).await;
    nodes.use_buckets().await;
    let patient = policy().hard_timeout(HARD * 10);
    let patient = nodes.nodes[0].0.cache("patient", patient).unwrap();
    let store = CountingStore::new();
    store.hold();
    let leader = reading(&patient, &store, 1);
    store.wait_for_waiting(1).await;
    // Another read of the same key, whose caller goes away.
    let follower = timeout(HARD, reading(&patient, &store, 1));
    assert!(follower.await.is_err());

    store.release();

    assert_eq!(*ends(leader).await.unwrap().unwrap(), 0);
    assert_eq!(store.loads(), 1);
}

#[tokio::test(start_paused = true)]
async fn later_readers_join_a_load_that_is_late_instead_of_beginning_another() {
    let nodes = Nodes::start::<1>(policy()).await;
    nodes.use_buckets().await;
    let store = CountingStore::new();
    store.hold();

    for _ in 0..3 {
        let late = ends(reading(nodes.cache(0), &store, 1)).await.unwrap();
        assert!(late.unwrap_err().is_timeout());
    }

    assert_eq!(store.loads(), 1);
    store.release();
    filled(nodes.cache(0), 1, 0).await;
}

#[tokio::test(start_paused = true)]
async fn the_wait_for_another_nodes_load_is_within_the_deadline() {
    let nodes = Nodes::start::<2>(policy()).await;
    let store = CountingStore::new();
    store.hold();
    let elsewhere = reading(nodes.cache(0), &store, 1);
    store.wait_for_waiting(1).await;
    advance(HARD / 2).await;

    let late = reading(nodes.cache(1), &store, 1);
    eventually("it waits for the lease", async || {
        nodes.counters(1).lease_waits == 1
    })
    .await;
    assert!(ends(elsewhere).await.unwrap().unwrap_err().is_timeout());
    assert!(ends(late).await.unwrap().unwrap_err().is_timeout());

    store.release();
    filled(nodes.cache(1), 1, 0).await;
    assert_eq!(store.loads(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_late_load_that_fails_or_panics_is_nobodys_error() {
    for panics in [false, true] {
        let nodes = Nodes::start::<1>(policy()).await;
        let store = CountingStore::new();
        store.hold();
        let held = store.clone();
        let load = |_| async move {
            held.load(&1).await;
            assert!(!panics, "no row");
            Err::<u64, _>(io::Error::other("the store is down"))
        };
        let late = ends(nodes.cache(0).get_or_load(&1, load)).await;
        assert!(late.unwrap_err().is_timeout());

        store.release();

        eventually("it has failed", async || nodes.counters(0).load_errors == 1).await;
        let read = ends(reading(nodes.cache(0), &store, 1)).await.unwrap();
        assert_eq!((*read.unwrap(), store.loads()), (0, 2));
    }
}

#[tokio::test(start_paused = true)]
async fn a_cache_that_is_off_has_its_deadline_too() {
    let tiers = Tiers::builder("test").enabled(false).build().await.unwrap();
    let limited = Policy::ttl(HARD).hard_timeout(HARD);
    let cache = tiers.cache::<u64, u64>("number", limited).unwrap();
    let store = CountingStore::new();
    store.hold();

    let late = ends(reading(&cache, &store, 1)).await.unwrap();

    assert!(late.unwrap_err().is_timeout());
    assert_eq!((store.loads(), store.waiting()), (1, 1));
}
