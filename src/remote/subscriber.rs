//! The push half of the feed: one connection that carries all buckets' channels.
//!
//! Pub/Sub loses whatever is sent while nobody listens, without a word. That is no concern of this file: it
//! says [`Push::Subscribed`] whenever a subscription stands, and the chain of nonces finds what was lost between.

use super::{Layout, Push, connection::Connections, wire};
use redis::{PushInfo, PushKind, Value, aio::MultiplexedConnection};
use std::{collections::HashMap, time::Duration};
use tokio::{
    sync::mpsc,
    time::{MissedTickBehavior, interval, sleep, timeout},
};

/// Subscribes again and again until `sink` is closed.
pub(super) async fn follow(
    connections: &Connections,
    layout: &Layout,
    sink: mpsc::UnboundedSender<Push>,
) {
    let channels = Channels::new(layout);
    while !sink.is_closed() {
        if let Err(error) = listen(connections, &channels, &sink).await {
            tracing::debug!(%error, "the feed's subscription broke");
        }
        sleep(PAUSE).await;
    }
}

async fn listen(
    connections: &Connections,
    channels: &Channels,
    sink: &mpsc::UnboundedSender<Push>,
) -> Result<(), redis::RedisError> {
    let (sender, mut pushes) = mpsc::unbounded_channel();
    let mut line = connections.pushing(sender).await?;
    channels.subscribe(&mut line.connection).await?;
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
            _ = ping.tick() => answers(&mut line.connection).await?,
        }
    }
}

async fn answers(connection: &mut MultiplexedConnection) -> Result<(), redis::RedisError> {
    match timeout(PING, redis::cmd("PING").query_async::<()>(connection)).await {
        Ok(answer) => answer,
        Err(_) => Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into()),
    }
}

/// The channels of all feeds, and the bucket that each belongs to.
struct Channels(HashMap<Vec<u8>, u16>);

impl Channels {
    fn new(layout: &Layout) -> Self {
        let channel = |bucket| (layout.channel(bucket).to_vec(), bucket);
        Self((0..layout.feeds()).map(channel).collect())
    }

    async fn subscribe(
        &self,
        connection: &mut MultiplexedConnection,
    ) -> Result<(), redis::RedisError> {
        let mut command = redis::cmd("SSUBSCRIBE");
        for channel in self.0.keys() {
            command.arg(channel);
        }
        match timeout(PING, command.query_async::<Value>(connection)).await {
            Ok(answer) => answer.map(drop),
            Err(_) => Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into()),
        }
    }

    fn read(&self, push: &PushInfo) -> Option<Push> {
        let (PushKind::SMessage, [Value::BulkString(channel), Value::BulkString(text)]) =
            (&push.kind, &push.data[..])
        else {
            return None;
        };
        let bucket = *self.0.get(channel)?;
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
