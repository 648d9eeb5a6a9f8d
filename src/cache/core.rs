//! The read path from top to bottom.
//!
//! A read asks this process, then Redis, and otherwise loads, once. Every step that takes a value out of a tier
//! first notes what is known (a proof, a ticket), so that an invalidation that passes in between is noticed.

use crate::{
    cached::Found,
    engine::Engine,
    error::Error,
    feed::{Listener, Proof},
    load::{Flights, Shelf, Unpacked, note_read},
    local::Ticket,
    model::{Address, CacheKey, Deaf, Entry, Level, RenderedKey, StoreVersion},
    observe::Decision,
    outcome::Outcome,
    remote::{Discard, Fencing, RemoteError, Snapshot},
    scope::{Keeper, Read, RequestScope, Shown, Source},
    tags::Standing,
};
use std::sync::{Arc, Weak};

/// A cache without the type of its keys.
pub(super) struct Core<V> {
    pub(super) engine: Arc<Engine>,
    pub(super) shelf: Arc<Shelf<V>>,
    pub(super) flights: Arc<Flights<V>>,
    /// This cache, as scopes know it.
    source: Arc<Source>,
}

impl<V: Send + Sync + 'static> Core<V> {
    pub(super) fn new(engine: Arc<Engine>, shelf: Shelf<V>) -> Arc<Self> {
        let core = Arc::new_cyclic(|core: &Weak<Self>| Self {
            source: Arc::new(Source {
                name: Arc::clone(&shelf.name),
                clock: Arc::clone(&shelf.clock),
                witness: engine.clone(),
                keeper: core.clone(),
                schema: shelf.schema,
                buckets: shelf.buckets,
                implied: shelf.implied,
            }),
            engine,
            shelf: Arc::new(shelf),
            flights: Arc::new(Flights::new()),
        });
        let listener: Arc<dyn Listener> = core.clone();
        core.engine.audience.add(Arc::downgrade(&listener));
        core
    }

    /// The level that can be kept right now.
    pub(super) fn level(&self) -> Level {
        let wanted = self.shelf.policy.level;
        let silent = matches!(
            self.engine.remote.fencing(),
            Fencing::Heartbeats | Fencing::Off
        );
        if wanted == Level::Eventual || silent {
            return Level::Eventual;
        }
        let now = self.shelf.now();
        let proofs = &self.engine.proofs;
        let live =
            || (0..self.engine.layout.feeds()).all(|feed| self.is_live(proofs.read(feed), now));
        if self.shelf.reach.deaf == Deaf::Serve && !live() {
            return Level::Eventual;
        }
        wanted
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
        self.local_or_late(key).ok()
    }

    /// The same, and else what this process holds of the key: it may be past its TTL.
    pub(super) fn local_or_late(&self, key: &RenderedKey) -> Result<Found<V>, Option<Late<V>>> {
        let now = self.shelf.now();
        let proof = self.engine.proofs.read(self.shelf.bucket(key));
        let held = self.shelf.local.get(key.hash(), key.bytes());
        let late = match held.map(|entry| self.serve(key, entry, proof, now)) {
            Some(Ok(found)) => return Ok(found),
            Some(Err(entry)) => Some(Late { entry, proof, now }),
            None => None,
        };
        RequestScope::wait();
        Err(late)
    }

    /// A value from this process or Redis, for a read that does not load.
    pub(super) async fn find(&self, at: &Address) -> Option<Found<V>> {
        let known = self.look(at);
        if self.engine.journal().holds(at.id) {
            return None;
        }
        match self.ask(at, known.held, known.ticket).await {
            Ok(Asked::Hit(hit)) => Some(hit),
            Ok(Asked::Stale(_) | Asked::Miss(_)) => None,
            Err(error) => self.without_remote(at, &error),
        }
    }

    /// Redis did not answer: the local value within its local TTL, if there is one.
    pub(super) fn without_remote(&self, at: &Address, error: &RemoteError) -> Option<Found<V>> {
        if !matches!(
            error,
            RemoteError::Away | RemoteError::Doubted | RemoteError::Unconfirmed
        ) {
            self.shelf.observer.note(Decision::RemoteError);
            tracing::debug!(%error, "redis did not answer a read");
        }
        let entry = self.shelf.local.get(at.id.hash, at.key.bytes())?;
        let now = self.shelf.now();
        let served = entry.is_alive(now)
            && (entry.generation.is_none() || self.serves_when_away())
            && self.engine.proofs.agree()
            && self.shelf.standing(&entry) != Standing::Refused;
        served.then(|| self.answer(&at.key, entry, now, Outcome::LocalUnproven))
    }

    /// Asks Redis: whether the version of what is held here still counts, else for the value.
    pub(super) async fn ask(
        &self,
        at: &Address,
        held: Option<Arc<Entry<V>>>,
        ticket: Ticket,
    ) -> Result<Asked<V>, RemoteError> {
        if let Some(entry) = held.filter(|entry| entry.generation.is_some()) {
            let snapshot = self.shelf.remote.check(at).await?;
            if let Some(hit) = self.confirm(at, entry, &snapshot, ticket).await? {
                return Ok(Asked::Hit(hit));
            }
        }
        let snapshot = self.shelf.remote.read(at, self.shelf.is_large()).await?;
        self.accept(at, &snapshot, ticket).await
    }

    /// The local value, if its version is the one in this snapshot and none of its tags was bumped; else it is dropped.
    pub(super) async fn confirm(
        &self,
        at: &Address,
        entry: Arc<Entry<V>>,
        snapshot: &Snapshot,
        ticket: Ticket,
    ) -> Result<Option<Found<V>>, RemoteError> {
        self.engine.seen(at.id.bucket, snapshot.head);
        if !self.still_counts(at, &entry, snapshot).await? {
            self.shelf.local.remove(at.id, &entry);
            return Ok(None);
        }
        let now = self.shelf.now();
        self.shelf.renew(at.id, &entry, ticket, now);
        Ok(Some(self.answer(
            &at.key,
            entry,
            now,
            Outcome::LocalRevalidated,
        )))
    }

    /// Whether a value is of the version in this snapshot, none of its tags was bumped, and whoever says so is to be believed.
    pub(super) async fn still_counts(
        &self,
        at: &Address,
        entry: &Entry<V>,
        snapshot: &Snapshot,
    ) -> Result<bool, RemoteError> {
        let live = self.hears_of_tags(self.shelf.now());
        if entry.generation.is_none() || snapshot.generation() != entry.generation {
            return Ok(false);
        }
        let verdict = self.shelf.is_current(entry, live).await?;
        if verdict.current {
            let bucket = at.id.bucket;
            self.shelf
                .vouched(bucket, snapshot.by, verdict.asked)
                .await?;
        }
        Ok(verdict.current)
    }

    /// The value in this snapshot, if it is the current one.
    pub(super) async fn accept(
        &self,
        at: &Address,
        snapshot: &Snapshot,
        ticket: Ticket,
    ) -> Result<Asked<V>, RemoteError> {
        self.engine.seen(at.id.bucket, snapshot.head);
        let live = self.hears_of_tags(self.shelf.now());
        Ok(match self.shelf.accept(at, snapshot, live).await? {
            Unpacked::Fresh(entry) => Asked::Hit(self.take(at, entry, ticket)),
            Unpacked::Stale(entry) => Asked::Stale(self.keep_stale(at, entry, ticket)),
            Unpacked::Refused(discard) => Asked::Miss(discard),
        })
    }

    /// Whether a feed counts as live for the level of this cache.
    pub(super) fn is_live(&self, proof: Proof, now: u64) -> bool {
        proof.is_live(now, &self.shelf.reach)
    }

    /// Whether this node would know by now if a tag had been bumped.
    pub(super) fn hears_of_tags(&self, now: u64) -> bool {
        let bucket = self.engine.layout.tag_bucket();
        self.is_live(self.engine.proofs.read(bucket), now)
    }

    /// What this process was told of the key so far; to be taken before anything is asked.
    pub(super) fn ticket(&self, at: &Address) -> Ticket {
        let gap = self.engine.proofs.read(at.id.bucket).gap;
        self.shelf.local.ticket(at.id, gap, self.shelf.tags.place())
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
        let place = self.shelf.tags.place();
        let ticket = self.shelf.local.ticket(at.id, proof.gap, place);
        let held = self.shelf.local.get(at.id.hash, at.key.bytes());
        let held = held.filter(|entry| self.may_be_confirmed(at, entry, proof));
        Known {
            proof,
            ticket,
            held,
        }
    }

    pub(super) fn serve_known(&self, at: &Address, known: &Known<V>) -> Option<Found<V>> {
        let held = known.held.clone()?;
        self.serve(&at.key, held, known.proof, self.shelf.now())
            .ok()
    }

    /// A value whose life is over is left to moka; one that a tag has made old is dropped at once.
    fn may_be_confirmed(&self, at: &Address, entry: &Arc<Entry<V>>, proof: Proof) -> bool {
        let now = self.shelf.now();
        if self.shelf.reach.deaf == Deaf::Drop
            && !(self.is_live(proof, now) && self.hears_of_tags(now))
            && entry.generation.is_some()
        {
            self.shelf.local.remove(at.id, entry);
            return false;
        }
        if self.shelf.standing(entry) == Standing::Refused {
            self.shelf.observer.note(Decision::TagRefusal);
            self.shelf.local.remove(at.id, entry);
            return false;
        }
        !entry.is_over(now)
    }

    /// Whether a value that Redis proved once is served while Redis is away.
    pub(super) fn serves_when_away(&self) -> bool {
        matches!(self.shelf.reach.deaf, Deaf::AskOrServe | Deaf::Serve)
    }

    /// Answers with a local value that is proven, or that nobody could prove at present.
    fn serve(
        &self,
        key: &RenderedKey,
        entry: Arc<Entry<V>>,
        proof: Proof,
        now: u64,
    ) -> Result<Found<V>, Arc<Entry<V>>> {
        match self.served_as(self.shelf.bucket(key), &entry, proof, now) {
            Some(outcome) => Ok(self.answer(key, entry, now, outcome)),
            None => Err(entry),
        }
    }

    /// As what a local value answers a read; `None` if it must not. `proof` was read before the entry.
    fn served_as(&self, bucket: u16, entry: &Entry<V>, proof: Proof, now: u64) -> Option<Outcome> {
        if !entry.is_alive(now) {
            return None;
        }
        let hears = self.hears_of_tags(now);
        let standing = self.shelf.standing(entry);
        // A tag may have been softly invalidated.
        if standing == Standing::Refused || !entry.is_alive(now) {
            return None;
        }
        let told = hears && standing == Standing::Current;
        if told && entry.gap() == proof.gap && self.is_live(proof, now) {
            return Some(Outcome::LocalHit);
        }
        let unproven = match self.shelf.reach.deaf {
            Deaf::AskOrServe => entry.generation.is_none() || !self.engine.remote.is_up(bucket),
            Deaf::Serve => true,
            // Loaded by this process while Redis was away, within the bound: it lives no longer.
            Deaf::Ask | Deaf::Drop => entry.generation.is_none(),
        };
        (self.engine.proofs.agree() && unproven).then_some(Outcome::LocalUnproven)
    }

    /// A read that does not load, of a key that no tier holds.
    pub(super) fn missed(&self) {
        RequestScope::wait();
        self.shelf.observer.note(Decision::Missed);
    }

    /// Copies a value from Redis into this process, and answers it.
    pub(super) fn take(&self, at: &Address, entry: Arc<Entry<V>>, ticket: Ticket) -> Found<V> {
        let now = self.shelf.now();
        self.shelf.put(at.id, &entry, ticket, now);
        self.answer(&at.key, entry, now, Outcome::RemoteHit)
    }

    /// The same for a load in the background, which answers nobody's read.
    pub(super) fn take_quietly(
        &self,
        at: &Address,
        entry: Arc<Entry<V>>,
        ticket: Ticket,
    ) -> Found<V> {
        let now = self.shelf.now();
        self.shelf.put(at.id, &entry, ticket, now);
        Found {
            entry,
            read_at: now,
            outcome: Outcome::RemoteHit,
        }
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
        RequestScope::record(|| Read {
            source: &self.source,
            entry: found.entry.clone(),
            hash: key.hash(),
            outcome: found.outcome,
        });
        let at = || self.shelf.address(key.clone());
        note_read(at, found, &self.shelf.remote, &self.shelf.clock);
    }

    pub(super) fn failed(&self, error: Error) -> Error {
        self.shelf.observer.note(Decision::Failed);
        error
    }
}

impl<V: Send + Sync + 'static> Keeper for Core<V> {
    fn serves(&self, hash: u64, entry: &dyn Shown) -> bool {
        if !self.engine.enabled || self.engine.check_open().is_err() {
            return false;
        }
        let now = self.shelf.now();
        let bucket = self.source.id(hash).bucket;
        let proof = self.engine.proofs.read(bucket);
        let held = self.shelf.local.get(hash, entry.key().as_bytes());
        let held = held.filter(|held| std::ptr::addr_eq(Arc::as_ptr(held), entry));
        held.is_some_and(|held| {
            self.served_as(bucket, &held, proof, now) == Some(Outcome::LocalHit)
                && held.is_fresh(now)
        })
    }
}

/// What Redis said.
pub(super) enum Asked<V> {
    Hit(Found<V>),
    /// Past its TTL, inside a stale window.
    Stale(Arc<Entry<V>>),
    Miss(Discard),
}

/// A local value that could not be served at once, with what was known when it was looked for.
pub(super) struct Late<V> {
    pub(super) entry: Arc<Entry<V>>,
    pub(super) proof: Proof,
    pub(super) now: u64,
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
