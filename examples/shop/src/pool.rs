//! A few connections, used from blocking threads.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

use rusqlite::Connection;
use tokio::sync::Mutex;

use crate::store::StoreError;

/// Connections to one database, taken in turn.
#[derive(Clone)]
pub(crate) struct Pool {
    connections: Arc<[Arc<Mutex<Connection>>]>,
    turn: Arc<AtomicUsize>,
}

impl Pool {
    pub(crate) fn new(connections: Vec<Connection>) -> Self {
        let connections = connections
            .into_iter()
            .map(|connection| Arc::new(Mutex::new(connection)));
        Self {
            connections: connections.collect(),
            turn: Arc::default(),
        }
    }

    /// How many queries were run so far.
    pub(crate) fn turns(&self) -> usize {
        self.turn.load(Relaxed)
    }

    /// Runs `query` on a connection, in a thread that may block.
    ///
    /// # Cancel safety
    /// A query that has started runs to its end and keeps its connection, also if this future is dropped.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        query: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let turn = self.turn.fetch_add(1, Relaxed) % self.connections.len();
        let mut connection = Arc::clone(&self.connections[turn]).lock_owned().await;
        let answer = tokio::task::spawn_blocking(move || query(&mut connection)).await;
        Ok(answer.map_err(|_| StoreError::Stopped)??)
    }
}
