//! The fence: an epoch counts only on the server that it began on, and only going forward.
//!
//! A replica that takes over may have missed the last invalidations, and a server that restarts from a file may have forgotten
//! them: old pointer and old value agree with each other there. So whoever notices that the server is another one begins a new
//! epoch, in which nothing from before counts. It is one step of compare and set, so that however many notice, one begins.

use super::{
    Heard, RedisRemote, Remote,
    connection::Class,
    identity::Server,
    records::{Now, Records},
    store::raw,
    wire,
};
use crate::model::{Epoch, Event, EventKind, Head, Nonce};
use redis::Value;
use serde::Serialize;

/// Where it is noticed that the server behind the cache was replaced by one that may have older data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Fencing {
    /// In each step: a hub in memory.
    EachStep,
    /// On each connection when it is made, and with each heartbeat; what was learned there is compared in each read and in each
    /// script. A server that is replaced behind a connection that stays open is noticed within one heartbeat.
    Connections,
    /// The server does not tell who it is: the user may not send `INFO`. With each heartbeat it is noticed if a feed has gone
    /// back behind what this node has heard, and nothing else.
    Heartbeats,
    /// Nothing was answered yet, or the server is a replica: nothing that it holds is used.
    Unknown,
    /// Not at all.
    #[doc(hidden)]
    Off,
}

/// How far a node has heard of a feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) epoch: Epoch,
    pub(crate) n: u64,
}

impl Known {
    /// Whether the feed has forgotten what was heard of it.
    pub(super) fn is_ahead_of(&self, head: Option<Head>) -> bool {
        head.is_some_and(|head| head.epoch == self.epoch && head.n < self.n)
    }
}

impl Remote {
    /// Which check is in force.
    pub(crate) fn fencing(&self) -> Fencing {
        match self {
            Self::Redis(redis) if redis.fenced => redis.nodes.fencing(),
            Self::Memory(memory) if memory.is_fenced() => Fencing::EachStep,
            _ => Fencing::Off,
        }
    }
}

impl RedisRemote {
    /// The heads in these control records, where there was an answer. Where one is another server's, or has gone back, a new
    /// epoch begins.
    pub(super) async fn fenced(
        &self,
        records: &[Option<Value>],
        server: Server,
        known: &[Known],
    ) -> Vec<Heard> {
        let own = |record: &Option<Value>| match record {
            Some(record) => Heard::of(raw(record).and_then(|text| wire::own_head(text, server))),
            None => Heard::Unanswered,
        };
        let mut heads: Vec<_> = records.iter().map(own).collect();
        let is_foreign = |bucket: &usize| {
            let Some(record) = &records[*bucket] else {
                return false;
            };
            let known = known.get(*bucket);
            let head = heads[*bucket].head();
            let there = || raw(record).and_then(wire::head).is_some();
            known.is_some_and(|known| known.is_ahead_of(head)) || head.is_none() && there()
        };
        if !self.fenced || server == Server::Unknown {
            return heads;
        }
        let foreign: Vec<_> = (0..heads.len()).filter(is_foreign).collect();
        let begun = self.begin(&foreign, known).await;
        for (bucket, head) in foreign.into_iter().zip(begun) {
            heads[bucket] = Heard::of(head);
        }
        heads
    }

    async fn begin(&self, buckets: &[usize], known: &[Known]) -> Vec<Option<Head>> {
        let calls = buckets.iter().map(|bucket| {
            // Made from a `u16`.
            let keys = self.feed(*bucket as u16);
            let heard = known.get(*bucket).copied();
            let (epoch, n) = heard.map_or((0, 0), |known| (known.epoch.0, known.n));
            let arguments = move |command: &mut redis::Cmd| {
                command.arg(epoch).arg(n);
            };
            (*bucket as u16, keys, arguments)
        });
        let replies = self.run_all(Class::Small, &self.scripts.fence, calls).await;
        let head = |reply: Result<Value, _>| match reply {
            Ok(record) => raw(&record).and_then(wire::head),
            Err(error) => {
                // Nothing of it counts meanwhile; the next heartbeat comes back to it.
                tracing::debug!(%error, "a new epoch could not be begun");
                None
            }
        };
        replies.into_iter().map(head).collect()
    }
}

impl Records {
    /// Whether the epoch began on another server.
    pub(super) fn are_foreign(&self) -> bool {
        self.control.is_some() && self.owner != self.server
    }

    /// Begins a new epoch; answers the fence to be told. What is known of the one before only keeps the numbers growing.
    pub(super) fn begin(&mut self, now: Now) -> (Head, Event) {
        let epoch = Epoch::random();
        let before = self.control.map_or(0, |head| head.high + 1);
        let n = now.0.max(before);
        let head = Head {
            epoch,
            n,
            nonce: Nonce(epoch.0),
            high: n,
        };
        let fence = Event {
            epoch,
            n,
            previous: Nonce(0),
            nonce: head.nonce,
            kind: EventKind::Fence,
        };
        self.nested &= before > 0;
        self.owner = self.server;
        self.log.clear();
        self.log.push_back(fence);
        self.control = Some(head);
        (head, fence)
    }
}
