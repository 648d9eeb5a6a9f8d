//! Invalidations, inserts, and what the feed tells a cache.

use super::core::Core;
use crate::{
    error::Error,
    feed::Listener,
    invalidate::{Invalidated, OldTag, Receipt, Sent},
    load::{Draft, Loaded, Origin},
    local::{Ticket, Touch},
    model::{Address, EdgeSubject, EntityId, Generation, StoreVersion, Strength, Version, millis},
    observe::Decision,
    remote::{Bump, Fill, Filled, Order},
};
use std::sync::{Arc, atomic::Ordering};

impl<V: Send + Sync + 'static> Core<V> {
    pub(super) async fn invalidate(
        self: Arc<Self>,
        at: Vec<Address>,
        strength: Strength,
    ) -> Result<Receipt, Error> {
        let bump = self.bump(strength, None);
        self.engine
            .sender
            .invalidate_many(&at, bump, |at, touch| self.touch_all(at.id, touch))
            .await
    }

    async fn invalidate_one(
        &self,
        at: &Address,
        store: Option<StoreVersion>,
    ) -> Result<Invalidated, Error> {
        let bump = self.bump(Strength::Hard, store);
        self.engine
            .sender
            .invalidate(at, bump, |at, touch| self.touch_all(at.id, touch))
            .await
    }

    fn bump(&self, strength: Strength, store: Option<StoreVersion>) -> Bump {
        Bump {
            pointer_ttl: self.shelf.policy.pointer_ttl(),
            strength,
            store,
            record: self.engine.sender.record,
        }
    }

    /// Everything that carries one of these tags is old: on this node at once.
    pub(super) async fn clear(self: Arc<Self>) -> Result<Receipt, Error> {
        let tag = OldTag {
            hash: self.shelf.name.tag,
            edge: Some(EdgeSubject::Cache(self.shelf.name.as_str().to_owned())),
            purges: true,
        };
        self.engine.invalidate_tags(&[tag], Strength::Hard).await
    }

    /// An invalidation that brings a value along; `store`: the newer of two versions wins, whatever their order.
    pub(super) async fn insert(
        self: Arc<Self>,
        at: Address,
        loaded: Loaded<V>,
        store: Option<StoreVersion>,
    ) -> Result<Receipt, Error> {
        // Before the bump: what is invalidated from here on is not in the value.
        let place = self.shelf.tags.place();
        let invalidated = self.invalidate_one(&at, store).await?;
        let sent = &invalidated.sent;
        let stores = match store {
            // Without an order that Redis knows, the value may be older than what the store holds by now.
            Some(_) => matches!(sent, Sent::Acknowledged(_, Order::Newest)),
            None => true,
        } && self.engine.enabled;
        if let Sent::Acknowledged(stamp, _) = sent
            && stores
        {
            let generation = Generation {
                epoch: stamp.epoch,
                version: Version(stamp.n),
            };
            let ticket = self.ticket(&at).from(place);
            self.fill_inserted(&at, loaded, generation, ticket).await;
        }
        let mut receipt = Receipt::new(self.engine.sender.audience());
        receipt.add(invalidated);
        Ok(receipt)
    }

    /// Stores an inserted value under the version that its own bump gave: refused once another bump came.
    async fn fill_inserted(
        &self,
        at: &Address,
        loaded: Loaded<V>,
        generation: Generation,
        ticket: Ticket,
    ) {
        // What confirms a value is refused before the bump.
        let Ok(draft) = Draft::new(loaded, &self.shelf.policy) else {
            return;
        };
        if self.engine.journal().holds(at.id) || !draft.keep {
            return;
        }
        let (Some(birth), Some(position)) = (
            self.shelf
                .server_time
                .to_server(at.id.bucket, millis(self.shelf.clock.precise())),
            ticket.place.position,
        ) else {
            return;
        };
        let origin = Origin {
            generation,
            birth,
            position,
            load_micros: 0,
        };
        let sealed = match self.shelf.pack(at, &draft, &origin) {
            Ok(sealed) => sealed,
            Err(error) => return self.shelf.tell_of_unstorable(&error),
        };
        let Some(lifetime) = self.shelf.lifetime(at.id.bucket, birth, sealed.deadline) else {
            return;
        };
        let store = draft.version;
        let entry = (self.shelf).stored(at, draft, generation, lifetime, ticket.place, &sealed);
        let fill = Fill {
            generation,
            token: 0,
            until: sealed.until,
            pointer_ttl: self.shelf.policy.pointer_ttl(),
            payload: sealed.bytes,
            held: sealed.held,
            store,
        };
        match self.shelf.remote.fill(at, fill).await {
            Ok(Filled::Stored) => self.shelf.put(at.id, &entry, ticket, self.shelf.now()),
            Ok(Filled::Stale) => self.shelf.observer.note(Decision::StaleFill),
            Ok(Filled::Expired | Filled::Gone) => {}
            Err(error) => tracing::debug!(%error, "an inserted value could not be stored"),
        }
    }

    /// Tells all caches of this name in this process, which may hold other types, and this one among them.
    fn touch_all(&self, id: EntityId, touch: Touch) {
        self.engine.audience.tell(id.cache, |listener| match touch {
            Touch::Bumped(generation, strength) => listener.bumped(id, generation, strength),
            Touch::Unknown => listener.doubted(id),
        });
    }

    fn touch(&self, id: EntityId, touch: Touch) {
        self.engine.touched.fetch_add(1, Ordering::SeqCst);
        self.shelf.local.touch(id, touch, self.shelf.now());
        let generation = match touch {
            Touch::Bumped(generation, _) => Some(generation),
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

    fn bumped(&self, id: EntityId, generation: Generation, strength: Strength) {
        self.touch(id, Touch::Bumped(generation, strength));
    }

    fn doubted(&self, id: EntityId) {
        self.touch(id, Touch::Unknown);
    }

    fn lost(&self, bucket: u16) {
        self.engine.touched.fetch_add(1, Ordering::SeqCst);
        if !self.engine.protections.stale_fill {
            return;
        }
        if bucket == self.engine.layout.tag_bucket() {
            // Any key may carry what was lost.
            self.flights.detach_all();
        } else {
            self.flights.detach_bucket(bucket);
        }
    }

    fn woken(&self, entity: u64) {
        self.flights.wake(entity);
    }
}
