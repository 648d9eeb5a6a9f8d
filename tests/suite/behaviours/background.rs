//! The same trouble where nobody waits: a load in the background that goes wrong harms no reader, and another one follows.

use super::given::{Store, Texts, Trouble, answers, policy};
use crate::reads::ends;
use crate::stale::{Nodes, TTL, WINDOW};
use std::time::Duration;
use tricache::{Outcome, Policy};
use tricache_test_support::eventually;

fn windows() -> Policy {
    let life = policy().jitter(0.0).local_ttl(WINDOW * 10);
    life.stale_while_revalidate(WINDOW * 10)
}

/// Caches of three texts each that are past their TTL, and a store in trouble.
async fn outlived(trouble: Trouble) -> (Nodes, Store, [Texts; 3]) {
    let nodes = Nodes::start::<1>(windows()).await;
    let store = Store::default();
    let caches = store.caches(&nodes, windows());
    for cache in &caches {
        answers(cache).await;
    }
    nodes.clock.advance(Duration::from_secs(600));
    store.gets_into(trouble);
    (nodes, store, caches)
}

/// Reads of all three, answered with what is past its TTL; each may ask for a load.
async fn read_stale(cache: &Texts) {
    let alone = ends(cache.get(&1)).await.unwrap();
    assert_eq!(alone.outcome(), Outcome::Stale);
    let batch = ends(cache.get_many(&[2, 3])).await.unwrap();
    for (_, stale) in batch.iter() {
        assert_eq!(stale.unwrap().outcome(), Outcome::Stale);
    }
}

/// The store is healed: reads ask for loads until all three are fresh.
async fn recovers(nodes: &Nodes, store: &Store, cache: &Texts) {
    store.heal();
    eventually("all of it is loaded again", async || {
        nodes.clock.advance(TTL / 5);
        let alone = ends(cache.get(&1)).await.unwrap();
        let batch = ends(cache.get_many(&[2, 3])).await.unwrap();
        let fresh = batch.iter().all(|(_, text)| !text.unwrap().is_stale());
        fresh && !alone.is_stale()
    })
    .await;
}

async fn goes_wrong_and_recovers(trouble: Trouble) {
    let (nodes, store, caches) = outlived(trouble).await;
    for cache in &caches {
        store.gets_into(trouble);
        let errors = nodes.counters(0).load_errors;
        read_stale(cache).await;
        eventually("all three loads have gone wrong", async || {
            nodes.counters(0).load_errors == errors + 3
        })
        .await;
        read_stale(cache).await;
        assert_eq!((nodes.counters(0).failed, store.running()), (0, 0));

        recovers(&nodes, &store, cache).await;
    }
    assert_eq!(nodes.nodes[0].0.report().loads().in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_nobodys_error() {
    goes_wrong_and_recovers(Trouble::Panics).await;
}

#[tokio::test(start_paused = true)]
async fn a_panic_before_the_future_is_nobodys_error() {
    goes_wrong_and_recovers(Trouble::PanicsAtOnce).await;
}

#[tokio::test(start_paused = true)]
async fn a_loader_that_hangs_is_stopped() {
    goes_wrong_and_recovers(Trouble::Hangs).await;
}

#[tokio::test]
async fn fifty_megabytes_take_no_values_place() {
    let (nodes, store, caches) = outlived(Trouble::FiftyMegabytes).await;
    for cache in &caches {
        store.gets_into(Trouble::FiftyMegabytes);
        let large = nodes.counters(0).too_large;
        read_stale(cache).await;
        eventually("all three were too large", async || {
            nodes.counters(0).too_large == large + 3
        })
        .await;
        assert_eq!(nodes.counters(0).failed, 0);

        recovers(&nodes, &store, cache).await;
    }
}
