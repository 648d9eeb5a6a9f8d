//! What the caches of one `Tiers` share while they run, and the tasks that belong to it.

mod witness;

use crate::{
    error::Error,
    feed::{Audience, Follower, Heartbeat, Note, Proofs, Pruner, Ready},
    invalidate::{Journal, OldTag, Receipt, Sender, Sweeper, carry_out, resend},
    load::{Circles, Limiter, is_loading},
    model::{Clock, Head, Level, Recording, ServerTime, Strength},
    observe::Observers,
    purge::{Edge, Errands},
    remote::{Layout, Remote},
    tags::TagTable,
    tasks::Tasks,
};
use std::{
    future::Future,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::{Notify, mpsc, watch},
    task::JoinSet,
    time::timeout,
};

/// The shared parts.
pub(crate) struct Engine {
    /// Off: reads only run their loaders, and nothing is stored.
    pub(crate) enabled: bool,
    pub(crate) layout: Layout,
    pub(crate) remote: Arc<Remote>,
    /// How long a call to the remote tier may take.
    pub(crate) remote_limit: Duration,
    pub(crate) proofs: Arc<Proofs>,
    pub(crate) audience: Arc<Audience>,
    pub(crate) tags: Arc<TagTable>,
    /// The longest life of a value, in ms.
    pub(crate) longest: Arc<AtomicU64>,
    pub(crate) sender: Sender,
    pub(crate) observers: Arc<Observers>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) server_time: Arc<ServerTime>,
    pub(crate) circles: Arc<Circles>,
    /// The loads of all caches.
    pub(crate) loads: Arc<Limiter>,
    pub(crate) protections: Protections,
    /// How often a cache was told of an entity, or that something was lost.
    pub(crate) touched: AtomicU64,
    /// In ms.
    beat_every: Arc<AtomicU64>,
    beat_now: Arc<Notify>,
    notes: mpsc::UnboundedSender<Note>,
    closed: AtomicBool,
    /// What runs for callers.
    pub(crate) tasks: Tasks,
    /// What runs as long as the engine.
    own: Mutex<JoinSet<()>>,
}

/// What a shutdown could not wait for.
pub(crate) struct Left {
    /// Loads and writes that were ended.
    pub(crate) tasks: usize,
    /// Invalidations that Redis did not take.
    pub(crate) pending: usize,
    /// Purges that were not done for good.
    pub(crate) purges: usize,
}

/// Which protections are on: all, but in tests that prove what each is good for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Protections {
    /// Fills, puts and flights are judged by what was invalidated since they began.
    pub(crate) stale_fill: bool,
    /// Events are linked, and a hole between them is noticed.
    pub(crate) chain: bool,
    /// Redis is asked whether what a request has shown is still current.
    pub(crate) guard: bool,
    /// A bump notes in Redis what the edge has to purge.
    pub(crate) purge_record: bool,
    /// An epoch counts only on the server that it began on.
    pub(crate) fence: bool,
}

/// What an engine is made of.
pub(crate) struct Parts {
    pub(crate) enabled: bool,
    pub(crate) layout: Layout,
    pub(crate) remote: Remote,
    pub(crate) remote_limit: Duration,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) heartbeat: Duration,
    pub(crate) loads: Limiter,
    pub(crate) protections: Protections,
    pub(crate) edge: Option<Arc<dyn Edge>>,
    pub(crate) record: Option<Recording>,
}

impl Engine {
    /// Starts the tasks; the channel tells how far the start has come.
    pub(crate) fn start(parts: Parts) -> (Arc<Self>, watch::Receiver<Ready>) {
        let horizon = crate::model::millis(parts.heartbeat * PROVEN_BEATS);
        let (remote, observers) = (Arc::new(parts.remote), Arc::new(Observers::new()));
        let feeds = parts.layout.feeds();
        let proofs = Arc::new(Proofs::new(feeds, horizon, remote.wants_replicas()));
        let beat_every = Arc::new(AtomicU64::new(crate::model::millis(parts.heartbeat)));
        let observer = observers.shared();
        let (audience, server_time) = (
            Arc::new(Audience::default()),
            Arc::new(ServerTime::new(parts.layout.feeds())),
        );
        let (notes, noted) = mpsc::unbounded_channel();
        let (ready, is_ready) = watch::channel(Ready::default());
        let beat_now = Arc::new(Notify::new());
        let journal = Arc::new(Journal::default());
        let tags = Arc::new(TagTable::new());
        let (errands, begun) = parts
            .edge
            .map(|edge| Errands::new(edge, Arc::clone(&observer)))
            .map(|(errands, begun)| (Arc::new(errands), begun))
            .unzip();
        let sender = Sender {
            remote: Arc::clone(&remote),
            journal,
            tags: Arc::clone(&tags),
            observer: Arc::clone(&observer),
            errands: errands.clone(),
            record: parts.record,
            heard_after: Arc::new(AtomicU64::new(horizon + LATE)),
        };
        let longest = Arc::new(AtomicU64::new(0));
        let pruner = Pruner {
            remote: Arc::clone(&remote),
            tags: Arc::clone(&tags),
            clock: Arc::clone(&parts.clock),
            server_time: Arc::clone(&server_time),
            tag_bucket: parts.layout.tag_bucket(),
            observer: Arc::clone(&observer),
            longest: Arc::clone(&longest),
            every: parts.heartbeat * PRUNED_EVERY_BEATS,
        };
        let heartbeat = Heartbeat {
            remote: Arc::clone(&remote),
            proofs: Arc::clone(&proofs),
            clock: Arc::clone(&parts.clock),
            server_time: Arc::clone(&server_time),
            observer: Arc::clone(&observer),
            notes: notes.clone(),
            every: Arc::clone(&beat_every),
            now: Arc::clone(&beat_now),
        };
        let follower = Follower {
            remote: Arc::clone(&remote),
            proofs: Arc::clone(&proofs),
            audience: Arc::clone(&audience),
            tags: Arc::clone(&tags),
            tag_bucket: parts.layout.tag_bucket(),
            observer: Arc::clone(&observer),
            clock: Arc::clone(&parts.clock),
            ready,
            beat_now: Arc::clone(&beat_now),
            chained: parts.protections.chain,
        };
        let sweeper = errands.clone().map(|errands| Sweeper {
            remote: Arc::clone(&remote),
            errands,
            clock: Arc::clone(&parts.clock),
            server_time: Arc::clone(&server_time),
            observer: Arc::clone(&observer),
            every: parts.heartbeat * SWEPT_EVERY_BEATS,
            token: fastrand::u64(1..u64::MAX),
        });
        let engine = Arc::new(Self {
            enabled: parts.enabled,
            layout: parts.layout,
            remote: Arc::clone(&remote),
            remote_limit: parts.remote_limit,
            proofs,
            audience,
            tags,
            longest,
            sender: sender.clone(),
            observers,
            clock: parts.clock,
            server_time,
            circles: Arc::new(Circles::of_this_process()),
            loads: Arc::new(parts.loads),
            protections: parts.protections,
            touched: AtomicU64::new(0),
            beat_every,
            beat_now,
            notes,
            closed: AtomicBool::new(false),
            tasks: Tasks::default(),
            own: Mutex::default(),
        });
        let every = parts.heartbeat;
        let (pushes, pushed) = mpsc::unbounded_channel();
        let (watched, carried) = (Arc::clone(&remote), Arc::clone(&remote));
        engine.spawn(async move { remote.follow(pushes).await });
        engine.spawn(async move { watched.watch(every).await });
        engine.spawn(heartbeat.run());
        engine.spawn(follower.run(pushed, noted));
        engine.spawn(resend(sender));
        engine.spawn(pruner.run());
        if let (Some(errands), Some(begun)) = (errands, begun) {
            engine.spawn(carry_out(errands, begun, carried, observer));
        }
        if let Some(sweeper) = sweeper.filter(|_| parts.record.is_some()) {
            engine.spawn(sweeper.run());
        }
        #[cfg(feature = "metrics")]
        engine.spawn(publish(Arc::clone(&engine.observers), parts.heartbeat));
        (engine, is_ready)
    }

    /// A cache begins that asks for this level: heartbeats come as often as its bound needs, and receipts wait as long.
    pub(crate) fn keep(&self, level: Level) {
        if let Some(beat) = level.beat() {
            let beat = crate::model::millis(beat);
            if self.beat_every.fetch_min(beat, Ordering::Relaxed) > beat {
                self.beat_now.notify_one();
            }
        }
        if let Level::Bounded(bound) = level {
            let heard = crate::model::millis(bound) + LATE;
            self.sender.heard_after.fetch_max(heard, Ordering::Relaxed);
        }
    }

    /// A read has seen this head: if the feed does not know it, somebody looks into it.
    pub(crate) fn seen(&self, bucket: u16, head: Option<Head>) {
        if let Some(head) = head
            && self.protections.chain
            && self.proofs.is_news(bucket, &head)
        {
            // The follower lives as long as the engine but for the moments of a shutdown.
            let _ = self.notes.send(Note::Seen { bucket, head });
        }
    }

    /// Everything that carries one of these tags is old from here on.
    ///
    /// # Errors
    /// Only after a shutdown.
    pub(crate) async fn invalidate_tags(
        &self,
        tags: &[OldTag],
        strength: Strength,
    ) -> Result<Receipt, Error> {
        let mut receipt = Receipt::new(self.sender.audience());
        for sent in self.sender.invalidate_tags(tags, strength).await? {
            receipt.add(sent);
        }
        Ok(receipt)
    }

    /// The receipt of nothing.
    pub(crate) fn no_receipt(&self) -> Receipt {
        Receipt::new(self.sender.audience())
    }

    pub(crate) fn errands(&self) -> Option<&Errands> {
        self.sender.errands.as_deref()
    }

    pub(crate) fn journal(&self) -> &Journal {
        &self.sender.journal
    }

    /// Loads that a shutdown waits for may go on.
    ///
    /// # Errors
    /// After a shutdown.
    pub(crate) fn check_open(&self) -> Result<(), Error> {
        if self.closed.load(Ordering::Relaxed) {
            self.check_draining()
        } else {
            Ok(())
        }
    }

    #[cold]
    fn check_draining(&self) -> Result<(), Error> {
        if is_loading() {
            self.check_running()
        } else {
            Err(Error::closed())
        }
    }

    /// # Errors
    /// After a shutdown that waits for nothing any more.
    pub(crate) fn check_running(&self) -> Result<(), Error> {
        if self.tasks.is_ended() {
            Err(Error::closed())
        } else {
            Ok(())
        }
    }

    /// Refuses further calls, waits for what is under way and for pending invalidations, ends the tasks.
    pub(crate) async fn shutdown(&self, within: Duration) -> Left {
        self.closed.store(true, Ordering::SeqCst);
        let drained = async {
            self.tasks.finished().await;
            while self.journal().len() + self.purges() > 0 {
                tokio::time::sleep(DRAIN_LOOK).await;
            }
        };
        // Whether in time or not, the answer is what is left.
        let _ = timeout(within, drained).await;
        let tasks = self.tasks.end().await;
        // What fails from here on is told to its caller: nobody would send it again.
        self.journal().close();
        let mut own = std::mem::take(&mut *self.own.lock().unwrap_or_else(PoisonError::into_inner));
        own.shutdown().await;
        let purges = self.purges();
        if let Some(errands) = self.errands() {
            errands.close();
        }
        self.remote.close();
        #[cfg(feature = "metrics")]
        self.observers.publish();
        Left {
            tasks,
            pending: self.journal().len(),
            purges,
        }
    }

    /// Purges that are under way.
    fn purges(&self) -> usize {
        self.errands().map_or(0, Errands::unfinished)
    }

    /// A heartbeat at once, and everything applied that was told until it was answered.
    ///
    /// # Errors
    /// If the remote tier does not answer; after a shutdown.
    #[cfg(feature = "test-util")]
    pub(crate) async fn catch_up(&self) -> Result<(), Error> {
        self.check_open()?;
        for part in self.remote.parts() {
            let sent = crate::model::millis(self.clock.precise());
            let beat = self.remote.beat(&part, &self.proofs.known()).await;
            let beat = beat.map_err(|error| {
                Error::unavailable(
                    "ask the remote tier where its feeds stand",
                    Some(error.into()),
                )
            })?;
            for (bucket, _) in beat.answers() {
                self.server_time.learn(bucket, beat.at, sent);
            }
            let confirmed = match beat.answers().next() {
                Some((bucket, _)) if self.remote.wants_replicas() => {
                    self.remote.confirm(bucket, beat.by).await.is_ok()
                }
                _ => false,
            };
            let (done, is_done) = tokio::sync::oneshot::channel();
            let note = Note::CatchUp {
                sent,
                heads: beat.heads,
                agreement: beat.agreement,
                confirmed,
                done,
            };
            self.notes.send(note).map_err(|_| Error::closed())?;
            is_done.await.map_err(|_| Error::closed())?;
        }
        Ok(())
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.own
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .spawn(task);
    }
}

/// Hands on what was counted, once in a heartbeat.
#[cfg(feature = "metrics")]
async fn publish(observers: Arc<Observers>, every: Duration) {
    loop {
        tokio::time::sleep(every).await;
        observers.publish();
    }
}

/// A heartbeat proves for as long as this many of them take.
const PROVEN_BEATS: u32 = 2;
/// Tags are pruned once in this many heartbeats: twice a minute by default.
const PRUNED_EVERY_BEATS: u32 = 60;
/// The purge record is looked at once in this many heartbeats.
const SWEPT_EVERY_BEATS: u32 = 2;
/// By which the clock that hits read may be late, in ms.
const LATE: u64 = 10;
const DRAIN_LOOK: Duration = Duration::from_millis(5);
