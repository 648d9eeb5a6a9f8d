//! What one pass happens in: a store, a Redis of its own, perhaps a network that breaks, and the nodes.

use std::{net::SocketAddr, sync::Arc};

use futures_util::future::{join_all, try_join_all};
use tokio::sync::Semaphore;
use tricache_test_support::Proxy;

use super::{
    node::Node, pass::Side, plain::Plain, plan::Plan, reader::Reader, slow_store::SlowStore,
};
use crate::{failure::Failure, redis_server::RedisServer};

/// Everything that a pass needs, started and warm. Dropping it ends the redis-server.
pub(super) struct World {
    pub(super) store: Arc<SlowStore>,
    pub(super) readers: Vec<Arc<Reader>>,
    pub(super) redis: RedisServer,
    pub(super) proxy: Option<Proxy>,
}

impl World {
    /// Starts everything, and reads each key on each node.
    ///
    /// # Errors
    /// When there is no redis-server, or a node cannot be built or not be warmed.
    ///
    /// # Cancel safety
    /// Dropping this future ends what was started.
    pub(super) async fn start(plan: &Plan, side: Side) -> Result<Self, Failure> {
        let store = Arc::new(SlowStore::new(plan.store.while_warming));
        let redis = RedisServer::start().await?;
        let proxy = match plan.needs_proxy() {
            true => Some(Proxy::start(SocketAddr::from(redis.address())).await),
            false => None,
        };
        let url = proxy.as_ref().map_or_else(|| redis.url(), Proxy::url);
        let mut readers = Vec::with_capacity(plan.nodes);
        for _ in 0..plan.nodes {
            readers.push(Arc::new(match side {
                Side::With => Reader::Cached(Node::new(plan, &url, &store).await?),
                Side::Without => Reader::Plain(Plain::new(&url, &store, plan.ttl).await?),
            }));
        }
        let world = Self {
            store,
            readers,
            redis,
            proxy,
        };
        world.warm(plan).await?;
        Ok(world)
    }

    /// Ends the nodes' tasks.
    pub(super) async fn shutdown(&self) {
        join_all(self.readers.iter().map(|reader| reader.shutdown())).await;
    }

    /// Each node loads a part of the keys, all at the same time; then each reads the others'.
    async fn warm(&self, plan: &Plan) -> Result<(), Failure> {
        for turn in 0..self.readers.len() {
            let readers = self.readers.iter().enumerate();
            let nodes = readers.map(|(node, reader)| {
                let turn = (node + turn) % self.readers.len();
                let part = (0..plan.keys).skip(turn).step_by(self.readers.len());
                read_all(reader, part, plan.limit)
            });
            try_join_all(nodes).await?;
        }
        self.store.take(plan.store.usually);
        Ok(())
    }
}

async fn read_all(
    reader: &Reader,
    keys: impl Iterator<Item = u32>,
    at_once: usize,
) -> Result<(), Failure> {
    let places = &Semaphore::new(at_once);
    let reads = keys.map(|key| async move {
        let _place = places.acquire().await;
        read_once(reader, key).await
    });
    let reads = try_join_all(reads).await;
    reads
        .map(drop)
        .map_err(|error| Failure::new("cannot warm a node", error))
}

/// A busy machine may need more than a deadline for its first reads.
async fn read_once(reader: &Reader, key: u32) -> Result<(), String> {
    let mut read = reader.read(key).await;
    for _ in 1..ATTEMPTS {
        if read.is_ok() {
            break;
        }
        read = reader.read(key).await;
    }
    read.map(drop)
}

const ATTEMPTS: usize = 20;
