//! What can be broken.

use serde::Serialize;

/// One kind of fault.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// The master is killed, and comes back with nothing.
    RedisKilled,
    /// The master is killed, and comes back with what it saved some seconds before.
    RedisRestored,
    /// The master is stopped where it stands.
    RedisFrozen,
    /// The master is killed, and a replica is promoted; what it had not heard of is lost.
    Promoted,
    /// A replica is promoted beside the master, which one node goes on to use.
    Split,
    /// The replicas hear nothing of their master.
    ReplicasCut,
    /// The logs of the feeds are trimmed again and again, while a node hears of no event.
    Trimmed,
    /// Everything in Redis is removed.
    Flushed,
    /// Nothing passes between a node and Redis.
    Cut,
    /// A node hears of no event; all else passes.
    Deafened,
    /// All connections of a node break, again and again.
    Severed,
    /// A node is killed, and another process takes its place.
    NodeKilled,
    /// A node is stopped where it stands.
    NodePaused,
    /// A node's clock steps forward by minutes.
    ClockStepped,
}

impl Kind {
    /// All of them.
    pub(crate) const ALL: [Self; 14] = [
        Self::RedisKilled,
        Self::RedisRestored,
        Self::RedisFrozen,
        Self::Promoted,
        Self::Split,
        Self::ReplicasCut,
        Self::Trimmed,
        Self::Flushed,
        Self::Cut,
        Self::Deafened,
        Self::Severed,
        Self::NodeKilled,
        Self::NodePaused,
        Self::ClockStepped,
    ];

    /// Its name in the report.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::RedisKilled => "redis_killed",
            Self::RedisRestored => "redis_restored",
            Self::RedisFrozen => "redis_frozen",
            Self::Promoted => "promoted",
            Self::Split => "split",
            Self::ReplicasCut => "replicas_cut",
            Self::Trimmed => "trimmed",
            Self::Flushed => "flushed",
            Self::Cut => "cut",
            Self::Deafened => "deafened",
            Self::Severed => "severed",
            Self::NodeKilled => "node_killed",
            Self::NodePaused => "node_paused",
            Self::ClockStepped => "clock_stepped",
        }
    }
}
