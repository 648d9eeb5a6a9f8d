//! What a campaign does, as the command line says.

use std::time::Duration;

use super::{checker::Limits, servers::TopologyName, words::LevelName};

/// The settings of one campaign.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) length: Duration,
    pub(super) seed: u64,
    pub(super) topology: TopologyName,
    pub(super) levels: Vec<LevelName>,
    /// How many replicas must confirm an invalidation. `Eventual` alone promises nothing that needs one.
    pub(super) replicas: u8,
    /// The protection that is switched off, by its name on the command line.
    pub(super) without: Option<String>,
}

impl Plan {
    /// How stale reads may be.
    pub(super) fn limits(&self) -> Limits {
        Limits {
            proven: HEARTBEAT * 2,
            unproven: LOCAL_TTL,
            allowance: Duration::from_millis(100),
            bounded: BOUND,
            clock: Duration::from_millis(10),
        }
    }

    /// The command line of a node, but for what is its own.
    pub(super) fn node_arguments(&self, hub: u16) -> Vec<String> {
        let levels: Vec<_> = self.levels.iter().map(|level| level.as_str()).collect();
        let mut arguments = vec![
            "campaign-node".to_owned(),
            format!("--hub={hub}"),
            format!("--seed={}", self.seed),
            format!("--replicas={}", self.replicas),
            format!("--levels={}", levels.join(",")),
        ];
        arguments.extend(self.without.iter().map(|name| format!("--without={name}")));
        arguments
    }
}

/// How far behind a read of `Bounded` may be.
pub(super) const BOUND: Duration = Duration::from_millis(500);

/// How often nodes ask where the feeds stand.
pub(super) const HEARTBEAT: Duration = Duration::from_millis(500);

/// How long a node that is cut off serves what it has at `Eventual`. Short, so that faults outlast it.
pub(super) const LOCAL_TTL: Duration = Duration::from_secs(5);

/// How many nodes there are.
pub(super) const NODES: usize = 3;

/// How many entities each level has.
pub(super) const ENTITIES: u32 = 200;
