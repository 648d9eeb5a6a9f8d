//! A read while the cache is switched off: its loader, and nothing else.
//!
//! No flight, no lease, nothing looked up and nothing kept. What is promised about the caller still holds: a call that
//! is dropped stops no load, and a panic is an error.

use super::{
    batch::{Batch, BatchContext},
    core::Core,
    finish,
    many::Results,
};
use crate::{
    cached::Found,
    error::{BoxError, Error},
    load::{Draft, Loaded, in_time, loader, sorted},
    model::{Address, CacheKey, Lifetime},
    observe::{Decision, Unanswered},
    outcome::Outcome,
};
use std::{future::Future, sync::Arc};
use tokio::time::timeout;

impl<V: Send + Sync + 'static> Core<V> {
    pub(super) async fn bypass<F, Fut, R, E>(
        self: Arc<Self>,
        at: Address,
        load: F,
    ) -> Result<Found<V>, Error>
    where
        F: FnOnce(Option<Found<V>>) -> Fut,
        Fut: Future<Output = Result<R, E>> + Send + 'static,
        R: Into<Loaded<V>> + 'static,
        E: Into<BoxError> + 'static,
    {
        let began = self.shelf.now();
        let read = Unanswered::new(&self.shelf.observer);
        self.shelf.observer.note(Decision::Load);
        let future = Error::catching(|| load(None));
        let loaded = match future {
            Ok(load) => {
                let core = Arc::clone(&self);
                self.answered(
                    1,
                    async move { in_time(&core.shelf, loader(load, None)).await },
                )
                .await
            }
            Err(panicked) => Err(panicked),
        };
        read.answered();
        match loaded {
            Ok(loaded) => self.bypassed(&at, loaded, began),
            Err(error) => {
                self.shelf.observer.note(Decision::LoadError);
                self.shared(&at, Err(error))
            }
        }
    }

    /// What the load answers by the call's deadline. It goes on in its task.
    async fn answered<T: Send + 'static>(
        self: &Arc<Self>,
        reads: usize,
        load: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Result<T, Error> {
        let core = Arc::clone(self);
        let load = async move {
            let began = core.shelf.clock.precise();
            let loaded = load.await;
            let took = core.shelf.clock.precise().saturating_sub(began);
            core.shelf.observer.load_took(took, loaded.is_ok());
            loaded
        };
        let limit = self.shelf.policy.hard_timeout;
        let loaded = timeout(limit, finish(self.engine.tasks.run(load))).await;
        loaded.unwrap_or_else(|_| {
            (0..reads).for_each(|_| self.shelf.observer.note(Decision::Timeout));
            Err(Error::late_call(limit))
        })
    }

    /// The same for many keys: one call of the loader for all of them.
    pub(super) async fn bypass_many<K, F, Fut, I, R, E>(
        self: Arc<Self>,
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
        let (began, mut results) = (
            self.shelf.now(),
            Results::of_reads(keys.len(), &self.shelf.observer),
        );
        let mut addresses = Vec::with_capacity(keys.len());
        for key in keys {
            let rendered = self.render(key);
            if self.is_new(&mut results, &rendered) {
                results.keys.push(key.clone());
                addresses.push(self.shelf.address(rendered));
            }
        }
        if addresses.is_empty() {
            return self.batch(results);
        }
        addresses
            .iter()
            .for_each(|_| self.shelf.observer.note(Decision::Load));
        let context = BatchContext::new(results.keys.clone());
        let future = Error::catching(|| load(context));
        let (core, at) = (Arc::clone(&self), addresses.clone());
        let loaded = match future {
            Ok(load) => {
                self.answered(addresses.len(), async move {
                    let sort = async {
                        let records = load.await;
                        let records = records.map_err(|error| Error::from_loader(error.into()))?;
                        Ok(sorted(&core.shelf, at.iter(), records))
                    };
                    in_time(&core.shelf, sort).await
                })
                .await
            }
            Err(panicked) => Err(panicked),
        };
        match loaded {
            Ok(all) => {
                let answered = |(at, loaded)| Some(self.bypassed(at, loaded, began));
                results.found = addresses.iter().zip(all).map(answered).collect();
            }
            Err(error) => {
                let failed = |_| {
                    self.shelf.observer.note(Decision::LoadError);
                    Some(Err(self.failed(error.clone())))
                };
                results.found = addresses.iter().map(failed).collect();
            }
        }
        self.batch(results)
    }

    /// It may live as long as the policy says, wherever it goes from here.
    fn bypassed(&self, at: &Address, loaded: Loaded<V>, began: u64) -> Result<Found<V>, Error> {
        let absent = loaded.is_absent();
        let draft = match Draft::new(loaded, &self.shelf.policy) {
            Ok(draft) => draft,
            Err(error) => {
                self.shelf.observer.note(Decision::LoadError);
                return Err(self.failed(error));
            }
        };
        if absent {
            self.shelf.observer.note(Decision::Absent);
        }
        let lifetime = Lifetime {
            born: began,
            deadline: began + draft.ttl,
        };
        let place = self.shelf.tags.place();
        let entry = self.shelf.unstored(at, draft, None, lifetime, place);
        let now = self.shelf.now();
        Ok(self.answer(&at.key, entry, now, Outcome::Bypassed))
    }
}
