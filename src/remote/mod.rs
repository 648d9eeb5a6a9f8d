//! The remote tier: what all nodes share. Redis, or the same in memory.
//!
//! The operations are those of the protocol, not those of Redis: [`read`](Remote::read), [`open`](Remote::open),
//! [`fill`](Remote::fill), [`bump`](Remote::bump), a [`beat`](Remote::beat) of all heads, and
//! [`replay`](Remote::replay) of a feed. Every one ends within one deadline, and every failure means "ask the store".

mod advice;
mod agreement;
mod beat;
mod breaker;
mod calls;
mod cluster;
mod confirm;
mod connection;
mod dependents;
mod fence;
#[cfg(feature = "proof")]
pub(crate) mod fuzz;
mod identity;
mod inspect;
mod layout;
mod link;
mod many;
mod memory;
mod node;
mod nodes;
mod order;
mod pace;
mod part;
mod purge_records;
mod purges;
mod reader;
mod records;
mod scripts;
mod sentinel;
mod slots;
mod start;
mod store;
mod subscriber;
mod subscribers;
mod tag_records;
mod tags;
mod timed;
#[cfg(feature = "tls")]
mod tls;
mod topology;
mod way;
mod wire;

#[cfg(feature = "tls")]
pub use self::tls::Tls;
pub use self::{advice::Advice, fence::Fencing, memory::InProcess};
pub(crate) use self::{
    agreement::Agreement,
    beat::{Beat, Heard},
    breaker::{Standing, Trouble},
    confirm::Quorum,
    connection::LARGE_FACTOR,
    fence::Known,
    identity::Server,
    layout::Layout,
    many::{Ask, BUMPS, CALLS},
    memory::Attached,
    nodes::Target,
    part::{NodeStanding, Part},
    purges::TagNotes,
    store::{LARGE, RedisRemote},
    way::Whereabouts,
};

use self::timed::timed;
use crate::model::{
    Address, Event, Generation, Head, Pointer, Recording, Seal, Stamp, StoreVersion, Strength,
    TagBump,
};
use std::{fmt, time::Duration};
use tokio::sync::mpsc;

/// The remote tier of one `Tiers`.
pub(crate) enum Remote {
    Redis(Box<RedisRemote>),
    Memory(Box<Attached>),
}

/// What one read finds: whatever is missing is unknown.
#[derive(Debug, Default)]
pub(crate) struct Snapshot {
    /// Who has answered.
    pub(crate) by: Server,
    pub(crate) head: Option<Head>,
    pub(crate) pointer: Option<Pointer>,
    pub(crate) value: Option<Vec<u8>>,
}

impl Snapshot {
    /// What a value must carry to be current; `None` if no value can be.
    pub(crate) fn generation(&self) -> Option<Generation> {
        Some(Generation {
            epoch: self.head?.epoch,
            version: self.pointer?.version,
        })
    }

    /// Since when a value of this generation is past its TTL although it may live on: when it was softly invalidated, in
    /// Redis ms. `None`: it does not count, or is the current one.
    pub(crate) fn expired_at(&self, found: Generation) -> Option<u64> {
        let (head, pointer) = (self.head?, self.pointer?);
        let older = found.version < pointer.version && found.version >= pointer.floor;
        // A version is the time of its bump, in µs, or later.
        (found.epoch == head.epoch && older).then_some(pointer.version.0 / 1000)
    }
}

/// A reader that missed, asking for the right to load.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Open {
    pub(crate) token: u64,
    pub(crate) lease: Duration,
    pub(crate) pointer_ttl: u64,
    /// In Redis ms: an answer later than this reaches nobody, and must take no lease.
    pub(crate) until: u64,
    pub(crate) discard: Discard,
}

/// What of the value that is there does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Discard {
    /// Nothing is known against it.
    Nothing,
    /// The very payload with this check, which the reader refused: another one may have been filled since.
    Refused([u8; 8]),
    /// Whatever is there: it does not even have a check.
    Anything,
    /// The very payload with this check is past its TTL: it stays until a load replaces it.
    Outlived([u8; 8]),
}

/// The answer to [`Open`]: with the head and the Redis time, in ms, at which it was given.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) by: Server,
    pub(crate) head: Head,
    pub(crate) generation: Generation,
    pub(crate) at: u64,
    pub(crate) turn: Turn,
}

#[derive(Debug)]
pub(crate) enum Turn {
    /// The value is there after all.
    Hit(Vec<u8>),
    /// Load it: nobody else does.
    Lead,
    /// Somebody else loads it.
    Follow,
}

/// A loaded value on its way to everybody.
#[derive(Debug)]
pub(crate) struct Fill {
    pub(crate) generation: Generation,
    pub(crate) token: u64,
    /// When the value is dead, its stale windows included, in Redis ms.
    pub(crate) until: u64,
    pub(crate) pointer_ttl: u64,
    pub(crate) payload: Vec<u8>,
    /// That of a payload in Redis, whose body goes behind this one, which has none.
    pub(crate) held: Option<Seal>,
    /// The version of the store that the load has read, if it said so.
    pub(crate) store: Option<StoreVersion>,
}

/// An invalidation on its way to Redis.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bump {
    pub(crate) pointer_ttl: u64,
    pub(crate) strength: Strength,
    /// The version of the store that comes with it.
    pub(crate) store: Option<StoreVersion>,
    /// Whether it is noted that the edge has to purge it.
    pub(crate) record: Option<Recording>,
}

/// What Redis made of a [`Bump`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bumped {
    pub(crate) by: Server,
    pub(crate) stamp: Stamp,
    /// A value may be stored that shows the entity: its tag must be bumped, too.
    pub(crate) depended: bool,
    pub(crate) order: Order,
}

/// What became of the store's version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// There was none, or nothing to compare it with.
    Unknown,
    /// It is newer than all before it: the value that comes with it may be stored.
    Newest,
    /// A later one came already: nothing was bumped, since nothing older counts.
    Older,
}

/// What Redis knows of some tags: head of the tag feed, and what was bumped.
#[derive(Debug, Default)]
pub(crate) struct TagsKnown {
    pub(crate) by: Server,
    pub(crate) head: Option<Head>,
    /// Bumps from before it may be forgotten.
    pub(crate) floor: u64,
    /// Tag and position of those that were bumped.
    pub(crate) bumps: Vec<(u64, TagBump)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Filled {
    Stored,
    /// The entity was invalidated since the load began, or its records are gone.
    Stale,
    /// The load took longer than the value may live.
    Expired,
    /// The payload whose body was to be kept is not there any more.
    Gone,
}

/// A bucket's head with the logged events after a position.
#[derive(Debug)]
pub(crate) struct Replay {
    pub(crate) head: Option<Head>,
    pub(crate) events: Vec<Event>,
}

/// What comes by itself from the remote tier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Push {
    Event {
        bucket: u16,
        event: Event,
    },
    /// Waiters for this key may look again.
    Wake {
        cache: u32,
        entity: u64,
    },
    /// The subscription stands, perhaps after a loss.
    Subscribed,
}

/// Why the remote tier did not answer. For logs; readers go to the store whatever it is.
#[derive(Clone, Debug)]
pub(crate) enum RemoteError {
    /// Not asked: it did not answer lately.
    Away,
    /// Not to be believed: an invalidation of the entity waits to be sent.
    Doubted,
    /// Not asked: no node of the cluster has the bucket.
    Uncovered,
    /// Not to be believed: it is not known whether the server that has answered is still the one, or not enough replicas have what was written.
    Unconfirmed,
    Timeout,
    Failed(redis::RedisError),
    /// It answered something that is not of the protocol.
    Nonsense(&'static str),
}

impl fmt::Display for RemoteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Away => f.write_str("not asked, it did not answer lately"),
            Self::Doubted => f.write_str("not asked, an invalidation waits to be sent"),
            Self::Uncovered => f.write_str("no node of the cluster has the slot"),
            Self::Unconfirmed => {
                f.write_str("not confirmed by as many replicas as are wanted, or by another server")
            }
            Self::Timeout => f.write_str("no answer in time"),
            Self::Failed(error) => error.fmt(f),
            Self::Nonsense(what) => write!(f, "not of the protocol: {what}"),
        }
    }
}

impl std::error::Error for RemoteError {}

impl Remote {
    /// Head, pointer and value, in one round trip. `large`: values of this cache are known to be big.
    pub(crate) async fn read(&self, at: &Address, large: bool) -> Result<Snapshot, RemoteError> {
        let answer = async {
            match self {
                Self::Redis(redis) => redis.read(at, large).await,
                Self::Memory(memory) => memory.reached().await?.read(at).await,
            }
        };
        timed("read", answer).await
    }

    /// Head and pointer without the value.
    pub(crate) async fn check(&self, at: &Address) -> Result<Snapshot, RemoteError> {
        let answer = async {
            match self {
                Self::Redis(redis) => redis.check(at).await,
                Self::Memory(memory) => memory.reached().await?.check(at).await,
            }
        };
        timed("check", answer).await
    }

    pub(crate) async fn open(&self, at: &Address, open: Open) -> Result<Opened, RemoteError> {
        let answer = async {
            match self {
                Self::Redis(redis) => redis.open(at, open).await,
                Self::Memory(memory) => memory.reached().await?.open(at, open).await,
            }
        };
        timed("open", answer).await
    }

    pub(crate) async fn fill(&self, at: &Address, fill: Fill) -> Result<Filled, RemoteError> {
        let answer = async {
            match self {
                Self::Redis(redis) => redis.fill(at, fill).await,
                Self::Memory(memory) => memory.reached().await?.fill(at, fill).await,
            }
        };
        timed("fill", answer).await
    }

    /// Gives a lease back without a value, and wakes who waits.
    pub(crate) async fn release(&self, at: &Address, token: u64) -> Result<(), RemoteError> {
        let answer = async {
            match self {
                Self::Redis(redis) => redis.release(at, token).await,
                Self::Memory(memory) => memory.reached().await?.release(at, token).await,
            }
        };
        timed("release", answer).await
    }

    pub(crate) async fn renew(
        &self,
        at: &Address,
        token: u64,
        lease: Duration,
    ) -> Result<(), RemoteError> {
        let answer = async {
            match self {
                Self::Redis(redis) => redis.renew(at, token, lease).await,
                Self::Memory(memory) => memory.reached().await?.renew(at, token, lease).await,
            }
        };
        timed("renew", answer).await
    }

    /// Gives the entity a new version and tells every node. Doing it twice is harmless.
    pub(crate) async fn bump(&self, at: &Address, bump: Bump) -> Result<Bumped, RemoteError> {
        let answer = async {
            match self {
                Self::Redis(redis) => redis.bump(at, bump).await,
                Self::Memory(memory) => memory.reached().await?.bump(at, bump).await,
            }
        };
        let bumped = timed("bump", answer).await?;
        self.acknowledge(at.id.bucket, bumped.by).await?;
        Ok(bumped)
    }

    /// Notes that a value is about to be stored that shows the entity in this generation; false if it is no longer the current one.
    pub(crate) async fn depend(
        &self,
        at: &Address,
        shown: Generation,
        pointer_ttl: u64,
    ) -> Result<bool, RemoteError> {
        let answer = async {
            match self {
                Self::Redis(redis) => redis.depend(at, shown, pointer_ttl).await,
                Self::Memory(memory) => {
                    memory.reached().await?.depend(at, shown, pointer_ttl).await
                }
            }
        };
        timed("depend", answer).await
    }

    /// What is known of these tags.
    pub(crate) async fn tags(&self, tags: &[u64]) -> Result<TagsKnown, RemoteError> {
        let answer = async {
            match self {
                Self::Redis(redis) => redis.tags(tags).await,
                Self::Memory(memory) => memory.reached().await?.tags(tags).await,
            }
        };
        timed("tags", answer).await
    }

    /// What is known of all tags, unless they are too many: then the floor is the head.
    pub(crate) async fn all_tags(&self) -> Result<TagsKnown, RemoteError> {
        let answer = async {
            match self {
                Self::Redis(redis) => redis.all_tags().await,
                Self::Memory(memory) => memory.reached().await?.all_tags().await,
            }
        };
        timed("all_tags", answer).await
    }

    /// Forgets bumps of tags that are older than `longest`, the longest life of a value in ms; not if some node did so less
    /// than `every` ms ago.
    pub(crate) async fn prune_tags(&self, longest: u64, every: u64) -> Result<(), RemoteError> {
        let answer = async {
            match self {
                Self::Redis(redis) => redis.prune_tags(longest, every).await,
                Self::Memory(memory) => memory.reached().await?.prune_tags(longest).await,
            }
        };
        timed("prune_tags", answer).await
    }

    pub(crate) async fn replay(&self, bucket: u16, after: u64) -> Result<Replay, RemoteError> {
        let answer = async {
            match self {
                Self::Redis(redis) => redis.replay(bucket, after).await,
                Self::Memory(memory) => memory.reached().await?.replay(bucket, after).await,
            }
        };
        timed("replay", answer).await
    }

    /// Sends pushes to `sink` until it is closed, subscribing again after each loss.
    pub(crate) async fn follow(&self, sink: mpsc::UnboundedSender<Push>) {
        match self {
            Self::Redis(redis) => redis.follow(sink).await,
            Self::Memory(memory) => memory.follow(sink).await,
        }
    }

    /// Looks at the servers again whenever one is back from an outage, asks the sentinels in these intervals, and the cluster who has
    /// which bucket; never ends.
    pub(crate) async fn watch(&self, every: Duration) {
        match self {
            Self::Redis(redis) => redis.watch(every).await,
            Self::Memory(_) => std::future::pending().await,
        }
    }

    /// What is worth knowing about the server: nothing where there is none.
    pub(crate) fn advice(&self) -> Vec<Advice> {
        match self {
            Self::Redis(redis) => redis.inspector().advice(),
            Self::Memory(_) => Vec::new(),
        }
    }

    /// The server that the sentinels name, if there are any and they did.
    pub(crate) fn master(&self) -> Option<String> {
        match self {
            Self::Redis(redis) => redis.nodes.master(),
            Self::Memory(_) => None,
        }
    }

    /// What keeps it from being asked, if anything does.
    pub(crate) fn trouble(&self) -> Option<Trouble> {
        match self {
            Self::Redis(redis) => redis.nodes.trouble(),
            Self::Memory(memory) => memory.trouble(),
        }
    }

    /// Lets go of the connections, and of the tasks that drive them. A later call would connect anew.
    pub(crate) fn close(&self) {
        if let Self::Redis(redis) = self {
            redis.nodes.close();
        }
    }

    /// Waits until a call has failed, so that a heartbeat is to decide at once what that means.
    pub(crate) async fn probe_wanted(&self) {
        match self {
            Self::Redis(redis) => redis.nodes.signals().wanted().await,
            Self::Memory(memory) => memory.probe_wanted().await,
        }
    }
}
