//! The Redis servers of a campaign, and what can be done to them.
//!
//! A topology is one arm of [`Servers`]: it says how each node finds Redis, and breaks what the nemesis asks it to break.

mod clustered;
mod commands;
mod standalone;
mod users;
mod watched;

use std::time::Duration;

use clap::ValueEnum;
use serde::Serialize;

use self::{clustered::Clustered, standalone::Standalone, watched::Watched};
use super::words::LevelName;
use crate::failure::Failure;

/// How Redis is set up.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub(crate) enum TopologyName {
    /// One master with two replicas, behind one address that moves to the replica that is promoted.
    Standalone,
    /// The same, found through Sentinel.
    Sentinel,
    /// Redis Cluster.
    Cluster,
}

impl TopologyName {
    /// Its name on the command line.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Standalone => "standalone",
            Self::Sentinel => "sentinel",
            Self::Cluster => "cluster",
        }
    }

    /// How many replicas must confirm an invalidation, if the command line does not say.
    ///
    /// The one address of `Standalone` moves to the replica that knows the most. Sentinels choose by what they have heard a second
    /// before, and every node leaves a deposed master at a time of its own: there all replicas must confirm, at every level.
    pub(super) fn replicas(self, levels: &[LevelName]) -> u8 {
        match self {
            Self::Standalone => u8::from(levels != [LevelName::Eventual]),
            Self::Sentinel => 2,
            Self::Cluster => 1,
        }
    }
}

/// The servers that run.
#[derive(Debug)]
pub(super) enum Servers {
    Standalone(Box<Standalone>),
    Sentinel(Box<Watched>),
    Cluster(Box<Clustered>),
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
    /// When there is no redis-server.
    pub(super) async fn start(name: TopologyName, nodes: usize) -> Result<Self, Failure> {
        match name {
            TopologyName::Standalone => {
                let servers = Standalone::start(nodes).await?;
                Ok(Self::Standalone(Box::new(servers)))
            }
            TopologyName::Sentinel => {
                let servers = Watched::start(nodes).await?;
                Ok(Self::Sentinel(Box::new(servers)))
            }
            TopologyName::Cluster => {
                let servers = Clustered::start(nodes).await?;
                Ok(Self::Cluster(Box::new(servers)))
            }
        }
    }

    /// The arguments that lead each node to Redis.
    pub(super) fn ways(&self) -> Vec<Vec<String>> {
        match self {
            Self::Standalone(servers) => servers.ways(),
            Self::Sentinel(servers) => servers.ways(),
            Self::Cluster(servers) => servers.ways(),
        }
    }

    /// Waits until the servers have recovered from a fault, as far as they do so by themselves.
    ///
    /// # Errors
    /// When they do not.
    pub(super) async fn settle(&mut self) -> Result<(), Failure> {
        match self {
            Self::Standalone(_) => Ok(()),
            Self::Sentinel(servers) => servers.settle().await,
            Self::Cluster(servers) => servers.settle().await,
        }
    }

    /// Nothing passes between the node and Redis.
    pub(super) fn cut(&self, node: usize) {
        match self {
            Self::Standalone(servers) => servers.network(node).cut(),
            Self::Sentinel(servers) => servers.cut(node),
            Self::Cluster(servers) => servers.cut(node),
        }
    }

    /// Nothing passes between the node and some of the servers, and all passes between it and the others.
    ///
    /// # Errors
    /// When there is only one master.
    pub(super) fn cut_partly(&self, node: usize) -> Result<(), Failure> {
        match self {
            Self::Cluster(servers) => {
                servers.cut_partly(node);
                Ok(())
            }
            _ => Err(not_here()),
        }
    }

    /// The node hears of no event; all else passes.
    pub(super) fn deafen(&self, node: usize) {
        match self {
            Self::Standalone(servers) => servers.network(node).cut_subscribers(),
            Self::Sentinel(servers) => servers.deafen(node),
            Self::Cluster(servers) => servers.deafen(node),
        }
    }

    /// The node reaches Redis again.
    pub(super) fn heal(&self, node: usize) {
        match self {
            Self::Standalone(servers) => servers.network(node).heal(),
            Self::Sentinel(servers) => servers.heal(node),
            Self::Cluster(servers) => servers.heal(node),
        }
    }

    /// All connections of the node break.
    pub(super) fn sever(&self, node: usize) {
        match self {
            Self::Standalone(servers) => servers.network(node).sever(),
            Self::Sentinel(servers) => servers.sever(node),
            Self::Cluster(servers) => servers.sever(node),
        }
    }

    /// Kills the master. What it held is lost.
    pub(super) fn kill(&self) {
        match self {
            Self::Standalone(servers) => servers.kill(),
            Self::Sentinel(servers) => servers.kill(),
            Self::Cluster(servers) => servers.kill(),
        }
    }

    /// Starts a killed master again, with nothing in it; where another was elected meanwhile, as its replica.
    ///
    /// # Errors
    /// When none is elected.
    pub(super) async fn revive(&self) -> Result<(), Failure> {
        match self {
            Self::Standalone(servers) => {
                servers.revive();
                Ok(())
            }
            Self::Sentinel(servers) => servers.revive().await,
            Self::Cluster(servers) => servers.revive().await,
        }
    }

    /// Lets the master write what it holds to its file.
    pub(super) fn save(&self) {
        match self {
            Self::Standalone(servers) => servers.save(),
            Self::Sentinel(servers) => servers.save(),
            Self::Cluster(servers) => servers.save(),
        }
    }

    /// Kills the master, and starts it with what it saved last.
    pub(super) fn restart_from_file(&self) {
        match self {
            Self::Standalone(servers) => servers.restart_from_file(),
            Self::Sentinel(servers) => servers.restart_from_file(),
            Self::Cluster(servers) => servers.restart_from_file(),
        }
    }

    /// Stops the master where it stands.
    pub(super) fn freeze(&self) {
        match self {
            Self::Standalone(servers) => servers.freeze(),
            Self::Sentinel(servers) => servers.freeze(),
            Self::Cluster(servers) => servers.freeze(),
        }
    }

    /// Lets a stopped master go on.
    pub(super) fn thaw(&self) {
        match self {
            Self::Standalone(servers) => servers.thaw(),
            Self::Sentinel(servers) => servers.thaw(),
            Self::Cluster(servers) => servers.thaw(),
        }
    }

    /// Removes whatever the master holds.
    pub(super) fn flush(&self) {
        match self {
            Self::Standalone(servers) => servers.flush(),
            Self::Sentinel(servers) => servers.flush(),
            Self::Cluster(servers) => servers.flush(),
        }
    }

    /// Removes all events from the logs of the feeds.
    pub(super) fn trim(&self) {
        match self {
            Self::Standalone(servers) => servers.trim(),
            Self::Sentinel(servers) => servers.trim(),
            Self::Cluster(servers) => servers.trim(),
        }
    }

    /// Cuts the replicas off, once they have what the master has.
    ///
    /// # Errors
    /// When they do not get that far.
    pub(super) async fn cut_replicas(&mut self, lag: Lag) -> Result<(), Failure> {
        match self {
            Self::Standalone(servers) => servers.cut_replicas(lag).await,
            Self::Sentinel(servers) => servers.cut_replicas(lag).await,
            Self::Cluster(servers) => servers.cut_replicas(lag).await,
        }
    }

    /// Lets the replicas reach their master again.
    pub(super) fn heal_replicas(&self) {
        match self {
            Self::Standalone(servers) => servers.heal_replicas(),
            Self::Sentinel(servers) => servers.heal_replicas(),
            Self::Cluster(servers) => servers.heal_replicas(),
        }
    }

    /// Kills the master; a replica is promoted, and all nodes come to it.
    ///
    /// # Errors
    /// When none is.
    pub(super) async fn promote(&mut self) -> Result<(), Failure> {
        match self {
            Self::Standalone(servers) => {
                servers.promote();
                Ok(())
            }
            Self::Sentinel(servers) => servers.promote().await,
            Self::Cluster(servers) => servers.promote().await,
        }
    }

    /// A replica is promoted beside the master, which the node goes on to use; all others come to the promoted one.
    ///
    /// # Errors
    /// When none is.
    pub(super) async fn split(&mut self, deposed: usize) -> Result<(), Failure> {
        match self {
            Self::Standalone(servers) => {
                servers.split(deposed);
                Ok(())
            }
            Self::Sentinel(servers) => servers.split(deposed).await,
            Self::Cluster(_) => Err(not_here()),
        }
    }

    /// Ends a split: the old master goes, and the node is led to the new one.
    pub(super) fn join(&mut self, deposed: usize) {
        match self {
            Self::Standalone(servers) => servers.join(deposed),
            Self::Sentinel(servers) => servers.join(deposed),
            Self::Cluster(_) => {}
        }
    }

    /// Makes a replica the master although the old one is well.
    ///
    /// # Errors
    /// When there is nobody to do so, or it is not done.
    pub(super) async fn hand_over(&self) -> Result<(), Failure> {
        match self {
            Self::Standalone(_) => Err(not_here()),
            Self::Sentinel(servers) => servers.hand_over().await,
            Self::Cluster(servers) => servers.hand_over().await,
        }
    }

    /// Moves a slot with whatever it holds to another master, and back after a while.
    ///
    /// # Errors
    /// When there are no slots.
    pub(super) async fn move_slot(&self, hold: Duration) -> Result<(), Failure> {
        match self {
            Self::Cluster(servers) => servers.move_slot(hold).await,
            _ => Err(not_here()),
        }
    }

    /// Kills or stops a sentinel, which hears nothing of what follows.
    pub(super) fn silence(&self, sentinel: usize, is_kill: bool) {
        if let Self::Sentinel(servers) = self {
            servers.silence(sentinel, is_kill);
        }
    }

    /// Ends that.
    pub(super) fn wake(&self, sentinel: usize, is_kill: bool) {
        if let Self::Sentinel(servers) = self {
            servers.wake(sentinel, is_kill);
        }
    }
}

fn not_here() -> Failure {
    Failure::plain("this topology has no such fault")
}

/// How many sentinels there are.
pub(super) const SENTINELS: usize = 3;
