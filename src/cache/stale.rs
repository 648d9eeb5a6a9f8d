//! Past the TTL: a value that is served while a load replaces it, and one that stands in for a load that failed or is late.
//!
//! A stale value has passed its TTL and nothing else: it is of the current version, none of its tags was bumped, and
//! its proof is asked for as for a fresh one. So a stale window never weakens what an invalidation promises.

use super::core::{Asked, Core, Late};
use crate::{
    cached::Found,
    error::{BoxError, Error},
    feed::Proof,
    load::{Acquired, Grant, Led, Loaded, Loader, Permit, Role, give_up, loader, outlived, run},
    local::Ticket,
    model::{Address, Entry, RenderedKey, millis},
    observe::{Decision, Traced},
    outcome::Outcome,
    tags::Standing,
};
use std::{future::Future, sync::Arc};
use tracing::Instrument;

impl<V: Send + Sync + 'static> Core<V> {
    /// The local value past its TTL, if it may be served at once: while it is loaded again, or because that has just failed.
    pub(super) fn stale_here(&self, key: &RenderedKey, late: Option<Late<V>>) -> Option<Found<V>> {
        let late = late.filter(|_| self.shelf.policy.stale_for() > 0)?;
        let proven = self.is_proven_stale(&late.entry, late.proof, late.now);
        proven.then(|| self.serve_stale_at(key, late.entry, late.now))?
    }

    /// The same, of a key that was looked for before.
    pub(super) fn stale_again(&self, key: &RenderedKey) -> Option<Found<V>> {
        if self.shelf.policy.stale_for() == 0 {
            return None;
        }
        let now = self.shelf.now();
        let entry = self.proven_stale(key, now)?;
        self.serve_stale_at(key, entry, now)
    }

    /// The same where this node cannot prove what it holds, and Redis is asked for it. Nobody waits for a load meanwhile.
    pub(super) async fn stale_there(&self, at: &Address) -> Option<Found<V>> {
        let now = self.shelf.now();
        let window = self.shelf.policy.stale_for();
        let held = self.shelf.local.get(at.id.hash, at.key.bytes())?;
        if !self.shelf.is_stale_within(&held, window, now) {
            return None;
        }
        let ticket = self.believed(at)?;
        match self.ask(at, None, ticket).await.ok()? {
            Asked::Hit(found) => Some(found),
            Asked::Stale(entry) => self.serve_stale(&at.key, entry),
            Asked::Miss(_) => None,
        }
    }

    /// Keeps what Redis holds past its TTL, and what is known of it here: that a load in its place has failed.
    pub(super) fn keep_stale(
        &self,
        at: &Address,
        entry: Arc<Entry<V>>,
        ticket: Ticket,
    ) -> Arc<Entry<V>> {
        let now = self.shelf.now();
        let held = self.shelf.local.get(at.id.hash, at.key.bytes());
        if let Some(held) = held.filter(|held| held.seal.is_some() && held.seal == entry.seal) {
            self.shelf.renew(at.id, &held, ticket, now);
            return held;
        }
        self.shelf.put(at.id, &entry, ticket, now);
        entry
    }

    /// A value past its TTL that is proven, if it may be served at once.
    pub(super) fn serve_stale(&self, key: &RenderedKey, entry: Arc<Entry<V>>) -> Option<Found<V>> {
        self.serve_stale_at(key, entry, self.shelf.now())
    }

    fn serve_stale_at(
        &self,
        key: &RenderedKey,
        entry: Arc<Entry<V>>,
        now: u64,
    ) -> Option<Found<V>> {
        let within = |window| self.shelf.is_stale_within(&entry, window, now);
        let outcome = if within(self.shelf.policy.revalidate_for()) {
            Outcome::Stale
        } else if entry.is_paused(now) && within(self.error_window()) {
            Outcome::StaleIfError
        } else {
            return None;
        };
        Some(self.answer(key, entry, now, outcome))
    }

    pub(super) fn error_window(&self) -> u64 {
        millis(self.shelf.policy.stale_if_error)
    }

    /// A local value past its TTL, proven as one that is not.
    pub(super) fn proven_stale(&self, key: &RenderedKey, now: u64) -> Option<Arc<Entry<V>>> {
        let proof = self.engine.proofs.read(self.shelf.bucket(key));
        let entry = self.shelf.local.get(key.hash(), key.bytes())?;
        self.is_proven_stale(&entry, proof, now).then_some(entry)
    }

    /// `proof` was read before the entry.
    fn is_proven_stale(&self, entry: &Entry<V>, proof: Proof, now: u64) -> bool {
        let window = self.shelf.policy.stale_for();
        self.shelf.is_stale_within(entry, window, now)
            && entry.is_proven(now)
            && self.hears_of_tags(now)
            && self.shelf.standing(entry) == Standing::Current
            && entry.gap() == proof.gap
            && self.is_live(proof, now)
    }

    /// Whether this read is the one that asks for a load before the value's TTL is over.
    pub(super) fn is_early(&self, found: &Found<V>) -> bool {
        let entry = &found.entry;
        let draw = self.shelf.policy.drawn_refresh(entry.load_micros);
        found.outcome == Outcome::LocalHit
            && !entry.is_fresh(found.read_at)
            && entry.remaining(found.read_at) <= draw
    }

    /// Loads a value in the background that was just served, unless that is done already or has just failed.
    ///
    /// The loader is made here, since it may borrow from the caller; it runs only if no other node has loaded meanwhile.
    pub(super) fn refresh<F, Fut, R, E>(
        self: &Arc<Self>,
        at: &Address,
        entry: &Arc<Entry<V>>,
        load: F,
    ) where
        F: FnOnce(Option<Found<V>>) -> Fut,
        Fut: Future<Output = Result<R, E>> + Send + 'static,
        R: Into<Loaded<V>> + 'static,
        E: Into<BoxError> + 'static,
    {
        if !entry.wants_load(self.shelf.now()) || self.engine.journal().holds(at.id) {
            return;
        }
        // Somebody waits for those that run: this can wait.
        if self.shelf.gate.is_full() {
            self.shelf.observer.note(Decision::DroppedRefresh);
            return;
        }
        let Role::Lead(permit) = self.join(at, self.started(), 0) else {
            return;
        };
        self.shelf.observer.note(Decision::Refresh);
        let previous = entry.may_be_confirmed().then(|| Arc::clone(entry));
        let given = previous.as_ref().map(|entry| self.as_previous(entry));
        match Error::catching(|| load(given)) {
            Ok(load) => {
                let (core, entry) = (Arc::clone(self), Replaced::begin(entry));
                let replaced = core.replace(at.clone(), permit, entry, loader(load, previous));
                let span = self.span(Traced::Refresh, &at.key);
                self.engine.tasks.spawn(replaced.instrument(span));
            }
            Err(error) => {
                self.shelf.observer.note(Decision::Load);
                self.shelf.observer.note(Decision::LoadError);
                self.pause(entry);
                permit.complete(Err(error));
            }
        }
    }

    /// What a loader is given of the value that it would replace.
    pub(super) fn as_previous(&self, entry: &Arc<Entry<V>>) -> Found<V> {
        let read_at = self.shelf.now();
        Found {
            entry: Arc::clone(entry),
            read_at,
            outcome: match entry.is_over(read_at) {
                true => Outcome::Stale,
                false => Outcome::LocalHit,
            },
        }
    }

    /// The load in the background: by this node if it gets the lease, else what the node that has it fills.
    async fn replace(
        self: Arc<Self>,
        at: Address,
        permit: Permit<V>,
        replaced: Replaced<V>,
        loader: Loader<V>,
    ) {
        let entry = &replaced.0;
        match self.acquire(&at, &permit, outlived(entry)).await {
            Ok(Acquired::Load(leased)) => {
                let flight = Arc::clone(permit.flight());
                let shelf = Arc::clone(&self.shelf);
                let led = Led {
                    index: 0,
                    at,
                    permit,
                    grant: Grant::Leased(leased),
                };
                match shelf.gate.try_enter() {
                    Some(places) => {
                        let span = self.span(Traced::Load, &led.at.key);
                        let run = run(shelf, led, Some(places), loader);
                        run.instrument(span).await;
                    }
                    None => {
                        shelf.observer.note(Decision::DroppedRefresh);
                        give_up(&shelf, vec![led]);
                    }
                }
                if matches!(flight.answer().await, Some(Err(_)) | None) {
                    self.pause(entry);
                }
            }
            Ok(Acquired::Value(entry, ticket)) => {
                permit.complete(Ok(self.take_quietly(&at, entry, ticket)));
            }
            Ok(Acquired::Circular) => permit.complete(Err(self.circular(&at))),
            // Whoever waits for this flight goes on by itself.
            Err(error) => {
                self.shelf.observer.note(Decision::RemoteError);
                tracing::debug!(%error, "redis did not say who loads a stale value anew");
            }
        }
    }

    pub(super) fn pause(&self, entry: &Entry<V>) {
        let pause = self.shelf.policy.retry_after_millis();
        entry.pause(self.shelf.now() + pause);
    }

    /// The answer of a flight, for one of those who wait for it. Where the load has failed, the value from before may stand in.
    pub(super) async fn settled(
        &self,
        at: &Address,
        answer: Result<Found<V>, Error>,
    ) -> Result<Found<V>, Error> {
        let failed = answer.as_ref().is_err_and(Error::is_of_the_load);
        if failed
            && self.error_window() > 0
            && let Some(found) = self.stand_in(at).await
        {
            return Ok(found);
        }
        self.shared(at, answer)
    }

    /// The value of before, proven like any other: nothing that was invalidated stands in.
    pub(super) async fn stand_in(&self, at: &Address) -> Option<Found<V>> {
        if let Some(found) = self.local(&at.key) {
            // Somebody has filled it meanwhile.
            return Some(found);
        }
        if let Some(entry) = self.proven_stale(&at.key, self.shelf.now()) {
            return self.stand_within(at, entry);
        }
        let ticket = self.believed(at)?;
        match self.ask(at, None, ticket).await {
            Ok(Asked::Hit(found)) => Some(found),
            Ok(Asked::Stale(entry)) => self.stand_within(at, entry),
            Ok(Asked::Miss(_)) => None,
            Err(_) => self.stand_within(at, self.unproven_stale(at)?),
        }
    }

    fn stand_within(&self, at: &Address, entry: Arc<Entry<V>>) -> Option<Found<V>> {
        self.may_stand(&entry).then(|| self.stand(at, entry))
    }

    /// Whether it is inside the window of values that stand in.
    pub(super) fn may_stand(&self, entry: &Entry<V>) -> bool {
        let now = self.shelf.now();
        self.shelf.is_stale_within(entry, self.error_window(), now)
    }

    /// The store is left alone for a while then.
    pub(super) fn stand(&self, at: &Address, entry: Arc<Entry<V>>) -> Found<V> {
        self.pause(&entry);
        let now = self.shelf.now();
        self.answer(&at.key, entry, now, Outcome::StaleIfError)
    }

    /// Redis did not answer: what it proved last, within the local TTL.
    pub(super) fn unproven_stale(&self, at: &Address) -> Option<Arc<Entry<V>>> {
        let entry = self.shelf.local.get(at.id.hash, at.key.bytes())?;
        let served = entry.is_proven(self.shelf.now())
            && self.serves_when_away()
            && self.engine.proofs.agree()
            && self.shelf.standing(&entry) != Standing::Refused;
        served.then_some(entry)
    }
}

/// An entry while a load in its place is under way.
struct Replaced<V>(Arc<Entry<V>>);

impl<V> Replaced<V> {
    fn begin(entry: &Arc<Entry<V>>) -> Self {
        entry.set_replacing(true);
        Self(Arc::clone(entry))
    }
}

impl<V> Drop for Replaced<V> {
    fn drop(&mut self) {
        self.0.set_replacing(false);
    }
}
