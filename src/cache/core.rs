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
        Acquired, Flights, Grant, Joinable, Loaded, Permit, Role, Shelf, acquire, give_back,
        panic_message, run, waits_for,
    },
    local::Ticket,
    model::{Address, CacheKey, EntityName, Entry, RenderedKey, Visibility},
    observe::Decision,
    outcome::Outcome,
    remote::RemoteError,
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
            let now = self.shelf.now();
            match self
                .flights
                .join(&at.key, at.id.bucket, now, self.joinable(at, now))
            {
                Role::Lead(permit) => return self.lead(at, permit, load).await,
                Role::Follow(flight) => {
                    let _waiting = waits_for(&self.engine.circles, flight.number())
                        .map_err(|()| self.circular(at))?;
                    self.shelf.observer.note(Decision::FlightJoined);
                    // `None`: its leader was dropped before it could load. Somebody else leads now, perhaps this caller.
                    if let Some(answer) = flight.answer().await {
                        return self.shared(at, answer);
                    }
                }
            }
        }
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
        let ticket = || {
            let ticket = self.ticket(at);
            // In this order: an invalidation stands in the journal before it touches the ticket's cell.
            (!self.engine.journal().holds(at.id)).then_some(ticket)
        };
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
    fn without_remote(&self, at: &Address, error: &RemoteError) -> Option<Cached<V>> {
        if !matches!(error, RemoteError::Away | RemoteError::Doubted) {
            self.shelf.observer.note(Decision::RemoteError);
            tracing::debug!(%error, "redis did not answer a read");
        }
        let entry = self.shelf.local.get(at.id.hash, at.key.bytes())?;
        let now = self.shelf.now();
        let fresh = entry.is_fresh(now) && self.engine.proofs.agree();
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
        match self.shelf.accept(at, &snapshot) {
            Ok(Some(entry)) => Ok(Asked::Hit(self.take(at, entry, ticket))),
            Ok(None) => Ok(Asked::Miss { discard: false }),
            Err(()) => Ok(Asked::Miss { discard: true }),
        }
    }

    async fn is_current(&self, at: &Address, entry: &Entry<V>) -> Result<bool, RemoteError> {
        let snapshot = self.shelf.remote.check(at).await?;
        self.engine.seen(at.id.bucket, snapshot.head);
        Ok(entry.generation.is_some() && snapshot.generation() == entry.generation)
    }

    /// What this process was told of the key so far; to be taken before anything is asked.
    pub(super) fn ticket(&self, at: &Address) -> Ticket {
        self.shelf
            .local
            .ticket(at.id, self.engine.proofs.read(at.id.bucket).gap)
    }

    /// What this process knows, before anybody else is asked: proof and ticket first, then the entry.
    fn look(&self, at: &Address) -> Known<V> {
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
    fn take(&self, at: &Address, entry: Arc<Entry<V>>, ticket: Ticket) -> Cached<V> {
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

    fn joinable(&self, at: &Address, now: u64) -> Joinable {
        let live = self.engine.proofs.read(at.id.bucket).is_live(now);
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
    Hit(Cached<V>),
    /// `discard`: there is a payload, and it is bad.
    Miss {
        discard: bool,
    },
}

/// What this process knows of a key.
struct Known<V> {
    proof: Proof,
    ticket: Ticket,
    held: Option<Arc<Entry<V>>>,
}
