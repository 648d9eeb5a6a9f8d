//! What a batch misses, on its way to a load: its own, or another's.
//!
//! Each miss is led or followed like a single one. What it leads a batch loads at once, in a task; only then it waits,
//! for its own load and for what others load: so two batches never wait for each other, whatever the order of their
//! keys.

use super::{
    batch::BatchContext,
    core::Core,
    deadline::Deadline,
    finish,
    fly::Followed,
    many::{Miss, Results},
};
use crate::{
    cached::Found,
    error::{BoxError, Error},
    load::{
        Acquired, Grant, Led, Loaded, Meaning, Pass, Permit, Role, Seeker, Waiters, admit,
        ask_many, give_up, load_number, queue, run_many, waits_for,
    },
    model::{Address, CacheKey},
    observe::{Decision, Traced},
};
use futures_util::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use std::{future::Future, mem::take, sync::Arc};
use tokio::{
    select,
    time::{Instant, timeout_at},
};
use tracing::Instrument;

/// The misses of one call on their way to a load, one's own or another's.
pub(super) struct Loading<'a, K, V> {
    core: &'a Core<V>,
    /// Somebody waits for the answers; else they are for the tiers alone.
    awaited: bool,
    /// The loader was called; one that nobody waits for is called once.
    called: bool,
    /// When the call is to be answered; in the background nobody waits.
    deadline: Option<Deadline>,
    results: Results<K, V>,
    misses: Vec<Miss>,
    /// Led by this call; Redis is to be asked who loads them.
    seekers: Vec<Seeker<'a, V>>,
    /// Loaded by other nodes.
    waiters: Waiters<'a, V>,
    /// To be loaded by this call, as soon as there is a place.
    ready: Vec<Led<V>>,
    /// The same with its place.
    admitted: Vec<(Vec<Led<V>>, Pass)>,
    /// Loaded in this process, by this call or by others.
    flying: FuturesUnordered<BoxFuture<'a, Event<V>>>,
}

/// Waits for a place. Where the queue is full, stale values stand in as for a load that failed.
async fn queued<V: Send + Sync + 'static>(core: &Core<V>, led: Vec<Led<V>>) -> Event<V> {
    match queue(&core.shelf, led).await {
        Ok((led, pass)) => Event::Admitted(led, pass),
        Err(shed) => {
            let refused = |(index, at)| (index, at, Err(Error::overloaded()));
            Event::Landed(shed.into_iter().map(refused).collect())
        }
    }
}

/// What happens until then; `None`: nothing.
async fn by<T>(until: Option<Instant>, future: impl Future<Output = T>) -> Option<T> {
    match until {
        Some(until) => timeout_at(until, future).await.ok(),
        None => Some(future.await),
    }
}

enum Event<V> {
    /// Another's load has ended.
    Answered(usize, Result<Found<V>, Error>),
    /// Another's load was never begun, or is too old for this call.
    Abandoned(Miss),
    /// A load of this call may begin.
    Admitted(Vec<Led<V>>, Pass),
    /// A load of this call has ended, or was shed.
    Landed(Vec<(usize, Address, Result<Found<V>, Error>)>),
    /// Its task did not end by itself.
    Lost(Vec<usize>, Error),
}

impl<'a, K, V> Loading<'a, K, V>
where
    K: CacheKey + Clone + Send + 'static,
    V: Send + Sync + 'static,
{
    pub(super) fn new(
        core: &'a Core<V>,
        results: Results<K, V>,
        misses: Vec<Miss>,
        deadline: Option<Deadline>,
    ) -> Self {
        Self {
            core,
            awaited: true,
            called: false,
            deadline,
            results,
            misses,
            seekers: Vec::new(),
            waiters: Waiters::new(),
            ready: Vec::new(),
            admitted: Vec::new(),
            flying: FuturesUnordered::new(),
        }
    }

    /// The same for nobody: what it loads is for the tiers.
    pub(super) fn in_background(
        core: &'a Core<V>,
        results: Results<K, V>,
        led: Vec<(Miss, Permit<V>)>,
    ) -> Self {
        let mut loading = Self {
            awaited: false,
            ..Self::new(core, results, Vec::new(), None)
        };
        for (miss, permit) in led {
            loading.lead(miss, permit);
        }
        loading
    }

    /// Whatever is ready is loaded before anything is waited for: between the two nothing can drop this call.
    ///
    /// At the deadline it ends, whatever is still without a result.
    pub(super) async fn run<F, Fut, I, R, E>(mut self, mut load: F) -> Results<K, V>
    where
        F: FnMut(BatchContext<K>) -> Fut,
        Fut: Future<Output = Result<I, E>> + Send + 'static,
        I: IntoIterator<Item = (K, R)> + 'static,
        R: Into<Loaded<V>> + 'static,
        E: Into<BoxError> + 'static,
    {
        loop {
            self.join();
            let hard = self.deadline.map(|deadline| deadline.hard);
            if by(hard, self.seek()).await.is_none() {
                return self.results;
            }
            self.load(&mut load);
            if !self.wait_in_time().await {
                return self.results;
            }
        }
    }

    /// `false`: nothing more will happen, or the call need not wait for it.
    async fn wait_in_time(&mut self) -> bool {
        let Some(deadline) = self.deadline else {
            return self.wait().await;
        };
        let soft = deadline.soft.filter(|_| !deadline.is_soft_over());
        let until = soft.unwrap_or(deadline.hard);
        let waits = by(Some(until), self.wait()).await;
        let enough = deadline.is_soft_over() && self.core.stand_in_many(&mut self.results);
        waits.unwrap_or(true) && !enough && !deadline.is_over()
    }

    /// Leads what nobody loads in this process, and follows the rest.
    fn join(&mut self) {
        for miss in take(&mut self.misses) {
            let now = self.core.started();
            match self.core.join(&miss.at, now, miss.outdated) {
                Role::Lead(permit) => self.lead(miss, permit),
                Role::Follow(flight) => {
                    let core = self.core;
                    let followed = async move {
                        match core.follow(&miss.at, &flight, now).await {
                            Followed::Answered(answer) => Event::Answered(miss.index, answer),
                            Followed::Outdated => Event::Abandoned(Miss {
                                outdated: miss.outdated + 1,
                                ..miss
                            }),
                            Followed::Abandoned => Event::Abandoned(miss),
                        }
                    };
                    self.flying.push(followed.boxed());
                }
            }
        }
    }

    /// This process again: somebody may have put the value since it was missed.
    fn lead(&mut self, miss: Miss, permit: Permit<V>) {
        let Miss {
            index, at, discard, ..
        } = miss;
        let known = self.core.look(&at);
        // What is replaced before its end is served to others meanwhile.
        if self.awaited
            && let Some(hit) = self.core.serve_known(&at, &known)
        {
            permit.complete(Ok(hit.clone()));
            self.results.found[index] = Some(Ok(hit));
            return;
        }
        let Ok(caller) = waits_for(&self.core.engine.circles, permit.flight().number()) else {
            let error = self.core.circular(&at);
            permit.complete(Err(error.clone()));
            self.results.found[index] = Some(Err(self.failed(error)));
            return;
        };
        let pending = self.core.engine.journal().holds(at.id);
        let seeker = Seeker::new(index, at, permit, known.ticket, discard, caller);
        if pending {
            self.ready.push(seeker.alone());
        } else {
            self.seekers.push(seeker);
        }
    }

    /// Asks Redis who loads what this call leads.
    async fn seek(&mut self) {
        let seekers = take(&mut self.seekers);
        if seekers.is_empty() {
            return;
        }
        let core = self.core;
        let ticket = |at: &Address| core.believed(at);
        let seen = |at: &Address, head: &_| core.engine.seen(at.id.bucket, Some(*head));
        let live = || core.hears_of_tags(core.shelf.now());
        for (seeker, answer) in ask_many(&core.shelf, seekers, ticket, seen, live).await {
            match answer {
                Ok(Meaning::Acquired(Acquired::Load(leased))) => {
                    self.ready.push(seeker.granted(Grant::Leased(leased)));
                }
                Ok(Meaning::Acquired(Acquired::Value(entry, ticket))) => {
                    let hit = if self.awaited {
                        core.take(&seeker.at, entry, ticket)
                    } else {
                        core.take_quietly(&seeker.at, entry, ticket)
                    };
                    self.end(seeker, Ok(hit));
                }
                Ok(Meaning::Acquired(Acquired::Circular)) => {
                    let error = core.circular(&seeker.at);
                    self.end(seeker, Err(self.failed(error)));
                }
                Ok(Meaning::Again) => self.seekers.push(seeker),
                Ok(Meaning::Follow(holder)) => self.waiters.add(seeker, holder),
                // What is there was served already.
                Err(_) if !self.awaited => {}
                Err(error) => match core.without_remote(&seeker.at, &error) {
                    Some(hit) => self.end(seeker, Ok(hit)),
                    None => self.ready.push(seeker.alone()),
                },
            }
        }
    }

    fn end(&mut self, seeker: Seeker<'a, V>, answer: Result<Found<V>, Error>) {
        self.results.found[seeker.index] = Some(answer.clone());
        seeker.complete(answer);
    }

    /// One call of the loader for all that is ready. From here on nothing that the caller does stops it.
    fn load<F, Fut, I, R, E>(&mut self, load: &mut F)
    where
        F: FnMut(BatchContext<K>) -> Fut,
        Fut: Future<Output = Result<I, E>> + Send + 'static,
        I: IntoIterator<Item = (K, R)> + 'static,
        R: Into<Loaded<V>> + 'static,
        E: Into<BoxError> + 'static,
    {
        self.admit();
        for (led, pass) in take(&mut self.admitted) {
            self.begin(led, pass, load);
        }
    }

    /// One place for all that is ready, or in turn: what is loaded elsewhere is waited for meanwhile.
    fn admit(&mut self) {
        let led = take(&mut self.ready);
        if led.is_empty() {
            return;
        }
        if self.called && !self.awaited {
            return give_up(&self.core.shelf, led);
        }
        self.called = true;
        let core = self.core;
        match admit(&core.shelf) {
            Some(pass) => self.admitted.push((led, pass)),
            None if self.awaited => self.flying.push(queued(core, led).boxed()),
            None => {
                core.shelf.observer.note(Decision::DroppedRefresh);
                give_up(&core.shelf, led);
            }
        }
    }

    fn begin<F, Fut, I, R, E>(&mut self, mut led: Vec<Led<V>>, pass: Pass, load: &mut F)
    where
        F: FnMut(BatchContext<K>) -> Fut,
        Fut: Future<Output = Result<I, E>> + Send + 'static,
        I: IntoIterator<Item = (K, R)> + 'static,
        R: Into<Loaded<V>> + 'static,
        E: Into<BoxError> + 'static,
    {
        led.sort_unstable_by_key(|led| led.index);
        let indices: Vec<_> = led.iter().map(|led| led.index).collect();
        let keys = indices
            .iter()
            .map(|index| self.results.keys[*index].clone());
        let context = BatchContext::new(keys.collect());
        // On the heap: a nested load would put all of it on the stack, several times.
        let loader = Error::catching(|| Box::pin(load(context)));
        let number = load_number();
        // It closes no circle, since nobody knows the load yet.
        let waiting = waits_for(&self.core.engine.circles, number);
        let shelf = Arc::clone(&self.core.shelf);
        let span = self.core.span_of_many(Traced::Load, led.len());
        let run = run_many(shelf, number, led, pass, loader).map(Ok);
        let task = self.core.engine.tasks.run(run.instrument(span));
        let landed = async move {
            let _waiting = waiting;
            match finish(task).await {
                Ok(landed) => Event::Landed(landed),
                Err(error) => Event::Lost(indices, error),
            }
        };
        self.flying.push(landed.boxed());
    }

    /// Waits for the next thing to happen, and takes what has happened with it. `false`: nothing will.
    async fn wait(&mut self) -> bool {
        if !self.seekers.is_empty() {
            return true;
        }
        if self.flying.is_empty() && self.waiters.is_empty() {
            return false;
        }
        select! {
            Some(event) = self.flying.next() => self.note(event),
            woken = self.waiters.next() => self.seekers.extend(woken),
        }
        while let Some(Some(event)) = self.flying.next().now_or_never() {
            self.note(event);
        }
        true
    }

    fn note(&mut self, event: Event<V>) {
        match event {
            Event::Answered(index, answer) => self.results.found[index] = Some(answer),
            Event::Abandoned(miss) => match self.core.engine.check_running() {
                Ok(()) => self.misses.push(miss),
                Err(error) => self.results.found[miss.index] = Some(Err(self.failed(error))),
            },
            Event::Admitted(led, pass) => self.admitted.push((led, pass)),
            Event::Landed(landed) => {
                for (index, at, answer) in landed {
                    self.settle(index, at, answer);
                }
            }
            Event::Lost(indices, error) => {
                for index in indices {
                    self.results.found[index] = Some(Err(self.failed(error.clone())));
                }
            }
        }
    }

    /// A value from before may stand in for a load that has failed. Each is looked for by itself, so that a key which is
    /// answered, and counted, has its result at once.
    fn settle(&mut self, index: usize, at: Address, answer: Result<Found<V>, Error>) {
        let core = self.core;
        if !self.awaited {
            self.results.found[index] = Some(answer);
        } else if answer.is_ok() {
            self.results.found[index] = Some(core.shared(&at, answer));
        } else {
            let settled = async move { Event::Answered(index, core.settled(&at, answer).await) };
            self.flying.push(settled.boxed());
        }
    }

    /// What is done in the background is nobody's read.
    fn failed(&self, error: Error) -> Error {
        if self.awaited {
            self.core.failed(error)
        } else {
            error
        }
    }
}
