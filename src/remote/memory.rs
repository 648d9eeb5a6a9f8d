//! The remote tier in memory: the same protocol without a server.
//!
//! Several `Tiers` of one process may share a hub and then behave like nodes around one Redis. It is the embedded
//! default, and the second leg of the protocol's tests.

mod faults;
#[cfg(feature = "test-util")]
mod replica;

use self::faults::{Faults, Way};
use super::{
    Agreement, Beat, Bump, Bumped, Fill, Filled, Heard, Known, Layout, Open, Opened, Push,
    RemoteError, Replay, Server, Snapshot, Standing, TagsKnown, Trouble, agreement,
    confirm::{Beats, Quorum},
    purges::TagNotes,
    records::{Keys, Now, Records},
};
use crate::model::{
    Address, Clock, Event, EventKind, Generation, Stamp, Strength, SystemClock, millis,
};
use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::sync::mpsc;

/// A hub that stands for Redis within one process.
///
/// ```
/// # async fn start() -> Result<(), tricache::Error> {
/// use tricache::{InProcess, Tiers};
///
/// let hub = InProcess::new();
/// let one = Tiers::builder("shop").in_process(&hub).build().await?;
/// let other = Tiers::builder("shop").in_process(&hub).build().await?;
/// # Ok(()) }
/// ```
///
/// It holds at most 1 GiB of values per namespace. Cloning it shares it.
#[derive(Clone)]
pub struct InProcess(Arc<Hub>);

struct Hub {
    clock: Arc<dyn Clock>,
    spaces: Mutex<HashMap<String, Arc<Space>>>,
    faults: Faults,
}

/// One namespace.
struct Space {
    buckets: Box<[Mutex<Records>]>,
    agreement: Mutex<Option<String>>,
    listeners: Mutex<Listeners>,
    #[cfg(feature = "test-util")]
    replica: replica::Replica,
}

/// The nodes of a namespace.
#[derive(Default)]
struct Listeners {
    nodes: Vec<mpsc::UnboundedSender<Push>>,
    /// Not sent yet.
    held: Vec<Push>,
}

impl InProcess {
    /// An empty hub.
    #[must_use]
    pub fn new() -> Self {
        Self::with_clock(Arc::new(SystemClock::new()))
    }

    /// An empty hub whose server time is `clock`, for tests.
    #[must_use]
    pub fn with_clock(clock: Arc<dyn Clock>) -> Self {
        Self(Arc::new(Hub {
            clock,
            spaces: Mutex::default(),
            faults: Faults::default(),
        }))
    }

    /// `limit`: how long a call may take; `fenced`: whether an epoch counts only on the server that it began on.
    pub(crate) fn attach(
        &self,
        layout: Layout,
        limit: Duration,
        fenced: bool,
        quorum: Quorum,
    ) -> Attached {
        let mut spaces = locked(&self.0.spaces);
        let space = spaces
            .entry(layout.root().to_owned())
            .or_insert_with(|| Arc::new(Space::new(&layout, self.0.now())));
        Attached {
            hub: Arc::clone(&self.0),
            space: Arc::clone(space),
            layout,
            fenced,
            way: Way::new(limit),
            beats: Beats::new(quorum),
        }
    }
}

impl Default for InProcess {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for InProcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InProcess").finish_non_exhaustive()
    }
}

/// One node's view of a hub.
pub(crate) struct Attached {
    hub: Arc<Hub>,
    space: Arc<Space>,
    pub(super) layout: Layout,
    fenced: bool,
    way: Way,
    pub(super) beats: Beats,
}

// The operations never wait, but at the gate; they are async as those of the other remote are.
#[allow(clippy::unused_async)]
impl Attached {
    /// The gate before each call, or each batch of calls: tests may make it a slow one.
    pub(super) async fn reached(&self) -> Result<&Self, RemoteError> {
        self.way.call(&self.hub.faults).await?;
        Ok(self)
    }

    /// The gate before a heartbeat.
    async fn probed(&self) -> Result<(), RemoteError> {
        if self.hub.faults.are_refusing() {
            return Err(RemoteError::Timeout);
        }
        self.way.probe(&self.hub.faults).await
    }

    pub(super) async fn read(&self, at: &Address) -> Result<Snapshot, RemoteError> {
        let (records, now) = self.records(at.id.bucket)?;
        let value = records.value(&self.layout.value(at), now).cloned();
        Ok(Snapshot {
            by: Server::Known(records.server),
            head: records.control,
            pointer: records.pointer(&self.layout.pointer(at), now),
            value,
        })
    }

    pub(super) async fn check(&self, at: &Address) -> Result<Snapshot, RemoteError> {
        let (records, now) = self.records(at.id.bucket)?;
        Ok(Snapshot {
            by: Server::Known(records.server),
            head: records.control,
            pointer: records.pointer(&self.layout.pointer(at), now),
            value: None,
        })
    }

    pub(super) async fn open(&self, at: &Address, open: Open) -> Result<Opened, RemoteError> {
        let keys = self.keys(at);
        let (mut records, now) = self.records(at.id.bucket)?;
        let (mut head, fence) = records.control(now);
        self.space.tell(&self.hub.faults, at.id.bucket, fence);
        let version = records.version(&mut head, &keys.pointer, open.pointer_ttl, now);
        let generation = Generation {
            epoch: head.epoch,
            version,
        };
        let turn = records.turn(
            &keys,
            generation,
            open.token,
            millis(open.lease),
            open.discard,
            now,
        );
        Ok(Opened {
            by: Server::Known(records.server),
            head,
            generation,
            at: now.millis(),
            turn,
        })
    }

    pub(super) async fn fill(&self, at: &Address, fill: Fill) -> Result<Filled, RemoteError> {
        let keys = self.keys(at);
        let (mut records, now) = self.records(at.id.bucket)?;
        let awaited = records.release(&keys.lease, fill.token, now);
        let (head, fence) = records.control(now);
        self.space.tell(&self.hub.faults, at.id.bucket, fence);
        let filled = records.store(&keys, fill, head, now);
        self.wake(at, awaited);
        Ok(filled)
    }

    pub(super) async fn release(&self, at: &Address, token: u64) -> Result<(), RemoteError> {
        let key = self.layout.lease(at);
        let (mut records, now) = self.records(at.id.bucket)?;
        let awaited = records.release(&key, token, now);
        self.wake(at, awaited);
        Ok(())
    }

    pub(super) async fn renew(
        &self,
        at: &Address,
        token: u64,
        lease: Duration,
    ) -> Result<(), RemoteError> {
        let key = self.layout.lease(at);
        let (mut records, now) = self.records(at.id.bucket)?;
        records.renew(&key, token, millis(lease), now);
        Ok(())
    }

    pub(super) async fn bump(&self, at: &Address, bump: Bump) -> Result<Bumped, RemoteError> {
        let key = self.layout.pointer(at);
        let (mut records, now) = self.records(at.id.bucket)?;
        let (head, fence) = records.control(now);
        self.space.tell(&self.hub.faults, at.id.bucket, fence);
        let kind = EventKind::Invalidated {
            cache: at.id.cache,
            entity: at.id.hash,
            strength: bump.strength,
        };
        let begun = (head, fence.is_some());
        let done = records.bump(&key, begun, kind, bump, now);
        if let (Some(recording), Some(event)) = (bump.record, &done.event) {
            (records.purges).note_entity(at, recording, bump.strength, event.n, now);
        }
        self.space.tell(&self.hub.faults, at.id.bucket, done.event);
        Ok(Bumped {
            by: Server::Known(records.server),
            stamp: Stamp {
                bucket: at.id.bucket,
                epoch: head.epoch,
                n: done.version.0,
            },
            depended: done.depended,
            order: done.order,
        })
    }

    pub(super) async fn depend(
        &self,
        at: &Address,
        shown: Generation,
        pointer_ttl: u64,
    ) -> Result<bool, RemoteError> {
        let key = self.layout.pointer(at);
        let (mut records, now) = self.records(at.id.bucket)?;
        Ok(records.depend(&key, shown, pointer_ttl, now))
    }

    pub(super) async fn bump_tags(
        &self,
        tags: &[u64],
        strength: Strength,
        notes: Option<TagNotes<'_>>,
    ) -> Result<(Vec<Stamp>, Server), RemoteError> {
        let bucket = self.layout.tag_bucket();
        let (mut records, now) = self.records(bucket)?;
        let (_, fence) = records.control(now);
        let by = Server::Known(records.server);
        self.space.tell(&self.hub.faults, bucket, fence);
        let stamp = |(place, tag): (usize, &u64)| {
            let event = records.bump_tag(*tag, strength, now);
            if let Some(notes) = notes {
                records
                    .purges
                    .note_tag(notes, place, strength, event.n, now);
            }
            self.space.tell(&self.hub.faults, bucket, Some(event));
            Stamp {
                bucket,
                epoch: event.epoch,
                n: event.n,
            }
        };
        Ok((tags.iter().enumerate().map(stamp).collect(), by))
    }

    pub(super) async fn tags(&self, tags: &[u64]) -> Result<TagsKnown, RemoteError> {
        let (records, _) = self.records(self.layout.tag_bucket())?;
        Ok(records.tags_known(tags))
    }

    pub(super) async fn all_tags(&self) -> Result<TagsKnown, RemoteError> {
        self.tags(&[]).await
    }

    pub(super) async fn prune_tags(&self, longest: u64) -> Result<(), RemoteError> {
        let (mut records, now) = self.records(self.layout.tag_bucket())?;
        records.prune_tags(longest, now);
        Ok(())
    }

    pub(super) async fn beat(&self, known: &[Known]) -> Result<Beat, RemoteError> {
        self.probed().await?;
        let mut heads = Vec::with_capacity(self.space.buckets.len());
        for bucket in 0..self.layout.feeds() {
            let (mut records, now) = self.records(bucket)?;
            let known = known.get(usize::from(bucket));
            if self.fenced && known.is_some_and(|known| known.is_ahead_of(records.control)) {
                let (_, fence) = records.begin(now);
                self.space.tell(&self.hub.faults, bucket, Some(fence));
            }
            heads.push(Heard::of(records.control));
        }
        Ok(Beat {
            heads,
            at: self.hub.now().millis(),
            agreement: Some(self.agreement()),
            by: self.server(),
        })
    }

    /// The server that answers now; all buckets are on the same.
    fn server(&self) -> Server {
        let tags = &self.space.buckets[usize::from(self.layout.tag_bucket())];
        Server::Known(locked(tags).server)
    }

    /// A replica that was cut off does not confirm.
    pub(super) async fn beaten(&self, _bucket: u16) -> Result<Server, RemoteError> {
        self.reached().await?;
        if self.beats.quorum.replicas > 0 && self.space.is_alone() {
            return Err(RemoteError::Unconfirmed);
        }
        Ok(self.server())
    }

    /// Written if it is missing, as in Redis.
    fn agreement(&self) -> Agreement {
        let mut agreed = locked(&self.space.agreement);
        let agreed = agreed.get_or_insert_with(|| agreement::text(&self.layout));
        Agreement::new(&self.layout, Some(agreed.as_bytes()))
    }

    pub(super) async fn replay(&self, bucket: u16, after: u64) -> Result<Replay, RemoteError> {
        let (records, _) = self.records(bucket)?;
        let events = records
            .log
            .iter()
            .filter(|event| event.n > after)
            .copied()
            .collect();
        Ok(Replay {
            head: records.control,
            events,
        })
    }

    pub(super) async fn follow(&self, sink: mpsc::UnboundedSender<Push>) {
        locked(&self.space.listeners).nodes.push(sink.clone());
        if sink.send(Push::Subscribed).is_ok() {
            sink.closed().await;
        }
    }

    pub(super) fn is_fenced(&self) -> bool {
        self.fenced
    }

    pub(super) fn is_up(&self) -> bool {
        !self.hub.faults.are_refusing() && self.way.breaker.is_up()
    }

    pub(super) fn standing(&self) -> Standing {
        if self.hub.faults.are_refusing() {
            Standing::Away
        } else {
            self.way.breaker.standing()
        }
    }

    /// What is slow has a history; what refuses has none.
    pub(super) fn trouble(&self) -> Option<Trouble> {
        self.way.breaker.trouble()
    }

    pub(super) async fn probe_wanted(&self) {
        self.way.breaker.signals().wanted().await;
    }

    pub(super) fn records(
        &self,
        bucket: u16,
    ) -> Result<(MutexGuard<'_, Records>, Now), RemoteError> {
        if self.hub.faults.are_refusing() {
            return Err(RemoteError::Timeout);
        }
        let mut records = locked(&self.space.buckets[usize::from(bucket)]);
        // After the lock, so that one bucket's times never go back while its clock does not.
        let now = self.hub.now();
        if self.fenced && records.are_foreign() {
            let (_, fence) = records.begin(now);
            self.space.tell(&self.hub.faults, bucket, Some(fence));
        }
        Ok((records, now))
    }

    fn keys(&self, at: &Address) -> Keys {
        Keys {
            pointer: self.layout.pointer(at),
            value: self.layout.value(at),
            lease: self.layout.lease(at),
        }
    }

    fn wake(&self, at: &Address, awaited: bool) {
        if awaited {
            self.space.push(
                &self.hub.faults,
                Push::Wake {
                    cache: at.id.cache,
                    entity: at.id.hash,
                },
            );
        }
    }
}

impl Hub {
    fn now(&self) -> Now {
        let now = self.clock.precise();
        Now(now.as_secs() * 1_000_000 + u64::from(now.subsec_micros()))
    }
}

impl Space {
    /// Its feeds are begun, so that nodes are proven from their start on; those of a Redis begin with their first use.
    fn new(layout: &Layout, now: Now) -> Self {
        let begun = |_| {
            let mut records = Records::default();
            records.control(now);
            Mutex::new(records)
        };
        let buckets = (0..layout.feeds()).map(begun).collect();
        Self {
            buckets,
            agreement: Mutex::default(),
            listeners: Mutex::default(),
            #[cfg(feature = "test-util")]
            replica: replica::Replica::default(),
        }
    }

    /// Whether nothing that is written reaches the replica.
    fn is_alone(&self) -> bool {
        #[cfg(feature = "test-util")]
        return self.replica.is_held();
        #[cfg(not(feature = "test-util"))]
        false
    }

    /// Pushes an event, under its bucket's lock: so all nodes see a bucket's events in their order.
    fn tell(&self, faults: &Faults, bucket: u16, event: Option<Event>) {
        if let Some(event) = event {
            self.push(faults, Push::Event { bucket, event });
        }
    }
}

impl Listeners {
    fn send_held(&mut self) {
        for push in self.held.drain(..) {
            self.nodes.retain(|node| node.send(push).is_ok());
        }
    }
}

/// The records are whole after every step, so a panic elsewhere under a lock spoils nothing.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
