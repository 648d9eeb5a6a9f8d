//! Invalidations, inserts, and what the feed tells a cache.

use super::core::Core;
use crate::{
    error::Error,
    feed::Listener,
    invalidate::Receipt,
    local::Touch,
    model::{Address, EntityId, Generation, Stamp, Version},
    observe::Decision,
    remote::{Fill, Filled},
};
use std::sync::Arc;

impl<V: Send + Sync + 'static> Core<V> {
    pub(super) async fn invalidate(self: Arc<Self>, at: Vec<Address>) -> Result<Receipt, Error> {
        let ttl = self.shelf.policy.pointer_ttl();
        self.engine
            .sender
            .invalidate_many(&at, ttl, |at, touch| self.touch_all(at.id, touch))
            .await
    }

    async fn invalidate_one(&self, at: &Address) -> Result<Option<Stamp>, Error> {
        let ttl = self.shelf.policy.pointer_ttl();
        self.engine
            .sender
            .invalidate(at, ttl, |at, touch| self.touch_all(at.id, touch))
            .await
    }

    pub(super) async fn insert(self: Arc<Self>, at: Address, value: V) -> Result<Receipt, Error> {
        let stamp = self.invalidate_one(&at).await?;
        if let Some(stamp) = stamp {
            let generation = Generation {
                epoch: stamp.epoch,
                version: Version(stamp.n),
            };
            self.fill_inserted(&at, value, generation).await;
        }
        let mut receipt = Receipt::default();
        receipt.add(stamp);
        Ok(receipt)
    }

    /// Stores an inserted value under the version that its own bump gave: refused once another bump came.
    async fn fill_inserted(&self, at: &Address, value: V, generation: Generation) {
        let ticket = self.ticket(at);
        if self.engine.journal().holds(at.id) {
            return;
        }
        let Some(birth) = self.shelf.server_time.to_server(self.shelf.now()) else {
            return;
        };
        let sealed = match self.shelf.pack(at, &value, generation, birth, 0) {
            Ok(sealed) => sealed,
            Err(error) => return self.shelf.tell_of_unstorable(&error),
        };
        let Some(lifetime) = self.shelf.lifetime(birth, sealed.deadline) else {
            return;
        };
        let entry = self.shelf.stored(at, value, generation, lifetime, &sealed);
        let pointer_ttl = self.shelf.policy.pointer_ttl();
        let fill = Fill {
            generation,
            token: 0,
            deadline: sealed.deadline,
            pointer_ttl,
            payload: sealed.bytes,
        };
        match self.shelf.remote.fill(at, fill).await {
            Ok(Filled::Stored) => self.shelf.put(at.id, &entry, ticket, self.shelf.now()),
            Ok(Filled::Stale) => self.shelf.observer.note(Decision::StaleFill),
            Ok(Filled::Expired) => {}
            Err(error) => tracing::debug!(%error, "an inserted value could not be stored"),
        }
    }

    /// Tells all caches of this name in this process, which may hold other types, and this one among them.
    fn touch_all(&self, id: EntityId, touch: Touch) {
        self.engine.audience.tell(id.cache, |listener| match touch {
            Touch::Bumped(generation) => listener.bumped(id, generation),
            Touch::Unknown => listener.doubted(id),
        });
    }

    fn touch(&self, id: EntityId, touch: Touch) {
        self.shelf.local.touch(id, touch);
        let generation = match touch {
            Touch::Bumped(generation) => Some(generation),
            Touch::Unknown => None,
        };
        if self.engine.protections.stale_fill && self.flights.detach(id, generation) {
            self.shelf.observer.note(Decision::FlightDetached);
        }
    }
}

impl<V: Send + Sync + 'static> Listener for Core<V> {
    fn cache(&self) -> u32 {
        self.shelf.name.id
    }

    fn bumped(&self, id: EntityId, generation: Generation) {
        self.touch(id, Touch::Bumped(generation));
    }

    fn doubted(&self, id: EntityId) {
        self.touch(id, Touch::Unknown);
    }

    fn lost(&self, bucket: u16) {
        if self.engine.protections.stale_fill {
            self.flights.detach_bucket(bucket);
        }
    }

    fn woken(&self, entity: u64) {
        self.flights.wake(entity);
    }
}
