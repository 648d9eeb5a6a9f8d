//! The read path of many keys at once: each step of a single read, taken by all of them together.
//!
//! This process is asked for every key, then Redis for the rest. What is missing then is loaded or waited for, which is
//! in `loading.rs`.

use super::{
    batch::{Batch, BatchContext},
    core::{Asked, Core, Known},
    deadline::Deadline,
    loading::Loading,
    renewing::Renewing,
};
use crate::{
    cached::Found,
    error::{BoxError, Error},
    load::{Loaded, Places, outlived},
    model::{Address, CacheKey, Entry, RenderedKey, Trust},
    observe::{Decision, Observer},
    remote::{Ask, Discard, RemoteError, Snapshot},
};
use futures_util::future::join_all;
use std::{borrow::Borrow, future::Future, mem::take, sync::Arc};

/// The distinct keys of a call, in the order asked, with the results so far.
pub(super) struct Results<K, V> {
    pub(super) keys: Vec<K>,
    pub(super) found: Vec<Option<Result<Found<V>, Error>>>,
    pub(super) places: Places,
    /// Of a call that somebody waits for: a key without a result when it ends counts as dropped.
    reads: Option<Arc<Observer>>,
}

/// A key without a result.
pub(super) struct Miss {
    pub(super) index: usize,
    pub(super) at: Address,
    /// What of the payload in Redis does not count.
    pub(super) discard: Discard,
    /// Answers of others that a tag had made old already.
    pub(super) outdated: u32,
}

/// A key whose value is past its TTL, inside a stale window.
pub(super) struct Outlived<V> {
    pub(super) miss: Miss,
    pub(super) entry: Arc<Entry<V>>,
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
        if !misses.is_empty() {
            let deadline = Deadline::of(&self.shelf.policy);
            let finding = self.find_many_in_time(deadline, misses, &mut results.found);
            finding.await;
        }
        if results.found.iter().all(Option::is_some) {
            self.batch(results)
        } else {
            self.batch_of_found(results)
        }
    }

    /// What is missing afterwards is loaded or waited for.
    pub(super) async fn get_or_load_many<K, F, Fut, I, R, E>(
        self: &Arc<Self>,
        keys: &[K],
        mut load: F,
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
        let mut renewing = Renewing::early(self, &results);
        let misses = renewing.stale(misses, &mut results.found);
        if misses.is_empty() {
            renewing.load(&results.keys, &mut load);
            return self.batch(results);
        }
        let deadline = Deadline::of(&self.shelf.policy);
        let finding = self.find_many_in_time(deadline, misses, &mut results.found);
        let (mut misses, stale) = finding.await;
        misses.extend(renewing.found(stale, &mut results.found));
        renewing.load(&results.keys, &mut load);
        if !misses.is_empty() {
            let loading = Loading::new(self, results, misses, Some(deadline));
            results = loading.run(load).await;
        }
        if deadline.is_over() {
            self.late_many(&mut results);
        }
        self.batch(results)
    }

    /// What a batch answers while the cache is off and nothing may be loaded.
    pub(super) fn no_batch<'q, K, Q>(&self, keys: impl IntoIterator<Item = &'q Q>) -> Batch<K, V>
    where
        K: CacheKey + Borrow<Q>,
        Q: CacheKey + ToOwned<Owned = K> + ?Sized + 'q,
    {
        let mut results = Results::of_reads(0, &self.shelf.observer);
        for key in keys {
            if self.is_new(&mut results, &self.render(key)) {
                results.keys.push(key.to_owned());
                results.found.push(None);
            }
        }
        self.batch_of_found(results)
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
        let mut misses = Vec::new();
        let mut results = Results::of_reads(keys.size_hint().0, &self.shelf.observer);
        for key in keys {
            let rendered = self.render(key);
            let index = results.keys.len();
            if !self.is_new(&mut results, &rendered) {
                continue;
            }
            let hit = self.local(&rendered);
            if hit.is_none() {
                let at = self.shelf.address(rendered);
                misses.push(Miss {
                    index,
                    at,
                    discard: Discard::Nothing,
                    outdated: 0,
                });
            }
            results.keys.push(key.to_owned());
            results.found.push(hit.map(Ok));
        }
        (results, misses)
    }

    /// Gives a key its place, which is the next one, unless it has one already.
    pub(super) fn is_new<K: CacheKey>(
        &self,
        results: &mut Results<K, V>,
        key: &RenderedKey,
    ) -> bool {
        let Results { keys, places, .. } = results;
        places.add(key, keys.len(), |place| self.render(&keys[place]) == *key)
    }

    /// One look at Redis for all misses, and a second for those whose local value turned out to be old.
    pub(super) async fn find_many(
        &self,
        misses: Vec<Miss>,
        found: &mut [Option<Result<Found<V>, Error>>],
    ) -> (Vec<Miss>, Vec<Outlived<V>>) {
        let (mut missing, mut stale) = (Vec::new(), Vec::new());
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
            let asked = take(&mut doubts).into_iter().zip(snapshots);
            for (index, settled) in self.settle_all(asked).await {
                match settled {
                    Settled::Hit(hit) => found[index] = Some(Ok(hit)),
                    Settled::Miss(miss) => missing.push(miss),
                    Settled::Stale(outlived) => stale.push(outlived),
                    Settled::Old(doubt) => doubts.push(doubt),
                }
            }
        }
        (missing, stale)
    }

    /// One after the other, but side by side where each waits for a beat, which they share then.
    async fn settle_all(
        &self,
        asked: impl Iterator<Item = (Doubt<V>, Result<Snapshot, RemoteError>)>,
    ) -> Vec<(usize, Settled<V>)> {
        if self.shelf.reach.trust != Trust::AtOnce {
            let each = asked.map(|(doubt, snapshot)| async move {
                (doubt.miss.index, self.settle(doubt, snapshot).await)
            });
            return Box::pin(join_all(each)).await;
        }
        let mut settled = Vec::new();
        for (doubt, snapshot) in asked {
            settled.push((doubt.miss.index, self.settle(doubt, snapshot).await));
        }
        settled
    }

    async fn settle(&self, doubt: Doubt<V>, snapshot: Result<Snapshot, RemoteError>) -> Settled<V> {
        let at = doubt.miss.at.clone();
        let settled = match snapshot {
            Ok(snapshot) => self.judge(doubt, &snapshot).await,
            Err(error) => Err((doubt.miss, error)),
        };
        settled.unwrap_or_else(|(miss, error)| {
            let hit = self.without_remote(&at, &error);
            hit.map_or(Settled::Miss(miss), Settled::Hit)
        })
    }

    /// `Err`: Redis did not answer what else had to be asked.
    async fn judge(
        &self,
        doubt: Doubt<V>,
        snapshot: &Snapshot,
    ) -> Result<Settled<V>, (Miss, RemoteError)> {
        let Doubt { mut miss, known } = doubt;
        let ticket = known.ticket;
        if let Some(entry) = known.provable() {
            let confirmed = self.confirm(&miss.at, Arc::clone(entry), snapshot, ticket);
            return match confirmed.await {
                Ok(Some(hit)) => Ok(Settled::Hit(hit)),
                Ok(None) => Ok(Settled::Old(Doubt {
                    miss,
                    known: known.without_held(),
                })),
                Err(error) => Err((miss, error)),
            };
        }
        match self.accept(&miss.at, snapshot, ticket).await {
            Ok(Asked::Hit(hit)) => Ok(Settled::Hit(hit)),
            Ok(Asked::Stale(entry)) => {
                miss.discard = outlived(&entry);
                Ok(Settled::Stale(Outlived { miss, entry }))
            }
            Ok(Asked::Miss(discard)) => {
                miss.discard = discard;
                Ok(Settled::Miss(miss))
            }
            Err(error) => Err((miss, error)),
        }
    }

    /// Of a call whose every key has a result.
    pub(super) fn batch<K: CacheKey>(&self, mut results: Results<K, V>) -> Batch<K, V> {
        let keyed = take(&mut results.keys).into_iter();
        let keyed = keyed.zip(take(&mut results.found));
        let with_result = |(key, result): (K, Option<_>)| {
            // Every key has one, but where the runtime ends in the middle.
            let found = result.unwrap_or_else(|| Err(self.failed(Error::closed())));
            (key, found.and_then(Found::into_result))
        };
        let keyed = keyed.map(with_result).collect();
        Batch::new(keyed, take(&mut results.places), self.shelf.name.seed)
    }

    fn batch_of_found<K: CacheKey>(&self, mut results: Results<K, V>) -> Batch<K, V> {
        let keyed = take(&mut results.keys).into_iter();
        let keyed = keyed.zip(take(&mut results.found));
        let found: Vec<_> = keyed
            .filter_map(|(key, result)| match result {
                Some(result) => Some((key, result.and_then(Found::into_result))),
                None => {
                    self.missed();
                    None
                }
            })
            .collect();
        let mut places = Places::with_capacity(found.len());
        for (place, (key, _)) in found.iter().enumerate() {
            places.add(&self.render(key), place, |_| false);
        }
        Batch::new(found, places, self.shelf.name.seed)
    }
}

impl<K, V> Results<K, V> {
    /// Of a call whose every key is a read.
    pub(super) fn of_reads(keys: usize, observer: &Arc<Observer>) -> Self {
        let mut results = Self::in_background(keys);
        results.reads = Some(Arc::clone(observer));
        results
    }

    pub(super) fn in_background(keys: usize) -> Self {
        Self {
            keys: Vec::with_capacity(keys),
            found: Vec::with_capacity(keys),
            places: Places::with_capacity(keys),
            reads: None,
        }
    }
}

impl<K, V> Drop for Results<K, V> {
    fn drop(&mut self) {
        if let Some(observer) = &self.reads {
            let answered = self.found.iter().flatten().count();
            (answered..self.keys.len()).for_each(|_| observer.note(Decision::Dropped));
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
    Hit(Found<V>),
    Stale(Outlived<V>),
    Miss(Miss),
    /// The local value is: ask for the new one.
    Old(Doubt<V>),
}
