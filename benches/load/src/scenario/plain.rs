//! A node without tricache: `GET`, else the store, then `SET` with a TTL, over redis-rs with its defaults.
//!
//! No flight, no lease, no limit on loads, no stale window, no deadline. Trouble with Redis is a miss.

use std::{sync::Arc, time::Duration};

use redis::{AsyncCommands, Client, RedisResult, aio::ConnectionManager};

use super::{reader::Served, slow_store::SlowStore};
use crate::failure::Failure;

/// One node: a connection, and the store.
pub(super) struct Plain {
    redis: ConnectionManager,
    store: Arc<SlowStore>,
    ttl: Duration,
}

impl Plain {
    /// A node over the Redis at `url`.
    ///
    /// # Errors
    /// When Redis cannot be reached.
    pub(super) async fn new(
        url: &str,
        store: &Arc<SlowStore>,
        ttl: Duration,
    ) -> Result<Self, Failure> {
        let failed = |error| Failure::new("cannot connect to Redis", error);
        let client = Client::open(url).map_err(failed)?;
        let redis = client.get_connection_manager().await.map_err(failed)?;
        Ok(Self {
            redis,
            store: Arc::clone(store),
            ttl,
        })
    }

    /// Reads a row.
    ///
    /// # Errors
    /// When the store fails.
    pub(super) async fn read(&self, key: u32) -> Result<Served, String> {
        let mut redis = self.redis.clone();
        let held: RedisResult<Option<String>> = redis.get(name(key)).await;
        if let Ok(Some(_)) = held {
            return Ok(Served::Hit);
        }
        let row = self.store.load(key).await;
        let row = row.map_err(|error| error.to_string())?;
        let millis = u64::try_from(self.ttl.as_millis()).unwrap_or(u64::MAX);
        // A value that is not stored is loaded again, which is all that cache-aside has to say about it.
        let _: RedisResult<()> = redis.pset_ex(name(key), row.payload, millis).await;
        Ok(Served::Loaded)
    }

    /// Removes the row from Redis.
    pub(super) async fn invalidate(&self, key: u32) {
        let mut redis = self.redis.clone();
        let _: RedisResult<()> = redis.del(name(key)).await;
    }
}

fn name(key: u32) -> String {
    format!("plain:{key}")
}
