//! A node with tricache, as a service would use it.

use std::{sync::Arc, time::Duration};

use tricache::{Outcome, TieredCache, Tiers};

use super::{plan::Plan, reader::Served, slow_store::SlowStore};
use crate::{failure::Failure, store::Row};

/// One node: its tiers, and the loader that asks the store.
pub(super) struct Node {
    tiers: Tiers,
    rows: TieredCache<u32, Row>,
    store: Arc<SlowStore>,
}

impl Node {
    /// A node of the plan's settings over the Redis at `url`.
    ///
    /// # Errors
    /// When it cannot be built, as when Redis cannot be reached.
    pub(super) async fn new(
        plan: &Plan,
        url: &str,
        store: &Arc<SlowStore>,
    ) -> Result<Self, Failure> {
        let failed = |error| Failure::new("cannot build a node", error);
        let mut builder = Tiers::builder(NAMESPACE).skip_slow_redis(plan.skips_slow);
        if plan.is_shared() {
            builder = builder.redis(url);
        }
        if let Some(limit) = plan.limit() {
            builder = builder.max_loads(limit);
        }
        if let Some(limit) = plan.remote_timeout() {
            builder = builder.remote_timeout(limit);
        }
        let tiers = builder.build().await.map_err(failed)?;
        let rows = tiers.cache("row", plan.policy()).map_err(failed)?;
        Ok(Self {
            tiers,
            rows,
            store: Arc::clone(store),
        })
    }

    /// Reads a row through the tiers.
    ///
    /// # Errors
    /// With the message of the cache.
    pub(super) async fn read(&self, key: u32) -> Result<Served, String> {
        let load = |_| {
            let store = Arc::clone(&self.store);
            async move { store.load(key).await }
        };
        let row = self.rows.get_or_load(&key, load).await;
        let row = row.map_err(|error| error.to_string())?;
        if row.id != key {
            return Err(format!("row {} in place of row {key}", row.id));
        }
        Ok(served(row.outcome()))
    }

    /// Tells all nodes that the row has changed.
    pub(super) async fn invalidate(&self, key: u32) {
        // An error is one of a closed cache, and then there is nothing to tell.
        let _ = self.rows.invalidate(&key).await;
    }

    /// Ends the node's tasks.
    pub(super) async fn shutdown(&self) {
        self.tiers.shutdown(DRAIN).await;
    }
}

fn served(outcome: Outcome) -> Served {
    match outcome {
        Outcome::LocalHit | Outcome::LocalRevalidated | Outcome::RemoteHit => Served::Hit,
        Outcome::Stale => Served::Stale,
        Outcome::StaleIfError => Served::StandIn,
        Outcome::LocalUnproven => Served::Unproven,
        _ => Served::Loaded,
    }
}

const NAMESPACE: &str = "scenario";
const DRAIN: Duration = Duration::from_secs(1);
