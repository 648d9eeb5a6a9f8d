//! What stands between the callers and the store: a node of tricache, or plain cache-aside.

use super::{node::Node, plain::Plain};

/// One node, of either kind.
pub(super) enum Reader {
    Cached(Node),
    Plain(Plain),
}

/// Where an answer came from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Served {
    /// A tier, within the TTL and proven.
    Hit,
    /// A tier, past the TTL while a load replaces it.
    Stale,
    /// A tier, in place of a load that failed or is late.
    StandIn,
    /// This node, while Redis could not be asked.
    Unproven,
    /// The store.
    Loaded,
}

impl Reader {
    /// Reads a row.
    ///
    /// # Errors
    /// With what the caller would see.
    pub(super) async fn read(&self, key: u32) -> Result<Served, String> {
        match self {
            Self::Cached(node) => node.read(key).await,
            Self::Plain(plain) => plain.read(key).await,
        }
    }

    /// Tells all nodes that the row has changed.
    pub(super) async fn invalidate(&self, key: u32) {
        match self {
            Self::Cached(node) => node.invalidate(key).await,
            Self::Plain(plain) => plain.invalidate(key).await,
        }
    }

    /// Ends what runs for it.
    pub(super) async fn shutdown(&self) {
        if let Self::Cached(node) = self {
            node.shutdown().await;
        }
    }
}
