//! Nodes whose clocks disagree: what lives how long is told in Redis time, so they agree all the same.

use crate::nodes::Remote;
use crate::reads::{Numbers, ends, numbers, read};
use std::{sync::Arc, time::Duration};
use tricache::{InProcess, ManualClock, Outcome, Policy, Tiers};
use tricache_test_support::{CountingStore, eventually};

const TTL: Duration = Duration::from_secs(10);
const OFF: Duration = Duration::from_secs(15 * 60);

/// A hub and three nodes, whose clocks show the right time, a quarter of an hour more, and as much less.
struct Clocks {
    all: Vec<ManualClock>,
    nodes: Vec<(Tiers, Numbers)>,
}

impl Clocks {
    async fn start() -> Self {
        let server = ManualClock::new();
        let (ahead, behind) = (ManualClock::new(), ManualClock::new());
        ahead.advance(OFF);
        behind.step_back(OFF);
        let remote = Remote::Hub(InProcess::with_clock(Arc::new(server.clone())));
        let mut nodes = Vec::new();
        for clock in [&server, &ahead, &behind] {
            let builder = remote.builder().clock(Arc::new(clock.clone()));
            nodes.push(numbers(builder, Policy::ttl(TTL).jitter(0.0)).await);
        }
        let all = vec![server, ahead, behind];
        Self { all, nodes }
    }

    fn advance(&self, by: Duration) {
        self.all.iter().for_each(|clock| clock.advance(by));
    }

    fn caches(&self) -> impl Iterator<Item = &Numbers> {
        self.nodes.iter().map(|(_, cache)| cache)
    }
}

#[tokio::test]
async fn a_value_has_one_age_and_one_end_on_all_nodes() {
    let clocks = Clocks::start().await;
    let store = CountingStore::new();
    for (key, cache) in (0..).zip(clocks.caches()) {
        read(cache, &store, key).await;
    }
    clocks.advance(TTL * 7 / 10);

    for cache in clocks.caches() {
        for key in 0..3 {
            let found = read(cache, &store, key).await;
            assert_ne!(found.outcome(), Outcome::Loaded);
            assert_eq!(
                (found.age(), found.remaining()),
                (TTL * 7 / 10, TTL * 3 / 10)
            );
        }
    }
    clocks.advance(TTL * 3 / 10);
    for cache in clocks.caches() {
        for key in 0..3 {
            assert!(ends(cache.get(&key)).await.unwrap().is_none());
        }
    }
    assert_eq!(store.loads(), 3);
}

#[tokio::test]
async fn every_node_hears_of_every_others_invalidations_and_tags() {
    let clocks = Clocks::start().await;
    let store = CountingStore::new();
    for (round, (tiers, writer)) in (1..).zip(&clocks.nodes) {
        for cache in clocks.caches() {
            read(cache, &store, 1).await;
            read(cache, &store, 2).await;
        }

        store.commit(&1);
        store.commit(&2);
        ends(writer.invalidate(&1)).await.unwrap();
        ends(writer.clear()).await.unwrap();

        assert_eq!(*read(writer, &store, 1).await, round);
        for cache in clocks.caches() {
            eventually("all have heard", async || {
                *read(cache, &store, 1).await == round && *read(cache, &store, 2).await == round
            })
            .await;
        }
        assert_eq!(tiers.report().pending(), 0);
    }
}
