//! In place of a load that failed.

use super::{MILLISECOND, Nodes, TTL, WINDOW, good, load, refreshed, windows};
use crate::reads::ends;
use std::{io, time::Duration};
use tricache::{Outcome, RemoteState};
use tricache_test_support::{CountingStore, eventually};

#[tokio::test]
async fn a_failing_loader_is_answered_with_the_value_of_before() {
    let nodes = Nodes::start::<2>(windows(Duration::ZERO, WINDOW)).await;
    let store = CountingStore::new();
    good(nodes.cache(0), &store, 1).await;
    nodes.clock.advance(TTL + WINDOW - MILLISECOND);

    // The second node holds nothing: it finds the value in Redis.
    for node in 0..2 {
        let stale = load(nodes.cache(node), &store, 1, true).await.unwrap();
        assert_eq!((*stale, stale.outcome()), (0, Outcome::StaleIfError));
        assert!(stale.is_stale() && stale.remaining().is_zero());
        assert_eq!(nodes.counters(node).stale_if_error, 1);
        assert_eq!(nodes.counters(node).failed, 0);
    }
}

#[tokio::test]
async fn a_panicking_loader_is_answered_like_a_failing_one() {
    let nodes = Nodes::start::<1>(windows(Duration::ZERO, WINDOW)).await;
    let store = CountingStore::new();
    good(nodes.cache(0), &store, 1).await;
    nodes.clock.advance(TTL);

    let panics = |_| async { panic!("no row") as io::Result<u64> };
    let stale = ends(nodes.cache(0).get_or_load(&1, panics)).await.unwrap();

    assert_eq!(stale.outcome(), Outcome::StaleIfError);
}

#[tokio::test]
async fn a_store_that_failed_is_left_alone_for_a_while() {
    let policy = windows(Duration::ZERO, WINDOW).retry_after(Duration::from_secs(2));
    let nodes = Nodes::start::<1>(policy).await;
    let store = CountingStore::new();
    good(nodes.cache(0), &store, 1).await;
    nodes.clock.advance(TTL);

    for round in 1..=3 {
        for _ in 0..5 {
            let stale = load(nodes.cache(0), &store, 1, true).await.unwrap();
            assert_eq!(stale.outcome(), Outcome::StaleIfError);
        }
        assert_eq!(store.loads(), 1 + round);
        nodes.clock.advance(Duration::from_secs(2));
    }
    store.commit(&1);
    let loaded = good(nodes.cache(0), &store, 1).await;
    assert_eq!((*loaded, loaded.outcome()), (1, Outcome::Loaded));
}

#[tokio::test]
async fn a_loader_that_works_is_asked() {
    let nodes = Nodes::start::<1>(windows(Duration::ZERO, WINDOW)).await;
    let store = CountingStore::new();
    good(nodes.cache(0), &store, 1).await;
    store.commit(&1);
    nodes.clock.advance(TTL);

    let loaded = good(nodes.cache(0), &store, 1).await;

    assert_eq!((*loaded, loaded.outcome()), (1, Outcome::Loaded));
}

#[tokio::test]
async fn past_the_window_and_without_one_the_error_reaches_the_caller() {
    for (window, wait) in [(WINDOW, TTL + WINDOW), (Duration::ZERO, TTL)] {
        let nodes = Nodes::start::<1>(windows(Duration::ZERO, window)).await;
        let store = CountingStore::new();
        good(nodes.cache(0), &store, 1).await;

        nodes.clock.advance(wait);

        let error = load(nodes.cache(0), &store, 1, true).await.unwrap_err();
        assert!(error.loader::<io::Error>().is_some());
        assert_eq!(nodes.counters(0).failed, 1);
    }
}

#[tokio::test]
async fn what_was_invalidated_stands_in_for_nothing() {
    let nodes = Nodes::start::<2>(windows(WINDOW, WINDOW)).await;
    let store = CountingStore::new();
    for node in 0..2 {
        good(nodes.cache(node), &store, 1).await;
    }
    nodes.clock.advance(TTL);

    ends(nodes.cache(0).invalidate(&1)).await.unwrap();

    assert!(load(nodes.cache(0), &store, 1, true).await.is_err());
    eventually("the other node has heard", async || {
        load(nodes.cache(1), &store, 1, true).await.is_err()
    })
    .await;
}

/// A load that had begun before the invalidation failed after it. Those who waited for it must not be answered with what was
/// invalidated meanwhile.
#[tokio::test]
async fn a_load_that_fails_after_an_invalidation_is_not_answered_with_what_that_ended() {
    let nodes = Nodes::start::<1>(windows(Duration::ZERO, WINDOW)).await;
    let store = CountingStore::new();
    good(nodes.cache(0), &store, 1).await;
    nodes.clock.advance(TTL);
    store.hold();
    let failing = tokio::spawn({
        let (cache, store) = (nodes.cache(0).clone(), store.clone());
        async move { load(&cache, &store, 1, true).await }
    });
    store.wait_for_waiting(1).await;

    ends(nodes.cache(0).invalidate(&1)).await.unwrap();
    store.release();

    let error = ends(failing).await.unwrap().unwrap_err();
    assert!(error.loader::<io::Error>().is_some());
}

#[tokio::test]
async fn everybody_who_waits_for_a_load_that_fails_gets_the_value_of_before() {
    let nodes = Nodes::start::<1>(windows(Duration::ZERO, WINDOW)).await;
    let store = CountingStore::new();
    good(nodes.cache(0), &store, 1).await;
    nodes.clock.advance(TTL);
    store.hold();
    let waiting: Vec<_> = (0..10)
        .map(|_| {
            let (cache, store) = (nodes.cache(0).clone(), store.clone());
            tokio::spawn(async move { load(&cache, &store, 1, true).await })
        })
        .collect();
    store.wait_for_waiting(1).await;
    eventually("the others have joined", async || {
        nodes.counters(0).flights_joined == 9
    })
    .await;

    store.release();

    for read in waiting {
        let stale = ends(read).await.unwrap().unwrap();
        assert_eq!(stale.outcome(), Outcome::StaleIfError);
    }
    assert_eq!(store.loads(), 2);
}

/// Neither Redis nor the store answers: what Redis proved last stands in within the local TTL, and no longer.
#[tokio::test]
async fn without_redis_a_value_stands_in_within_its_local_ttl() {
    let policy = windows(Duration::ZERO, WINDOW).local_ttl(TTL);
    let nodes = Nodes::start::<1>(policy).await;
    let store = CountingStore::new();
    good(nodes.cache(0), &store, 1).await;
    nodes.clock.advance(TTL / 2);
    // Proven once more, so that the local TTL outlasts the TTL.
    good(nodes.cache(0), &store, 1).await;
    nodes.clock.advance(TTL / 2);
    load(nodes.cache(0), &store, 1, true).await.unwrap();

    nodes.hub.refuse(true);
    eventually("the node has noticed", async || {
        nodes.nodes[0].0.report().remote() == RemoteState::Away
    })
    .await;
    nodes.clock.advance(Duration::from_secs(2));
    let stale = load(nodes.cache(0), &store, 1, true).await.unwrap();
    assert_eq!(stale.outcome(), Outcome::StaleIfError);
    nodes.clock.advance(TTL);

    assert!(load(nodes.cache(0), &store, 1, true).await.is_err());
    nodes.hub.refuse(false);
    refreshed_by_a_load(&nodes, &store).await;
}

async fn refreshed_by_a_load(nodes: &Nodes, store: &CountingStore) {
    eventually("it is loaded again", async || {
        load(nodes.cache(0), store, 1, false).await.is_ok()
    })
    .await;
    refreshed(nodes.cache(0), 1, 0).await;
}
