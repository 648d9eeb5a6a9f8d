//! The limit itself: of a cache, and of all caches together.

use super::{busy, places, policy, reading, value};
use crate::reads::{Numbers, ends};
use crate::stale::Nodes;
use std::{io, time::Duration};
use tricache::{Policy, Tiers};
use tricache_test_support::{CountingStore, eventually};

/// How many of 50 loads were at the store at once.
async fn peak(caches: &[&Numbers]) -> usize {
    let store = CountingStore::with_latency(Duration::from_millis(10));
    let reads: Vec<_> = (0..50)
        .map(|key| reading(caches[key as usize % caches.len()], &store, key))
        .collect();
    for read in reads {
        value(read).await;
    }
    assert_eq!(store.loads(), 50);
    store.peak()
}

#[tokio::test(start_paused = true)]
async fn a_cache_loads_so_much_at_once_and_no_more() {
    for (limit, expected) in [(1, 1), (4, 4), (50, 50)] {
        let nodes = Nodes::start::<1>(policy().max_loads(limit)).await;

        assert_eq!(peak(&[nodes.cache(0)]).await, expected);
        assert_eq!(nodes.cache(0).loads().unwrap().limit(), limit);
    }
}

#[tokio::test(start_paused = true)]
async fn all_caches_together_load_so_much_at_once_and_no_more() {
    for (limit, expected) in [(4, 4), (1024, 50)] {
        let nodes = places(limit).await;
        let other = nodes.nodes[0].0.cache("other", policy()).unwrap();

        assert_eq!(peak(&[nodes.cache(0), &other]).await, expected);
        assert_eq!(nodes.cache(0).loads(), None);
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_cache_leaves_the_others_their_places() {
    let nodes = Nodes::with::<1>(policy().max_loads(2), |it| it.max_loads(3)).await;
    let tiers = &nodes.nodes[0].0;
    let other = tiers.cache("other", policy()).unwrap();
    let (held, store) = (CountingStore::new(), CountingStore::new());
    held.hold();
    let reads: Vec<_> = (0..5)
        .map(|key| reading(nodes.cache(0), &held, key))
        .collect();
    busy(tiers, 2, 0).await;

    assert_eq!(value(reading(&other, &store, 1)).await, 0);

    let own = nodes.cache(0).loads().unwrap();
    assert_eq!((own.in_flight(), own.queued()), (2, 3));
    held.release();
    for read in reads {
        value(read).await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_report_tells_what_runs_and_what_queues() {
    let nodes = places(4).await;
    let tiers = &nodes.nodes[0].0;
    let store = CountingStore::new();
    store.hold();

    let reads: Vec<_> = (0..10)
        .map(|key| reading(nodes.cache(0), &store, key))
        .collect();
    busy(tiers, 4, 6).await;

    assert_eq!(tiers.report().loads().limit(), 4);
    assert_eq!(nodes.counters(0).queued_loads, 6);
    store.release();
    for read in reads {
        value(read).await;
    }
    busy(tiers, 0, 0).await;
    assert_eq!((store.loads(), nodes.counters(0).shed_loads), (10, 0));
}

#[tokio::test(start_paused = true)]
async fn a_load_that_fails_panics_or_is_stopped_gives_its_place_back() {
    let limited = policy().max_loads(1).load_timeout(Duration::from_secs(1));
    let nodes = Nodes::start::<1>(limited).await;
    let (cache, store) = (nodes.cache(0), CountingStore::new());

    let fails = |_| async { Err::<u64, _>(io::Error::other("the store is down")) };
    assert!(ends(cache.get_or_load(&1, fails)).await.is_err());
    let panics = |_| async { panic!("no row") as io::Result<u64> };
    assert!(ends(cache.get_or_load(&2, panics)).await.is_err());
    let begins = |_| -> std::future::Ready<io::Result<u64>> { panic!("no pool") };
    assert!(ends(cache.get_or_load(&3, begins)).await.is_err());
    let hangs = |_| std::future::pending::<io::Result<u64>>();
    assert!(ends(cache.get_or_load(&4, hangs)).await.is_err());

    assert_eq!(value(reading(cache, &store, 5)).await, 0);
    eventually("all places are free", async || {
        cache.loads().unwrap().in_flight() == 0
    })
    .await;
}

#[tokio::test]
async fn an_answer_of_fifty_megabytes_is_handed_on_and_gives_its_place_back() {
    let tiers = Tiers::builder("test").max_loads(1).build().await.unwrap();
    let policy = Policy::ttl(Duration::from_secs(60));
    let cache = tiers.cache::<u64, String>("page", policy).unwrap();
    let huge = |_| async { Ok::<_, io::Error>("x".repeat(50 << 20)) };

    for key in [1, 1, 2] {
        let page = ends(cache.get_or_load(&key, huge)).await.unwrap();
        assert_eq!(page.len(), 50 << 20);
    }

    assert_eq!(tiers.report().counters().too_large, 3);
    assert_eq!(
        (cache.local_usage(), tiers.report().loads().in_flight()),
        ((0, 0), 0)
    );
}

#[tokio::test]
async fn no_place_at_all_is_refused() {
    let none = Tiers::builder("test").max_loads(0).build().await;

    let error = none.unwrap_err();
    assert!(error.is_config() && error.to_string().contains("max_loads"));
}
