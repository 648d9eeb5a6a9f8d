//! Values past their TTL: served while a load replaces them, or in place of a load that failed; never after an invalidation.

mod batches;
mod confirmed;
mod early;
mod errors;
mod nested;
mod revalidate;
mod soft;

use crate::nodes::Remote;
use crate::reads::{Numbers, ends, numbers};
use std::{io, sync::Arc, time::Duration};
use tricache::{Cached, Error, InProcess, ManualClock, Policy, Tiers, TiersBuilder};
use tricache_test_support::{CountingStore, eventually};

/// Nodes around a hub, with one clock for all.
pub(crate) struct Nodes {
    pub(crate) clock: ManualClock,
    pub(crate) hub: InProcess,
    pub(crate) nodes: Vec<(Tiers, Numbers)>,
}

impl Nodes {
    pub(crate) async fn start<const N: usize>(policy: Policy) -> Self {
        Self::with::<N>(policy, |builder| builder).await
    }

    pub(crate) async fn with<const N: usize>(
        policy: Policy,
        set: impl Fn(TiersBuilder) -> TiersBuilder,
    ) -> Self {
        let clock = ManualClock::new();
        let hub = InProcess::with_clock(Arc::new(clock.clone()));
        let mut nodes = Vec::new();
        for _ in 0..N {
            let remote = Remote::Hub(hub.clone());
            let builder = remote.builder().clock(Arc::new(clock.clone()));
            nodes.push(numbers(set(builder.heartbeat(BEAT)), policy).await);
        }
        Self { clock, hub, nodes }
    }

    /// Begins the epochs of all buckets: the first use of one detaches its flights.
    pub(crate) async fn use_buckets(&self) {
        let keys: Vec<u64> = (10_000..12_000).collect();
        ends(self.cache(0).invalidate_many(&keys)).await.unwrap();
        self.proven().await;
    }

    /// Waits until all nodes have heard of all buckets.
    pub(crate) async fn proven(&self) {
        eventually("all are proven", async || {
            let report = self.nodes.iter().map(|(tiers, _)| tiers.report());
            report
                .map(|it| it.proven_buckets())
                .all(|proven| proven == 65)
        })
        .await;
    }

    pub(crate) fn cache(&self, node: usize) -> &Numbers {
        &self.nodes[node].1
    }

    pub(crate) fn counters(&self, node: usize) -> tricache::Counters {
        *self.nodes[node].0.report().counters()
    }
}

/// Reads one key; `fails`: the store is asked, and answers an error.
pub(crate) async fn load(
    cache: &Numbers,
    store: &CountingStore,
    key: u64,
    fails: bool,
) -> Result<Cached<u64>, Error> {
    let store = store.clone();
    let load = |_| async move {
        let value = store.load(&key).await;
        if fails {
            return Err(io::Error::other("the store is down"));
        }
        Ok(value)
    };
    ends(cache.get_or_load(&key, load)).await
}

pub(crate) async fn good(cache: &Numbers, store: &CountingStore, key: u64) -> Cached<u64> {
    load(cache, store, key, false).await.unwrap()
}

/// Waits until a read answers the value fresh.
pub(crate) async fn refreshed(cache: &Numbers, key: u64, value: u64) {
    eventually("the fresh value is there", async || {
        let cached = ends(cache.get(&key)).await.unwrap();
        cached.is_some_and(|cached| *cached == value && !cached.is_stale())
    })
    .await;
}

pub(crate) fn windows(revalidate: Duration, error: Duration) -> Policy {
    Policy::ttl(TTL)
        .jitter(0.0)
        .stale_while_revalidate(revalidate)
        .stale_if_error(error)
}

const BEAT: Duration = Duration::from_millis(20);
pub(crate) const TTL: Duration = Duration::from_secs(10);
pub(crate) const WINDOW: Duration = Duration::from_secs(60);
const MILLISECOND: Duration = Duration::from_millis(1);
