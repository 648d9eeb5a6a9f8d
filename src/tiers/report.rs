//! What a `Tiers` says of itself.

use super::{EdgeReport, NodeReport};
use crate::{
    engine::{Engine, Left},
    load::Loads,
    model::{Level, millis},
    observe::Counters,
    remote::{Advice, Fencing, Standing, Trouble},
};
use serde::Serialize;
use std::time::Duration;

/// What a [`Tiers`](crate::Tiers) is doing, at one moment.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    enabled: bool,
    level: Level,
    remote: RemoteState,
    nodes: Vec<NodeReport>,
    uncovered_buckets: usize,
    outage: Option<Outage>,
    master: Option<String>,
    agrees: bool,
    fencing: Fencing,
    advice: Vec<Advice>,
    pending: usize,
    proven_buckets: usize,
    buckets: usize,
    bumped_tags: usize,
    edge: Option<EdgeReport>,
    loads: Loads,
    counters: Counters,
}

impl Report {
    pub(super) fn of(engine: &Engine) -> Self {
        let now = millis(engine.clock.now());
        Self {
            enabled: engine.enabled,
            level: Level::Eventual,
            remote: RemoteState::of(engine.remote.standing()),
            nodes: engine
                .remote
                .nodes()
                .into_iter()
                .map(NodeReport::of)
                .collect(),
            uncovered_buckets: engine.remote.uncovered(),
            outage: engine.remote.trouble().map(Outage::of),
            master: engine.remote.master(),
            agrees: engine.proofs.agree(),
            fencing: engine.remote.fencing(),
            advice: engine.remote.advice(),
            pending: engine.journal().len(),
            proven_buckets: engine.proofs.live(now),
            buckets: usize::from(engine.layout.feeds()),
            bumped_tags: engine.tags.len(),
            edge: engine
                .errands()
                .map(|errands| EdgeReport::of(errands.standing())),
            loads: engine.loads.loads(),
            counters: engine.observers.counters(),
        }
    }

    /// Whether the cache is on: [`TiersBuilder::enabled`](crate::TiersBuilder::enabled) and the environment variable `TRICACHE` say so.
    ///
    /// While it is off every read runs its loader, and invalidations are still sent.
    #[must_use]
    pub fn enabled(&self) -> bool {
        self.enabled
    }

    /// The level that every read can rely on.
    #[must_use]
    pub fn level(&self) -> Level {
        self.level
    }

    /// Whether Redis answers. Of a cluster the worst: [`nodes`](Self::nodes) says who it is.
    #[must_use]
    pub fn remote(&self) -> RemoteState {
        self.remote
    }

    /// Each server that has any buckets: one, or the masters of a cluster; a hub in memory has none.
    #[must_use]
    pub fn nodes(&self) -> &[NodeReport] {
        &self.nodes
    }

    /// Buckets whose slot no node of the cluster has: their values come from the store, their invalidations are pending. Zero
    /// where there is no cluster.
    #[must_use]
    pub fn uncovered_buckets(&self) -> usize {
        self.uncovered_buckets
    }

    /// Since when calls are not sent to Redis, and how many failed in a row; `None` while it is up.
    ///
    /// A hub in memory has no outages.
    #[must_use]
    pub fn outage(&self) -> Option<Outage> {
        self.outage
    }

    /// The server that the sentinels name, as `host:port`; `None` before they did, and without
    /// [sentinels](crate::TiersBuilder::redis_sentinel).
    #[must_use]
    pub fn master(&self) -> Option<&str> {
        self.master.as_deref()
    }

    /// Whether all nodes of the namespace have the same format, buckets and feed, as far as known.
    ///
    /// While they do not, nothing is served from this process without asking Redis: two releases or two settings share
    /// one namespace, and this node hears nothing of what the others invalidate.
    #[must_use]
    pub fn agrees(&self) -> bool {
        self.agrees
    }

    /// How it is noticed that another server answers, which may not know of the last invalidations: a replica that was promoted,
    /// or one that was restarted with older data. Whatever was stored before is loaded anew then.
    #[must_use]
    pub fn fencing(&self) -> Fencing {
        self.fencing
    }

    /// What the server's settings may lead to: found at the start, and again after each outage.
    #[must_use]
    pub fn advice(&self) -> &[Advice] {
        &self.advice
    }

    /// Invalidations that Redis did not take yet.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.pending
    }

    /// Buckets whose feed is proven to be live; entries of the others are confirmed by Redis at each read.
    #[must_use]
    pub fn proven_buckets(&self) -> usize {
        self.proven_buckets
    }

    /// All buckets, that of the tags among them. In Redis one that nobody has used yet is not proven.
    #[must_use]
    pub fn buckets(&self) -> usize {
        self.buckets
    }

    /// Tags that this node remembers as invalidated. It forgets those that are older than the longest life of a value.
    #[must_use]
    pub fn bumped_tags(&self) -> usize {
        self.bumped_tags
    }

    /// How it stands with the edge; `None` where none is [configured](crate::TiersBuilder::edge).
    #[must_use]
    pub fn edge(&self) -> Option<&EdgeReport> {
        self.edge.as_ref()
    }

    /// The loads of all caches, running and queued, and how many may run at once.
    #[must_use]
    pub fn loads(&self) -> Loads {
        self.loads
    }

    /// What happened so far.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }
}

/// Whether the remote tier answers, as far as known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RemoteState {
    /// It answers.
    Up,
    /// It answers, but later than the store: reads go to the store, invalidations are sent and heard.
    Slow,
    /// A call failed, and no probe was answered in time since: one is under way, or Redis answers too slowly. Reads go to the store meanwhile.
    Probing,
    /// The probe failed too, or nothing was answered yet: reads go to the store, and probes go on.
    Away,
}

impl RemoteState {
    pub(super) fn of(standing: Standing) -> Self {
        match standing {
            Standing::Up => Self::Up,
            Standing::Slow => Self::Slow,
            Standing::Probing => Self::Probing,
            Standing::Away => Self::Away,
        }
    }
}

/// How it stands with a Redis that does not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Outage {
    failures: u32,
    lasting: Duration,
}

impl Outage {
    fn of(trouble: Trouble) -> Self {
        Self {
            failures: trouble.failures,
            lasting: trouble.lasting,
        }
    }

    /// Calls and probes that failed in a row.
    #[must_use]
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// Time since the first of them began, or since the start where nothing was ever answered.
    #[must_use]
    pub fn lasting(&self) -> Duration {
        self.lasting
    }
}

/// What a shutdown left behind.
#[derive(Clone, Copy, Debug)]
pub struct Drained {
    unfinished: usize,
    pending: usize,
    purges: usize,
}

impl Drained {
    /// Whether nothing was left.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.pending == 0 && self.unfinished == 0
    }

    /// Loads, refreshes and writes that were ended before they were done. What they would have filled is loaded again by whoever
    /// asks next; a lease that they held ends by itself within seconds.
    #[must_use]
    pub fn unfinished(&self) -> usize {
        self.unfinished
    }

    /// Invalidations that Redis never took: other nodes keep the old values up to their TTL.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.pending
    }
}

impl Drained {
    /// Purges that were not done for good. What stands in the purge record is purged by another node, or by this one when it
    /// starts again; a purge of what is [pending](Self::pending) is lost.
    #[must_use]
    pub fn purges(&self) -> usize {
        self.purges
    }
}

impl From<Left> for Drained {
    fn from(left: Left) -> Self {
        Self {
            unfinished: left.tasks,
            pending: left.pending,
            purges: left.purges,
        }
    }
}
