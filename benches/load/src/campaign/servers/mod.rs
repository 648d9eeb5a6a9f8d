//! The Redis servers of a campaign, and what can be done to them.
//!
//! A topology is one arm of [`Servers`]: it says where each node finds Redis, and breaks what the nemesis asks it to break.

mod standalone;

use clap::ValueEnum;
use tricache_test_support::Proxy;

use self::standalone::Standalone;
use crate::failure::Failure;

/// How Redis is set up.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum TopologyName {
    /// One master with two replicas, behind one address that moves to the replica that is promoted.
    Standalone,
    /// The same, found through Sentinel.
    Sentinel,
    /// Redis Cluster.
    Cluster,
}

/// The servers that run.
#[derive(Debug)]
pub(super) enum Servers {
    Standalone(Box<Standalone>),
}

/// Who is behind when a replica is promoted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Lag {
    /// Both replicas: whatever was told meanwhile is lost, unless a replica had to confirm it.
    Both,
    /// One of the two; the other is promoted.
    One,
}

impl Servers {
    /// Starts them, with a network of its own for each node.
    ///
    /// # Errors
    /// When there is no redis-server, or the topology is not built.
    pub(super) async fn start(name: TopologyName, nodes: usize) -> Result<Self, Failure> {
        match name {
            TopologyName::Standalone => {
                let servers = Standalone::start(nodes).await?;
                Ok(Self::Standalone(Box::new(servers)))
            }
            TopologyName::Sentinel => Err(Failure::plain("the topology sentinel is not built")),
            TopologyName::Cluster => Err(Failure::plain("the topology cluster is not built")),
        }
    }

    /// Where each node finds Redis.
    pub(super) fn addresses(&self) -> Vec<String> {
        match self {
            Self::Standalone(servers) => servers.addresses(),
        }
    }

    /// The network between a node and Redis.
    pub(super) fn network(&self, node: usize) -> &Proxy {
        match self {
            Self::Standalone(servers) => servers.network(node),
        }
    }

    /// Kills the master. What it held is lost.
    pub(super) fn kill(&self) {
        match self {
            Self::Standalone(servers) => servers.kill(),
        }
    }

    /// Starts a killed master again, with nothing in it.
    pub(super) fn revive(&self) {
        match self {
            Self::Standalone(servers) => servers.revive(),
        }
    }

    /// Lets the master write what it holds to its file.
    pub(super) fn save(&self) {
        match self {
            Self::Standalone(servers) => servers.save(),
        }
    }

    /// Kills the master, and starts it with what it saved last.
    pub(super) fn restart_from_file(&self) {
        match self {
            Self::Standalone(servers) => servers.restart_from_file(),
        }
    }

    /// Stops the master where it stands.
    pub(super) fn freeze(&self) {
        match self {
            Self::Standalone(servers) => servers.freeze(),
        }
    }

    /// Lets a stopped master go on.
    pub(super) fn thaw(&self) {
        match self {
            Self::Standalone(servers) => servers.thaw(),
        }
    }

    /// Removes whatever the master holds.
    pub(super) fn flush(&self) {
        match self {
            Self::Standalone(servers) => servers.flush(),
        }
    }

    /// Removes all events from the logs of the feeds.
    pub(super) fn trim(&self) {
        match self {
            Self::Standalone(servers) => servers.trim(),
        }
    }

    /// Cuts the replicas off, once they have what the master has.
    ///
    /// # Errors
    /// When they do not get that far.
    pub(super) async fn cut_replicas(&mut self, lag: Lag) -> Result<(), Failure> {
        match self {
            Self::Standalone(servers) => servers.cut_replicas(lag).await,
        }
    }

    /// Lets the replicas reach their master again.
    pub(super) fn heal_replicas(&self) {
        match self {
            Self::Standalone(servers) => servers.heal_replicas(),
        }
    }

    /// Kills the master and promotes the replica that knows the most; all nodes are led to it.
    pub(super) fn promote(&mut self) {
        match self {
            Self::Standalone(servers) => servers.promote(),
        }
    }

    /// Promotes a replica beside the master, which the node goes on to use; all others are led to the promoted one.
    pub(super) fn split(&mut self, deposed: usize) {
        match self {
            Self::Standalone(servers) => servers.split(deposed),
        }
    }

    /// Ends a split: the old master goes, and the node is led to the new one.
    pub(super) fn join(&mut self, deposed: usize) {
        match self {
            Self::Standalone(servers) => servers.join(deposed),
        }
    }
}
