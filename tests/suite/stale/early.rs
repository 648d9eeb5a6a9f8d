//! Loaded again before the TTL is over, by one of many reads.

use super::{MILLISECOND, Nodes, TTL, refreshed};
use crate::reads::{Numbers, ends};
use std::{io, time::Duration};
use tricache::{Cached, ManualClock, Outcome, Policy};

/// A load that takes a second of the nodes' time.
async fn slow(cache: &Numbers, clock: &ManualClock, value: u64) -> Cached<u64> {
    let clock = clock.clone();
    let load = |_| async move {
        clock.advance(Duration::from_secs(1));
        Ok::<_, io::Error>(value)
    };
    ends(cache.get_or_load(&1, load)).await.unwrap()
}

#[tokio::test]
async fn a_value_that_is_read_often_is_loaded_again_before_its_ttl_is_over() {
    let nodes = Nodes::start::<2>(Policy::ttl(TTL).jitter(0.0)).await;
    for node in 0..2 {
        slow(nodes.cache(node), &nodes.clock, 0).await;
    }
    assert_eq!(nodes.counters(0).loads, 1);

    // A second of it is left: of many reads one draws more than that, and all are answered at once.
    nodes.clock.advance(TTL - Duration::from_secs(2));
    for read in 0.. {
        let node = read % 2;
        let hit = slow(nodes.cache(node), &nodes.clock, 7).await;
        assert_eq!(*hit, 0);
        assert!(!hit.is_stale() && hit.outcome() != Outcome::Loaded);
        if nodes.counters(node).refreshes == 1 {
            break;
        }
        // Redis confirms until the nodes have heard of their feeds again.
        tokio::task::yield_now().await;
    }

    refreshed(nodes.cache(0), 1, 7).await;
    assert_eq!(nodes.counters(0).loads + nodes.counters(1).loads, 2);
}

#[tokio::test]
async fn a_batch_asks_for_a_load_before_the_end_too() {
    let nodes = Nodes::start::<1>(Policy::ttl(TTL).jitter(0.0)).await;
    let batch = async |value: u64| {
        let clock = nodes.clock.clone();
        let load = |cx: tricache::BatchContext<u64>| {
            let clock = clock.clone();
            async move {
                clock.advance(Duration::from_secs(1));
                let keys = cx.into_keys().into_iter();
                Ok::<Vec<_>, io::Error>(keys.map(|key| (key, value)).collect())
            }
        };
        let batch = nodes.cache(0).get_or_load_many(&[1], load);
        *ends(batch).await.unwrap().into_found().unwrap()[0].1
    };
    assert_eq!(batch(0).await, 0);

    nodes.clock.advance(TTL - Duration::from_secs(2));
    while nodes.counters(0).refreshes == 0 {
        assert_eq!(batch(7).await, 0);
        tokio::task::yield_now().await;
    }

    refreshed(nodes.cache(0), 1, 7).await;
    assert_eq!(nodes.counters(0).loads, 2);
}

#[tokio::test]
async fn a_policy_without_it_waits_for_the_end() {
    let nodes = Nodes::start::<1>(Policy::ttl(TTL).jitter(0.0).early_refresh(0.0)).await;
    slow(nodes.cache(0), &nodes.clock, 0).await;

    nodes
        .clock
        .advance(TTL - Duration::from_secs(1) - MILLISECOND);
    for _ in 0..1000 {
        assert_eq!(*slow(nodes.cache(0), &nodes.clock, 7).await, 0);
    }

    assert_eq!(nodes.counters(0).refreshes, 0);
}

/// Most of its life is left.
#[tokio::test]
async fn a_fresh_value_is_left_alone() {
    let nodes = Nodes::start::<1>(Policy::ttl(TTL).jitter(0.0)).await;
    slow(nodes.cache(0), &nodes.clock, 0).await;

    nodes.clock.advance(Duration::from_secs(3));
    for _ in 0..1000 {
        slow(nodes.cache(0), &nodes.clock, 7).await;
    }

    assert_eq!(nodes.counters(0).refreshes, 0);
}
