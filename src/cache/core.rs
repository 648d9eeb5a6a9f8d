//! The read path from top to bottom.
//!
//! A read asks this process, then Redis, and otherwise loads, once. Every step that takes a value out of a tier
//! first notes what is known (a proof, a ticket), so that an invalidation that passes in between is noticed.

use crate::{
    cached::Cached,
    engine::Engine,
    error::{BoxError, Error},
    feed::{Listener, Proof},
    load::{
        Acquired, Flight, Flights, Grant, Joinable, Loaded, Permit, Role, Shelf, acquire,
        give_back, panic_message, run, waits_for,
    },
    local::Ticket,
    model::{Address, CacheKey, EntityName, Entry, RenderedKey, Visibility},
    observe::Decision,
    outcome::Outcome,
    remote::{RemoteError, Snapshot},
    scope::RequestScope,
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
    Hit(Cached<V>),
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

    /// The local value, if it may be served without asking: no lock but moka's, no allocation.
    pub(super) fn local(&self, key: &RenderedKey) -> Option<Cached<V>> {
        let now = self.shelf.now();
        let proof = self.engine.proofs.read(self.shelf.bucket(key));
        let entry = self.shelf.local.get(key.hash(), key.bytes())?;
        self.serve(key, entry, proof, now)
    }

    /// A value from this process or Redis, for a read that does not load.
    pub(super) async fn find(&self, at: &Address) -> Option<Cached<V>> {
        let known = self.look(at);
        if self.engine.journal().holds(at.id) {
            return None;
        }
        match self.ask(at, known.held, known.ticket).await {
            Ok(Asked::Hit(hit)) => Some(hit),
            Ok(Asked::Miss { .. }) => None,
            Err(error) => self.without_remote(at, &error),
        }
    }

    /// Leads a flight of the key or follows one, until there is an answer.
    pub(super) async fn fly<F, Fut, R, E>(&self, at: &Address, load: F) -> Result<Cached<V>, Error>
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<R, E>> + Send + 'static,
        R: Into<Loaded<V>> + 'static,
        E: Into<BoxError> + 'static,
    {
        loop {
            match self.join(at) {
                Role::Lead(permit) => return self.lead(at, permit, load).await,
                Role::Follow(flight) => {
                    if let Some(answer) = self.follow(at, &flight).await {
                        return answer;
                    }
                }
            }
        }
    }

    pub(super) fn join(&self, at: &Address) -> Role<V> {
        let now = self.shelf.now();
        let joinable = self.joinable(at, now);
        self.flights.join(&at.key, at.id.bucket, now, joinable)
    }

    /// The answer of somebody else's load. `None`: its leader was dropped before it could load, and somebody else leads
    /// now, perhaps this caller.
    pub(super) async fn follow(
        &self,
        at: &Address,
        flight: &Flight<V>,
    ) -> Option<Result<Cached<V>, Error>> {
        let Ok(_waiting) = waits_for(&self.engine.circles, flight.number()) else {
            return Some(Err(self.circular(at)));
        };
        self.shelf.observer.note(Decision::FlightJoined);
        let answer = flight.answer().await?;
        Some(self.shared(at, answer))
    }

    async fn lead<F, Fut, R, E>(
        &self,
        at: &Address,
        permit: Permit<V>,
        load: F,
    ) -> Result<Cached<V>, Error>
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
        let loader = match catch_unwind(AssertUnwindSafe(load)) {
            Ok(loader) => loader,
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
            loader,
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
        if let Some(hit) = self.serve_known(at, &known) {
            return Prepared::Hit(hit);
        }
        if self.engine.journal().holds(at.id) {
            return Prepared::Load(Grant::Alone(ticket));
        }
        let prepared = match self.ask(at, known.held, ticket).await {
            Ok(Asked::Hit(hit)) => return Prepared::Hit(hit),
            Ok(Asked::Miss { discard }) => self.lease(at, permit, discard).await,
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
        discard: bool,
    ) -> Result<Prepared<V>, RemoteError> {
        let ticket = || self.believed(at);
        let seen = |head: &_| self.engine.seen(at.id.bucket, Some(*head));
        Ok(
            match acquire(&self.shelf, at, discard, permit, ticket, seen).await? {
                Acquired::Value(entry, ticket) => Prepared::Hit(self.take(at, entry, ticket)),
                Acquired::Load(leased) => Prepared::Load(Grant::Leased(leased)),
                Acquired::Circular => Prepared::Circular,
            },
        )
    }

    /// Redis did not answer: the local value within its local TTL, if there is one.
    pub(super) fn without_remote(&self, at: &Address, error: &RemoteError) -> Option<Cached<V>> {
        if !matches!(error, RemoteError::Away | RemoteError::Doubted) {
            self.shelf.observer.note(Decision::RemoteError);
            tracing::debug!(%error, "redis did not answer a read");
        }
        let entry = self.shelf.local.get(at.id.hash, at.key.bytes())?;
        let now = self.shelf.now();
        let fresh = entry.is_fresh(now);
        fresh.then(|| self.answer(&at.key, entry, now, Outcome::LocalUnproven))
    }

    /// Asks Redis: whether the version of what is held here still counts, else for the value.
    async fn ask(
        &self,
        at: &Address,
        held: Option<Arc<Entry<V>>>,
        ticket: Ticket,
    ) -> Result<Asked<V>, RemoteError> {
        if let Some(entry) = held.filter(|entry| entry.generation.is_some()) {
            let snapshot = self.shelf.remote.check(at).await?;
            if let Some(hit) = self.confirm(at, entry, &snapshot, ticket) {
                return Ok(Asked::Hit(hit));
            }
        }
        let snapshot = self.shelf.remote.read(at, self.shelf.is_large()).await?;
        Ok(self.accept(at, &snapshot, ticket))
    }

    /// The local value, if its version is the one in this snapshot; else it is dropped.
    pub(super) fn confirm(
        &self,
        at: &Address,
        entry: Arc<Entry<V>>,
        snapshot: &Snapshot,
        ticket: Ticket,
    ) -> Option<Cached<V>> {
        self.engine.seen(at.id.bucket, snapshot.head);
        if entry.generation.is_none() || snapshot.generation() != entry.generation {
            self.shelf.local.remove(at.id, &entry);
            return None;
        }
        let now = self.shelf.now();
        self.shelf.renew(at.id, &entry, ticket, now);
        Some(self.answer(&at.key, entry, now, Outcome::LocalRevalidated))
    }

    /// The value in this snapshot, if it is the current one.
    pub(super) fn accept(&self, at: &Address, snapshot: &Snapshot, ticket: Ticket) -> Asked<V> {
        self.engine.seen(at.id.bucket, snapshot.head);
        match self.shelf.accept(at, snapshot) {
            Ok(Some(entry)) => Asked::Hit(self.take(at, entry, ticket)),
            Ok(None) => Asked::Miss { discard: false },
            Err(()) => Asked::Miss { discard: true },
        }
    }

    /// What this process was told of the key so far; to be taken before anything is asked.
    pub(super) fn ticket(&self, at: &Address) -> Ticket {
        self.shelf
            .local
            .ticket(at.id, self.engine.proofs.read(at.id.bucket).gap)
    }

    /// The ticket for a question to Redis; `None` if Redis is not to be believed.
    pub(super) fn believed(&self, at: &Address) -> Option<Ticket> {
        let ticket = self.ticket(at);
        // In this order: an invalidation stands in the journal before it touches the ticket's cell.
        (!self.engine.journal().holds(at.id)).then_some(ticket)
    }

    /// What this process knows, before anybody else is asked: proof and ticket first, then the entry.
    pub(super) fn look(&self, at: &Address) -> Known<V> {
        let proof = self.engine.proofs.read(at.id.bucket);
        let ticket = self.shelf.local.ticket(at.id, proof.gap);
        let held = self.shelf.local.get(at.id.hash, at.key.bytes());
        let held = held.filter(|entry| !entry.lifetime.is_over(self.shelf.now()));
        Known {
            proof,
            ticket,
            held,
        }
    }

    pub(super) fn serve_known(&self, at: &Address, known: &Known<V>) -> Option<Cached<V>> {
        let held = known.held.clone()?;
        self.serve(&at.key, held, known.proof, self.shelf.now())
    }

    /// Answers with a local value that is proven, or that nobody could prove at present.
    fn serve(
        &self,
        key: &RenderedKey,
        entry: Arc<Entry<V>>,
        proof: Proof,
        now: u64,
    ) -> Option<Cached<V>> {
        if !entry.is_fresh(now) {
            return None;
        }
        let outcome = if entry.gap() == proof.gap && proof.is_live(now) {
            Outcome::LocalHit
        } else if entry.generation.is_none() || !self.engine.remote.is_up() {
            Outcome::LocalUnproven
        } else {
            return None;
        };
        Some(self.answer(key, entry, now, outcome))
    }

    /// Copies a value from Redis into this process, and answers it.
    pub(super) fn take(&self, at: &Address, entry: Arc<Entry<V>>, ticket: Ticket) -> Cached<V> {
        let now = self.shelf.now();
        self.shelf.put(at.id, &entry, ticket, now);
        self.answer(&at.key, entry, now, Outcome::RemoteHit)
    }

    fn answer(
        &self,
        key: &RenderedKey,
        entry: Arc<Entry<V>>,
        now: u64,
        outcome: Outcome,
    ) -> Cached<V> {
        self.shelf.observer.answered(outcome);
        self.record(key, &entry);
        Cached::new(entry, now, outcome)
    }

    /// The answer of a flight: the same for all, counted and recorded by each.
    pub(super) fn shared(
        &self,
        at: &Address,
        answer: Result<Cached<V>, Error>,
    ) -> Result<Cached<V>, Error> {
        match &answer {
            Ok(cached) => {
                self.shelf.observer.answered(cached.outcome());
                self.record(&at.key, cached.entry());
            }
            Err(error) => {
                if error.is_absent() {
                    self.record_absent(at);
                }
                self.shelf.observer.note(Decision::Failed);
            }
        }
        answer
    }

    fn record(&self, key: &RenderedKey, entry: &Entry<V>) {
        let name = || EntityName::new(self.shelf.name.as_str(), key.as_str());
        RequestScope::record(
            name,
            &[],
            Visibility::Public,
            &self.shelf.clock,
            entry.lifetime.deadline,
        );
    }

    /// What does not exist may begin to at any time: a page that shows so must not live on anywhere.
    fn record_absent(&self, at: &Address) {
        RequestScope::record(
            || at.name(),
            &[],
            Visibility::Public,
            &self.shelf.clock,
            self.shelf.now(),
        );
    }

    pub(super) fn failed(&self, error: Error) -> Error {
        self.shelf.observer.note(Decision::Failed);
        error
    }

    fn joinable(&self, at: &Address, now: u64) -> Joinable {
        let live = self.engine.proofs.read(at.id.bucket).is_live(now);
        Joinable {
            live,
            since: now.saturating_sub(self.engine.proofs.horizon()),
        }
    }

    pub(super) fn circular(&self, at: &Address) -> Error {
        Error::circular(format!(
            "a load asked for {}, whose load waits for it",
            at.name()
        ))
    }
}

/// What Redis said.
pub(super) enum Asked<V> {
    Hit(Cached<V>),
    /// `discard`: there is a payload, and it is bad.
    Miss {
        discard: bool,
    },
}

/// What this process knows of a key.
pub(super) struct Known<V> {
    pub(super) proof: Proof,
    pub(super) ticket: Ticket,
    pub(super) held: Option<Arc<Entry<V>>>,
}

impl<V> Known<V> {
    /// The held value, if asking for the version alone can prove it.
    pub(super) fn provable(&self) -> Option<&Arc<Entry<V>>> {
        let held = self.held.as_ref();
        held.filter(|entry| entry.generation.is_some())
    }

    /// The same after the held value turned out to be old.
    pub(super) fn without_held(self) -> Self {
        Self { held: None, ..self }
    }
}
