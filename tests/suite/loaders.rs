//! Caches that know their loader.

mod collecting;
mod failing;
mod given;
mod nested;

use crate::nodes::Node;
use std::{
    collections::HashMap,
    io,
    sync::{Arc, Mutex},
    time::Duration,
};
use tricache::{BatchContext, Collect, LoadingCache};
use tricache_test_support::CountingStore;

/// A store that is asked for many rows at once, and remembers for which.
#[derive(Clone, Default)]
pub(crate) struct Rows {
    pub(crate) store: CountingStore,
    calls: Arc<Mutex<Vec<Vec<u64>>>>,
}

pub(crate) type Loading = LoadingCache<u64, u64>;

impl Rows {
    /// Rows of all keys, each with its number of commits.
    pub(crate) async fn select(self, mut keys: Vec<u64>) -> io::Result<HashMap<u64, u64>> {
        keys.sort_unstable();
        self.calls.lock().unwrap().push(keys.clone());
        let mut rows = HashMap::new();
        for key in keys {
            rows.insert(key, self.store.load(&key).await);
        }
        Ok(rows)
    }

    /// The keys of each call, in order.
    pub(crate) fn calls(&self) -> Vec<Vec<u64>> {
        self.calls.lock().unwrap().clone()
    }

    pub(crate) fn one_by_one(&self, node: &Node) -> Loading {
        let store = self.store.clone();
        node.cache
            .with_loader(move |cx: tricache::LoadContext<u64, u64>| {
                let store = store.clone();
                async move { Ok::<_, io::Error>(store.load(cx.key()).await) }
            })
    }

    pub(crate) fn in_batches(&self, node: &Node) -> Loading {
        let rows = self.clone();
        node.cache
            .with_batch_loader(move |cx: BatchContext<u64>| rows.clone().select(cx.into_keys()))
    }

    fn collected(&self, node: &Node, collect: Collect) -> Loading {
        let rows = self.clone();
        let load = move |cx: BatchContext<u64>| rows.clone().select(cx.into_keys());
        node.cache.with_collecting_loader(collect, load).unwrap()
    }
}

/// Longer than a test takes, so that only a full call goes out before.
const SECOND: Duration = Duration::from_secs(1);
