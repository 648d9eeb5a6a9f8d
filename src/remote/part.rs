//! What answers by itself: the hub, one server, or each node of a cluster. One that is away takes nothing from the others.

use super::{
    Beat, Heard, Known, RedisRemote, Remote, RemoteError, Standing, node::Node, timed::timed,
};
use crate::model::Head;
use std::{sync::Arc, time::Duration};

/// One of those that have a part of the buckets.
#[derive(Clone)]
pub(crate) struct Part(Option<Arc<Node>>);

/// How it stands with one of them.
pub(crate) struct NodeStanding {
    pub(crate) address: String,
    pub(crate) standing: Standing,
    pub(crate) buckets: usize,
}

impl Remote {
    /// All that have any buckets at present.
    pub(crate) fn parts(&self) -> Vec<Part> {
        match self {
            Self::Redis(redis) => {
                let nodes = redis.nodes.all().into_iter();
                nodes.map(|node| Part(Some(node))).collect()
            }
            Self::Memory(_) => vec![Part(None)],
        }
    }

    /// The heartbeat of one. `known`: the epoch of each feed, and how far it was heard before. A feed that is behind it
    /// begins anew.
    pub(crate) async fn beat(&self, part: &Part, known: &[Known]) -> Result<Beat, RemoteError> {
        let answer = async {
            match (self, part) {
                (Self::Redis(redis), Part(Some(node))) => redis.beat(node, known).await,
                (Self::Memory(memory), _) => memory.beat(known).await,
                (Self::Redis(_), Part(None)) => Err(RemoteError::Away),
            }
        };
        timed("beat", answer).await
    }

    /// Whether what a bucket's values need answers at present, as far as known: its own server, and that of the tags.
    pub(crate) fn is_up(&self, bucket: u16) -> bool {
        match self {
            Self::Redis(redis) => redis.is_up(bucket) && redis.is_up(redis.layout.tag_bucket()),
            Self::Memory(memory) => memory.is_up(),
        }
    }

    /// The same of one part, in more words.
    pub(crate) fn standing_of(&self, part: &Part) -> Standing {
        match (self, part) {
            (_, Part(Some(node))) => node.connections.standing(),
            (Self::Memory(memory), _) => memory.standing(),
            (Self::Redis(_), Part(None)) => Standing::Away,
        }
    }

    /// That of the worst.
    pub(crate) fn standing(&self) -> Standing {
        match self {
            Self::Redis(redis) => redis.nodes.standing(),
            Self::Memory(memory) => memory.standing(),
        }
    }

    /// Each server, and how many buckets it has.
    pub(crate) fn nodes(&self) -> Vec<NodeStanding> {
        let Self::Redis(redis) = self else {
            return Vec::new();
        };
        let nodes = redis.nodes.all();
        let standing = |node: &Arc<Node>| NodeStanding {
            address: node.address().to_owned(),
            standing: node.connections.standing(),
            buckets: redis.nodes.buckets_of(node).len(),
        };
        nodes.iter().map(standing).collect()
    }

    /// Buckets that no server has.
    pub(crate) fn uncovered(&self) -> usize {
        match self {
            Self::Redis(redis) => redis.nodes.uncovered(),
            Self::Memory(_) => 0,
        }
    }
}

impl RedisRemote {
    fn is_up(&self, bucket: u16) -> bool {
        self.nodes.of(bucket).is_ok_and(|node| node.is_up())
    }

    /// Looks after the servers; never ends.
    pub(super) async fn watch(&self, every: Duration) {
        tokio::join!(self.inspector().watch(), self.nodes.keep(every));
    }
}

impl PartialEq for Part {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            (None, None) => true,
            _ => false,
        }
    }
}

impl Heard {
    pub(super) fn of(head: Option<Head>) -> Self {
        head.map_or(Self::Missing, Self::Head)
    }

    pub(super) fn head(self) -> Option<Head> {
        match self {
            Self::Head(head) => Some(head),
            Self::Missing | Self::Unanswered => None,
        }
    }
}
