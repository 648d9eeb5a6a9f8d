//! A read while the cache is switched off: its loader, and nothing else.
//!
//! No flight, no lease, nothing looked up and nothing kept. What is promised about the caller still holds: a call that
//! is dropped stops no load, and a panic is an error.

use super::{core::Core, finish};
use crate::{
    cached::Cached,
    error::{BoxError, Error},
    load::{Loaded, panic_message},
    model::{Address, Lifetime},
    observe::Decision,
    outcome::Outcome,
};
use std::{
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

impl<V: Send + Sync + 'static> Core<V> {
    pub(super) async fn bypass<F, Fut, R, E>(
        self: Arc<Self>,
        at: Address,
        load: F,
    ) -> Result<Cached<V>, Error>
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<R, E>> + Send + 'static,
        R: Into<Loaded<V>> + 'static,
        E: Into<BoxError> + 'static,
    {
        let began = self.shelf.now();
        self.shelf.observer.note(Decision::Load);
        let loader = catch_unwind(AssertUnwindSafe(load))
            .map_err(|panic| Error::panicked(panic_message(&*panic)));
        let loaded = match loader {
            Ok(loader) => finish(tokio::spawn(value(loader))).await,
            Err(panicked) => Err(panicked),
        };
        match loaded {
            Ok(Some(value)) => Ok(self.bypassed(&at, value, began)),
            Ok(None) => {
                self.shelf.observer.note(Decision::Absent);
                self.shared(&at, Err(Error::absent()))
            }
            Err(error) => {
                self.shelf.observer.note(Decision::LoadError);
                self.shared(&at, Err(error))
            }
        }
    }

    /// It may live as long as the policy says, wherever it goes from here.
    fn bypassed(&self, at: &Address, value: V, began: u64) -> Cached<V> {
        let lifetime = Lifetime {
            born: began,
            deadline: began + self.shelf.policy.jittered_ttl(),
        };
        let entry = self.shelf.unstored(at, value, None, lifetime);
        let now = self.shelf.now();
        self.answer(&at.key, Arc::new(entry), now, Outcome::Bypassed)
    }
}

/// What the loader found.
async fn value<V, R, E>(
    loader: impl Future<Output = Result<R, E>> + Send,
) -> Result<Option<V>, Error>
where
    R: Into<Loaded<V>>,
    E: Into<BoxError>,
{
    match loader.await {
        Ok(loaded) => Ok(loaded.into().into_value()),
        Err(error) => Err(Error::from_loader(error.into())),
    }
}
