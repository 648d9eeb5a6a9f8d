//! The read path of many keys at once: each step of a single read, taken by all of them together.
//!
//! This process is asked for every key, then Redis for the rest. What is missing then is led or followed like a
//! single miss. What it leads a batch loads at once, in a task; only then it waits, for its own load and for what
//! others load: so two batches never wait for each other, whatever the order of their keys.

use super::{
    batch::{Batch, BatchContext},
    core::{Asked, Core, Known},
};
use crate::{
    cached::Cached,
    error::{BoxError, Error},
    load::{
        Acquired, Grant, Led, Loaded, Meaning, Permit, Places, Role, Seeker, Waiters, ask_many,
        load_number, panic_message, run_many, waits_for,
    },
    model::{Address, CacheKey},
    remote::{Ask, RemoteError, Snapshot},
};
use futures_util::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use std::{
    borrow::Borrow,
    future::Future,
    mem::take,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};
use tokio::{select, task::JoinError};

/// The distinct keys of a call, in the order asked, with the results so far.
struct Results<K, V> {
    keys: Vec<K>,
    found: Vec<Option<Result<Cached<V>, Error>>>,
    places: Places,
}

/// A key without a result.
struct Miss {
    index: usize,
    at: Address,
    /// Redis has a payload, and it is bad.
    discard: bool,
}

/// A miss with what this process knew before Redis was asked.
struct Doubt<V> {
    miss: Miss,
    known: Known<V>,
}

impl<V: Send + Sync + 'static> Core<V> {
    /// What this process or Redis holds, for a read that does not load.
    pub(super) async fn get_many<'q, K, Q>(
        &self,
        keys: impl IntoIterator<Item = &'q Q>,
    ) -> Batch<K, V>
    where
        K: CacheKey + Borrow<Q>,
        Q: CacheKey + ToOwned<Owned = K> + ?Sized + 'q,
    {
        let (mut results, misses) = self.local_many(keys);
        let missing = self.find_many(misses, &mut results.found).await;
        if missing.is_empty() {
            self.batch(results)
        } else {
            self.batch_of_found(results)
        }
    }

    /// What is missing afterwards is loaded or waited for.
    pub(super) async fn get_or_load_many<K, F, Fut, I, R, E>(
        &self,
        keys: &[K],
        load: F,
    ) -> Batch<K, V>
    where
        K: CacheKey + Clone + Send + 'static,
        F: FnMut(BatchContext<K>) -> Fut,
        Fut: Future<Output = Result<I, E>> + Send + 'static,
        I: IntoIterator<Item = (K, R)> + 'static,
        R: Into<Loaded<V>> + 'static,
        E: Into<BoxError> + 'static,
    {
        let (mut results, misses) = self.local_many(keys);
        let misses = self.find_many(misses, &mut results.found).await;
        if !misses.is_empty() {
            results = Loading::new(self, results, misses).run(load).await;
        }
        self.batch(results)
    }

    /// One look at this process for all keys.
    fn local_many<'q, K, Q>(
        &self,
        keys: impl IntoIterator<Item = &'q Q>,
    ) -> (Results<K, V>, Vec<Miss>)
    where
        K: CacheKey + Borrow<Q>,
        Q: CacheKey + ToOwned<Owned = K> + ?Sized + 'q,
    {
        let keys = keys.into_iter();
        let (mut results, mut misses) = (Results::with_capacity(keys.size_hint().0), Vec::new());
        for key in keys {
            let rendered = self.render(key);
            let index = results.keys.len();
            let is_at = |place: usize| self.render(&results.keys[place]) == rendered;
            if !results.places.add(&rendered, index, is_at) {
                continue;
            }
            let hit = self.local(&rendered);
            if hit.is_none() {
                let at = self.shelf.address(rendered);
                misses.push(Miss {
                    index,
                    at,
                    discard: false,
                });
            }
            results.keys.push(key.to_owned());
            results.found.push(hit.map(Ok));
        }
        (results, misses)
    }

    /// One look at Redis for all misses, and a second for those whose local value turned out to be old.
    async fn find_many(
        &self,
        misses: Vec<Miss>,
        found: &mut [Option<Result<Cached<V>, Error>>],
    ) -> Vec<Miss> {
        let mut missing = Vec::new();
        let mut doubts = Vec::with_capacity(misses.len());
        for miss in misses {
            let known = self.look(&miss.at);
            if self.engine.journal().holds(miss.at.id) {
                missing.push(miss);
            } else {
                doubts.push(Doubt { miss, known });
            }
        }
        while !doubts.is_empty() {
            let asks: Vec<_> = doubts.iter().map(Doubt::ask).collect();
            let snapshots = self.shelf.remote.read_many(&asks, self.shelf.is_large());
            let snapshots = snapshots.await;
            for (doubt, snapshot) in take(&mut doubts).into_iter().zip(snapshots) {
                let index = doubt.miss.index;
                match self.settle(doubt, snapshot) {
                    Settled::Hit(hit) => found[index] = Some(Ok(hit)),
                    Settled::Miss(miss) => missing.push(miss),
                    Settled::Old(doubt) => doubts.push(doubt),
                }
            }
        }
        missing
    }

    fn settle(&self, doubt: Doubt<V>, snapshot: Result<Snapshot, RemoteError>) -> Settled<V> {
        let Doubt { mut miss, known } = doubt;
        let snapshot = match snapshot {
            Ok(snapshot) => snapshot,
            Err(error) => {
                let hit = self.without_remote(&miss.at, &error);
                return hit.map_or(Settled::Miss(miss), Settled::Hit);
            }
        };
        let ticket = known.ticket;
        if let Some(entry) = known.provable() {
            let hit = self.confirm(&miss.at, Arc::clone(entry), &snapshot, ticket);
            let old = || {
                Settled::Old(Doubt {
                    miss,
                    known: known.without_held(),
                })
            };
            return hit.map_or_else(old, Settled::Hit);
        }
        match self.accept(&miss.at, &snapshot, ticket) {
            Asked::Hit(hit) => Settled::Hit(hit),
            Asked::Miss { discard } => {
                miss.discard = discard;
                Settled::Miss(miss)
            }
        }
    }

    /// Of a call whose every key has a result.
    fn batch<K: CacheKey>(&self, results: Results<K, V>) -> Batch<K, V> {
        let keyed = results.keys.into_iter().zip(results.found);
        let with_result = |(key, result): (K, Option<_>)| {
            // Every key has one, but where the runtime ends in the middle.
            (key, result.unwrap_or_else(|| Err(Error::closed())))
        };
        let keyed = keyed.map(with_result).collect();
        Batch::new(keyed, results.places, self.shelf.name.seed)
    }

    fn batch_of_found<K: CacheKey>(&self, results: Results<K, V>) -> Batch<K, V> {
        let keyed = results.keys.into_iter().zip(results.found);
        let found: Vec<_> = keyed
            .filter_map(|(key, result)| Some((key, result?)))
            .collect();
        let mut places = Places::with_capacity(found.len());
        for (place, (key, _)) in found.iter().enumerate() {
            places.add(&self.render(key), place, |_| false);
        }
        Batch::new(found, places, self.shelf.name.seed)
    }
}

impl<K, V> Results<K, V> {
    fn with_capacity(keys: usize) -> Self {
        Self {
            keys: Vec::with_capacity(keys),
            found: Vec::with_capacity(keys),
            places: Places::with_capacity(keys),
        }
    }
}

impl<V> Doubt<V> {
    /// The version alone, where that can prove what is held here.
    fn ask(&self) -> Ask<'_> {
        Ask {
            at: &self.miss.at,
            value: self.known.provable().is_none(),
        }
    }
}

/// What a snapshot says of one key.
enum Settled<V> {
    Hit(Cached<V>),
    Miss(Miss),
    /// The local value is: ask for the new one.
    Old(Doubt<V>),
}

/// The misses of one call on their way to a load, one's own or another's.
struct Loading<'a, K, V> {
    core: &'a Core<V>,
    results: Results<K, V>,
    misses: Vec<Miss>,
    /// Led by this call; Redis is to be asked who loads them.
    seekers: Vec<Seeker<'a, V>>,
    /// Loaded by other nodes.
    waiters: Waiters<'a, V>,
    /// To be loaded by this call.
    ready: Vec<Led<V>>,
    /// Loaded in this process, by this call or by others.
    flying: FuturesUnordered<BoxFuture<'a, Event<V>>>,
}

enum Event<V> {
    /// Another's load has ended.
    Answered(usize, Result<Cached<V>, Error>),
    /// Another's load was never begun.
    Abandoned(Miss),
    /// A load of this call has ended.
    Landed(Vec<(usize, Address, Result<Cached<V>, Error>)>),
    /// Its task did not end by itself.
    Lost(Vec<usize>, Error),
}

impl<'a, K, V> Loading<'a, K, V>
where
    K: CacheKey + Clone + Send + 'static,
    V: Send + Sync + 'static,
{
    fn new(core: &'a Core<V>, results: Results<K, V>, misses: Vec<Miss>) -> Self {
        Self {
            core,
            results,
            misses,
            seekers: Vec::new(),
            waiters: Waiters::new(),
            ready: Vec::new(),
            flying: FuturesUnordered::new(),
        }
    }

    /// Whatever is ready is loaded before anything is waited for: between the two nothing can drop this call.
    async fn run<F, Fut, I, R, E>(mut self, mut load: F) -> Results<K, V>
    where
        F: FnMut(BatchContext<K>) -> Fut,
        Fut: Future<Output = Result<I, E>> + Send + 'static,
        I: IntoIterator<Item = (K, R)> + 'static,
        R: Into<Loaded<V>> + 'static,
        E: Into<BoxError> + 'static,
    {
        loop {
            self.join();
            self.seek().await;
            self.load(&mut load);
            if !self.wait().await {
                return self.results;
            }
        }
    }

    /// Leads what nobody loads in this process, and follows the rest.
    fn join(&mut self) {
        for miss in take(&mut self.misses) {
            match self.core.join(&miss.at) {
                Role::Lead(permit) => self.lead(miss, permit),
                Role::Follow(flight) => {
                    let core = self.core;
                    let followed = async move {
                        match core.follow(&miss.at, &flight).await {
                            Some(answer) => Event::Answered(miss.index, answer),
                            None => Event::Abandoned(miss),
                        }
                    };
                    self.flying.push(followed.boxed());
                }
            }
        }
    }

    /// This process again: somebody may have put the value since it was missed.
    fn lead(&mut self, miss: Miss, permit: Permit<V>) {
        let Miss { index, at, discard } = miss;
        let known = self.core.look(&at);
        if let Some(hit) = self.core.serve_known(&at, &known) {
            permit.complete(Ok(hit.clone()));
            self.results.found[index] = Some(Ok(hit));
            return;
        }
        let shelf = &self.core.shelf;
        match Seeker::new(shelf, index, at, permit, known.ticket, discard) {
            Err((at, permit)) => {
                let error = self.core.circular(&at);
                permit.complete(Err(error.clone()));
                self.results.found[index] = Some(Err(error));
            }
            Ok(seeker) if self.core.engine.journal().holds(seeker.at.id) => {
                self.ready.push(seeker.alone());
            }
            Ok(seeker) => self.seekers.push(seeker),
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
        for (seeker, answer) in ask_many(&core.shelf, seekers, ticket, seen).await {
            match answer {
                Ok(Meaning::Acquired(Acquired::Load(leased))) => {
                    self.ready.push(seeker.granted(Grant::Leased(leased)));
                }
                Ok(Meaning::Acquired(Acquired::Value(entry, ticket))) => {
                    let hit = core.take(&seeker.at, entry, ticket);
                    self.end(seeker, Ok(hit));
                }
                Ok(Meaning::Acquired(Acquired::Circular)) => {
                    let error = core.circular(&seeker.at);
                    self.end(seeker, Err(error));
                }
                Ok(Meaning::Again) => self.seekers.push(seeker),
                Ok(Meaning::Follow(holder)) => self.waiters.add(seeker, holder),
                Err(error) => match core.without_remote(&seeker.at, &error) {
                    Some(hit) => self.end(seeker, Ok(hit)),
                    None => self.ready.push(seeker.alone()),
                },
            }
        }
    }

    fn end(&mut self, seeker: Seeker<'a, V>, answer: Result<Cached<V>, Error>) {
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
        let mut led = take(&mut self.ready);
        if led.is_empty() {
            return;
        }
        led.sort_unstable_by_key(|led| led.index);
        let indices: Vec<_> = led.iter().map(|led| led.index).collect();
        let keys = indices
            .iter()
            .map(|index| self.results.keys[*index].clone());
        let context = BatchContext::new(keys.collect());
        let loader = catch_unwind(AssertUnwindSafe(|| load(context)))
            .map_err(|panic| Error::panicked(panic_message(&*panic)));
        let number = load_number();
        // It closes no circle, since nobody knows the load yet.
        let waiting = waits_for(&self.core.engine.circles, number);
        let task = tokio::spawn(run_many(Arc::clone(&self.core.shelf), number, led, loader));
        let landed = async move {
            let _waiting = waiting;
            match task.await {
                Ok(landed) => Event::Landed(landed),
                Err(error) => Event::Lost(indices, lost(error)),
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
        let found = &mut self.results.found;
        match event {
            Event::Answered(index, answer) => found[index] = Some(answer),
            Event::Abandoned(miss) => self.misses.push(miss),
            Event::Landed(landed) => {
                for (index, at, answer) in landed {
                    found[index] = Some(self.core.shared(&at, answer));
                }
            }
            Event::Lost(indices, error) => {
                for index in indices {
                    found[index] = Some(Err(self.core.failed(error.clone())));
                }
            }
        }
    }
}

/// Why a task did not end by itself: what is the user's is caught inside, so the runtime is shutting down.
fn lost(error: JoinError) -> Error {
    match error.try_into_panic() {
        Ok(panic) => Error::panicked(panic_message(&*panic)),
        Err(_) => Error::closed(),
    }
}
