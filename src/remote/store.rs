//! The protocol's operations on Redis: one round trip each.
//!
//! A read is a plain `MGET`, since a script costs the server several times as much; whatever changes anything is a script.

use super::{
    Agreement, Beat, Bump, Bumped, Discard, Fill, Filled, Known, Layout, Open, Opened, Order, Push,
    RemoteError, Replay, Snapshot, Turn, agreement,
    confirm::{Beats, Quorum},
    connection::{Class, Connections},
    identity::Server,
    inspect::Inspector,
    layout::Name,
    reader::{self, Reader},
    scripts::Scripts,
    subscriber, wire,
};
use crate::{
    error::Error,
    model::{Address, Epoch, Event, Generation, Stamp, StoreVersion, Version},
};
use redis::Value;
use smallvec::SmallVec;
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep},
};

/// The remote tier in Redis.
pub(crate) struct RedisRemote {
    pub(super) connections: Arc<Connections>,
    /// Whether an epoch counts only on the server that it began on.
    pub(super) fenced: bool,
    reader: Arc<Reader>,
    pub(super) layout: Layout,
    pub(super) scripts: Scripts,
    inspector: Inspector,
    beats: Beats,
}

impl RedisRemote {
    pub(crate) fn new(
        url: &str,
        layout: Layout,
        limit: Duration,
        skip_slow: bool,
        fenced: bool,
        quorum: Quorum,
    ) -> Result<Self, Error> {
        let connections = Arc::new(Connections::new(url, limit, skip_slow, fenced)?);
        let reader = Reader::new(Arc::clone(&connections));
        Ok(Self {
            inspector: Inspector::new(Arc::clone(&connections), layout.clone(), quorum.replicas),
            connections,
            fenced,
            reader,
            layout,
            scripts: Scripts::new(),
            beats: Beats::new(quorum),
        })
    }

    /// Waits until the server answers, and checks that the protocol can run on it.
    pub(super) async fn check_start(&self, limit: Duration) -> Result<Agreement, Error> {
        let beat = self.reach(limit).await?;
        if beat.agreement == Agreement::Same {
            self.inspector.check_start().await?;
        }
        Ok(beat.agreement)
    }

    async fn reach(&self, limit: Duration) -> Result<Beat, Error> {
        let deadline = Instant::now() + limit;
        loop {
            let failure = match self.beat(&[]).await {
                Ok(beat) if self.is_up() => return Ok(beat),
                // Slower than any call would wait for.
                Ok(_) => RemoteError::Timeout,
                Err(error) => error,
            };
            if let Some(refusal) = self.inspector.refusal(&failure) {
                return Err(Error::config(refusal));
            }
            if Instant::now() >= deadline {
                return Err(Error::unavailable("reach redis", Some(failure.into())));
            }
            sleep(RETRY).await;
        }
    }

    pub(super) fn inspector(&self) -> &Inspector {
        &self.inspector
    }

    pub(crate) fn is_up(&self) -> bool {
        self.connections.is_up()
    }

    pub(super) fn beats(&self, _bucket: u16) -> &Beats {
        &self.beats
    }

    pub(super) fn quorum(&self) -> &Quorum {
        &self.beats.quorum
    }

    pub(super) fn connections(&self) -> &Connections {
        &self.connections
    }

    pub(super) async fn read(&self, at: &Address, large: bool) -> Result<Snapshot, RemoteError> {
        self.connections.check_quick()?;
        let layout = &self.layout;
        let names = [
            layout.control(at.id.bucket),
            layout.pointer(at),
            layout.value(at),
        ];
        if large {
            return reader::ask(&self.connections, Class::Large, &names).await;
        }
        self.reader.read(names.into()).await
    }

    pub(super) async fn check(&self, at: &Address) -> Result<Snapshot, RemoteError> {
        self.connections.check_quick()?;
        let names = [self.layout.control(at.id.bucket), self.layout.pointer(at)];
        self.reader.read(names.into_iter().collect()).await
    }

    pub(super) async fn open(&self, at: &Address, open: Open) -> Result<Opened, RemoteError> {
        self.connections.check_quick()?;
        let keys = self.keys(at);
        let reply = self
            .run(Class::Small, &self.scripts.open, &keys, |command| {
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
            .run(class, &self.scripts.fill, &keys, |command| {
                fill_arguments(command, at, &fill);
            })
            .await?;
        filled(&reply)
    }

    pub(super) async fn release(&self, at: &Address, token: u64) -> Result<(), RemoteError> {
        let keys = self.keys(at);
        let released = self.run(Class::Small, &self.scripts.fill, &keys, |command| {
            release_arguments(command, at, token);
        });
        released.await.map(drop)
    }

    pub(super) async fn renew(
        &self,
        at: &Address,
        token: u64,
        lease: Duration,
    ) -> Result<(), RemoteError> {
        let keys = [self.layout.lease(at)];
        let renewed = self.run(Class::Small, &self.scripts.renew, &keys, |command| {
            renew_arguments(command, token, lease);
        });
        renewed.await.map(drop)
    }

    pub(super) async fn bump(&self, at: &Address, bump: Bump) -> Result<Bumped, RemoteError> {
        let keys = self.keys_of_bump(at, bump);
        let reply = self
            .run(Class::Small, &self.scripts.bump, &keys, |command| {
                bump_arguments(command, at, bump);
            })
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
        let reply = self.run(Class::Small, &self.scripts.depend, &keys, |command| {
            command.arg(shown.epoch.0).arg(shown.version.0);
            command.arg(pointer_ttl);
        });
        Ok(number(&reply.await?) == Some(1))
    }

    /// `known`: the epoch of each feed, and how far this node had heard of it before it asked.
    pub(super) async fn beat(&self, known: &[Known]) -> Result<Beat, RemoteError> {
        let mut heads = redis::cmd("MGET");
        for bucket in 0..self.layout.feeds() {
            heads.arg(&*self.layout.control(bucket));
        }
        heads.arg(&*self.layout.agreement());
        let mut pipeline = redis::pipe();
        pipeline.cmd("TIME").add_command(heads);
        let (replies, server) = self.connections.probe(&pipeline).await?;
        let [time, heads] = row(Value::Array(replies))?;
        let [seconds, micros] = row(time)?;
        let (Some(seconds), Some(micros)) = (number(&seconds), number(&micros)) else {
            return Err(RemoteError::Nonsense("the answer to TIME"));
        };
        let Value::Array(mut records) = heads else {
            return Err(RemoteError::Nonsense("the answer to a heartbeat"));
        };
        if records.len() != usize::from(self.layout.feeds()) + 1 {
            return Err(RemoteError::Nonsense("the number of heads"));
        }
        let found = records.pop();
        let agreement = self.agreement(found.as_ref().and_then(raw)).await;
        Ok(Beat {
            heads: self.fenced(&records, server, known).await,
            at: seconds * 1000 + micros / 1000,
            agreement,
            by: server,
        })
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
        let before = self.connections.send(Class::Small, &command).await.ok();
        Agreement::new(&self.layout, before.as_ref().and_then(raw))
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
        let (executed, server) = self.connections.transact(&pipeline).await?;
        let [executed] = row(Value::Array(executed))?;
        let [control, log] = row(executed)?;
        Ok(Replay {
            head: raw(&control).and_then(|text| wire::own_head(text, server)),
            events: events(log)?,
        })
    }

    pub(super) async fn follow(&self, sink: mpsc::UnboundedSender<Push>) {
        subscriber::follow(&self.connections, &self.layout, sink).await;
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
/// Between two attempts to reach the server at the start.
const RETRY: Duration = Duration::from_millis(50);
