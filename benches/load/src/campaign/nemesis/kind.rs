//! What can be broken.

use serde::Serialize;

use super::super::servers::TopologyName;

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
    /// A replica is made the master although the old one is well.
    HandedOver,
    /// A sentinel is killed, misses a handover, and comes back.
    SentinelKilled,
    /// A sentinel is stopped where it stands, and misses a handover.
    SentinelFrozen,
    /// A slot of a cluster moves to another master and back.
    SlotMoved,
    /// A node does not reach the servers of one share of a cluster, and all others.
    PartlyCut,
}

impl Kind {
    /// Those that a topology has, each of which its campaign makes at least once.
    pub(crate) fn of(topology: TopologyName) -> Vec<Self> {
        let mut kinds = Self::ANYWHERE.to_vec();
        match topology {
            TopologyName::Standalone => kinds.extend([Self::Split]),
            TopologyName::Sentinel => kinds.extend([
                Self::Split,
                Self::HandedOver,
                Self::SentinelKilled,
                Self::SentinelFrozen,
            ]),
            TopologyName::Cluster => {
                kinds.extend([Self::HandedOver, Self::SlotMoved, Self::PartlyCut]);
            }
        }
        // The order in which a seed finds them.
        kinds.sort_unstable();
        kinds
    }

    /// Those of all topologies.
    const ANYWHERE: [Self; 13] = [
        Self::RedisKilled,
        Self::RedisRestored,
        Self::RedisFrozen,
        Self::Promoted,
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
            Self::HandedOver => "handed_over",
            Self::SentinelKilled => "sentinel_killed",
            Self::SentinelFrozen => "sentinel_frozen",
            Self::SlotMoved => "slot_moved",
            Self::PartlyCut => "partly_cut",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_topology_has_the_faults_that_it_can_make() {
        let kinds = Kind::of;

        assert_eq!(kinds(TopologyName::Standalone).len(), 14);
        assert_eq!(kinds(TopologyName::Sentinel).len(), 17);
        assert_eq!(kinds(TopologyName::Cluster).len(), 16);
        assert!(!kinds(TopologyName::Standalone).contains(&Kind::HandedOver));
        assert!(!kinds(TopologyName::Cluster).contains(&Kind::Split));
    }
}
