//! A value on its way to Redis, and what the answer means.

use super::{
    run::Load,
    shelf::{Origin, Sealed},
};
use crate::{
    cached::Found,
    local::Ticket,
    model::{Entry, Generation, StoreVersion},
    observe::Decision,
    remote::{Fill, Filled, RemoteError},
};
use std::sync::Arc;

/// A value on its way to Redis.
pub(super) struct Filling<V> {
    pub(super) entry: Arc<Entry<V>>,
    pub(super) ticket: Ticket,
    /// Of one that is sent without its body: how it is sent with it.
    pub(super) again: Option<Box<Again>>,
}

/// What a fill says beside the payload.
pub(super) struct Again {
    pub(super) origin: Origin,
    pub(super) deadline: u64,
    pub(super) version: Option<StoreVersion>,
}

impl<V: Send + Sync + 'static> Load<'_, V> {
    /// The whole value, where the body that it was to go before is not in Redis any more. The lease is given back by then.
    pub(super) fn whole(&self, filling: &Filling<V>) -> Option<Fill> {
        let again = filling.again.as_ref()?;
        let sealed =
            (self.shelf).pack_whole(self.at, &filling.entry, again.deadline, &again.origin);
        match sealed {
            Ok(sealed) => Some(self.fill(again.origin.generation, None, sealed, again.version)),
            Err(error) => {
                self.shelf.tell_of_unstorable(&error);
                None
            }
        }
    }

    pub(super) fn fill(
        &self,
        generation: Generation,
        token: Option<u64>,
        sealed: Sealed,
        store: Option<StoreVersion>,
    ) -> Fill {
        Fill {
            generation,
            token: token.unwrap_or(0),
            until: sealed.until,
            pointer_ttl: self.shelf.policy.pointer_ttl(),
            payload: sealed.bytes,
            held: sealed.held,
            store,
        }
    }

    /// What the answer to a fill means for this process and for those who wait.
    pub(super) fn filled(
        &self,
        filling: Filling<V>,
        filled: Result<Filled, RemoteError>,
    ) -> Found<V> {
        let Filling { entry, ticket, .. } = filling;
        match filled {
            Ok(Filled::Stored) => {
                let now = self.shelf.now();
                self.shelf.put(self.at.id, &entry, ticket, now);
                tracing::debug!("a value was stored");
            }
            // Current when it was loaded, and its readers began before: theirs, and nobody else's.
            Ok(Filled::Stale) => {
                self.shelf.observer.note(Decision::StaleFill);
                tracing::debug!("a value was refused: it was invalidated while it was loaded");
            }
            Ok(Filled::Expired) => tracing::debug!("a value was refused: its load outlasted it"),
            // It could not be encoded again, which was said.
            Ok(Filled::Gone) => self.shelf.put(self.at.id, &entry, ticket, self.began),
            Err(error) => {
                self.shelf.observer.note(Decision::RemoteError);
                tracing::debug!(%error, "a value could not be stored");
                // The version was Redis' own, so a later look can prove it.
                self.shelf.put(self.at.id, &entry, ticket, self.began);
            }
        }
        self.answered(entry)
    }
}
