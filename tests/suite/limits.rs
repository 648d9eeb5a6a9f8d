//! Only so many loads run at once: the rest queues, is shed, or gives way.

mod background;
mod batches;
mod dropped;
mod nested;
mod places;
mod queue;
mod returns;

use crate::reads::{Numbers, ends};
use crate::stale::Nodes;
use std::{io, time::Duration};
use tokio::task::JoinHandle;
use tricache::{Cached, Error, Policy, Tiers};
use tricache_test_support::{CountingStore, eventually};

type Reading = JoinHandle<Result<Cached<u64>, Error>>;

/// Reads one key in a task of its own, with the limits of the cache alone.
fn reading(cache: &Numbers, store: &CountingStore, key: u64) -> Reading {
    let (cache, store) = (cache.clone(), store.clone());
    tokio::spawn(async move {
        let load = |_| async move { Ok::<_, io::Error>(store.load(&key).await) };
        cache.get_or_load(&key, load).await
    })
}

async fn value(reading: Reading) -> u64 {
    *ends(reading).await.unwrap().unwrap()
}

/// Waits until so many loads of all caches run, and so many queue.
async fn busy(tiers: &Tiers, in_flight: usize, queued: usize) {
    eventually("so many loads run and queue", async || {
        let loads = tiers.report().loads();
        (loads.in_flight(), loads.queued()) == (in_flight, queued)
    })
    .await;
}

/// One node with a cache without a limit of its own, and so many places for all.
async fn places(limit: usize) -> Nodes {
    let nodes = Nodes::with::<1>(policy(), |builder| {
        builder.max_loads(limit).max_queued_loads(10_000)
    })
    .await;
    nodes.use_buckets().await;
    nodes
}

/// Nothing ends by its deadline here.
fn policy() -> Policy {
    Policy::ttl(HOUR).hard_timeout(HOUR)
}

const HOUR: Duration = Duration::from_secs(3600);
