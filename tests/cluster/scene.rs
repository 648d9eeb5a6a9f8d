//! Two nodes of a service around a private cluster.

use std::{io, time::Duration};
use tokio::time::timeout;
use tricache::{
    Cached, Counters, Error, Outcome, Policy, RemoteState, TieredCache, Tiers, TiersBuilder,
};
use tricache_test_support::{CountingStore, RedisCluster, eventually_within};

/// A cluster, and two nodes that share it.
pub(crate) struct Scene {
    pub(crate) cluster: RedisCluster,
    pub(crate) store: CountingStore,
    pub(crate) one: Node,
    pub(crate) other: Node,
}

/// One node: its tiers, and a cache of numbers.
#[derive(Clone)]
pub(crate) struct Node {
    pub(crate) tiers: Tiers,
    pub(crate) cache: TieredCache<u64, u64>,
}

impl Scene {
    pub(crate) async fn start() -> Self {
        Self::start_with(|builder| builder).await
    }

    pub(crate) async fn start_with(settings: impl Fn(TiersBuilder) -> TiersBuilder) -> Self {
        let cluster = RedisCluster::start();
        let one = Node::start(settings(builder(&cluster))).await;
        let other = Node::start(settings(builder(&cluster))).await;
        Self {
            cluster,
            store: CountingStore::new(),
            one,
            other,
        }
    }

    /// One whose masters are given up when they are silent, by the cluster and by the nodes.
    pub(crate) async fn that_fails_over() -> Self {
        let quick = |builder: TiersBuilder| builder.remote_timeout(Duration::from_millis(500));
        let scene = Self::start_with(quick).await;
        scene.cluster.fail_over_after(Duration::from_secs(2));
        scene
    }

    pub(crate) fn nodes(&self) -> [&Node; 2] {
        [&self.one, &self.other]
    }

    /// Waits until both nodes speak to the masters of all slots, and nothing waits to be told.
    pub(crate) async fn is_whole(&self) {
        for node in self.nodes() {
            node.waits("all slots are served and nothing is pending", |report| {
                report.remote() == RemoteState::Up
                    && report.uncovered_buckets() == 0
                    && report.pending() == 0
            })
            .await;
        }
    }

    /// Waits until whatever one node loads of these keys is found in Redis by the other, in every bucket.
    pub(crate) async fn values_are_shared(&self, keys: std::ops::Range<u64>) {
        let mut round = 0;
        eventually_within(LIMIT, "values are shared in all buckets", async || {
            // Fresh ones: what could not be stored stays with its node for a second.
            round += 1;
            let mut shared = true;
            for key in keys.clone().map(|key| key + round * 1_000_000) {
                self.one.read(&self.store, key).await;
                let found = self.other.read(&self.store, key).await;
                shared &= found.outcome() == Outcome::RemoteHit;
            }
            shared
        })
        .await;
    }

    /// Waits until what one node invalidates of these keys is loaded anew by the other, which held it.
    pub(crate) async fn invalidations_are_heard(&self, keys: std::ops::Range<u64>) {
        for key in keys {
            self.other.read(&self.store, key).await;
            let committed = self.store.commit(&key);
            ends(self.one.cache.invalidate(&key)).await.unwrap();
            eventually_within(LIMIT, "the other node has heard of it", async || {
                *self.other.read(&self.store, key).await == committed
            })
            .await;
        }
    }

    /// A key of the cache whose bucket is this one, among those that were read.
    pub(crate) fn key_in(&self, bucket: u16, asked: usize) -> Option<u64> {
        let owner = self.cluster.owner(asked, &tag_of(bucket));
        let pointers = format!("tc1:{}:p:number/*", tag_of(bucket));
        let found = self.cluster.node(owner).command(&["KEYS", &pointers]);
        let name = found.split_whitespace().next()?;
        name.rsplit_once('/')?.1.parse().ok()
    }
}

impl Node {
    pub(crate) async fn start(builder: TiersBuilder) -> Self {
        let tiers = ends(builder.build()).await.unwrap();
        // The deadline of a call is not meant where nothing is said of it.
        let policy = Policy::ttl(Duration::from_secs(600)).hard_timeout(Duration::from_secs(60));
        let cache = tiers.cache("number", policy).unwrap();
        Self { tiers, cache }
    }

    pub(crate) async fn read(&self, store: &CountingStore, key: u64) -> Cached<u64> {
        ends(self.load(store, key)).await.unwrap()
    }

    pub(crate) async fn load(&self, store: &CountingStore, key: u64) -> Result<Cached<u64>, Error> {
        let store = store.clone();
        self.cache
            .get_or_load(&key, |_| async move {
                Ok::<_, io::Error>(store.load(&key).await)
            })
            .await
    }

    pub(crate) fn counters(&self) -> Counters {
        *self.tiers.report().counters()
    }

    /// Whether it speaks to a server on this port.
    pub(crate) fn speaks_to(&self, port: u16) -> bool {
        let address = format!("127.0.0.1:{port}");
        let report = self.tiers.report();
        report.nodes().iter().any(|node| node.address() == address)
    }

    pub(crate) async fn waits(&self, label: &str, what: impl Fn(&tricache::Report) -> bool) {
        let node = self;
        eventually_within(LIMIT, label, async || what(&node.tiers.report())).await;
    }
}

/// The settings of one more node.
pub(crate) fn builder(cluster: &RedisCluster) -> TiersBuilder {
    // The machines of tests are slow at times: a timeout would be a different test.
    Tiers::builder("test")
        .remote_timeout(Duration::from_secs(5))
        .redis_cluster(cluster.seeds())
}

/// By which the cluster finds the slot of a bucket; the tags' is the last.
pub(crate) fn tag_of(bucket: u16) -> String {
    if bucket == TAGS {
        "{test:tags}".to_owned()
    } else {
        format!("{{test:{bucket}}}")
    }
}

/// What a future answers; a call that hangs fails its test.
pub(crate) async fn ends<T>(future: impl Future<Output = T>) -> T {
    timeout(LIMIT, future).await.expect("an answer in time")
}

/// The bucket of all tags.
pub(crate) const TAGS: u16 = 64;
/// So many that each bucket has some.
pub(crate) const MANY: u64 = 400;
/// A failover takes some seconds, and more on a machine that is busy.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);
