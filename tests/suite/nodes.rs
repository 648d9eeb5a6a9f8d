//! Several nodes in one process, around a Redis or around a hub.

use std::time::Duration;
use tricache::{InProcess, Policy, TieredCache, Tiers, TiersBuilder};
use tricache_test_support::RedisServer;

/// What the nodes share.
pub(crate) enum Remote {
    Redis(RedisServer),
    Hub(InProcess),
}

impl Remote {
    /// One of each kind: what holds must hold on both.
    pub(crate) fn both() -> Vec<Self> {
        vec![
            Self::Hub(InProcess::new()),
            Self::Redis(RedisServer::start()),
        ]
    }

    /// The settings of one more node.
    pub(crate) fn builder(&self) -> TiersBuilder {
        // The machines of tests are slow at times: a timeout would be a different test.
        let builder = Tiers::builder("test").remote_timeout(Duration::from_secs(5));
        match self {
            Self::Redis(redis) => builder.redis(&redis.url()),
            Self::Hub(hub) => builder.in_process(hub),
        }
    }

    /// One more node.
    pub(crate) async fn node(&self) -> Node {
        Node::start(self.builder()).await
    }
}

/// One node: its tiers, and a cache of numbers.
pub(crate) struct Node {
    pub(crate) tiers: Tiers,
    pub(crate) cache: TieredCache<u64, u64>,
}

impl Node {
    pub(crate) async fn start(builder: TiersBuilder) -> Self {
        let tiers = builder.build().await.unwrap();
        // Nor is the deadline of a call meant where nothing is said of it.
        let policy = Policy::ttl(Duration::from_secs(600)).hard_timeout(Duration::from_secs(600));
        let cache = tiers.cache("number", policy).unwrap();
        Self { tiers, cache }
    }
}
