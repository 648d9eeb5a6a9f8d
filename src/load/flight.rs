//! One flight per key and process: the first caller to miss leads, later ones follow.
//!
//! A flight that was *detached* still answers those who wait for it, but nobody joins it any more: its key was
//! invalidated, so a reader that begins now must not get what it loads. A leader that is dropped before its
//! loader's future was spawned hands over: one of those who wait goes on in its place.

use super::{
    circle,
    moment::{Joinable, Started},
};
use crate::{
    cached::Found,
    error::Error,
    model::{EntityId, Generation, RenderedKey},
};
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};
use tokio::sync::Notify;

/// The flights of one cache.
pub(crate) struct Flights<V> {
    shards: [Mutex<HashMap<u64, Arc<Flight<V>>>>; SHARDS],
    /// Those that ask for a lease, detached ones among them: a push that tells of a fill concerns them all.
    asking: Mutex<HashMap<u64, Vec<Arc<Flight<V>>>>>,
}

/// A load under way, from the miss to the answer.
pub(crate) struct Flight<V> {
    number: u64,
    key: RenderedKey,
    bucket: u16,
    started: u64,
    /// Generation of the tag table when it began.
    told: u64,
    /// How often this process had been told of entities when it began.
    touched: u64,
    /// Version of the lease under which it loads; zero while unknown.
    version: AtomicU64,
    /// Epoch of that version: versions are ordered within one only. Written before it.
    epoch: AtomicU64,
    /// What it shows was invalidated: who joined it may have begun after that.
    outdated: AtomicBool,
    /// It has read what nothing tells of: whether that was invalidated since nobody knows.
    unwatched: AtomicBool,
    state: Mutex<State<V>>,
    ended: Notify,
    woken: Notify,
    /// A running load waits for it.
    hurried: Notify,
}

enum State<V> {
    Running,
    Done(Result<Found<V>, Error>),
    Abandoned,
}

/// What a caller that missed is to do.
pub(crate) enum Role<V> {
    Lead(Permit<V>),
    Follow(Arc<Flight<V>>),
}

impl<V> Flights<V> {
    pub(crate) fn new() -> Self {
        Self {
            shards: std::array::from_fn(|_| Mutex::default()),
            asking: Mutex::default(),
        }
    }

    /// Joins the flight of this key, or begins one.
    pub(crate) fn join(
        self: &Arc<Self>,
        key: &RenderedKey,
        bucket: u16,
        now: Started,
        joinable: Joinable,
    ) -> Role<V> {
        let mut shard = self.shard(key.hash());
        if let Some(flight) = shard.get(&key.hash()) {
            // On a collision of hashes the other key's flight stays, and this one flies unseen.
            if flight.key != *key {
                return Role::Lead(self.permit(Flight::new(key, bucket, now)));
            }
            if joinable.live || flight.started >= joinable.since {
                return Role::Follow(Arc::clone(flight));
            }
        }
        let flight = Flight::new(key, bucket, now);
        shard.insert(key.hash(), Arc::clone(&flight));
        Role::Lead(self.permit(flight))
    }

    /// Begins a flight that nobody joins.
    pub(crate) fn alone(self: &Arc<Self>, key: &RenderedKey, bucket: u16, now: Started) -> Role<V> {
        Role::Lead(self.permit(Flight::new(key, bucket, now)))
    }

    /// The key was invalidated. A flight that loads under this very generation, or a later one, is not concerned.
    pub(crate) fn detach(&self, id: EntityId, generation: Option<Generation>) -> bool {
        let mut shard = self.shard(id.hash);
        let concerned = shard.get(&id.hash).is_some_and(|flight| {
            let version = flight.version.load(Ordering::SeqCst);
            let epoch = flight.epoch.load(Ordering::SeqCst);
            generation.is_none_or(|generation| {
                epoch != generation.epoch.0 || version < generation.version.0
            })
        });
        concerned && shard.remove(&id.hash).is_some()
    }

    /// Something about the tags was lost: any key may have been invalidated.
    pub(crate) fn detach_all(&self) {
        for shard in &self.shards {
            lock(shard).clear();
        }
    }

    /// Something about the bucket was lost: any of its keys may have been invalidated.
    pub(crate) fn detach_bucket(&self, bucket: u16) {
        for shard in &self.shards {
            lock(shard).retain(|_, flight| flight.bucket != bucket);
        }
    }

    /// Another node filled this key, or gave up: whoever waits for its lease may look again.
    pub(crate) fn wake(&self, hash: u64) {
        for flight in lock(&self.asking).get(&hash).into_iter().flatten() {
            flight.woken.notify_one();
        }
    }

    fn permit(self: &Arc<Self>, flight: Arc<Flight<V>>) -> Permit<V> {
        Permit {
            flights: Arc::clone(self),
            flight,
        }
    }

    fn remove(&self, flight: &Arc<Flight<V>>) {
        let hash = flight.key.hash();
        let mut shard = self.shard(hash);
        if shard
            .get(&hash)
            .is_some_and(|held| Arc::ptr_eq(held, flight))
        {
            shard.remove(&hash);
        }
    }

    fn shard(&self, hash: u64) -> MutexGuard<'_, HashMap<u64, Arc<Flight<V>>>> {
        lock(&self.shards[hash as usize % SHARDS])
    }
}

impl<V> Flight<V> {
    fn new(key: &RenderedKey, bucket: u16, started: Started) -> Arc<Self> {
        Arc::new(Self {
            number: circle::number(),
            key: key.clone(),
            bucket,
            started: started.at,
            told: started.told,
            touched: started.touched,
            version: AtomicU64::new(0),
            epoch: AtomicU64::new(0),
            outdated: AtomicBool::new(false),
            unwatched: AtomicBool::new(false),
            state: Mutex::new(State::Running),
            ended: Notify::new(),
            woken: Notify::new(),
            hurried: Notify::new(),
        })
    }

    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Whether this process was told of a tag between the flight's begin and this one's: that may not be in the answer.
    pub(crate) fn was_told_before(&self, joined: Started) -> bool {
        self.told != joined.told
    }

    /// Whether its answer may show what was invalidated before `joined`, without anything in it that says so. Settled before
    /// the answer is there.
    pub(crate) fn may_be_outdated(&self, joined: Started) -> bool {
        let unwatched = self.unwatched.load(Ordering::SeqCst);
        let told = self.was_told_before(joined) || self.touched != joined.touched;
        self.outdated.load(Ordering::SeqCst) || (unwatched && told)
    }

    /// Waits for the answer; `None` if the leader was dropped before it could load.
    ///
    /// # Cancel safety
    /// Nothing is lost: another waiting may begin at any time.
    pub(crate) async fn answer(&self) -> Option<Result<Found<V>, Error>> {
        loop {
            let ended = self.ended.notified();
            match &*lock(&self.state) {
                State::Running => {}
                State::Done(answer) => return Some(answer.clone()),
                State::Abandoned => return None,
            }
            ended.await;
        }
    }

    /// Resolves when another node is said to have filled the key.
    pub(super) async fn woken(&self) {
        self.woken.notified().await;
    }

    /// A running load waits for this one: where it queues behind such loads, nobody would get on.
    pub(crate) fn hurry(&self) {
        self.hurried.notify_one();
    }

    pub(super) async fn hurried(&self) {
        self.hurried.notified().await;
    }

    fn end(&self, state: State<V>) {
        *lock(&self.state) = state;
        self.ended.notify_waiters();
    }
}

/// The right and duty to end a flight. Dropped, it hands over.
pub(crate) struct Permit<V> {
    flights: Arc<Flights<V>>,
    flight: Arc<Flight<V>>,
}

impl<V> Permit<V> {
    pub(crate) fn flight(&self) -> &Arc<Flight<V>> {
        &self.flight
    }

    /// A running load waits for the lease of this key: where a detached flight queues with it, see [`Flight::hurry`].
    pub(super) fn hurry_others(&self) {
        let asking = lock(&self.flights.asking);
        for flight in asking.get(&self.flight.key.hash()).into_iter().flatten() {
            flight.hurry();
        }
    }

    /// From now on the flight hears of fills of its key, until the answer is dropped.
    pub(super) fn asks(&self) -> Asking<V> {
        let mut asking = lock(&self.flights.asking);
        let flights = asking.entry(self.flight.key.hash()).or_default();
        flights.push(Arc::clone(&self.flight));
        Asking {
            flights: Arc::clone(&self.flights),
            flight: Arc::clone(&self.flight),
        }
    }

    /// The flight loads under this generation: an event that gave it does not concern it.
    pub(super) fn loads_under(&self, generation: Generation) {
        self.flight
            .epoch
            .store(generation.epoch.0, Ordering::SeqCst);
        self.flight
            .version
            .store(generation.version.0, Ordering::SeqCst);
    }

    /// What the flight shows was invalidated meanwhile: the answer is for its leader only.
    pub(super) fn outdate(&self) {
        self.flight.outdated.store(true, Ordering::SeqCst);
    }

    /// The flight has read what is kept nowhere, or could not be proven: no mark and no tag tells when that is invalidated.
    pub(super) fn unwatch(&self) {
        self.flight.unwatched.store(true, Ordering::SeqCst);
    }

    /// Answers everybody who waits. The value stands in the local tier by now, so nobody misses between.
    pub(crate) fn complete(self, answer: Result<Found<V>, Error>) {
        self.flights.remove(&self.flight);
        self.flight.end(State::Done(answer));
    }
}

impl<V> Drop for Permit<V> {
    fn drop(&mut self) {
        self.flights.remove(&self.flight);
        let running = matches!(*lock(&self.flight.state), State::Running);
        if running {
            self.flight.end(State::Abandoned);
        }
    }
}

/// A flight that hears of fills of its key.
pub(super) struct Asking<V> {
    flights: Arc<Flights<V>>,
    flight: Arc<Flight<V>>,
}

impl<V> Drop for Asking<V> {
    fn drop(&mut self) {
        let mut asking = lock(&self.flights.asking);
        let hash = self.flight.key.hash();
        if let Some(flights) = asking.get_mut(&hash) {
            flights.retain(|flight| !Arc::ptr_eq(flight, &self.flight));
            if flights.is_empty() {
                asking.remove(&hash);
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Maps and states are whole after every step, so a panic elsewhere spoils nothing.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

const SHARDS: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Epoch, Version};

    const LIVE: Joinable = Joinable {
        live: true,
        since: 0,
    };

    const NOW: Started = Started {
        at: 100,
        told: 0,
        touched: 0,
    };
    const LATER: Started = Started { at: 150, ..NOW };

    fn key(text: &str) -> RenderedKey {
        RenderedKey::new(text, 0)
    }

    fn id(key: &RenderedKey) -> EntityId {
        EntityId {
            cache: 0,
            hash: key.hash(),
            bucket: 3,
        }
    }

    fn lead(flights: &Arc<Flights<u8>>, key: &RenderedKey) -> Permit<u8> {
        match flights.join(key, 3, NOW, LIVE) {
            Role::Lead(permit) => permit,
            Role::Follow(_) => panic!("somebody leads already"),
        }
    }

    fn generation(version: u64) -> Generation {
        Generation {
            epoch: Epoch(1),
            version: Version(version),
        }
    }

    #[tokio::test]
    async fn a_second_caller_follows_and_gets_the_same_answer() {
        let flights = Arc::new(Flights::<u8>::new());
        let permit = lead(&flights, &key("a"));
        let Role::Follow(flight) = flights.join(&key("a"), 3, NOW, LIVE) else {
            panic!("two lead")
        };

        permit.complete(Err(Error::absent()));

        assert!(flight.answer().await.unwrap().unwrap_err().is_absent());
    }

    #[tokio::test]
    async fn a_dropped_leader_hands_over() {
        let flights = Arc::new(Flights::<u8>::new());
        let permit = lead(&flights, &key("a"));
        let Role::Follow(flight) = flights.join(&key("a"), 3, NOW, LIVE) else {
            panic!("two lead")
        };

        drop(permit);

        assert!(flight.answer().await.is_none());
        drop(lead(&flights, &key("a")));
    }

    #[test]
    fn a_detached_flight_is_not_joined() {
        let flights = Arc::new(Flights::<u8>::new());
        let _permit = lead(&flights, &key("a"));

        assert!(flights.detach(id(&key("a")), Some(generation(5))));
        drop(lead(&flights, &key("a")));
    }

    #[test]
    fn an_event_of_the_flights_own_version_does_not_detach_it() {
        let flights = Arc::new(Flights::<u8>::new());
        let permit = lead(&flights, &key("a"));
        permit.loads_under(generation(5));

        assert!(!flights.detach(id(&key("a")), Some(generation(5))));
        assert!(flights.detach(id(&key("a")), None));
    }

    /// Redis was wiped and its clock had stepped back: the version after the invalidation was the lower number.
    #[test]
    fn a_version_of_another_epoch_detaches_whatever_its_number() {
        let flights = Arc::new(Flights::<u8>::new());
        let permit = lead(&flights, &key("a"));
        permit.loads_under(generation(2000));
        let wiped = Generation {
            epoch: Epoch(2),
            version: Version(1990),
        };

        assert!(flights.detach(id(&key("a")), Some(wiped)));
    }

    #[test]
    fn a_gap_detaches_the_whole_bucket() {
        let flights = Arc::new(Flights::<u8>::new());
        let _permit = lead(&flights, &key("a"));

        flights.detach_bucket(2);
        assert!(matches!(
            flights.join(&key("a"), 3, NOW, LIVE),
            Role::Follow(_)
        ));
        flights.detach_bucket(3);
        drop(lead(&flights, &key("a")));
    }

    #[test]
    fn an_old_flight_is_not_joined_while_the_feed_is_deaf() {
        // The flight began long ago, and nobody would have told us of an invalidation since.
        let flights = Arc::new(Flights::<u8>::new());
        let _permit = lead(&flights, &key("a"));

        let deaf = |since| Joinable { live: false, since };
        assert!(matches!(
            flights.join(&key("a"), 3, LATER, deaf(100)),
            Role::Follow(_)
        ));
        assert!(matches!(
            flights.join(&key("a"), 3, LATER, deaf(101)),
            Role::Lead(_)
        ));
    }

    /// A node read a key of a bucket that nobody had used: its own question began the bucket's epoch, and that
    /// detached its flight. The push that the value was there then found nobody, and the node waited out its pause.
    #[tokio::test]
    async fn a_detached_flight_still_hears_of_a_fill() {
        let flights = Arc::new(Flights::<u8>::new());
        let permit = lead(&flights, &key("a"));
        let asking = permit.asks();
        flights.detach_bucket(3);

        flights.wake(key("a").hash());

        permit.flight().woken().await;
        drop(asking);
        assert!(lock(&flights.asking).is_empty());
    }

    #[tokio::test]
    async fn an_ended_flight_leaves_a_later_one_alone() {
        let flights = Arc::new(Flights::<u8>::new());
        let old = lead(&flights, &key("a"));
        flights.detach(id(&key("a")), None);
        let _new = lead(&flights, &key("a"));

        old.complete(Err(Error::absent()));

        assert!(matches!(
            flights.join(&key("a"), 3, NOW, LIVE),
            Role::Follow(_)
        ));
    }
}
