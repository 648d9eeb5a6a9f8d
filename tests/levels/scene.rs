//! Nodes with one cache at a level, on a hub whose time the test moves.

use std::{io, sync::Arc, time::Duration};
use tokio::{task::JoinHandle, time::timeout};
use tricache::{
    Cached, Clock, Error, InProcess, Level, Loaded, ManualClock, Outcome, Policy, TieredCache,
    Tiers, TiersBuilder,
};
use tricache_test_support::{CountingStore, eventually};

pub(crate) const KEY: u64 = 1;

/// A hub and its time.
pub(crate) struct World {
    pub(crate) hub: InProcess,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) store: CountingStore,
}

/// One node.
pub(crate) struct Node {
    pub(crate) tiers: Tiers,
    pub(crate) cache: TieredCache<u64, u64>,
}

impl World {
    pub(crate) fn new() -> Self {
        let clock = Arc::new(ManualClock::new());
        // Versions are times: zero would be none.
        clock.advance(Duration::from_secs(1000));
        Self {
            hub: InProcess::with_clock(clock.clone()),
            clock,
            store: CountingStore::new(),
        }
    }

    /// Heartbeats come at the start, and when a test asks for one.
    pub(crate) fn builder(&self) -> TiersBuilder {
        let clock: Arc<dyn Clock> = self.clock.clone();
        Tiers::builder("test")
            .in_process(&self.hub)
            .clock(clock)
            .remote_timeout(Duration::from_secs(5))
            .heartbeat(Duration::from_secs(60))
    }

    pub(crate) async fn node(&self, policy: Policy) -> Node {
        Node::start(self.builder(), policy).await
    }

    pub(crate) async fn read(&self, node: &Node) -> Cached<u64> {
        node.read(&self.store).await
    }

    /// What a read answers, and how.
    pub(crate) async fn answer(&self, node: &Node) -> (u64, Outcome) {
        let cached = self.read(node).await;
        (*cached, cached.outcome())
    }

    /// Both nodes hold the first value, proven where the level serves anything unasked.
    pub(crate) async fn held_by(&self, node: &Node) {
        self.read(node).await;
        self.read(node).await;
    }

    /// The store has a newer value, and that is acknowledged, but told to nobody.
    pub(crate) async fn invalidate_unheard(&self, by: &Node) {
        self.hub.lose_pushes(true);
        self.store.commit(&KEY);
        let receipt = ends(by.cache.invalidate(&KEY)).await.unwrap();
        assert!(!receipt.is_pending());
        self.hub.lose_pushes(false);
    }

    pub(crate) fn wait(&self, millis: u64) {
        self.clock.advance(Duration::from_millis(millis));
    }
}

impl Node {
    pub(crate) async fn start(builder: TiersBuilder, policy: Policy) -> Self {
        let tiers = ends(builder.build()).await.unwrap();
        let cache = tiers.cache("number", policy).unwrap();
        Self { tiers, cache }
    }

    pub(crate) async fn read(&self, store: &CountingStore) -> Cached<u64> {
        ends(load(self.cache.clone(), store.clone(), None))
            .await
            .unwrap()
    }

    pub(crate) async fn read_tagged(&self, store: &CountingStore) -> Cached<u64> {
        ends(load(self.cache.clone(), store.clone(), Some("lamps")))
            .await
            .unwrap()
    }

    /// A read whose load is held at the store's gate.
    pub(crate) async fn held_read(
        &self,
        store: &CountingStore,
    ) -> JoinHandle<Result<Cached<u64>, Error>> {
        let waiting = store.waiting();
        store.hold();
        let reading = tokio::spawn(load(self.cache.clone(), store.clone(), None));
        store.wait_for_waiting(waiting + 1).await;
        reading
    }

    /// A heartbeat, and all that it tells of.
    pub(crate) async fn catch_up(&self) {
        ends(self.tiers.until_caught_up()).await.unwrap();
    }

    pub(crate) async fn invalidate(&self) -> tricache::Receipt {
        ends(self.cache.invalidate(&KEY)).await.unwrap()
    }

    /// Waits until nothing is pending.
    pub(crate) async fn sends_what_waits(&self) {
        eventually("what was pending is sent", async || {
            self.tiers.report().pending() == 0
        })
        .await;
    }
}

async fn load(
    cache: TieredCache<u64, u64>,
    store: CountingStore,
    tag: Option<&'static str>,
) -> Result<Cached<u64>, Error> {
    cache
        .get_or_load(&KEY, |_| async move {
            let loaded = Loaded::new(store.load(&KEY).await);
            Ok::<_, io::Error>(match tag {
                Some(tag) => loaded.tag(tag),
                None => loaded,
            })
        })
        .await
}

/// What a future answers; a call that hangs fails its test.
pub(crate) async fn ends<T>(future: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(60), future)
        .await
        .expect("an answer in time")
}

pub(crate) fn at(level: Level) -> Policy {
    Policy::ttl(Duration::from_secs(3600))
        .local_ttl(Duration::from_secs(3600))
        .hard_timeout(Duration::from_secs(600))
        .jitter(0.0)
        .early_refresh(0.0)
        .level(level)
}

pub(crate) fn bounded(millis: u64) -> Policy {
    at(Level::Bounded(Duration::from_millis(millis)))
}

pub(crate) fn strict() -> Policy {
    at(Level::Strict)
}

pub(crate) fn eventual() -> Policy {
    at(Level::Eventual)
}
