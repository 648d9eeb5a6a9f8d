//! A read while the cache is switched off: its loader, and nothing else.
//!
//! No flight, no lease, nothing looked up and nothing kept. What is promised about the caller still holds: a call that
//! is dropped stops no load, and a panic is an error.

use super::{core::Core, finish};
use crate::{
    cached::{Cached, Found},
    error::{BoxError, Error},
    load::{Draft, Loaded, loader, panic_message},
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
        let future = catch_unwind(AssertUnwindSafe(load))
            .map_err(|panic| Error::panicked(panic_message(&*panic)));
        let loaded = match future {
            Ok(load) => finish(tokio::spawn(loader(load))).await,
            Err(panicked) => Err(panicked),
        };
        match loaded {
            Ok(loaded) => self.bypassed(&at, loaded, began).into_result(),
            Err(error) => {
                self.shelf.observer.note(Decision::LoadError);
                self.shared(&at, Err(error))?.into_result()
            }
        }
    }

    /// It may live as long as the policy says, wherever it goes from here.
    fn bypassed(&self, at: &Address, loaded: Loaded<V>, began: u64) -> Found<V> {
        if loaded.value.is_none() {
            self.shelf.observer.note(Decision::Absent);
        }
        let draft = Draft::new(loaded, &self.shelf.policy);
        let lifetime = Lifetime {
            born: began,
            deadline: began + draft.ttl,
        };
        let place = self.shelf.tags.place();
        let entry = self.shelf.unstored(at, draft, None, lifetime, place);
        let now = self.shelf.now();
        self.answer(&at.key, entry, now, Outcome::Bypassed)
    }
}
