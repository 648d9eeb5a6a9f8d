//! The nodes under load: the only place that calls tricache.

use std::{sync::Arc, time::Duration};

use tricache::{InProcess, Outcome, Policy, TieredCache, Tiers};

use crate::{
    failure::Failure,
    store::{Row, Store},
};

/// One node: its own tiers, over the remote and the store that all share.
pub(crate) struct Node {
    tiers: Tiers,
    rows: TieredCache<u32, Row>,
    store: Arc<Store>,
}

/// What a read returned.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The commit of the row.
    pub(crate) commit: u64,
    /// The tier it came from.
    pub(crate) class: Class,
    /// Whether it is the row that was asked for, and of one piece.
    pub(crate) is_whole: bool,
}

/// What nodes counted by themselves.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counted {
    /// Reads that joined the flight of another read of their node, wherever it ended.
    pub(crate) joined: u64,
    /// Calls that the remote tier did not answer in time, or not well.
    pub(crate) remote_errors: u64,
}

impl std::iter::Sum for Counted {
    fn sum<I: Iterator<Item = Self>>(nodes: I) -> Self {
        nodes.fold(Self::default(), |sum, node| Self {
            joined: sum.joined + node.joined,
            remote_errors: sum.remote_errors + node.remote_errors,
        })
    }
}

/// Where an answer came from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Class {
    /// This node's memory.
    Local,
    /// The remote tier.
    Remote,
    /// The store, by an own load or one that was joined.
    Load,
}

impl Node {
    /// Builds `count` nodes that share the Redis at `redis`, or else a hub in this process.
    ///
    /// # Errors
    /// When a node cannot be built, as when Redis cannot be reached.
    pub(crate) async fn fleet(
        count: usize,
        redis: Option<&str>,
        namespace: &str,
        store: &Arc<Store>,
    ) -> Result<Vec<Arc<Self>>, Failure> {
        let hub = InProcess::new();
        let mut nodes = Vec::with_capacity(count);
        for _ in 0..count {
            let builder = Tiers::builder(namespace);
            let builder = match redis {
                Some(url) => builder.redis(url),
                None => builder.in_process(&hub),
            };
            let failed = |error| Failure::new("cannot build a node", error);
            let tiers = builder.build().await.map_err(failed)?;
            let rows = tiers.cache("row", POLICY).map_err(failed)?;
            nodes.push(Arc::new(Self {
                tiers,
                rows,
                store: store.clone(),
            }));
        }
        Ok(nodes)
    }

    /// Reads a row through the tiers.
    ///
    /// # Errors
    /// With the message of the cache.
    pub(crate) async fn read(&self, id: u32) -> Result<Answer, tricache::Error> {
        let load = |_| {
            let store = self.store.clone();
            async move { store.load(id).await }
        };
        let row = self.rows.get_or_load(&id, load).await?;
        let class = class(row.outcome());
        // A local hit is what was checked when it came; checking it again would cost more than the hit.
        let is_whole = row.id == id && (class == Class::Local || row.is_whole());
        Ok(Answer {
            commit: row.commit,
            class,
            is_whole,
        })
    }

    /// Tells all nodes that the row has changed, and whether that was acknowledged rather than left pending.
    ///
    /// # Errors
    /// With the message of the cache.
    pub(crate) async fn invalidate(&self, id: u32) -> Result<bool, tricache::Error> {
        let receipt = self.rows.invalidate(&id).await?;
        Ok(!receipt.is_pending())
    }

    /// What the node counted by itself.
    pub(crate) fn counted(&self) -> Counted {
        let report = self.tiers.report();
        let counters = report.counters();
        Counted {
            joined: counters.flights_joined,
            remote_errors: counters.remote_errors,
        }
    }

    /// Ends the node's tasks.
    pub(crate) async fn shutdown(&self) {
        // What is still pending was counted when its receipt said so.
        self.tiers.shutdown(DRAIN).await;
    }
}

fn class(outcome: Outcome) -> Class {
    match outcome {
        Outcome::LocalHit | Outcome::LocalRevalidated | Outcome::LocalUnproven => Class::Local,
        Outcome::RemoteHit => Class::Remote,
        _ => Class::Load,
    }
}

const POLICY: Policy = Policy::ttl(Duration::from_secs(3600));
const DRAIN: Duration = Duration::from_secs(2);
