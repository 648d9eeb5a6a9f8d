//! The push half of the feed: one connection to a server that carries the channels of its buckets.
//!
//! Pub/Sub loses whatever is sent while nobody listens, without a word. That is no concern of this file: it
//! says [`Push::Subscribed`] whenever a subscription stands, and the chain of nonces finds what was lost between.

use super::{Layout, Push, connection::Connections, wire};
use redis::{PushInfo, PushKind, RedisError, Value, aio::MultiplexedConnection};
use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};
use tokio::{
    sync::mpsc,
    time::{MissedTickBehavior, interval, sleep, timeout},
};

/// Subscribes again and again until `sink` is closed; `lost`: a channel is not, or no longer, this server's.
pub(super) async fn follow(
    connections: &Connections,
    channels: &Channels,
    sink: &mpsc::UnboundedSender<Push>,
    lost: impl Fn(),
) {
    while !sink.is_closed() {
        if let Err(error) = listen(connections, channels, sink, &lost).await {
            tracing::debug!(%error, "the feed's subscription broke");
        }
        sleep(PAUSE).await;
    }
}

async fn listen(
    connections: &Connections,
    channels: &Channels,
    sink: &mpsc::UnboundedSender<Push>,
    lost: &impl Fn(),
) -> Result<(), RedisError> {
    let (sender, mut pushes) = mpsc::unbounded_channel();
    let mut line = connections.pushing(sender).await?;
    let mut missing = channels.subscribe(&mut line.connection).await?;
    if !missing.is_empty() {
        lost();
    }
    if sink.send(Push::Subscribed).is_err() {
        return Ok(());
    }
    let moved = line.clone();
    let mut ping = interval(PING);
    ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            push = pushes.recv() => match push {
                Some(push) if push.kind == PushKind::Disconnection => return Ok(()),
                Some(push) if push.kind == PushKind::SUnsubscribe => {
                    // The slot has left this server: somebody else has the channel.
                    missing.extend(channels.of_push(&push));
                    lost();
                }
                Some(push) => {
                    let Some(push) = channels.read(&push) else { continue };
                    if sink.send(push).is_err() {
                        return Ok(());
                    }
                }
                None => return Ok(()),
            },
            () = connections.master_moved(&moved) => return Ok(()),
            // A half-open connection never breaks by itself: only an unanswered ping tells.
            _ = ping.tick() => {
                answers(&mut line.connection).await?;
                if !missing.is_empty() && channels.retry(&mut line.connection, &mut missing).await? {
                    lost();
                    let _ = sink.send(Push::Subscribed);
                }
            }
        }
    }
}

async fn answers(connection: &mut MultiplexedConnection) -> Result<(), RedisError> {
    in_time(redis::cmd("PING").query_async::<()>(connection)).await
}

async fn in_time<T>(answer: impl Future<Output = Result<T, RedisError>>) -> Result<T, RedisError> {
    match timeout(PING, answer).await {
        Ok(answer) => answer,
        Err(_) => Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into()),
    }
}

/// The channels of some feeds, and the bucket that each belongs to.
pub(super) struct Channels {
    buckets: HashMap<Vec<u8>, u16>,
    /// Whether each needs a command of its own, as in a cluster.
    parted: bool,
}

impl Channels {
    pub(super) fn new(layout: &Layout, buckets: &[u16], parted: bool) -> Self {
        let channel = |bucket: &u16| (layout.channel(*bucket).to_vec(), *bucket);
        Self {
            buckets: buckets.iter().map(channel).collect(),
            parted,
        }
    }

    /// Answers those that this server does not have.
    async fn subscribe(
        &self,
        connection: &mut MultiplexedConnection,
    ) -> Result<HashSet<Vec<u8>>, RedisError> {
        if self.parted {
            let mut missing = self.buckets.keys().cloned().collect();
            self.retry(connection, &mut missing).await?;
            return Ok(missing);
        }
        let mut command = redis::cmd("SSUBSCRIBE");
        for channel in self.buckets.keys() {
            command.arg(channel);
        }
        in_time(command.query_async::<Value>(connection)).await?;
        Ok(HashSet::new())
    }

    /// Subscribes one by one, since they lie in several slots; answers whether any was taken.
    async fn retry(
        &self,
        connection: &mut MultiplexedConnection,
        missing: &mut HashSet<Vec<u8>>,
    ) -> Result<bool, RedisError> {
        let before = missing.len();
        for channel in missing.clone() {
            let mut command = redis::cmd("SSUBSCRIBE");
            command.arg(&channel);
            match in_time(command.query_async::<Value>(connection)).await {
                Ok(_) => missing.remove(&channel),
                // Another one has it, or nobody at present.
                Err(error) if error.is_cluster_error() => false,
                Err(error) => return Err(error),
            };
        }
        Ok(missing.len() < before)
    }

    fn of_push(&self, push: &PushInfo) -> Option<Vec<u8>> {
        match push.data.first() {
            Some(Value::BulkString(channel)) if self.buckets.contains_key(channel) => {
                Some(channel.clone())
            }
            _ => None,
        }
    }

    fn read(&self, push: &PushInfo) -> Option<Push> {
        let (PushKind::SMessage, [Value::BulkString(channel), Value::BulkString(text)]) =
            (&push.kind, &push.data[..])
        else {
            return None;
        };
        let bucket = *self.buckets.get(channel)?;
        match wire::message(text)? {
            wire::Message::Event(event) => Some(Push::Event { bucket, event }),
            wire::Message::Wake { cache, entity } => Some(Push::Wake { cache, entity }),
        }
    }
}

/// Between a loss and the next attempt.
const PAUSE: Duration = Duration::from_millis(50);
/// Between two pings, and the longest wait for an answer.
const PING: Duration = Duration::from_secs(1);
