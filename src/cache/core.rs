//! The read path from top to bottom.
//!
//! A read asks this process, then Redis, and otherwise loads, once. Every step that takes a value out of a tier
//! first notes what is known (a proof, a ticket), so that an invalidation that passes in between is noticed.

use crate::{
    cached::Found,
    engine::Engine,
    error::{BoxError, Error},
    feed::{Listener, Proof},
    load::{
        Acquired, Flight, Flights, Grant, Joinable, Loaded, Permit, Role, Shelf, Started, acquire,
        give_back, loader, note_read, panic_message, run, waits_for,
    },
    local::Ticket,
    model::{Address, CacheKey, EntityName, Entry, RenderedKey, StoreVersion},
    observe::Decision,
    outcome::Outcome,
    remote::{Discard, RemoteError},
    scope::{Read, RequestScope},
    tags::Standing,
};
use std::{
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

/// A cache without the type of its keys.
pub(super) struct Core<V> {
    pub(super) engine: Arc<Engine>,
    pub(super) shelf: Arc<Shelf<V>>,
    pub(super) flights: Arc<Flights<V>>,
}

/// How far a leader gets without its loader.
enum Prepared<V> {
    Hit(Found<V>),
    Load(Grant),
    /// Another load of this process holds the lease, and waits for this one.
    Circular,
}

impl<V: Send + Sync + 'static> Core<V> {
    pub(super) fn new(engine: Arc<Engine>, shelf: Shelf<V>) -> Arc<Self> {
        let core = Arc::new(Self {
            engine,
            shelf: Arc::new(shelf),
            flights: Arc::new(Flights::new()),
        });
        let listener: Arc<dyn Listener> = core.clone();
        core.engine.audience.add(Arc::downgrade(&listener));
        core
    }

    pub(super) fn render<Q: CacheKey + ?Sized>(&self, key: &Q) -> RenderedKey {
        RenderedKey::new(key, self.shelf.name.seed)
    }

    /// The address of a key that is pinned to a version.
    pub(super) fn pinned<Q: CacheKey + ?Sized>(&self, key: &Q, pin: StoreVersion) -> Address {
        let key = RenderedKey::pinned(key, self.shelf.name.seed, Some(pin));
        Address {
            pin: Some(pin),
            ..self.shelf.address(key)
        }
    }

    /// The local value, if it may be served without asking: no lock but moka's, no allocation.
    pub(super) fn local(&self, key: &RenderedKey) -> Option<Found<V>> {
        let now = self.shelf.now();
        let proof = self.engine.proofs.read(self.shelf.bucket(key));
        let entry = self.shelf.local.get(key.hash(), key.bytes())?;
        self.serve(key, entry, proof, now)
    }

    /// A value from this process or Redis, for a read that does not load.
    pub(super) async fn find(&self, at: &Address) -> Option<Found<V>> {
        let known = self.look(at);
        if self.engine.journal().holds(at.id) {
            return None;
        }
        match self.ask(at, known.held, known.ticket).await {
            Ok(Asked::Hit(hit)) => Some(hit),
            Ok(Asked::Miss(_)) => None,
            Err(error) => self.without_remote(at, &error),
        }
    }

    /// Leads a flight of the key or follows one, until there is an answer.
    pub(super) async fn fly<F, Fut, R, E>(&self, at: &Address, load: F) -> Result<Found<V>, Error>
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<R, E>> + Send + 'static,
        R: Into<Loaded<V>> + 'static,
        E: Into<BoxError> + 'static,
    {
        let mut outdated = 0;
        loop {
            let now = self.started();
            match self.join(at, now, outdated) {
                Role::Lead(permit) => return self.lead(at, permit, load).await,
                Role::Follow(flight) => {
                    let _waiting = waits_for(&self.engine.circles, flight.number())
                        .map_err(|()| self.circular(at))?;
                    self.shelf.observer.note(Decision::FlightJoined);
                    match flight.answer().await {
                        Some(answer) if self.may_share(&flight, now, &answer) => {
                            return self.shared(at, answer);
                        }
                        Some(_) => outdated += 1,
                        // Its leader was dropped before it could load. Somebody else leads now, perhaps this caller.
                        None => {}
                    }
                }
            }
        }
    }

    /// Follows whoever loads the key already, unless tags are bumped faster than it loads.
    fn join(&self, at: &Address, now: Started, outdated: u32) -> Role<V> {
        if outdated > FOLLOWED {
            self.shelf.observer.note(Decision::LoadedAlone);
            return self.flights.alone(&at.key, at.id.bucket, now);
        }
        let joinable = self.joinable(at, now.at);
        self.flights.join(&at.key, at.id.bucket, now, joinable)
    }

    /// Whether a flight's answer holds all that this process had been told when the caller joined.
    ///
    /// The flight's key was not invalidated since, or it would have been detached. Of tags it is known only now which it
    /// carries, and of other values only now which it shows.
    fn may_share(
        &self,
        flight: &Flight<V>,
        joined: Started,
        answer: &Result<Found<V>, Error>,
    ) -> bool {
        if !self.engine.protections.stale_fill {
            return true;
        }
        let told_nothing = flight.told() == joined.told;
        match answer {
            Ok(_) if flight.is_outdated() => false,
            Ok(found) => told_nothing || self.shelf.standing(&found.entry) == Standing::Current,
            // An error is about this moment, not about data.
            Err(_) => true,
        }
    }

    async fn lead<F, Fut, R, E>(
        &self,
        at: &Address,
        permit: Permit<V>,
        load: F,
    ) -> Result<Found<V>, Error>
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<R, E>> + Send + 'static,
        R: Into<Loaded<V>> + 'static,
        E: Into<BoxError> + 'static,
    {
        let flight = Arc::clone(permit.flight());
        let _waiting =
            waits_for(&self.engine.circles, flight.number()).map_err(|()| self.circular(at))?;
        let grant = match self.prepare(at, &permit).await {
            Prepared::Hit(hit) => {
                permit.complete(Ok(hit.clone()));
                return Ok(hit);
            }
            Prepared::Load(grant) => grant,
            Prepared::Circular => {
                let error = self.circular(at);
                permit.complete(Err(error.clone()));
                return Err(error);
            }
        };
        let load = match catch_unwind(AssertUnwindSafe(load)) {
            Ok(load) => loader(load),
            Err(panic) => {
                let error = Error::panicked(panic_message(&*panic));
                give_back(&self.shelf, at, &grant).await;
                permit.complete(Err(error.clone()));
                return Err(error);
            }
        };
        // From here on nothing that the caller does stops the load.
        tokio::spawn(run(
            Arc::clone(&self.shelf),
            at.clone(),
            permit,
            grant,
            load,
        ));
        match flight.answer().await {
            Some(answer) => self.shared(at, answer),
            // The load's task was aborted: the runtime is shutting down.
            None => Err(Error::closed()),
        }
    }

    /// Everything before the loader: this process again, Redis, the lease.
    async fn prepare(&self, at: &Address, permit: &Permit<V>) -> Prepared<V> {
        let known = self.look(at);
        let ticket = known.ticket;
        if let Some(hit) = known
            .held
            .clone()
            .and_then(|entry| self.serve(&at.key, entry, known.proof, self.shelf.now()))
        {
            return Prepared::Hit(hit);
        }
        if self.engine.journal().holds(at.id) {
            return Prepared::Load(Grant::Alone(ticket));
        }
        let prepared = match self.ask(at, known.held, ticket).await {
            Ok(Asked::Hit(hit)) => return Prepared::Hit(hit),
            Ok(Asked::Miss(discard)) => self.lease(at, permit, discard).await,
            Err(error) => Err(error),
        };
        prepared.unwrap_or_else(|error| match self.without_remote(at, &error) {
            Some(hit) => Prepared::Hit(hit),
            None => Prepared::Load(Grant::Alone(ticket)),
        })
    }

    async fn lease(
        &self,
        at: &Address,
        permit: &Permit<V>,
        discard: Discard,
    ) -> Result<Prepared<V>, RemoteError> {
        let ticket = || {
            let ticket = self.ticket(at);
            // In this order: an invalidation stands in the journal before it touches the ticket's cell.
            (!self.engine.journal().holds(at.id)).then_some(ticket)
        };
        let seen = |head: &_| self.engine.seen(at.id.bucket, Some(*head));
        let live = || self.hears_of_tags(self.shelf.now());
        Ok(
            match acquire(&self.shelf, at, discard, permit, ticket, seen, live).await? {
                Acquired::Value(entry, ticket) => Prepared::Hit(self.take(at, entry, ticket)),
                Acquired::Load(leased) => Prepared::Load(Grant::Leased(leased)),
                Acquired::Circular => Prepared::Circular,
            },
        )
    }

    /// Redis did not answer: the local value within its local TTL, if there is one.
    fn without_remote(&self, at: &Address, error: &RemoteError) -> Option<Found<V>> {
        if !matches!(error, RemoteError::Away | RemoteError::Doubted) {
            self.shelf.observer.note(Decision::RemoteError);
            tracing::debug!(%error, "redis did not answer a read");
        }
        let entry = self.shelf.local.get(at.id.hash, at.key.bytes())?;
        let now = self.shelf.now();
        let served = entry.is_fresh(now)
            && self.engine.proofs.agree()
            && self.shelf.standing(&entry) != Standing::Refused;
        served.then(|| self.answer(&at.key, entry, now, Outcome::LocalUnproven))
    }

    /// Asks Redis: whether the version of what is held here still counts, else for the value.
    async fn ask(
        &self,
        at: &Address,
        held: Option<Arc<Entry<V>>>,
        ticket: Ticket,
    ) -> Result<Asked<V>, RemoteError> {
        if let Some(entry) = held.filter(|entry| entry.generation.is_some()) {
            if self.is_current(at, &entry).await? {
                let now = self.shelf.now();
                self.shelf.renew(at.id, &entry, ticket, now);
                let hit = self.answer(&at.key, entry, now, Outcome::LocalRevalidated);
                return Ok(Asked::Hit(hit));
            }
            self.shelf.local.remove(at.id, &entry);
        }
        let snapshot = self.shelf.remote.read(at, self.shelf.is_large()).await?;
        self.engine.seen(at.id.bucket, snapshot.head);
        let live = self.hears_of_tags(self.shelf.now());
        Ok(match self.shelf.accept(at, &snapshot, live).await? {
            Ok(entry) => Asked::Hit(self.take(at, entry, ticket)),
            Err(discard) => Asked::Miss(discard),
        })
    }

    async fn is_current(&self, at: &Address, entry: &Entry<V>) -> Result<bool, RemoteError> {
        let live = self.hears_of_tags(self.shelf.now());
        let (snapshot, untouched) = tokio::try_join!(
            self.shelf.remote.check(at),
            self.shelf.is_current(entry, live)
        )?;
        self.engine.seen(at.id.bucket, snapshot.head);
        let current = entry.generation.is_some() && snapshot.generation() == entry.generation;
        Ok(current && untouched)
    }

    /// Whether this node would know by now if a tag had been bumped.
    fn hears_of_tags(&self, now: u64) -> bool {
        let bucket = self.engine.layout.tag_bucket();
        self.engine.proofs.read(bucket).is_live(now)
    }

    /// What this process was told of the key so far; to be taken before anything is asked.
    pub(super) fn ticket(&self, at: &Address) -> Ticket {
        let gap = self.engine.proofs.read(at.id.bucket).gap;
        self.shelf.local.ticket(at.id, gap, self.shelf.tags.place())
    }

    /// What this process knows, before anybody else is asked: proof and ticket first, then the entry.
    fn look(&self, at: &Address) -> Known<V> {
        let proof = self.engine.proofs.read(at.id.bucket);
        let place = self.shelf.tags.place();
        let ticket = self.shelf.local.ticket(at.id, proof.gap, place);
        let held = self.shelf.local.get(at.id.hash, at.key.bytes());
        let held = held.filter(|entry| self.may_be_confirmed(at, entry));
        Known {
            proof,
            ticket,
            held,
        }
    }

    /// A value whose life is over is left to moka; one that a tag has made old is dropped at once.
    fn may_be_confirmed(&self, at: &Address, entry: &Arc<Entry<V>>) -> bool {
        if self.shelf.standing(entry) == Standing::Refused {
            self.shelf.observer.note(Decision::TagRefusal);
            self.shelf.local.remove(at.id, entry);
            return false;
        }
        !entry.lifetime.is_over(self.shelf.now())
    }

    /// Answers with a local value that is proven, or that nobody could prove at present.
    fn serve(
        &self,
        key: &RenderedKey,
        entry: Arc<Entry<V>>,
        proof: Proof,
        now: u64,
    ) -> Option<Found<V>> {
        if !entry.is_fresh(now) {
            return None;
        }
        let hears = self.hears_of_tags(now);
        let standing = self.shelf.standing(&entry);
        if standing == Standing::Refused {
            return None;
        }
        let told = hears && standing == Standing::Current;
        let outcome = if told && entry.gap() == proof.gap && proof.is_live(now) {
            Outcome::LocalHit
        } else if self.engine.proofs.agree()
            && (entry.generation.is_none() || !self.engine.remote.is_up())
        {
            Outcome::LocalUnproven
        } else {
            return None;
        };
        Some(self.answer(key, entry, now, outcome))
    }

    /// Copies a value from Redis into this process, and answers it.
    fn take(&self, at: &Address, entry: Arc<Entry<V>>, ticket: Ticket) -> Found<V> {
        let now = self.shelf.now();
        self.shelf.put(at.id, &entry, ticket, now);
        self.answer(&at.key, entry, now, Outcome::RemoteHit)
    }

    pub(super) fn answer(
        &self,
        key: &RenderedKey,
        entry: Arc<Entry<V>>,
        now: u64,
        outcome: Outcome,
    ) -> Found<V> {
        self.shelf.observer.answered(outcome);
        let found = Found {
            entry,
            read_at: now,
            outcome,
        };
        self.record(key, &found);
        found
    }

    /// The answer of a flight: the same for all, counted and recorded by each.
    pub(super) fn shared(
        &self,
        at: &Address,
        answer: Result<Found<V>, Error>,
    ) -> Result<Found<V>, Error> {
        match &answer {
            Ok(found) => {
                self.shelf.observer.answered(found.outcome);
                self.record(&at.key, found);
            }
            Err(_) => self.shelf.observer.note(Decision::Failed),
        }
        answer
    }

    /// What was read, for the request and for the load that the caller is part of.
    ///
    /// What does not exist may begin to at any time: a page that shows so lives as long as that is remembered.
    fn record(&self, key: &RenderedKey, found: &Found<V>) {
        let entry = &found.entry;
        RequestScope::record(|| Read {
            entity: EntityName::new(self.shelf.name.as_str(), key.as_str()),
            tags: entry.tags(),
            visibility: entry.visibility,
            deadline: entry.lifetime.deadline,
            clock: &self.shelf.clock,
        });
        let at = || self.shelf.address(key.clone());
        note_read(at, found, &self.shelf.remote, &self.shelf.clock);
    }

    fn started(&self) -> Started {
        Started {
            at: self.shelf.now(),
            told: self.shelf.tags.generation(),
        }
    }

    fn joinable(&self, at: &Address, now: u64) -> Joinable {
        let live = self.engine.proofs.read(at.id.bucket).is_live(now) && self.hears_of_tags(now);
        Joinable {
            live,
            since: now.saturating_sub(self.engine.proofs.horizon()),
        }
    }

    fn circular(&self, at: &Address) -> Error {
        Error::circular(format!(
            "a load asked for {}, whose load waits for it",
            at.name()
        ))
    }
}

/// What Redis said.
enum Asked<V> {
    Hit(Found<V>),
    Miss(Discard),
}

/// What this process knows of a key.
struct Known<V> {
    proof: Proof,
    ticket: Ticket,
    held: Option<Arc<Entry<V>>>,
}

/// Flights that a call follows although a tag made their answers old, before it loads by itself.
const FOLLOWED: u32 = 2;
