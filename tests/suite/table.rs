//! A store that is asked for many rows at once, and remembers what it was asked for.

use crate::reads::{Numbers, ends};
use futures_util::future::join_all;
use std::{
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
};
use tokio::task::JoinHandle;
use tricache::{Batch, Error};
use tricache_test_support::CountingStore;

/// Rows of commit numbers. Clones are the same table.
#[derive(Clone, Debug, Default)]
pub(crate) struct Table {
    pub(crate) rows: CountingStore,
    calls: Arc<Mutex<Vec<Vec<u64>>>>,
    fails: Arc<AtomicBool>,
}

impl Table {
    /// The rows of these keys, read together, each at the gate of [`CountingStore::hold`].
    pub(crate) async fn select(self, keys: Vec<u64>) -> io::Result<Vec<(u64, u64)>> {
        self.calls.lock().unwrap().push(keys.clone());
        let numbers = join_all(keys.iter().map(|key| self.rows.load(key))).await;
        if self.fails.load(SeqCst) {
            return Err(io::Error::other("the store is down"));
        }
        Ok(keys.into_iter().zip(numbers).collect())
    }

    /// From now on every call ends in an error, after it has read its rows.
    pub(crate) fn fail(&self) {
        self.fails.store(true, SeqCst);
    }

    /// The keys of each call so far.
    pub(crate) fn calls(&self) -> Vec<Vec<u64>> {
        self.calls.lock().unwrap().clone()
    }
}

/// Reads these keys, loading from the table what is missing.
pub(crate) async fn read_many(cache: &Numbers, table: &Table, keys: &[u64]) -> Batch<u64, u64> {
    ends(load_many(cache, table, keys)).await.unwrap()
}

/// The same in a task of its own, for reads that are to wait.
pub(crate) fn spawn_many(
    cache: &Numbers,
    table: &Table,
    keys: impl Into<Vec<u64>>,
) -> JoinHandle<Result<Batch<u64, u64>, Error>> {
    let (cache, table, keys) = (cache.clone(), table.clone(), keys.into());
    tokio::spawn(async move { load_many(&cache, &table, &keys).await })
}

/// A batch that has begun its load and is held there by the table, which holds later loads too.
pub(crate) async fn held_many(
    cache: &Numbers,
    table: &Table,
    keys: &[u64],
) -> JoinHandle<Result<Batch<u64, u64>, Error>> {
    let waiting = table.rows.waiting();
    table.rows.hold();
    let reading = spawn_many(cache, table, keys);
    table.rows.wait_for_waiting(waiting + keys.len()).await;
    reading
}

/// What a batch in a task of its own has found.
pub(crate) async fn found(reading: JoinHandle<Result<Batch<u64, u64>, Error>>) -> Vec<(u64, u64)> {
    pairs(ends(reading).await.unwrap().unwrap())
}

/// Every key with its value, in the batch's order.
pub(crate) fn pairs(batch: Batch<u64, u64>) -> Vec<(u64, u64)> {
    let found = batch.into_found().unwrap();
    found
        .into_iter()
        .map(|(key, value)| (key, *value))
        .collect()
}

async fn load_many(cache: &Numbers, table: &Table, keys: &[u64]) -> Result<Batch<u64, u64>, Error> {
    cache
        .get_or_load_many(keys, |cx| table.clone().select(cx.into_keys()))
        .await
}
