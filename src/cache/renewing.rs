//! The stale and the nearly stale of a batch: served at once, and loaded again in the background by one call of its loader.

use super::{
    batch::BatchContext,
    core::Core,
    loading::Loading,
    many::{Miss, Outlived, Results},
};
use crate::{
    cached::Found,
    error::{BoxError, Error},
    load::{Loaded, Permit, Role, outlived},
    model::{Address, CacheKey, Entry},
    observe::{Decision, Traced},
};
use std::{collections::HashSet, future::Future, sync::Arc};
use tracing::Instrument;

/// What of a batch is to be loaded again.
pub(super) struct Renewing<'a, V> {
    core: &'a Arc<Core<V>>,
    /// With their places in the batch.
    old: Vec<(usize, Arc<Entry<V>>)>,
}

impl<'a, V: Send + Sync + 'static> Renewing<'a, V> {
    /// Those hits that this very read asks to be loaded before their end.
    pub(super) fn early<K>(core: &'a Arc<Core<V>>, results: &Results<K, V>) -> Self {
        let hits = results.found.iter().enumerate();
        let early = hits.filter_map(|(place, found)| match found {
            Some(Ok(found)) if core.is_early(found) => Some((place, Arc::clone(&found.entry))),
            _ => None,
        });
        Self {
            old: early.collect(),
            core,
        }
    }

    /// Answers the misses that may be served past their TTL; the others are left.
    pub(super) fn stale(
        &mut self,
        misses: Vec<Miss>,
        found: &mut [Option<Result<Found<V>, Error>>],
    ) -> Vec<Miss> {
        let mut left = Vec::new();
        for miss in misses {
            match self.core.stale_again(&miss.at.key) {
                Some(stale) => {
                    self.old.push((miss.index, Arc::clone(&stale.entry)));
                    found[miss.index] = Some(Ok(stale));
                }
                None => left.push(miss),
            }
        }
        left
    }

    /// The same for what Redis has just answered.
    pub(super) fn found(
        &mut self,
        outlived: Vec<Outlived<V>>,
        found: &mut [Option<Result<Found<V>, Error>>],
    ) -> Vec<Miss> {
        let mut left = Vec::new();
        for Outlived { miss, entry } in outlived {
            match self.core.serve_stale(&miss.at.key, Arc::clone(&entry)) {
                Some(stale) => {
                    self.old.push((miss.index, entry));
                    found[miss.index] = Some(Ok(stale));
                }
                None => left.push(miss),
            }
        }
        left
    }

    /// Loads them in a task, as far as no other load is under way or has just failed.
    ///
    /// The loader is called here, since it may borrow from the caller; what it makes runs only if no other node has
    /// loaded meanwhile.
    pub(super) fn load<K, F, Fut, I, R, E>(self, keys: &[K], load: &mut F)
    where
        K: CacheKey + Clone + Send + 'static,
        F: FnMut(BatchContext<K>) -> Fut,
        Fut: Future<Output = Result<I, E>> + Send + 'static,
        I: IntoIterator<Item = (K, R)> + 'static,
        R: Into<Loaded<V>> + 'static,
        E: Into<BoxError> + 'static,
    {
        let core = self.core;
        let now = core.shelf.now();
        let mut old = self.old;
        old.retain(|(_, entry)| entry.wants_load(now));
        if old.is_empty() {
            return;
        }
        if core.shelf.gate.is_full() {
            core.shelf.observer.note(Decision::DroppedRefresh);
            return;
        }
        let mut renewed = Vec::new();
        for (place, entry) in old {
            let at = core.shelf.address(core.render(&keys[place]));
            if core.engine.journal().holds(at.id) {
                continue;
            }
            if let Role::Lead(permit) = core.join(&at, core.started(), 0) {
                core.shelf.observer.note(Decision::Refresh);
                renewed.push(Renewed {
                    key: keys[place].clone(),
                    at,
                    permit,
                    entry,
                });
            }
        }
        if renewed.is_empty() {
            return;
        }
        let all = renewed.iter().map(|it| it.key.clone()).collect();
        let made = Error::catching(|| Box::pin(load(BatchContext::new(all))));
        let core = Arc::clone(core);
        let tasks = core.engine.tasks.clone();
        let span = core.span_of_many(Traced::Refresh, renewed.len());
        let renew = async move {
            let mut made = Some(made);
            // It is called once: a key that another node was loading then is loaded by whoever reads it next.
            let load = |context: BatchContext<K>| {
                let asked: HashSet<_> = context
                    .keys()
                    .iter()
                    .map(|key| core.render(key).bytes().to_vec())
                    .collect();
                let (made, core) = (made.take(), Arc::clone(&core));
                async move {
                    let made = made.unwrap_or_else(|| Err(Error::closed()));
                    let answered = made?.await.map_err(Into::into)?;
                    let of_asked = |(key, _): &(K, R)| asked.contains(core.render(key).bytes());
                    Ok::<Vec<_>, BoxError>(answered.into_iter().filter(of_asked).collect())
                }
            };
            run(&core, renewed, load).await;
        };
        tasks.spawn(renew.instrument(span));
    }
}

async fn run<K, V, F, Fut, R>(core: &Core<V>, renewed: Vec<Renewed<K, V>>, load: F)
where
    K: CacheKey + Clone + Send + 'static,
    V: Send + Sync + 'static,
    F: FnMut(BatchContext<K>) -> Fut,
    Fut: Future<Output = Result<Vec<(K, R)>, BoxError>> + Send + 'static,
    R: Into<Loaded<V>> + 'static,
{
    let mut results = Results::in_background(renewed.len());
    let (mut led, mut entries) = (Vec::new(), Vec::new());
    for (index, renewed) in renewed.into_iter().enumerate() {
        let Renewed {
            key,
            at,
            permit,
            entry,
        } = renewed;
        results.keys.push(key);
        results.found.push(None);
        let miss = Miss {
            index,
            at,
            discard: outlived(&entry),
            outdated: 0,
        };
        led.push((miss, permit));
        entries.push(entry);
    }
    let results = Loading::in_background(core, results, led).run(load).await;
    for (entry, found) in entries.iter().zip(&results.found) {
        if !matches!(found, Some(Ok(_))) {
            core.pause(entry);
        }
    }
}

/// A key that is led, to be loaded again.
struct Renewed<K, V> {
    key: K,
    at: Address,
    permit: Permit<V>,
    entry: Arc<Entry<V>>,
}
