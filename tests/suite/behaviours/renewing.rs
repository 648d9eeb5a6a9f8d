//! Loads that replace a value which is still served: how many they are, whom they keep waiting, and what they may say.

use crate::nodes::Remote;
use crate::reads::{QUIET, ends, numbers, spawn_read};
use crate::stale::{Nodes, TTL, WINDOW, good, load, refreshed, windows};
use futures_util::FutureExt;
use std::{collections::HashMap, io, time::Duration};
use tricache::{BatchContext, Loaded, Outcome, Policy};
use tricache_test_support::{CountingStore, eventually};

/// So that each read of a value past the first moments of its life asks for a load.
fn early() -> Policy {
    Policy::ttl(TTL).jitter(0.0).early_refresh(100.0)
}

/// A node with a value that took a second to load, and with the end of that value near.
async fn near_its_end(policy: Policy) -> Nodes {
    let nodes = Nodes::start::<1>(policy).await;
    nodes.use_buckets().await;
    let clock = nodes.clock.clone();
    let slow = |_| async move {
        clock.advance(Duration::from_secs(1));
        Ok::<_, io::Error>(0)
    };
    ends(nodes.cache(0).get_or_load(&1, slow)).await.unwrap();
    nodes.clock.advance(TTL - Duration::from_secs(2));
    nodes
}

/// Reads until one of the reads asks for an early load.
async fn asked_for(nodes: &Nodes, store: &CountingStore) {
    eventually("a read asks for an early load", async || {
        assert_eq!(*good(nodes.cache(0), store, 1).await, 0);
        nodes.counters(0).refreshes == 1
    })
    .await;
    store.wait_for_waiting(1).await;
}

#[tokio::test]
async fn many_reads_near_the_end_are_one_load_and_nobody_waits_for_it() {
    let nodes = near_its_end(early()).await;
    let store = CountingStore::new();
    store.commit(&1);
    store.hold();
    asked_for(&nodes, &store).await;

    for _ in 0..1000 {
        assert_eq!(*good(nodes.cache(0), &store, 1).await, 0);
    }
    assert_eq!(nodes.counters(0).refreshes, 1);
    store.release();

    refreshed(nodes.cache(0), 1, 1).await;
    assert_eq!(store.loads(), 1);
}

#[tokio::test]
async fn who_comes_after_the_end_waits_for_the_early_load() {
    let nodes = near_its_end(early()).await;
    let store = CountingStore::new();
    store.commit(&1);
    store.hold();
    asked_for(&nodes, &store).await;
    nodes.clock.advance(TTL);
    // A load that began before the last heartbeat is joined only by who knows that nothing was invalidated since.
    nodes.proven().await;

    let late = spawn_read(nodes.cache(0), &store, 1);
    eventually("it joins", async || nodes.counters(0).flights_joined == 1).await;
    store.release();

    assert_eq!((late.value().await, store.loads()), (1, 1));
}

/// A frozen Redis is asked for the right to load, in a task of its own; the reader has its hit.
#[tokio::test]
async fn a_hit_that_asks_for_an_early_load_waits_for_no_redis() {
    let remote = Remote::around_redis();
    remote.use_buckets([1]).await;
    let always = Policy::ttl(Duration::from_millis(1500)).early_refresh(100.0);
    let (tiers, cache) = numbers(remote.builder().heartbeat(QUIET), always.jitter(0.0)).await;
    let store = CountingStore::with_latency(Duration::from_millis(100));
    good(&cache, &store, 1).await;
    remote.server().freeze();

    while tiers.report().counters().refreshes == 0 {
        let load = |_| async { Ok::<_, io::Error>(7) };
        let hit = cache.get_or_load(&1, load).now_or_never();
        let hit = hit.expect("an answer at once").unwrap();
        assert_eq!((*hit, hit.outcome()), (0, Outcome::LocalHit));
    }

    remote.server().thaw();
}

/// The last load of a value says which tags it has and how long it lives, whoever waited for it.
#[tokio::test]
async fn what_a_load_in_the_background_says_of_its_value_counts() {
    let nodes = Nodes::start::<2>(windows(WINDOW, WINDOW)).await;
    let (tiers, cache) = &nodes.nodes[0];
    let loaded = |value: u64, tag: &'static str, ttl| {
        let load = move |_| async move {
            let loaded = Loaded::new(value).tag(tag).ttl_at_most(ttl);
            Ok::<_, io::Error>(loaded)
        };
        async move { ends(cache.get_or_load(&1, load)).await.unwrap() }
    };
    loaded(0, "before", TTL).await;
    nodes.clock.advance(TTL);
    assert!(loaded(1, "after", TTL / 2).await.is_stale());
    refreshed(cache, 1, 1).await;

    for node in 0..2 {
        let found = ends(nodes.cache(node).get(&1)).await.unwrap().unwrap();
        assert_eq!(found.tags()[0].as_str(), "after");
        assert_eq!(found.remaining(), TTL / 2);
    }
    ends(tiers.invalidate_tags(["before"])).await.unwrap();
    assert_eq!(*loaded(2, "after", TTL).await, 1);
    ends(tiers.invalidate_tags(["after"])).await.unwrap();
    assert_eq!(*loaded(3, "after", TTL).await, 3);
}

/// The load in the background had read what was there before the tag of its value was invalidated.
#[tokio::test]
async fn a_load_in_the_background_from_before_its_tag_was_invalidated_leaves_nothing_behind() {
    for in_a_batch in [false, true] {
        let nodes = Nodes::start::<2>(windows(WINDOW, WINDOW)).await;
        let store = CountingStore::new();
        let read = async |node: usize| {
            let cache = nodes.cache(node);
            if !in_a_batch {
                let store = store.clone();
                let load = |_| async move { Ok::<_, io::Error>(red(&store).await) };
                return *ends(cache.get_or_load(&1, load)).await.unwrap();
            }
            let load = |_: BatchContext<u64>| {
                let store = store.clone();
                async move { Ok::<_, io::Error>(HashMap::from([(1, red(&store).await)])) }
            };
            let batch = ends(cache.get_or_load_many(&[1], load)).await.unwrap();
            **batch.get(&1).unwrap().unwrap()
        };
        read(0).await;
        nodes.clock.advance(TTL);
        store.hold();
        assert_eq!(read(0).await, 0);
        store.wait_for_waiting(1).await;

        store.commit(&1);
        let tiers = &nodes.nodes[0].0;
        ends(tiers.invalidate_tags(["red"])).await.unwrap();
        store.release();

        for node in [0, 1, 0, 1] {
            assert_eq!(read(node).await, 1, "node {node}, in a batch: {in_a_batch}");
        }
    }
}

async fn red(store: &CountingStore) -> Loaded<u64> {
    Loaded::new(store.load(&1).await).tag("red")
}

#[tokio::test]
async fn jitter_is_no_part_of_the_pause_after_a_failure() {
    let pause = Duration::from_secs(2);
    let policy = windows(Duration::ZERO, WINDOW)
        .jitter(0.5)
        .retry_after(pause);
    let nodes = Nodes::start::<1>(policy).await;
    let store = CountingStore::new();
    for key in 0..20 {
        good(nodes.cache(0), &store, key).await;
    }
    nodes.clock.advance(TTL);

    for round in 1..=3 {
        for key in 0..20 {
            for _ in 0..2 {
                let stale = load(nodes.cache(0), &store, key, true).await.unwrap();
                assert_eq!(stale.outcome(), Outcome::StaleIfError);
            }
        }
        assert_eq!(store.loads(), 20 * (1 + round));
        nodes.clock.advance(pause);
    }
}

/// The value is newer than the one that would stand in, and nobody asked for it to be kept.
#[tokio::test]
async fn what_is_not_to_be_stored_is_answered_though_a_stale_value_is_at_hand() {
    let nodes = Nodes::start::<1>(windows(Duration::ZERO, WINDOW)).await;
    let (cache, store) = (nodes.cache(0), CountingStore::new());
    good(cache, &store, 1).await;
    nodes.clock.advance(TTL);

    for value in [7, 8] {
        let load = |_| async move { Ok::<_, io::Error>(Loaded::new(value).do_not_store()) };
        let loaded = ends(cache.get_or_load(&1, load)).await.unwrap();
        assert_eq!((*loaded, loaded.outcome()), (value, Outcome::Loaded));
    }
}

/// The call had its stale value long ago; the load that it left behind fails, and that value goes on standing in.
#[tokio::test(start_paused = true)]
async fn a_late_load_that_fails_leaves_the_stale_value_where_it_is() {
    let soft = windows(Duration::ZERO, WINDOW).soft_timeout(Duration::from_secs(1));
    let nodes = Nodes::start::<2>(soft).await;
    let store = CountingStore::new();
    good(nodes.cache(0), &store, 1).await;
    nodes.clock.advance(TTL);
    store.hold();
    let late = load(nodes.cache(0), &store, 1, true).await.unwrap();
    assert_eq!(late.outcome(), Outcome::StaleIfError);

    store.release();
    eventually("it has failed", async || nodes.counters(0).load_errors == 1).await;
    nodes.clock.advance(Duration::from_secs(2));

    for node in 0..2 {
        let stale = load(nodes.cache(node), &store, 1, true).await.unwrap();
        assert_eq!((*stale, stale.outcome()), (0, Outcome::StaleIfError));
        assert_eq!(nodes.counters(node).failed, 0);
    }
}

/// A call was late, and its load goes on; meanwhile another node has written. What the load has read is from before that.
#[tokio::test(start_paused = true)]
async fn a_late_load_does_not_replace_what_was_inserted_meanwhile() {
    let limited = Policy::ttl(WINDOW).hard_timeout(Duration::from_secs(1));
    let nodes = Nodes::start::<2>(limited).await;
    let store = CountingStore::new();
    store.hold();
    let late = spawn_read(nodes.cache(0), &store, 1);
    assert!(late.result().await.unwrap_err().is_timeout());

    ends(nodes.cache(1).insert(&1, 7)).await.unwrap();
    store.release();
    eventually("its fill is refused", async || {
        nodes.counters(0).stale_fills == 1
    })
    .await;

    for node in 0..2 {
        assert_eq!(*good(nodes.cache(node), &store, 1).await, 7);
    }
    assert_eq!(store.loads(), 1);
}
