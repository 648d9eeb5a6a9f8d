//! The protocol's operations on Redis: one round trip each.
//!
//! A read is a plain `MGET`, since a script costs the server several times as much; whatever changes anything is a script.

use super::{
    Bump, Bumped, Discard, Fill, Filled, Layout, Open, Opened, Order, Push, RemoteError, Replay,
    Snapshot, Turn,
    confirm::Quorum,
    connection::Class,
    identity::Server,
    inspect::Inspector,
    layout::Name,
    node::Node,
    nodes::{Nodes, Target},
    reader::Names,
    scripts::Scripts,
    subscribers, wire,
};
use crate::{
    error::Error,
    model::{Address, Epoch, Event, Generation, Stamp, StoreVersion, Version},
};
use redis::Value;
use smallvec::SmallVec;
use std::{sync::Arc, time::Duration};
use tokio::sync::mpsc;

/// The remote tier in Redis.
pub(crate) struct RedisRemote {
    pub(super) nodes: Arc<Nodes>,
    /// Whether an epoch counts only on the server that it began on.
    pub(super) fenced: bool,
    pub(super) layout: Layout,
    pub(super) scripts: Scripts,
    quorum: Quorum,
    inspector: Inspector,
}

impl RedisRemote {
    pub(crate) fn new(target: Target<'_>, layout: Layout) -> Result<Self, Error> {
        let nodes = Arc::new(Nodes::new(&target, &layout)?);
        let replicas = target.quorum.replicas;
        Ok(Self {
            inspector: Inspector::new(Arc::clone(&nodes), layout.clone(), replicas),
            nodes,
            fenced: target.fenced,
            quorum: target.quorum,
            layout,
            scripts: Scripts::new(),
        })
    }

    pub(super) fn inspector(&self) -> &Inspector {
        &self.inspector
    }

    pub(super) fn quorum(&self) -> &Quorum {
        &self.quorum
    }

    pub(super) async fn read(&self, at: &Address, large: bool) -> Result<Snapshot, RemoteError> {
        let layout = &self.layout;
        let names = || -> Names {
            let control = layout.control(at.id.bucket);
            [control, layout.pointer(at), layout.value(at)].into()
        };
        let class = if large { Class::Large } else { Class::Small };
        let read = |node: Arc<Node>| async move { node.read(class, names()).await };
        self.nodes.ask(at.id.bucket, read).await
    }

    pub(super) async fn check(&self, at: &Address) -> Result<Snapshot, RemoteError> {
        let layout = &self.layout;
        let names = || -> Names {
            let names = [layout.control(at.id.bucket), layout.pointer(at)];
            names.into_iter().collect()
        };
        let read = |node: Arc<Node>| async move { node.read(Class::Small, names()).await };
        self.nodes.ask(at.id.bucket, read).await
    }

    pub(super) async fn open(&self, at: &Address, open: Open) -> Result<Opened, RemoteError> {
        let bucket = at.id.bucket;
        self.nodes.of(bucket)?.connections.check_quick()?;
        let keys = self.keys(at);
        let reply = self
            .run(bucket, Class::Small, &self.scripts.open, &keys, |command| {
                open_arguments(command, &open);
            })
            .await?;
        opened(reply)
    }

    pub(super) async fn fill(&self, at: &Address, fill: Fill) -> Result<Filled, RemoteError> {
        let class = if fill.payload.len() > LARGE {
            Class::Large
        } else {
            Class::Small
        };
        let keys = self.keys(at);
        let reply = self
            .run(at.id.bucket, class, &self.scripts.fill, &keys, |command| {
                fill_arguments(command, at, &fill);
            })
            .await?;
        filled(&reply)
    }

    pub(super) async fn release(&self, at: &Address, token: u64) -> Result<(), RemoteError> {
        let keys = self.keys(at);
        let released = self.run(
            at.id.bucket,
            Class::Small,
            &self.scripts.fill,
            &keys,
            |command| {
                release_arguments(command, at, token);
            },
        );
        released.await.map(drop)
    }

    pub(super) async fn renew(
        &self,
        at: &Address,
        token: u64,
        lease: Duration,
    ) -> Result<(), RemoteError> {
        let keys = [self.layout.lease(at)];
        let renewed = self.run(
            at.id.bucket,
            Class::Small,
            &self.scripts.renew,
            &keys,
            |command| {
                renew_arguments(command, token, lease);
            },
        );
        renewed.await.map(drop)
    }

    pub(super) async fn bump(&self, at: &Address, bump: Bump) -> Result<Bumped, RemoteError> {
        let keys = self.keys_of_bump(at, bump);
        let reply = self
            .run(
                at.id.bucket,
                Class::Small,
                &self.scripts.bump,
                &keys,
                |command| {
                    bump_arguments(command, at, bump);
                },
            )
            .await?;
        bumped(at.id.bucket, reply)
    }

    pub(super) async fn depend(
        &self,
        at: &Address,
        shown: Generation,
        pointer_ttl: u64,
    ) -> Result<bool, RemoteError> {
        let keys = self.bump_keys(at);
        let reply = self.run(
            at.id.bucket,
            Class::Small,
            &self.scripts.depend,
            &keys,
            |command| {
                command.arg(shown.epoch.0).arg(shown.version.0);
                command.arg(pointer_ttl);
            },
        );
        Ok(number(&reply.await?) == Some(1))
    }

    pub(super) async fn replay(&self, bucket: u16, after: u64) -> Result<Replay, RemoteError> {
        let mut pipeline = redis::pipe();
        pipeline
            .atomic()
            .cmd("GET")
            .arg(&*self.layout.control(bucket));
        pipeline
            .cmd("XRANGE")
            .arg(&*self.layout.log(bucket))
            .arg(format!("({after}-0"))
            .arg("+");
        let node = self.nodes.of(bucket)?;
        let (executed, server) = node.connections.transact(&pipeline).await?;
        let [executed] = row(Value::Array(executed))?;
        let [control, log] = row(executed)?;
        Ok(Replay {
            head: raw(&control).and_then(|text| wire::own_head(text, server)),
            events: events(log)?,
        })
    }

    pub(super) async fn follow(&self, sink: mpsc::UnboundedSender<Push>) {
        subscribers::follow(&self.nodes, &self.layout, sink).await;
    }

    /// The keys of the scripts that concern a value, in their order.
    pub(super) fn keys(&self, at: &Address) -> [Name; 6] {
        let [control, log, channel] = self.feed(at.id.bucket);
        let layout = &self.layout;
        [
            control,
            log,
            channel,
            layout.pointer(at),
            layout.value(at),
            layout.lease(at),
        ]
    }

    pub(super) fn bump_keys(&self, at: &Address) -> [Name; 4] {
        let [control, log, channel] = self.feed(at.id.bucket);
        [control, log, channel, self.layout.pointer(at)]
    }

    pub(super) fn feed(&self, bucket: u16) -> [Name; 3] {
        [
            self.layout.control(bucket),
            self.layout.log(bucket),
            self.layout.channel(bucket),
        ]
    }
}

fn entity(command: &mut redis::Cmd, at: &Address) {
    command.arg(format!("{:08x}", at.id.cache));
    command.arg(format!("{:016x}", at.id.hash));
}

pub(super) fn open_arguments(command: &mut redis::Cmd, open: &Open) {
    command.arg(open.token).arg(millis(open.lease));
    command.arg(open.pointer_ttl);
    command.arg(&discard(open.discard)[..]).arg(open.until);
}

pub(super) fn fill_arguments(command: &mut redis::Cmd, at: &Address, fill: &Fill) {
    let Generation { epoch, version } = fill.generation;
    command.arg(epoch.0).arg(version.0).arg(fill.token);
    command.arg(fill.until).arg(fill.pointer_ttl);
    entity(command, at);
    command.arg(&fill.payload).arg(store_version(fill.store));
    match &fill.held {
        Some(seal) => command.arg(&seal.check).arg(seal.front.get()),
        None => command.arg("").arg(0),
    };
}

/// A fill without a value.
pub(super) fn release_arguments(command: &mut redis::Cmd, at: &Address, token: u64) {
    command.arg(0).arg(0).arg(token).arg(0).arg(0);
    entity(command, at);
    command.arg("").arg("-").arg("").arg(0);
}

pub(super) fn renew_arguments(command: &mut redis::Cmd, token: u64, lease: Duration) {
    command.arg(token).arg(millis(lease));
}

pub(super) fn bump_arguments(command: &mut redis::Cmd, at: &Address, bump: Bump) {
    command.arg(bump.pointer_ttl);
    entity(command, at);
    command.arg(store_version(bump.store));
    command.arg(wire::letter(bump.strength));
    super::purges::note_arguments(command, at, bump);
}

pub(super) fn filled(reply: &Value) -> Result<Filled, RemoteError> {
    Ok(match text(reply) {
        Some("stored") => Filled::Stored,
        Some("stale") => Filled::Stale,
        Some("expired") => Filled::Expired,
        Some("gone") => Filled::Gone,
        _ => return Err(RemoteError::Nonsense("the answer to a fill")),
    })
}

fn discard(discard: Discard) -> SmallVec<[u8; 9]> {
    match discard {
        Discard::Nothing => SmallVec::new(),
        Discard::Refused(check) => SmallVec::from_slice(&check),
        Discard::Anything => SmallVec::from_slice(b"*"),
        Discard::Outlived(check) => b"=".iter().chain(&check).copied().collect(),
    }
}

fn store_version(version: Option<StoreVersion>) -> String {
    version.map_or_else(|| "-".to_owned(), StoreVersion::text)
}

pub(super) fn bumped(bucket: u16, reply: Value) -> Result<Bumped, RemoteError> {
    let [epoch, n, depended, order, owner] = row(reply)?;
    let order = match text(&order) {
        Some("bumped") => Some(Order::Unknown),
        Some("newest") => Some(Order::Newest),
        Some("older") => Some(Order::Older),
        _ => None,
    };
    let (Some(epoch), Some(n), Some(order)) = (number(&epoch), number(&n), order) else {
        return Err(RemoteError::Nonsense("the answer to a bump"));
    };
    Ok(Bumped {
        by: raw(&owner).map_or(Server::Silent, Server::owning),
        stamp: Stamp {
            bucket,
            epoch: Epoch(epoch),
            n,
        },
        depended: number(&depended) != Some(0),
        order,
    })
}

pub(super) fn opened(reply: Value) -> Result<Opened, RemoteError> {
    let Value::Array(mut fields) = reply else {
        return Err(RemoteError::Nonsense("the answer to an open"));
    };
    let value = if fields.len() == 5 {
        fields.pop().and_then(bytes)
    } else {
        None
    };
    let [turn, at, control, version] = row(Value::Array(fields))?;
    let nonsense = RemoteError::Nonsense("a field of the answer to an open");
    let (Some((head, by)), Some(version), Some(at)) = (
        raw(&control).and_then(wire::head_and_owner),
        number(&version),
        number(&at),
    ) else {
        return Err(nonsense);
    };
    let turn = match (text(&turn), value) {
        (Some("H"), Some(value)) => Turn::Hit(value),
        (Some("L"), None) => Turn::Lead,
        (Some("F"), None) => Turn::Follow,
        _ => return Err(nonsense),
    };
    let generation = Generation {
        epoch: head.epoch,
        version: Version(version),
    };
    Ok(Opened {
        by,
        head,
        generation,
        at,
        turn,
    })
}

/// The events of an `XRANGE` reply: `[[id, [field, text]], …]`. One that does not parse breaks the chain, as it must.
pub(super) fn events(log: Value) -> Result<Vec<Event>, RemoteError> {
    let Value::Array(entries) = log else {
        return Err(RemoteError::Nonsense("the answer to a replay"));
    };
    let mut events = Vec::with_capacity(entries.len());
    for entry in entries {
        let [_id, fields] = row(entry)?;
        let [_field, event] = row(fields)?;
        events.extend(raw(&event).and_then(wire::event));
    }
    Ok(events)
}

pub(super) fn row<const N: usize>(value: Value) -> Result<[Value; N], RemoteError> {
    match value {
        Value::Array(values) => values
            .try_into()
            .map_err(|_| RemoteError::Nonsense("the number of fields of an answer")),
        _ => Err(RemoteError::Nonsense("the form of an answer")),
    }
}

pub(super) fn raw(value: &Value) -> Option<&[u8]> {
    match value {
        Value::BulkString(bytes) => Some(bytes),
        Value::SimpleString(text) => Some(text.as_bytes()),
        _ => None,
    }
}

pub(super) fn text(value: &Value) -> Option<&str> {
    match value {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok(),
        Value::SimpleString(text) => Some(text),
        _ => None,
    }
}

pub(super) fn number(value: &Value) -> Option<u64> {
    match value {
        Value::Int(number) => u64::try_from(*number).ok(),
        other => text(other)?.parse().ok(),
    }
}

fn bytes(value: Value) -> Option<Vec<u8>> {
    match value {
        Value::BulkString(bytes) => Some(bytes),
        _ => None,
    }
}

fn millis(duration: Duration) -> u64 {
    crate::model::millis(duration)
}

/// Longer values travel on the connection for large ones. In bytes.
pub(crate) const LARGE: usize = 64 << 10;
