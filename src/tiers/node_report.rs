//! What a `Tiers` says of one Redis server.

use super::RemoteState;
use crate::remote::NodeStanding;
use serde::Serialize;

/// How it stands with one Redis server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NodeReport {
    address: String,
    state: RemoteState,
    buckets: usize,
}

impl NodeReport {
    pub(super) fn of(node: NodeStanding) -> Self {
        Self {
            address: node.address,
            state: RemoteState::of(node.standing),
            buckets: node.buckets,
        }
    }

    /// `host:port`: as it was configured, or as the cluster announces it.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Whether it answers, as far as known.
    #[must_use]
    pub fn state(&self) -> RemoteState {
        self.state
    }

    /// How many buckets it has, that of the tags among them.
    #[must_use]
    pub fn buckets(&self) -> usize {
        self.buckets
    }
}
