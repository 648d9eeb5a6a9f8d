//! The way of a miss: who leads the key's load in this process, how far the leader gets without a loader, and whose
//! answer a follower may take.

use super::core::{Asked, Core};
use crate::{
    cached::Found,
    error::{BoxError, Error},
    load::{
        Acquired, Flight, Grant, Joinable, Led, Loaded, Pass, Permit, Role, Started, acquire,
        admit, give_back, is_loading, loader, outlived, queue, run, waits_for,
    },
    model::{Address, Entry, Trust},
    observe::{Decision, Traced, Unanswered},
    remote::{Discard, RemoteError},
    tags::Standing,
};
use std::{
    future::Future,
    sync::{Arc, atomic::Ordering},
};
use tracing::Instrument;

/// How far a leader gets without its loader.
enum Prepared<V> {
    Hit(Found<V>),
    /// To be served at once, and to be loaded again.
    Stale(Found<V>),
    /// With the value from before, where Redis holds it.
    Load(Grant, Option<Arc<Entry<V>>>),
    /// Another load of this process holds the lease, and waits for this one.
    Circular,
}

/// What came of waiting for somebody else's load.
pub(super) enum Followed<V> {
    Answered(Result<Found<V>, Error>),
    /// It began before a tag of its answer, or a value in it, was invalidated, and this call perhaps after that.
    Outdated,
    /// Its leader was dropped before it could load. Somebody else leads now, perhaps this caller.
    Abandoned,
}

impl<V: Send + Sync + 'static> Core<V> {
    /// What this process could not answer by itself, by the deadline of the call.
    pub(super) async fn miss<F, Fut, R, E>(
        self: &Arc<Self>,
        at: &Address,
        load: F,
    ) -> Result<Found<V>, Error>
    where
        F: FnOnce(Option<Found<V>>) -> Fut,
        Fut: Future<Output = Result<R, E>> + Send + 'static,
        R: Into<Loaded<V>> + 'static,
        E: Into<BoxError> + 'static,
    {
        let read = Unanswered::new(&self.shelf.observer);
        let answer = self.in_time(at, self.seek(at, load)).await;
        read.answered();
        answer
    }

    /// The same, however long it takes.
    async fn seek<F, Fut, R, E>(self: &Arc<Self>, at: &Address, load: F) -> Result<Found<V>, Error>
    where
        F: FnOnce(Option<Found<V>>) -> Fut,
        Fut: Future<Output = Result<R, E>> + Send + 'static,
        R: Into<Loaded<V>> + 'static,
        E: Into<BoxError> + 'static,
    {
        match self.stale_there(at).await {
            Some(found) => {
                if found.outcome.is_stale() {
                    self.refresh(at, &found.entry, load);
                }
                Ok(found)
            }
            None => self.fly(at, load).await,
        }
    }

    /// Leads a flight of the key or follows one, until there is an answer.
    async fn fly<F, Fut, R, E>(self: &Arc<Self>, at: &Address, load: F) -> Result<Found<V>, Error>
    where
        F: FnOnce(Option<Found<V>>) -> Fut,
        Fut: Future<Output = Result<R, E>> + Send + 'static,
        R: Into<Loaded<V>> + 'static,
        E: Into<BoxError> + 'static,
    {
        let mut outdated = 0;
        loop {
            let now = self.started();
            match self.join(at, now, outdated) {
                Role::Lead(permit) => return self.lead(at, permit, load).await,
                Role::Follow(flight) => match self.follow(at, &flight, now).await {
                    Followed::Answered(answer) => return answer,
                    Followed::Outdated => outdated += 1,
                    Followed::Abandoned => {
                        let running = self.engine.check_running();
                        running.map_err(|closed| self.failed(closed))?;
                    }
                },
            }
        }
    }

    /// Waits for somebody else's load, which was joined at `joined`.
    pub(super) async fn follow(
        &self,
        at: &Address,
        flight: &Flight<V>,
        joined: Started,
    ) -> Followed<V> {
        let Ok(_waiting) = waits_for(&self.engine.circles, flight.number()) else {
            return Followed::Answered(Err(self.failed(self.circular(at))));
        };
        self.shelf.observer.note(Decision::FlightJoined);
        if is_loading() {
            flight.hurry();
        }
        tracing::debug!("waits for a load of this process");
        match flight.answer().await {
            Some(answer)
                if self.may_share(flight, joined, &answer) && self.holds(at, &answer).await =>
            {
                Followed::Answered(self.settled(at, answer).await)
            }
            Some(_) => Followed::Outdated,
            None => Followed::Abandoned,
        }
    }

    /// Follows whoever loads the key already, unless tags are bumped faster than it loads.
    pub(super) fn join(&self, at: &Address, now: Started, outdated: u32) -> Role<V> {
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
        let told_nothing = !flight.was_told_before(joined);
        match answer {
            Ok(_) if flight.may_be_outdated(joined) => false,
            Ok(found) => told_nothing || self.is_current(&found.entry),
            // An error is about this moment, not about data.
            Err(_) => true,
        }
    }

    /// Whether a flight's answer may be given to a caller that has joined it: the flight may have begun before the call.
    async fn holds(&self, at: &Address, answer: &Result<Found<V>, Error>) -> bool {
        let Ok(found) = answer else {
            return true;
        };
        if self.shelf.reach.trust != Trust::Anew {
            return true;
        }
        // On the heap, so that reads of other levels need not carry the room for it.
        Box::pin(self.is_confirmed(at, &found.entry)).await
    }

    /// Whether Redis says now that a value counts.
    async fn is_confirmed(&self, at: &Address, entry: &Entry<V>) -> bool {
        if self.believed(at).is_none() {
            return false;
        }
        let counts = match self.shelf.remote.check(at).await {
            Ok(snapshot) => self.still_counts(at, entry, &snapshot).await,
            Err(error) => Err(error),
        };
        counts.unwrap_or(false)
    }

    fn is_current(&self, entry: &Entry<V>) -> bool {
        self.shelf.standing(entry) == Standing::Current && !entry.is_expired()
    }

    async fn lead<F, Fut, R, E>(
        self: &Arc<Self>,
        at: &Address,
        permit: Permit<V>,
        load: F,
    ) -> Result<Found<V>, Error>
    where
        F: FnOnce(Option<Found<V>>) -> Fut,
        Fut: Future<Output = Result<R, E>> + Send + 'static,
        R: Into<Loaded<V>> + 'static,
        E: Into<BoxError> + 'static,
    {
        let flight = Arc::clone(permit.flight());
        let _waiting = waits_for(&self.engine.circles, flight.number())
            .map_err(|()| self.failed(self.circular(at)))?;
        let (grant, previous) = match self.prepare(at, &permit).await {
            Prepared::Hit(hit) => {
                permit.complete(Ok(hit.clone()));
                return Ok(hit);
            }
            Prepared::Stale(stale) => {
                permit.complete(Ok(stale.clone()));
                self.refresh(at, &stale.entry, load);
                return Ok(stale);
            }
            Prepared::Load(grant, previous) => (grant, previous),
            Prepared::Circular => {
                let error = self.circular(at);
                permit.complete(Err(error.clone()));
                return Err(self.failed(error));
            }
        };
        let led = Led {
            index: 0,
            at: at.clone(),
            permit,
            grant,
        };
        let (led, pass) = match self.admitted(led).await {
            Ok(admitted) => admitted,
            Err(error) => return self.settled(at, Err(error)).await,
        };
        let previous = previous.filter(|entry| entry.may_be_confirmed());
        let given = previous.as_ref().map(|entry| self.as_previous(entry));
        let load = match Error::catching(|| load(given)) {
            Ok(load) => loader(load, previous),
            Err(error) => {
                self.shelf.observer.note(Decision::Load);
                self.shelf.observer.note(Decision::LoadError);
                give_back(&self.shelf, at, &led.grant).await;
                led.permit.complete(Err(error.clone()));
                return self.settled(at, Err(error)).await;
            }
        };
        // From here on nothing that the caller does stops the load.
        let run = run(Arc::clone(&self.shelf), led, pass, load);
        let span = self.span(Traced::Load, &at.key);
        self.engine.tasks.spawn(run.instrument(span));
        match flight.answer().await {
            Some(answer) => self.settled(at, answer).await,
            // The load's task was ended: these tiers or the runtime are shutting down.
            None => Err(self.failed(Error::closed())),
        }
    }

    /// A place for a load, in turn.
    async fn admitted(&self, led: Led<V>) -> Result<(Led<V>, Pass), Error> {
        if let Some(pass) = admit(&self.shelf) {
            return Ok((led, pass));
        }
        let queued = queue(&self.shelf, vec![led]).await;
        let admitted = queued
            .ok()
            .and_then(|(mut led, pass)| Some((led.pop()?, pass)));
        admitted.ok_or_else(Error::overloaded)
    }

    /// Everything before the loader: this process again, Redis, the lease.
    async fn prepare(&self, at: &Address, permit: &Permit<V>) -> Prepared<V> {
        let known = self.look(at);
        let ticket = known.ticket;
        if let Some(hit) = self.serve_known(at, &known) {
            return Prepared::Hit(hit);
        }
        if self.engine.journal().holds(at.id) {
            return Prepared::Load(Grant::Alone(ticket), None);
        }
        let prepared = match self.ask(at, known.held, ticket).await {
            Ok(Asked::Hit(hit)) => return Prepared::Hit(hit),
            Ok(Asked::Stale(entry)) => match self.serve_stale(&at.key, Arc::clone(&entry)) {
                Some(stale) => return Prepared::Stale(stale),
                None => self.lease(at, permit, outlived(&entry), Some(entry)).await,
            },
            Ok(Asked::Miss(discard)) => self.lease(at, permit, discard, None).await,
            Err(error) => Err(error),
        };
        prepared.unwrap_or_else(|error| match self.without_remote(at, &error) {
            Some(hit) => Prepared::Hit(hit),
            None => Prepared::Load(Grant::Alone(ticket), None),
        })
    }

    async fn lease(
        &self,
        at: &Address,
        permit: &Permit<V>,
        discard: Discard,
        previous: Option<Arc<Entry<V>>>,
    ) -> Result<Prepared<V>, RemoteError> {
        Ok(match self.acquire(at, permit, discard).await? {
            Acquired::Value(entry, ticket) => Prepared::Hit(self.take(at, entry, ticket)),
            Acquired::Load(leased) => Prepared::Load(Grant::Leased(leased), previous),
            Acquired::Circular => Prepared::Circular,
        })
    }

    /// Asks Redis who loads.
    pub(super) async fn acquire(
        &self,
        at: &Address,
        permit: &Permit<V>,
        discard: Discard,
    ) -> Result<Acquired<V>, RemoteError> {
        let ticket = || self.believed(at);
        let seen = |head: &_| self.engine.seen(at.id.bucket, Some(*head));
        let live = || self.hears_of_tags(self.shelf.now());
        acquire(&self.shelf, at, discard, permit, ticket, seen, live).await
    }

    pub(super) fn started(&self) -> Started {
        Started {
            at: self.shelf.now(),
            told: self.shelf.tags.generation(),
            touched: self.engine.touched.load(Ordering::SeqCst),
        }
    }

    fn joinable(&self, at: &Address, now: u64) -> Joinable {
        let proof = self.engine.proofs.read(at.id.bucket);
        Joinable {
            live: self.is_live(proof, now) && self.hears_of_tags(now),
            since: now.saturating_sub(self.shelf.reach.joined),
        }
    }

    pub(super) fn circular(&self, at: &Address) -> Error {
        Error::circular(format!(
            "a load asked for {}, whose load waits for it",
            at.name()
        ))
    }
}

/// Flights that a call follows although a tag made their answers old, before it loads by itself.
const FOLLOWED: u32 = 2;
