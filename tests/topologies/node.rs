//! Nodes, and reads and writes that end.

use std::{future::Future, io, time::Duration};
use tokio::time::timeout;
use tricache::{
    Cached, Counters, Error, Outcome, Policy, RemoteState, TieredCache, Tiers, TiersBuilder,
};
use tricache_test_support::{CountingStore, eventually_within};

/// One node: its tiers, and a cache of numbers.
pub(crate) struct Node {
    pub(crate) tiers: Tiers,
    pub(crate) cache: TieredCache<u64, u64>,
}

impl Node {
    pub(crate) async fn start(builder: TiersBuilder) -> Self {
        let tiers = ends(builder.build()).await.unwrap();
        let policy = Policy::ttl(Duration::from_secs(600)).hard_timeout(LIMIT);
        let cache = tiers.cache("number", policy).unwrap();
        Self { tiers, cache }
    }

    /// Reads one key, loading it from `store` on a miss.
    pub(crate) async fn read(&self, store: &CountingStore, key: u64) -> Cached<u64> {
        let store = store.clone();
        let load = self.cache.get_or_load(&key, |_| async move {
            Ok::<_, io::Error>(store.load(&key).await)
        });
        ends(load).await.unwrap()
    }

    /// Commits a new value and invalidates the old one; answers whether that is pending.
    pub(crate) async fn write(&self, store: &CountingStore, key: u64) -> bool {
        store.commit(&key);
        ends(self.cache.invalidate(&key))
            .await
            .unwrap()
            .is_pending()
    }

    pub(crate) fn counters(&self) -> Counters {
        *self.tiers.report().counters()
    }

    pub(crate) fn remote(&self) -> RemoteState {
        self.tiers.report().remote()
    }

    pub(crate) async fn is_away(&self) {
        until("Redis counts as away", async || {
            self.remote() == RemoteState::Away
        })
        .await;
    }
}

/// Settings of a node that notices soon.
pub(crate) fn builder() -> TiersBuilder {
    // The machines of tests are slow at times: a timeout would be a different test.
    Tiers::builder("test")
        .remote_timeout(Duration::from_secs(5))
        .heartbeat(Duration::from_millis(50))
}

/// Nothing waits any more, every node shows what is committed, values go from node to node, and so do invalidations.
pub(crate) async fn works(nodes: [&Node; 2], store: &CountingStore, keys: std::ops::Range<u64>) {
    for node in nodes {
        until("Redis is asked, and nothing waits", async || {
            node.remote() == RemoteState::Up && node.tiers.report().pending() == 0
        })
        .await;
        for key in keys.clone() {
            until("what is committed is shown", async || {
                *node.read(store, key).await == store.committed(&key)
            })
            .await;
        }
    }
    let [one, other] = nodes;
    until("values go through Redis", async || {
        let key = 10_000 + store.loads();
        one.read(store, key).await;
        other.read(store, key).await.outcome() == Outcome::RemoteHit
    })
    .await;
    let before = other.counters().events;
    until("pushes arrive", async || {
        ends(one.cache.invalidate(&1)).await.unwrap();
        other.counters().events > before
    })
    .await;
}

/// The node's reads come from the store, and its invalidations wait.
pub(crate) async fn does_without_redis(
    node: &Node,
    store: &CountingStore,
    keys: std::ops::Range<u64>,
) {
    for key in keys {
        let before = store.committed(&key);
        assert_eq!(*node.read(store, key).await, before);
        assert!(node.write(store, key).await);
        assert_eq!(*node.read(store, key).await, before + 1);
    }
}

/// Why these settings start nothing.
pub(crate) async fn refusal(builder: TiersBuilder) -> Error {
    ends(builder.build()).await.map(|_| "tiers").unwrap_err()
}

/// What a future answers; a call that hangs fails its test.
pub(crate) async fn ends<T>(future: impl Future<Output = T>) -> T {
    timeout(LIMIT, future).await.expect("an answer in time")
}

/// Waits for a condition that no event announces.
pub(crate) async fn until(label: &str, condition: impl AsyncFnMut() -> bool) {
    eventually_within(LIMIT, label, condition).await;
}

/// Generous: a failover takes seconds, and a loaded machine must not fail a correct test.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);
