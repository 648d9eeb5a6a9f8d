//! Nodes with a cache of numbers each, and reads that end.

use std::{io, time::Duration};
use tokio::{task::JoinHandle, time::timeout};
use tricache::{
    Cached, Counters, Error, InProcess, Outcome, Policy, TieredCache, Tiers, TiersBuilder,
};
use tricache_test_support::{CountingStore, RedisServer, eventually};

pub(crate) type Numbers = TieredCache<u64, u64>;

/// One node.
pub(crate) struct Node {
    pub(crate) tiers: Tiers,
    pub(crate) cache: Numbers,
}

impl Node {
    pub(crate) async fn start(builder: TiersBuilder) -> Self {
        Self::with(builder, patient()).await
    }

    pub(crate) async fn with(builder: TiersBuilder, policy: Policy) -> Self {
        let tiers = ends(builder.build()).await.unwrap();
        let cache = tiers.cache("number", policy).unwrap();
        Self { tiers, cache }
    }

    /// Another cache of the same node.
    pub(crate) fn of(node: &Self, cache: Numbers) -> Self {
        let tiers = node.tiers.clone();
        Self { tiers, cache }
    }

    pub(crate) fn counters(&self) -> Counters {
        *self.tiers.report().counters()
    }

    /// Reads a key, and loads it from `store` on a miss.
    pub(crate) async fn read(&self, store: &CountingStore, key: u64) -> Cached<u64> {
        ends(load(&self.cache, store, key)).await.unwrap()
    }

    /// What a read answers, and how.
    pub(crate) async fn answer(&self, store: &CountingStore, key: u64) -> (u64, Outcome) {
        let cached = self.read(store, key).await;
        (*cached, cached.outcome())
    }

    /// Reads until the value comes from this node's own memory, proven.
    pub(crate) async fn hold(&self, store: &CountingStore, key: u64) {
        eventually("served from its own memory", async || {
            self.answer(store, key).await.1 == Outcome::LocalHit
        })
        .await;
    }

    /// A read whose load has begun, and waits for [`CountingStore::release`].
    pub(crate) async fn held_read(&self, store: &CountingStore, key: u64) -> Reading {
        let waiting = store.waiting();
        store.hold();
        let (cache, store) = (self.cache.clone(), store.clone());
        let reading = tokio::spawn({
            let store = store.clone();
            async move { load(&cache, &store, key).await }
        });
        store.wait_for_waiting(waiting + 1).await;
        Reading(reading)
    }

    /// Commits, and invalidates; it is acknowledged.
    pub(crate) async fn change(&self, store: &CountingStore, key: u64) {
        store.commit(&key);
        let receipt = ends(self.cache.invalidate(&key)).await.unwrap();
        assert!(!receipt.is_pending());
    }
}

/// A read under way.
pub(crate) struct Reading(JoinHandle<Result<Cached<u64>, Error>>);

impl Reading {
    pub(crate) async fn value(self) -> u64 {
        *ends(self.0).await.unwrap().unwrap()
    }
}

/// What a future answers; a call that hangs fails its test.
pub(crate) async fn ends<T>(future: impl Future<Output = T>) -> T {
    timeout(HANGS, future).await.expect("an answer in time")
}

async fn load(cache: &Numbers, store: &CountingStore, key: u64) -> Result<Cached<u64>, Error> {
    let store = store.clone();
    cache
        .get_or_load(&key, |_| async move {
            Ok::<_, io::Error>(store.load(&key).await)
        })
        .await
}

/// Values that stay local for ten minutes, and calls that are not given up.
pub(crate) fn patient() -> Policy {
    let long = Duration::from_secs(600);
    Policy::ttl(long).local_ttl(long).hard_timeout(long)
}

/// Settings of a node at this address. The machines of tests are slow at times: a timeout would be a different test.
pub(crate) fn at(url: &str) -> TiersBuilder {
    Tiers::builder("test")
        .redis(url)
        .remote_timeout(Duration::from_secs(5))
}

pub(crate) fn in_process(hub: &InProcess) -> TiersBuilder {
    Tiers::builder("test").in_process(hub)
}

/// Begins the feeds of the buckets that these keys are in, so that a first heartbeat proves them.
pub(crate) async fn use_buckets(builder: TiersBuilder, keys: &[u64]) {
    let node = Node::start(builder).await;
    let receipt = ends(node.cache.invalidate_many(keys)).await.unwrap();
    assert!(!receipt.is_pending());
}

/// Reads show what is committed, values go through Redis, and pushes arrive.
pub(crate) async fn work_again(nodes: [&Node; 2], store: &CountingStore, keys: &[u64]) {
    for node in nodes {
        eventually("nothing waits", async || node.tiers.report().pending() == 0).await;
        for key in keys {
            eventually("what is committed is shown", async || {
                *node.read(store, *key).await == store.committed(key)
            })
            .await;
        }
    }
    let [one, other] = nodes;
    eventually("values go through Redis", async || {
        let key = 10_000 + store.loads();
        one.read(store, key).await;
        other.answer(store, key).await.1 == Outcome::RemoteHit
    })
    .await;
    let before = other.counters().events;
    eventually("pushes arrive", async || {
        one.cache.invalidate(&keys[0]).await.unwrap();
        other.counters().events > before
    })
    .await;
}

/// Sets a setting of a running server.
pub(crate) fn set(redis: &RedisServer, name: &str, value: &str) {
    assert_eq!(redis.command(&["CONFIG", "SET", name, value]), "OK");
}

/// Between two heartbeats, so that none comes after the start.
pub(crate) const QUIET: Duration = Duration::from_secs(60);
/// Between two heartbeats, so that much is noticed soon.
pub(crate) const SOON: Duration = Duration::from_millis(50);
/// Far beyond every limit of the library, however slow the machine.
const HANGS: Duration = Duration::from_secs(60);
