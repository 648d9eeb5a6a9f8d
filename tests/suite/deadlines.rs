//! Calls that end by their deadline whatever the store does, and loads that go on without them, or are stopped.

mod batches;
mod calls;
mod loads;
mod pace;
mod redis;
mod stale;

use crate::reads::Numbers;
use std::{
    future::pending,
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::task::JoinHandle;
use tricache::{Cached, Error, Policy};
use tricache_test_support::{CountingStore, eventually};

type Reading = JoinHandle<Result<Cached<u64>, Error>>;

/// Reads one key in a task of its own, with the limit of the cache alone.
fn reading(cache: &Numbers, store: &CountingStore, key: u64) -> Reading {
    let (cache, store) = (cache.clone(), store.clone());
    tokio::spawn(async move {
        let load = |_| async move { Ok::<_, io::Error>(store.load(&key).await) };
        cache.get_or_load(&key, load).await
    })
}

/// Loaders that never answer, counted.
#[derive(Clone, Default)]
struct Hanging {
    begun: Arc<AtomicUsize>,
    dropped: Arc<AtomicUsize>,
}

impl Hanging {
    async fn load(self) -> io::Result<u64> {
        self.begun.fetch_add(1, Ordering::SeqCst);
        let _dropped = Dropped(self.dropped);
        pending().await
    }

    fn begun(&self) -> usize {
        self.begun.load(Ordering::SeqCst)
    }

    fn dropped(&self) -> usize {
        self.dropped.load(Ordering::SeqCst)
    }
}

struct Dropped(Arc<AtomicUsize>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Waits until a read finds the value without loading it.
async fn filled(cache: &Numbers, key: u64, value: u64) {
    eventually("the load has filled", async || {
        let found = cache.get(&key).await.unwrap();
        found.is_some_and(|found| *found == value)
    })
    .await;
}

fn policy() -> Policy {
    Policy::ttl(Duration::from_secs(600)).hard_timeout(HARD)
}

const SOFT: Duration = Duration::from_secs(1);
const HARD: Duration = Duration::from_secs(5);
