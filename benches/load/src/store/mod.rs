//! The slow source of truth behind the caches, which counts what it is asked.
//!
//! Every row carries a commit number that starts at 0 and grows by one with each write of that row. A load reads in
//! the middle of its latency, so a write can fall between what was read and when it arrives: the race in which a slow
//! load overwrites a newer value.

mod row;
mod sim;
mod sqlite;

use std::{
    fmt,
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use tokio::time::Instant;

pub(crate) use self::row::Row;
use self::{sim::Sim, sqlite::Sqlite};
use crate::{arguments::StoreKind, failure::Failure};

/// A store of either kind.
#[derive(Debug)]
pub(crate) struct Store {
    rows: Rows,
    latency: Duration,
    loads: AtomicU64,
}

#[derive(Debug)]
enum Rows {
    Sim(Box<Sim>),
    Sqlite(Sqlite),
}

impl Store {
    /// An empty store, whose rows come to be when they are first asked for; its files go to `folder`.
    ///
    /// # Errors
    /// When the database cannot be made.
    pub(crate) fn new(kind: StoreKind, latency: Duration, folder: &Path) -> Result<Self, Failure> {
        let rows = match kind {
            StoreKind::Sim => Rows::Sim(Box::new(Sim::new())),
            StoreKind::Sqlite => Rows::Sqlite(Sqlite::new(folder)?),
        };
        Ok(Self {
            rows,
            latency,
            loads: AtomicU64::new(0),
        })
    }

    /// Reads a row, in the middle of the latency.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn load(&self, id: u32) -> Result<Row, StoreError> {
        self.loads.fetch_add(1, Ordering::Relaxed);
        let begun = Instant::now();
        self.wait(begun, self.latency / 2).await;
        let row = match &self.rows {
            Rows::Sim(sim) => Ok(sim.load(id)),
            Rows::Sqlite(sqlite) => sqlite.load(id).await,
        };
        self.wait(begun, self.latency).await;
        row
    }

    /// Reads the commit numbers of several rows at once, in the middle of the latency; counted by whoever asks.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn load_commits(&self, ids: Vec<u32>) -> Result<Vec<u64>, StoreError> {
        let begun = Instant::now();
        self.wait(begun, self.latency / 2).await;
        let commits = match &self.rows {
            Rows::Sim(sim) => Ok(sim.commits(&ids)),
            Rows::Sqlite(sqlite) => sqlite.commits(ids).await,
        };
        self.wait(begun, self.latency).await;
        commits
    }

    /// Commits a new value and returns its commit number at once: the sooner the invalidation follows, the more loads
    /// are under way that read before it.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn write(&self, id: u32) -> Result<u64, StoreError> {
        match &self.rows {
            Rows::Sim(sim) => Ok(sim.write(id)),
            Rows::Sqlite(sqlite) => sqlite.write(id).await,
        }
    }

    /// How many loads of a row were begun.
    pub(crate) fn loads(&self) -> u64 {
        self.loads.load(Ordering::Relaxed)
    }

    /// Waits until the load has taken `part` of the latency. Two waits of half of it would each be rounded up to a
    /// millisecond.
    async fn wait(&self, begun: Instant, part: Duration) {
        if !self.latency.is_zero() {
            tokio::time::sleep_until(begun + part).await;
        }
    }
}

/// What the database said.
#[derive(Debug)]
pub(crate) struct StoreError(String);

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the store failed: {}", self.0)
    }
}

impl std::error::Error for StoreError {}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        Self(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::temp_dir::TempDir;

    async fn keeps_rows_and_numbers_commits(kind: StoreKind) {
        let folder = TempDir::new().unwrap();
        let store = Store::new(kind, Duration::ZERO, folder.path()).unwrap();

        assert_eq!(store.load(7).await.unwrap(), Row::new(7, 0));
        assert_eq!(store.write(7).await.unwrap(), 1);
        assert_eq!(store.write(7).await.unwrap(), 2);
        assert_eq!(store.write(u32::MAX).await.unwrap(), 1);

        assert_eq!(store.load(7).await.unwrap(), Row::new(7, 2));
        assert_eq!(store.load(u32::MAX).await.unwrap(), Row::new(u32::MAX, 1));
        assert_eq!(store.loads(), 3);

        let commits = store.load_commits(vec![7, 8, u32::MAX]).await.unwrap();
        assert_eq!(commits, [2, 0, 1]);
    }

    async fn numbers_every_concurrent_write_once(kind: StoreKind) {
        let folder = TempDir::new().unwrap();
        let store = Arc::new(Store::new(kind, Duration::ZERO, folder.path()).unwrap());

        let writes: Vec<_> = (0..100)
            .map(|_| {
                let store = store.clone();
                tokio::spawn(async move { store.write(1).await.unwrap() })
            })
            .collect();
        let mut commits = Vec::new();
        for write in writes {
            commits.push(write.await.unwrap());
        }

        commits.sort_unstable();
        assert!(commits.into_iter().eq(1..=100));
    }

    #[tokio::test]
    async fn both_kinds_keep_rows_and_number_commits() {
        keeps_rows_and_numbers_commits(StoreKind::Sim).await;
        keeps_rows_and_numbers_commits(StoreKind::Sqlite).await;
    }

    #[tokio::test]
    async fn both_kinds_number_every_concurrent_write_once() {
        numbers_every_concurrent_write_once(StoreKind::Sim).await;
        numbers_every_concurrent_write_once(StoreKind::Sqlite).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_load_reads_in_the_middle_of_its_latency() {
        let store = Store::new(
            StoreKind::Sim,
            Duration::from_millis(100),
            Path::new("unused"),
        )
        .unwrap();
        let store = Arc::new(store);
        let load = |store: Arc<Store>| tokio::spawn(async move { store.load(7).await.unwrap() });
        let begin = Instant::now();

        let before = load(store.clone());
        tokio::time::sleep(Duration::from_millis(60)).await;
        store.write(7).await.unwrap();
        let after = load(store.clone());
        tokio::time::sleep(Duration::from_millis(10)).await;
        store.write(7).await.unwrap();

        assert_eq!(before.await.unwrap(), Row::new(7, 0));
        assert_eq!(begin.elapsed(), Duration::from_millis(100));
        assert_eq!(after.await.unwrap(), Row::new(7, 2));
    }
}
