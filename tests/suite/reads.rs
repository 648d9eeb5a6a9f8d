//! Reads that end: through a cache, from a store on a miss, and never longer than a test is willing to wait.

use crate::nodes::{Node, Remote};
use std::{collections::HashMap, io, time::Duration};
use tokio::{task::JoinHandle, time::timeout};
use tricache::{Cached, Counters, Error, Policy, TieredCache, Tiers, TiersBuilder};
use tricache_test_support::{CountingStore, RedisServer};

/// The cache that every [`Node`] has.
pub(crate) type Numbers = TieredCache<u64, u64>;

/// What a future answers; a call that hangs fails its test.
pub(crate) async fn ends<T>(future: impl Future<Output = T>) -> T {
    timeout(HANGS, future).await.expect("an answer in time")
}

/// Reads one key, loading it from `store` on a miss.
pub(crate) async fn read(cache: &Numbers, store: &CountingStore, key: u64) -> Cached<u64> {
    ends(load(cache, store, key)).await.unwrap()
}

/// The same in a task of its own, for reads that are to wait.
pub(crate) fn spawn_read(cache: &Numbers, store: &CountingStore, key: u64) -> Reading {
    let (cache, store) = (cache.clone(), store.clone());
    Reading(tokio::spawn(async move { load(&cache, &store, key).await }))
}

/// A read that has begun its load, and is held there by the store: later loads of that store are held, too.
pub(crate) async fn held_read(node: &Node, store: &CountingStore, key: u64) -> Reading {
    let waiting = store.waiting();
    store.hold();
    let reading = spawn_read(&node.cache, store, key);
    store.wait_for_waiting(waiting + 1).await;
    reading
}

/// A read under way. Dropping it leaves it alone.
pub(crate) struct Reading(JoinHandle<Result<Cached<u64>, Error>>);

impl Reading {
    pub(crate) async fn result(self) -> Result<Cached<u64>, Error> {
        ends(self.0).await.unwrap()
    }

    pub(crate) async fn value(self) -> u64 {
        *self.result().await.unwrap()
    }

    /// Drops the call, as a request is dropped whose client went away.
    pub(crate) async fn drop_caller(self) {
        self.0.abort();
        assert!(ends(self.0).await.unwrap_err().is_cancelled());
    }
}

async fn load(cache: &Numbers, store: &CountingStore, key: u64) -> Result<Cached<u64>, Error> {
    let store = store.clone();
    cache
        .get_or_load(&key, |_| async move {
            Ok::<_, io::Error>(store.load(&key).await)
        })
        .await
}

/// What a node has counted so far.
pub(crate) fn counters(node: &Node) -> Counters {
    *node.tiers.report().counters()
}

impl Remote {
    pub(crate) fn around_redis() -> Self {
        Self::Redis(RedisServer::start())
    }

    /// The Redis, to look into it or to break it.
    pub(crate) fn server(&self) -> &RedisServer {
        match self {
            Self::Redis(redis) => redis,
            Self::Hub(_) => panic!("a hub is not a server"),
        }
    }

    /// The name of the one key in Redis that matches.
    pub(crate) fn only_key(&self, pattern: &str) -> String {
        let keys = self.server().command(&["KEYS", pattern]);
        assert_eq!(keys.lines().count(), 1, "{pattern}: {keys}");
        keys
    }

    /// A node that no heartbeat tells of anything, and that finds the epochs of these keys' buckets begun.
    pub(crate) async fn quiet_node(&self, keys: impl IntoIterator<Item = u64>) -> Node {
        self.use_buckets(keys).await;
        Node::start(self.builder().heartbeat(QUIET)).await
    }

    /// Begins the epochs of the buckets that these keys are in.
    pub(crate) async fn use_buckets(&self, keys: impl IntoIterator<Item = u64>) {
        let node = self.node().await;
        let keys: Vec<_> = keys.into_iter().collect();
        let receipt = node.cache.invalidate_many(&keys).await.unwrap();
        assert!(!receipt.is_pending());
    }
}

/// Two keys whose invalidations follow each other in one feed. Their buckets are in use afterwards.
pub(crate) async fn neighbours(cache: &Numbers) -> (u64, u64) {
    let mut seen = HashMap::new();
    for key in 1000.. {
        let receipt = ends(cache.invalidate(&key)).await.unwrap();
        if let Some(other) = seen.insert(receipt.stamps()[0].bucket(), key) {
            return (other, key);
        }
    }
    unreachable!("there are more keys than buckets")
}

/// A cache that is not the node's own.
pub(crate) async fn numbers(builder: TiersBuilder, policy: Policy) -> (Tiers, Numbers) {
    let tiers = builder.build().await.unwrap();
    let cache = tiers.cache("number", policy).unwrap();
    (tiers, cache)
}

/// Puts what Redis holds of `key` into this node, proven.
#[cfg(feature = "proof")]
pub(crate) async fn hold_locally(node: &Node, store: &CountingStore, key: u64) {
    read(&node.cache, store, key).await;
    let again = read(&node.cache, store, key).await;
    assert_eq!(again.outcome(), tricache::Outcome::LocalHit);
}

/// Waits until this node serves the key from its own memory: a feed counts as live for two heartbeats only, and on a
/// slow machine short ones are late.
#[cfg(feature = "proof")]
pub(crate) async fn served_locally(node: &Node, store: &CountingStore, key: u64) {
    tricache_test_support::eventually("served from its own memory", async || {
        read(&node.cache, store, key).await.outcome() == tricache::Outcome::LocalHit
    })
    .await;
}

/// Between two heartbeats, so that none comes after the start; what the start has proven stays so for two of them.
pub(crate) const QUIET: Duration = Duration::from_secs(60);

/// A call that takes this long hangs: far beyond every limit of the library, however slow the machine.
const HANGS: Duration = Duration::from_secs(60);
