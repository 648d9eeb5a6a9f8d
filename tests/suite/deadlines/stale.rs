//! Values past their TTL in place of a load that is late.

use super::{HARD, SOFT, reading};
use crate::reads::ends;
use crate::stale::{Nodes, TTL, WINDOW, good, refreshed, windows};
use std::time::Duration;
use tokio::time::{Instant, timeout};
use tricache::{Outcome, Policy};
use tricache_test_support::{CountingStore, eventually};

fn soft() -> Policy {
    hard().soft_timeout(SOFT)
}

fn hard() -> Policy {
    windows(Duration::ZERO, WINDOW).hard_timeout(HARD)
}

/// A node whose value is past its TTL, and whose store hangs from now on.
async fn outlived<const N: usize>(policy: Policy) -> (Nodes, CountingStore) {
    let nodes = Nodes::start::<N>(policy).await;
    let store = CountingStore::new();
    good(nodes.cache(0), &store, 1).await;
    nodes.clock.advance(TTL);
    store.hold();
    (nodes, store)
}

#[tokio::test(start_paused = true)]
async fn past_the_soft_timeout_a_stale_value_is_the_answer_and_the_load_fills() {
    let (nodes, store) = outlived::<2>(soft()).await;
    store.commit(&1);

    // The second node has nothing of its own: what it found in Redis stands in.
    for node in 0..2 {
        let began = Instant::now();
        let stale = ends(reading(nodes.cache(node), &store, 1)).await.unwrap();
        let stale = stale.unwrap();
        assert_eq!((*stale, stale.outcome()), (0, Outcome::StaleIfError));
        assert!(began.elapsed() < HARD);
        assert_eq!(nodes.counters(node).failed, 0);
        assert_eq!(nodes.counters(node).timeouts, 0);
    }
    assert_eq!(store.loads(), 2);
    store.release();
    refreshed(nodes.cache(0), 1, 1).await;
}

#[tokio::test(start_paused = true)]
async fn without_a_soft_timeout_it_is_the_answer_at_the_deadline() {
    let (nodes, store) = outlived::<1>(hard()).await;
    let mut waiting = reading(nodes.cache(0), &store, 1);

    assert!(timeout(HARD - SOFT, &mut waiting).await.is_err());
    let stale = ends(waiting).await.unwrap().unwrap();

    assert_eq!(stale.outcome(), Outcome::StaleIfError);
    assert_eq!(nodes.counters(0).timeouts, 0);
}

#[tokio::test(start_paused = true)]
async fn two_waves_of_impatient_callers_are_one_load() {
    let (nodes, store) = outlived::<1>(soft()).await;

    for _ in 0..2 {
        let wave: Vec<_> = (0..10)
            .map(|_| reading(nodes.cache(0), &store, 1))
            .collect();
        for read in wave {
            let stale = ends(read).await.unwrap().unwrap();
            assert_eq!(stale.outcome(), Outcome::StaleIfError);
        }
        nodes.clock.advance(Duration::from_secs(2));
    }

    assert_eq!(store.loads(), 2);
    assert_eq!(nodes.counters(0).stale_if_error, 20);
}

/// A store that is late is not waited for by every read.
#[tokio::test(start_paused = true)]
async fn after_one_read_has_waited_the_next_ones_do_not() {
    let (nodes, store) = outlived::<1>(soft()).await;
    ends(reading(nodes.cache(0), &store, 1))
        .await
        .unwrap()
        .unwrap();
    let began = Instant::now();

    let stale = ends(reading(nodes.cache(0), &store, 1)).await.unwrap();

    assert_eq!(stale.unwrap().outcome(), Outcome::StaleIfError);
    assert!(began.elapsed() < SOFT);
}

#[tokio::test(start_paused = true)]
async fn where_nothing_is_stale_a_soft_timeout_changes_nothing() {
    let nodes = Nodes::start::<1>(soft()).await;
    let store = CountingStore::new();
    store.hold();
    let mut waiting = reading(nodes.cache(0), &store, 1);

    assert!(timeout(SOFT * 2, &mut waiting).await.is_err());
    store.release();

    let loaded = ends(waiting).await.unwrap().unwrap();
    assert_eq!(loaded.outcome(), Outcome::Loaded);
}

#[tokio::test(start_paused = true)]
async fn a_loader_in_time_is_the_answer() {
    let (nodes, store) = outlived::<1>(soft()).await;
    store.commit(&1);
    let waiting = reading(nodes.cache(0), &store, 1);
    store.wait_for_waiting(1).await;

    store.release();

    // It had read before the hold, and after the commit.
    let loaded = ends(waiting).await.unwrap().unwrap();
    assert_eq!((*loaded, loaded.outcome()), (1, Outcome::Loaded));
}

#[tokio::test(start_paused = true)]
async fn what_was_invalidated_meanwhile_stands_in_at_neither_timeout() {
    for policy in [soft(), hard()] {
        let (nodes, store) = outlived::<2>(policy).await;
        let waiting = reading(nodes.cache(0), &store, 1);
        store.wait_for_waiting(1).await;

        // By the other node, so that the feed has to tell.
        ends(nodes.cache(1).invalidate(&1)).await.unwrap();
        eventually("the node was told", async || {
            nodes.counters(0).flights_detached == 1
        })
        .await;

        let error = ends(waiting).await.unwrap().unwrap_err();
        assert!(error.is_timeout());
        assert_eq!(nodes.counters(0).stale_if_error, 0);
        let again = ends(reading(nodes.cache(0), &store, 1)).await.unwrap();
        assert!(again.unwrap_err().is_timeout());
    }
}

#[tokio::test(start_paused = true)]
async fn past_the_window_nothing_stands_in() {
    let (nodes, store) = outlived::<1>(soft()).await;
    nodes.clock.advance(WINDOW);

    let late = ends(reading(nodes.cache(0), &store, 1)).await.unwrap();

    assert!(late.unwrap_err().is_timeout());
}
