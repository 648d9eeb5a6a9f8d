//! Values past their TTL: served while a load replaces them, or in place of a load that failed; never after an invalidation.

mod batches;
mod early;
mod errors;
mod nested;
mod revalidate;
mod soft;

use crate::nodes::Remote;
use crate::reads::{Numbers, ends, numbers};
use std::{io, sync::Arc, time::Duration};
use tricache::{Cached, Error, InProcess, ManualClock, Policy, Tiers};
use tricache_test_support::{CountingStore, eventually};

/// Nodes around a hub, with one clock for all.
struct Nodes {
    clock: ManualClock,
    hub: InProcess,
    nodes: Vec<(Tiers, Numbers)>,
}

impl Nodes {
    async fn start<const N: usize>(policy: Policy) -> Self {
        let clock = ManualClock::new();
        let hub = InProcess::with_clock(Arc::new(clock.clone()));
        let mut nodes = Vec::new();
        for _ in 0..N {
            let remote = Remote::Hub(hub.clone());
            let builder = remote.builder().clock(Arc::new(clock.clone()));
            nodes.push(numbers(builder.heartbeat(BEAT), policy).await);
        }
        Self { clock, hub, nodes }
    }

    fn cache(&self, node: usize) -> &Numbers {
        &self.nodes[node].1
    }

    fn counters(&self, node: usize) -> tricache::Counters {
        *self.nodes[node].0.report().counters()
    }
}

/// Reads one key; `fails`: the store is asked, and answers an error.
async fn load(
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

async fn good(cache: &Numbers, store: &CountingStore, key: u64) -> Cached<u64> {
    load(cache, store, key, false).await.unwrap()
}

/// Waits until a read answers the value fresh.
async fn refreshed(cache: &Numbers, key: u64, value: u64) {
    eventually("the fresh value is there", async || {
        let cached = ends(cache.get(&key)).await.unwrap();
        cached.is_some_and(|cached| *cached == value && !cached.is_stale())
    })
    .await;
}

fn windows(revalidate: Duration, error: Duration) -> Policy {
    Policy::ttl(TTL)
        .jitter(0.0)
        .stale_while_revalidate(revalidate)
        .stale_if_error(error)
}

const BEAT: Duration = Duration::from_millis(20);
const TTL: Duration = Duration::from_secs(10);
const WINDOW: Duration = Duration::from_secs(60);
const MILLISECOND: Duration = Duration::from_millis(1);
