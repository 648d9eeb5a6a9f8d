//! Whether the server that has answered is still the one: a *beat*.
//!
//! A beat writes, waits until as many replicas as are wanted have what was written (`WAIT`), and then asks who answers. One that was sent
//! after an answer, and came from the same server, proves that this server was followed by its replicas after the answer: no other one
//! had been promoted in its place, whose invalidations the answer would have missed. Whoever waits for a beat shares the next one that
//! begins, so that a thousand reads cost as much as one. It has a connection of its own, since `WAIT` holds up whatever comes behind it.

use super::{
    RedisRemote, Remote, RemoteError, connection::Connections, identity::Server, node::Node,
};
use crate::model::{Clock, Trust, millis};
use futures_util::future::join_all;
use std::sync::{
    Arc, Mutex as Lock, PoisonError,
    atomic::{AtomicU64, Ordering},
};
use tokio::sync::Mutex;

/// How many replicas must follow, and how time is told.
#[derive(Clone, Debug)]
pub(crate) struct Quorum {
    /// Those that must have an invalidation before it is acknowledged, and a beat before it proves anything.
    pub(crate) replicas: usize,
    pub(crate) clock: Arc<dyn Clock>,
}

/// The beats of one server.
pub(super) struct Beats {
    pub(super) quorum: Quorum,
    /// How many have begun.
    begun: AtomicU64,
    /// One at a time; its number and what came of it.
    last: Mutex<(u64, Result<Server, RemoteError>)>,
    /// The last that was confirmed: by whom, and when it was sent, in ms of the node's clock.
    confirmed: Lock<Option<(Server, u64)>>,
}

impl Beats {
    pub(super) fn new(quorum: Quorum) -> Self {
        Self {
            quorum,
            begun: AtomicU64::new(0),
            last: Mutex::new((0, Err(RemoteError::Unconfirmed))),
            confirmed: Lock::default(),
        }
    }

    /// Waits for a beat that begins from now on; `beat` is one.
    ///
    /// # Cancel safety
    /// Who waits for a beat that was dropped begins another.
    pub(super) async fn next<F>(&self, beat: impl FnOnce() -> F) -> Result<Server, RemoteError>
    where
        F: Future<Output = Result<Server, RemoteError>>,
    {
        let before = self.begun.load(Ordering::SeqCst);
        let mut last = self.last.lock().await;
        if last.0 > before {
            return last.1.clone();
        }
        let number = self.begun.fetch_add(1, Ordering::SeqCst) + 1;
        let sent = millis(self.quorum.clock.precise());
        let result = beat().await;
        if let Ok(server) = &result {
            *self.lock() = Some((*server, sent));
        }
        *last = (number, result.clone());
        result
    }

    /// Whether this server was confirmed at most so many ms ago.
    fn covers(&self, by: Server, within: u64) -> bool {
        let now = millis(self.quorum.clock.now());
        let confirmed = *self.lock();
        confirmed.is_some_and(|(server, sent)| is_by(server, by) && now < sent + within)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<(Server, u64)>> {
        // It is replaced as a whole, so a panic elsewhere spoils nothing.
        self.confirmed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Remote {
    /// Whether an answer that this server gave for the bucket is to be believed.
    ///
    /// # Cancel safety
    /// Dropping this future has no effect on others.
    pub(crate) async fn vouch(
        &self,
        bucket: u16,
        by: Server,
        trust: Trust,
    ) -> Result<(), RemoteError> {
        match trust {
            Trust::AtOnce => Ok(()),
            Trust::Within(_) if !self.wants_replicas() => Ok(()),
            Trust::Within(within) if self.covers(bucket, by, within) => Ok(()),
            Trust::Within(_) | Trust::Anew => self.confirm(bucket, by).await,
        }
    }

    /// Waits for a beat that begins from now on and is confirmed by this server.
    pub(crate) async fn confirm(&self, bucket: u16, by: Server) -> Result<(), RemoteError> {
        let server = self.next_beat(bucket).await?;
        if is_by(server, by) {
            Ok(())
        } else {
            Err(RemoteError::Unconfirmed)
        }
    }

    /// Whether enough replicas follow the server of this bucket, whoever it is.
    pub(crate) async fn is_followed(&self, bucket: u16) -> Result<(), RemoteError> {
        if !self.wants_replicas() {
            return Ok(());
        }
        self.next_beat(bucket).await.map(drop)
    }

    async fn next_beat(&self, bucket: u16) -> Result<Server, RemoteError> {
        match self {
            Self::Redis(redis) => {
                let node = redis.nodes.of(bucket)?;
                node.beats().next(|| redis.beaten(&node, bucket)).await
            }
            Self::Memory(memory) => memory.beats.next(|| memory.beaten(bucket)).await,
        }
    }

    fn covers(&self, bucket: u16, by: Server, within: u64) -> bool {
        match self {
            Self::Redis(redis) => {
                let node = redis.nodes.of(bucket);
                node.is_ok_and(|node| node.beats().covers(by, within))
            }
            Self::Memory(memory) => memory.beats.covers(by, within),
        }
    }

    /// An invalidation that was done counts once the replicas have it.
    pub(super) async fn acknowledge(&self, bucket: u16, by: Server) -> Result<(), RemoteError> {
        if self.wants_replicas() {
            Box::pin(self.confirm(bucket, by)).await
        } else {
            Ok(())
        }
    }

    /// The same for many; each that was refused before stays so.
    pub(super) async fn acknowledge_all<T>(
        &self,
        answers: Vec<Result<T, RemoteError>>,
        of: impl Fn(&T) -> (u16, Server),
    ) -> Vec<Result<T, RemoteError>> {
        if !self.wants_replicas() {
            return answers;
        }
        let of = &of;
        let each = answers.into_iter().map(|answer| async move {
            let answer = answer?;
            let (bucket, by) = of(&answer);
            self.confirm(bucket, by).await.map(|()| answer)
        });
        Box::pin(join_all(each)).await
    }

    /// Whether replicas must have what is invalidated.
    pub(crate) fn wants_replicas(&self) -> bool {
        self.quorum().replicas > 0
    }

    /// The bucket of all tags.
    pub(crate) fn tag_bucket(&self) -> u16 {
        match self {
            Self::Redis(redis) => redis.layout.tag_bucket(),
            Self::Memory(memory) => memory.layout.tag_bucket(),
        }
    }

    fn quorum(&self) -> &Quorum {
        match self {
            Self::Redis(redis) => redis.quorum(),
            Self::Memory(memory) => &memory.beats.quorum,
        }
    }
}

impl RedisRemote {
    async fn beaten(&self, node: &Node, bucket: u16) -> Result<Server, RemoteError> {
        let key = self.layout.beat(bucket);
        beat(&node.connections, self.quorum(), &key).await
    }
}

/// One beat: the write, the wait for those that follow, and the question who answers, in this order on one connection.
async fn beat(
    connections: &Connections,
    quorum: &Quorum,
    key: &[u8],
) -> Result<Server, RemoteError> {
    let mut pipeline = redis::pipe();
    let patience = millis(connections.patience()).max(1);
    if quorum.replicas > 0 {
        pipeline.cmd("SET").arg(key).arg(1).arg("PX").arg(BEAT_TTL);
        pipeline.cmd("WAIT").arg(quorum.replicas).arg(patience);
    }
    let (replies, server) = connections.witness(&pipeline).await?;
    if server == Server::Unknown {
        return Err(RemoteError::Unconfirmed);
    }
    match replies.last().map(super::store::number) {
        None => Ok(server),
        Some(Some(following)) if following >= quorum.replicas as u64 => Ok(server),
        Some(_) => Err(RemoteError::Unconfirmed),
    }
}

/// Whether the server of a beat is the one that has answered, as far as it tells who it is.
fn is_by(beat: Server, answer: Server) -> bool {
    match beat {
        Server::Unknown => false,
        Server::Silent => true,
        Server::Known(_) => beat == answer,
    }
}

/// How long a beat's record stays, in ms: nobody reads it.
const BEAT_TTL: u64 = 60_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ManualClock;
    use std::time::Duration;
    use tokio::sync::Notify;

    fn beats(clock: &Arc<ManualClock>) -> Beats {
        let clock: Arc<dyn Clock> = clock.clone();
        Beats::new(Quorum { replicas: 1, clock })
    }

    /// A read that came while a beat was under way took that one for its own: the beat had begun before the read was answered, and
    /// a replica may have been promoted in between.
    #[tokio::test]
    async fn who_comes_during_a_beat_waits_for_the_next_one_and_shares_it() {
        let clock = Arc::new(ManualClock::new());
        let (beats, count) = (Arc::new(beats(&clock)), Arc::new(AtomicU64::new(0)));
        let (begun, gate) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let wait = || {
            let (beats, count) = (Arc::clone(&beats), Arc::clone(&count));
            let (begun, gate) = (Arc::clone(&begun), Arc::clone(&gate));
            tokio::spawn(async move {
                let beat = || async move {
                    let number = count.fetch_add(1, Ordering::SeqCst) + 1;
                    begun.notify_one();
                    gate.notified().await;
                    Ok(Server::Known(number))
                };
                beats.next(beat).await.unwrap()
            })
        };
        let first = wait();
        begun.notified().await;
        let others: Vec<_> = (0..10).map(|_| wait()).collect();
        tokio::task::yield_now().await;

        gate.notify_one();
        assert_eq!(first.await.unwrap(), Server::Known(1));
        begun.notified().await;
        gate.notify_one();
        for other in others {
            assert_eq!(other.await.unwrap(), Server::Known(2));
        }
        assert_eq!(count.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn a_beat_that_was_dropped_is_begun_again_by_who_waits() {
        let clock = Arc::new(ManualClock::new());
        let beats = Arc::new(beats(&clock));
        let (stuck, waits) = (Arc::clone(&beats), Arc::clone(&beats));
        let begun = Arc::new(Notify::new());
        let has_begun = Arc::clone(&begun);
        let stuck = tokio::spawn(async move {
            let beat = || async move {
                has_begun.notify_one();
                std::future::pending().await
            };
            stuck.next(beat).await
        });
        begun.notified().await;
        let waiting =
            tokio::spawn(async move { waits.next(|| async { Ok(Server::Known(7)) }).await });
        tokio::task::yield_now().await;

        stuck.abort();

        assert_eq!(waiting.await.unwrap().unwrap(), Server::Known(7));
    }

    #[tokio::test]
    async fn a_confirmation_holds_for_its_server_and_its_time_from_when_it_was_sent() {
        let clock = Arc::new(ManualClock::new());
        let beats = beats(&clock);
        let slow = || async {
            clock.advance(Duration::from_millis(40));
            Ok(Server::Known(7))
        };
        beats.next(slow).await.unwrap();

        assert!(beats.covers(Server::Known(7), 41));
        assert!(!beats.covers(Server::Known(7), 40));
        assert!(!beats.covers(Server::Known(8), 1000));
        let failed = beats.next(|| async { Err(RemoteError::Unconfirmed) }).await;
        assert!(failed.is_err() && beats.covers(Server::Known(7), 41));
    }

    #[test]
    fn only_the_same_server_speaks_for_an_answer() {
        let (one, other) = (Server::Known(7), Server::Known(8));
        assert!(is_by(one, one) && is_by(Server::Silent, one));
        assert!(!is_by(other, one) && !is_by(one, Server::Silent));
        assert!(!is_by(Server::Unknown, Server::Unknown));
    }
}
