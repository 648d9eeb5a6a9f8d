//! The heartbeat of one server: what time it is there, and where its feeds stand.

use super::{
    Agreement, Known, RedisRemote, RemoteError, agreement,
    connection::Class,
    identity::Server,
    node::Node,
    store::{number, raw, row},
};
use crate::model::Head;
use redis::{Pipeline, Value};
use std::sync::Arc;

/// The heads of all feeds that a server has, its time in ms at which they were read, and whether all nodes agree, if it
/// has that record.
#[derive(Debug)]
pub(crate) struct Beat {
    /// Of every feed.
    pub(crate) heads: Vec<Heard>,
    pub(crate) at: u64,
    pub(crate) agreement: Option<Agreement>,
    pub(crate) by: Server,
}

/// What a heartbeat has learned of one feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    Head(Head),
    /// There is no record that counts.
    Missing,
    /// Another server has it, or it is on its way to one.
    Unanswered,
}

impl RedisRemote {
    /// `known`: the epoch of each feed, and how far this node had heard of it before it asked.
    pub(super) async fn beat(
        &self,
        node: &Arc<Node>,
        known: &[Known],
    ) -> Result<Beat, RemoteError> {
        let answer = self.beat_of(node, known).await;
        if answer.is_err() {
            self.nodes.missed();
        }
        answer
    }

    async fn beat_of(&self, node: &Arc<Node>, known: &[Known]) -> Result<Beat, RemoteError> {
        let buckets = self.nodes.buckets_of(node);
        let commands = self.nodes.in_commands(&buckets);
        let pipeline = self.question(&buckets, &commands);
        let (mut replies, server) = node.connections.probe(&pipeline).await?;
        if replies.len() != 1 + commands.len() {
            return Err(RemoteError::Nonsense("the number of answers"));
        }
        let found = replies.split_off(1);
        let at = time(replies)?;
        let (mut records, agreed) = self.sorted(&buckets, &commands, found)?;
        // Meanwhile another server may have taken over: what this one believes counts no more.
        for bucket in buckets
            .iter()
            .filter(|bucket| !self.nodes.has(node, **bucket))
        {
            records[usize::from(*bucket)] = None;
        }
        let agreement = match agreed {
            Some(found) => Some(self.agreement(raw(&found)).await),
            None => None,
        };
        Ok(Beat {
            heads: self.fenced(&records, server, known).await,
            at,
            agreement,
            by: server,
        })
    }

    /// The time, then the control records; what all nodes agree on stands beside that of the tags.
    fn question(&self, buckets: &[u16], commands: &[Vec<usize>]) -> Pipeline {
        let mut pipeline = redis::pipe();
        pipeline.cmd("TIME");
        for places in commands {
            let command = pipeline.cmd("MGET");
            let mut asks_for_tags = false;
            for place in places {
                command.arg(&*self.layout.control(buckets[*place]));
                asks_for_tags |= buckets[*place] == self.layout.tag_bucket();
            }
            if asks_for_tags {
                command.arg(&*self.layout.agreement());
            }
        }
        pipeline
    }

    /// The record of each feed, where it was answered for, and what all nodes agree on.
    fn sorted(
        &self,
        buckets: &[u16],
        commands: &[Vec<usize>],
        replies: Vec<Value>,
    ) -> Result<(Vec<Option<Value>>, Option<Value>), RemoteError> {
        let mut records = vec![None; usize::from(self.layout.feeds())];
        let mut agreed = None;
        for (places, reply) in commands.iter().zip(replies) {
            let Some(values) = self.values(reply)? else {
                continue;
            };
            let mut values = values.into_iter();
            for place in places {
                let nonsense = RemoteError::Nonsense("the number of heads");
                let bucket = buckets[*place];
                records[usize::from(bucket)] = Some(values.next().ok_or(nonsense)?);
            }
            if let Some(found) = values.next() {
                agreed = Some(found);
            }
        }
        Ok((records, agreed))
    }

    /// `None` where another node has them, or where they are on their way.
    fn values(&self, reply: Value) -> Result<Option<Vec<Value>>, RemoteError> {
        match reply.extract_error() {
            Ok(Value::Array(values)) => Ok(Some(values)),
            Ok(_) => Err(RemoteError::Nonsense("the answer to a heartbeat")),
            Err(_) if self.nodes.is_cluster() => {
                self.nodes.missed();
                Ok(None)
            }
            Err(error) => Err(RemoteError::Failed(error)),
        }
    }

    /// Compares the record that was found; a missing one is written.
    async fn agreement(&self, found: Option<&[u8]>) -> Agreement {
        if found.is_some() {
            return Agreement::new(&self.layout, found);
        }
        let mut command = redis::cmd("SET");
        command
            .arg(&*self.layout.agreement())
            .arg(agreement::text(&self.layout))
            .arg("NX")
            .arg("GET");
        // Where it cannot be written nobody else could, either: the next heartbeat tries again.
        let before = match self.nodes.of(self.layout.tag_bucket()) {
            Ok(node) => node.connections.send(Class::Small, &command).await.ok(),
            Err(_) => None,
        };
        Agreement::new(&self.layout, before.as_ref().and_then(raw))
    }
}

/// Seconds and microseconds, in ms.
fn time(reply: Vec<Value>) -> Result<u64, RemoteError> {
    let [time] = row(Value::Array(reply))?;
    let [seconds, micros] = row(time)?;
    match (number(&seconds), number(&micros)) {
        (Some(seconds), Some(micros)) => Ok(seconds * 1000 + micros / 1000),
        _ => Err(RemoteError::Nonsense("the answer to TIME")),
    }
}

impl Beat {
    /// The feeds that it tells of.
    pub(crate) fn answers(&self) -> impl Iterator<Item = (u16, Heard)> {
        let heads = (0..).zip(self.heads.iter().copied());
        heads.filter(|(_, heard)| *heard != Heard::Unanswered)
    }
}
