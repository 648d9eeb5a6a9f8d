//! Served while a load replaces it.

use super::{MILLISECOND, Nodes, TTL, WINDOW, good, load, refreshed, windows};
use crate::nodes::Remote;
use crate::reads::{ends, numbers};
use std::{io, time::Duration};
use tricache::{Loaded, Outcome, Policy};
use tricache_test_support::{CountingStore, eventually};

#[tokio::test]
async fn a_value_past_its_ttl_is_served_at_once_and_loaded_again_by_one_node() {
    let nodes = Nodes::start::<3>(windows(WINDOW, Duration::ZERO)).await;
    let store = CountingStore::new();
    for node in 0..3 {
        good(nodes.cache(node), &store, 1).await;
    }
    store.commit(&1);
    nodes.clock.advance(TTL);
    store.hold();

    for _ in 0..3 {
        for node in 0..3 {
            let stale = good(nodes.cache(node), &store, 1).await;
            assert_eq!((*stale, stale.outcome()), (0, Outcome::Stale));
            assert!(stale.is_stale() && stale.remaining().is_zero());
        }
    }
    store.wait_for_waiting(1).await;
    store.release();

    for node in 0..3 {
        refreshed(nodes.cache(node), 1, 1).await;
        assert_eq!(nodes.counters(node).refreshes, 1);
        assert_eq!(nodes.counters(node).stale, 3);
    }
    assert_eq!(store.loads(), 2);
}

#[tokio::test]
async fn a_node_that_holds_nothing_serves_what_redis_holds_past_its_ttl() {
    let nodes = Nodes::start::<2>(windows(WINDOW, Duration::ZERO)).await;
    let store = CountingStore::new();
    good(nodes.cache(0), &store, 1).await;
    store.commit(&1);
    nodes.clock.advance(TTL + WINDOW - MILLISECOND);

    let stale = good(nodes.cache(1), &store, 1).await;

    assert_eq!((*stale, stale.outcome()), (0, Outcome::Stale));
    refreshed(nodes.cache(1), 1, 1).await;
}

#[tokio::test]
async fn past_the_window_it_is_loaded() {
    let nodes = Nodes::start::<1>(windows(WINDOW, Duration::ZERO)).await;
    let store = CountingStore::new();
    good(nodes.cache(0), &store, 1).await;
    store.commit(&1);

    nodes.clock.advance(TTL + WINDOW);

    let loaded = good(nodes.cache(0), &store, 1).await;
    assert_eq!((*loaded, loaded.outcome()), (1, Outcome::Loaded));
}

#[tokio::test]
async fn a_read_that_does_not_load_is_not_answered_past_the_ttl() {
    let nodes = Nodes::start::<1>(windows(WINDOW, WINDOW)).await;
    let store = CountingStore::new();
    good(nodes.cache(0), &store, 1).await;

    nodes.clock.advance(TTL);

    assert!(ends(nodes.cache(0).get(&1)).await.unwrap().is_none());
    let batch = ends(nodes.cache(0).get_many(&[1])).await.unwrap();
    assert!(batch.is_empty());
}

#[tokio::test]
async fn an_invalidation_ends_a_stale_value() {
    let nodes = Nodes::start::<2>(windows(WINDOW, WINDOW)).await;
    let store = CountingStore::new();
    for node in 0..2 {
        good(nodes.cache(node), &store, 1).await;
    }
    nodes.clock.advance(TTL);
    store.commit(&1);

    ends(nodes.cache(0).invalidate(&1)).await.unwrap();

    let own = good(nodes.cache(0), &store, 1).await;
    assert_eq!((*own, own.outcome()), (1, Outcome::Loaded));
    eventually("the other node has heard", async || {
        *good(nodes.cache(1), &store, 1).await == 1
    })
    .await;
}

/// The load in the background had read the value of before.
#[tokio::test]
async fn a_refresh_that_began_before_an_invalidation_leaves_nothing_behind() {
    let nodes = Nodes::start::<2>(windows(WINDOW, WINDOW)).await;
    let store = CountingStore::new();
    good(nodes.cache(0), &store, 1).await;
    nodes.clock.advance(TTL);
    store.hold();
    good(nodes.cache(0), &store, 1).await;
    store.wait_for_waiting(1).await;

    store.commit(&1);
    ends(nodes.cache(0).invalidate(&1)).await.unwrap();
    store.release();

    for node in [0, 1, 0, 1] {
        assert_eq!(*good(nodes.cache(node), &store, 1).await, 1);
    }
}

#[tokio::test]
async fn a_tag_ends_a_stale_value() {
    let nodes = Nodes::start::<1>(windows(WINDOW, WINDOW)).await;
    let cache = nodes.cache(0);
    let tagged = |value: u64| {
        let load = move |_| async move { Ok::<_, io::Error>(Loaded::new(value).tag("red")) };
        async move { *ends(cache.get_or_load(&1, load)).await.unwrap() }
    };
    tagged(0).await;
    nodes.clock.advance(TTL);

    ends(nodes.nodes[0].0.invalidate_tags(["red"]))
        .await
        .unwrap();

    assert_eq!(tagged(1).await, 1);
}

#[tokio::test]
async fn an_absence_has_no_stale_window() {
    let nodes = Nodes::start::<1>(windows(WINDOW, WINDOW)).await;
    let cache = nodes.cache(0);
    let absent = |_| async { Ok::<_, io::Error>(None::<u64>) };
    let error = ends(cache.get_or_load(&1, absent)).await.unwrap_err();
    assert!(error.is_absent());

    nodes.clock.advance(TTL);

    let store = CountingStore::new();
    assert_eq!(good(cache, &store, 1).await.outcome(), Outcome::Loaded);
}

#[tokio::test]
async fn a_refresh_that_fails_is_not_asked_for_at_once_again() {
    let policy = windows(WINDOW, Duration::ZERO).retry_after(Duration::from_secs(2));
    let nodes = Nodes::start::<1>(policy).await;
    let store = CountingStore::new();
    good(nodes.cache(0), &store, 1).await;
    nodes.clock.advance(TTL);

    for round in 1..=3 {
        for _ in 0..5 {
            let stale = load(nodes.cache(0), &store, 1, true).await.unwrap();
            assert_eq!(stale.outcome(), Outcome::Stale);
            eventually("the refresh has failed", async || {
                nodes.counters(0).load_errors == round
            })
            .await;
        }
        assert_eq!(store.loads(), 1 + round);
        nodes.clock.advance(Duration::from_secs(2));
    }
}

#[tokio::test]
async fn a_closure_that_panics_in_the_background_ends_nothing() {
    let nodes = Nodes::start::<1>(windows(WINDOW, Duration::ZERO)).await;
    let store = CountingStore::new();
    good(nodes.cache(0), &store, 1).await;
    nodes.clock.advance(TTL);

    let panics = |_| -> std::future::Ready<io::Result<u64>> { panic!("no loader") };
    let stale = ends(nodes.cache(0).get_or_load(&1, panics)).await.unwrap();

    assert_eq!(stale.outcome(), Outcome::Stale);
    assert_eq!(nodes.counters(0).load_errors, 1);
}

/// With a real clock, on both remotes; Redis keeps the value for as long as it may be served.
#[tokio::test]
async fn both_remotes_keep_a_value_for_its_windows() {
    for remote in Remote::both() {
        let ttl = Duration::from_millis(300);
        let policy = Policy::ttl(ttl).jitter(0.0).stale_while_revalidate(WINDOW);
        let (_tiers, cache) = numbers(remote.builder(), policy).await;
        let (_other, late) = numbers(remote.builder(), policy).await;
        let store = CountingStore::new();
        good(&cache, &store, 1).await;
        if let Remote::Redis(redis) = &remote {
            let value = remote.only_key("tc1:*:v:number/1@*");
            let left: u64 = redis.command(&["PTTL", &value]).parse().unwrap();
            assert!(left > WINDOW.as_millis() as u64, "{left}");
        }

        store.hold();
        for cache in [&cache, &late] {
            eventually("it is past its TTL", async || {
                good(cache, &store, 1).await.outcome() == Outcome::Stale
            })
            .await;
        }
        store.wait_for_waiting(1).await;
        store.commit(&1);
        store.release();

        // One of the two loaded what was there before the commit; the TTL is over soon again.
        for cache in [&cache, &late] {
            eventually("the new value is there", async || {
                *good(cache, &store, 1).await == 1
            })
            .await;
        }
    }
}
