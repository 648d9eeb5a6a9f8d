//! That something does not exist is remembered, for a while, and forgotten like any value.

use super::labelled::{invalidate, load, pair};
use crate::nodes::Remote;
use crate::reads::{counters, ends, numbers};
use std::{sync::Arc, time::Duration};
use tricache::{InProcess, Loaded, ManualClock, OptionalExt, Policy, RequestScope, Tag};
use tricache_test_support::{CountingStore, eventually};

/// Exists from the first commit on; until then it would be red.
fn from_the_first(value: u64) -> Loaded<u64> {
    match value {
        0 => Loaded::absent().tag("red"),
        value => Loaded::new(value).tag("red"),
    }
}

#[tokio::test]
async fn an_absence_is_remembered_on_every_node() {
    for remote in Remote::both() {
        let (one, other) = pair(&remote).await;
        let store = CountingStore::new();

        for _ in 0..3 {
            for node in [&one, &other] {
                let error = load(&node.cache, &store, 1, from_the_first)
                    .await
                    .unwrap_err();
                assert!(error.is_absent());
            }
        }

        assert_eq!(store.loads(), 1);
        assert!(ends(one.cache.get(&1)).await.unwrap_err().is_absent());
        let optional = ends(one.cache.get(&1)).await.optional();
        assert!(optional.unwrap().is_none());
        assert_eq!(counters(&one).absences, 1);
    }
}

#[tokio::test]
async fn creating_the_thing_ends_its_absence_by_key_and_by_tag() {
    for remote in Remote::both() {
        let (one, other) = pair(&remote).await;
        let store = CountingStore::new();
        for key in [1, 2] {
            for node in [&one, &other] {
                load(&node.cache, &store, key, from_the_first)
                    .await
                    .unwrap_err();
            }
            store.commit(&key);
        }

        ends(one.cache.invalidate(&1)).await.unwrap();
        assert_eq!(
            *load(&one.cache, &store, 1, from_the_first).await.unwrap(),
            1
        );
        load(&one.cache, &store, 2, from_the_first)
            .await
            .unwrap_err();
        invalidate(&one, "red").await;

        assert_eq!(
            *load(&one.cache, &store, 2, from_the_first).await.unwrap(),
            1
        );
        for key in [1, 2] {
            eventually("the other node has heard", async || {
                load(&other.cache, &store, key, from_the_first)
                    .await
                    .is_ok()
            })
            .await;
        }
    }
}

#[tokio::test]
async fn an_absence_is_remembered_for_its_own_shorter_time() {
    let clock = ManualClock::new();
    let hub = Remote::Hub(InProcess::with_clock(Arc::new(clock.clone())));
    let policy = Policy::ttl(Duration::from_secs(600))
        .absent_ttl(Duration::from_secs(5))
        .jitter(0.0);
    let (_tiers, cache) = numbers(hub.builder().clock(Arc::new(clock.clone())), policy).await;
    let store = CountingStore::new();
    load(&cache, &store, 1, from_the_first).await.unwrap_err();
    store.commit(&1);

    clock.advance(Duration::from_millis(4999));
    load(&cache, &store, 1, from_the_first).await.unwrap_err();
    clock.advance(Duration::from_millis(1));

    assert_eq!(*load(&cache, &store, 1, from_the_first).await.unwrap(), 1);
}

#[tokio::test]
async fn an_absence_of_no_time_is_not_remembered() {
    for remote in Remote::both() {
        let policy = Policy::ttl(Duration::from_secs(600)).absent_ttl(Duration::ZERO);
        let (tiers, cache) = numbers(remote.builder(), policy).await;
        let store = CountingStore::new();

        for _ in 0..3 {
            load(&cache, &store, 1, from_the_first).await.unwrap_err();
        }

        assert_eq!(store.loads(), 3);
        assert_eq!(tiers.report().counters().lease_waits, 0);
    }
}

#[tokio::test]
async fn a_request_knows_of_the_absence_its_tags_and_how_long_it_is_remembered() {
    for remote in Remote::both() {
        let (one, other) = pair(&remote).await;
        let store = CountingStore::new();

        for node in [&one, &other] {
            let scope = RequestScope::new();
            let read = load(&node.cache, &store, 1, from_the_first);
            scope.run(read).await.unwrap_err();

            let summary = scope.summary();
            assert_eq!(summary.entities()[0].as_str(), "number/1");
            assert_eq!(summary.tags(), [Tag::new("red")]);
            let remaining = summary.remaining().unwrap();
            assert!(!remaining.is_zero() && remaining <= Duration::from_secs(10));
        }
    }
}
