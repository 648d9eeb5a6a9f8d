//! How many loads run at once: the store is asked by so many and no more.
//!
//! Two limits, one of the cache and one of all caches of a `Tiers`; a load needs a place of each, always in this order. Who finds
//! none queues in turn; where the queue is full the load is shed.

use serde::Serialize;
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The limits that a cache's loads are under.
#[derive(Debug)]
pub(crate) struct Gate {
    own: Option<Limiter>,
    shared: Arc<Limiter>,
}

/// One limit, with its queue.
#[derive(Debug)]
pub(crate) struct Limiter {
    places: Arc<Semaphore>,
    limit: usize,
    queued: AtomicUsize,
    longest: usize,
}

/// The right of one load to run; ends when dropped.
#[derive(Debug)]
pub(crate) struct Places {
    _own: Option<OwnedSemaphorePermit>,
    _shared: OwnedSemaphorePermit,
}

/// The queue is full, too.
#[derive(Debug)]
pub(super) struct Full;

/// Loads at one moment, against their limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Loads {
    in_flight: usize,
    queued: usize,
    limit: usize,
}

impl Loads {
    /// Those that run. One that a loader asks for runs within the place of that loader's load, and is not counted.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Those that wait for a place.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.queued
    }

    /// How many may run at once.
    #[must_use]
    pub fn limit(&self) -> usize {
        self.limit
    }
}

impl Gate {
    pub(crate) fn new(own: Option<Limiter>, shared: Arc<Limiter>) -> Self {
        Self { own, shared }
    }

    /// Whether a load would have to queue.
    pub(crate) fn is_full(&self) -> bool {
        self.shared.is_full() || self.own.as_ref().is_some_and(Limiter::is_full)
    }

    /// The cache's own loads; `None` without a limit of its own.
    pub(crate) fn own(&self) -> Option<Loads> {
        self.own.as_ref().map(Limiter::loads)
    }

    /// A place without queueing.
    pub(crate) fn try_enter(&self) -> Option<Places> {
        let own = match &self.own {
            Some(own) => Some(own.try_enter()?),
            None => None,
        };
        Some(Places {
            _own: own,
            _shared: self.shared.try_enter()?,
        })
    }

    /// A place, in turn.
    ///
    /// # Cancel safety
    /// Dropped, it leaves the queue.
    pub(super) async fn enter(&self) -> Result<Places, Full> {
        let own = match &self.own {
            Some(own) => Some(own.enter().await?),
            None => None,
        };
        Ok(Places {
            _own: own,
            _shared: self.shared.enter().await?,
        })
    }
}

impl Limiter {
    /// `longest`: of its queue; a hundred times the limit if that is not said.
    pub(crate) fn new(limit: usize, longest: Option<usize>) -> Self {
        let limit = limit.min(Semaphore::MAX_PERMITS);
        Self {
            places: Arc::new(Semaphore::new(limit)),
            limit,
            queued: AtomicUsize::new(0),
            longest: longest.unwrap_or(limit.saturating_mul(QUEUED_PER_PLACE)),
        }
    }

    pub(crate) fn loads(&self) -> Loads {
        Loads {
            in_flight: self.limit - self.places.available_permits(),
            queued: self.queued.load(Ordering::Relaxed),
            limit: self.limit,
        }
    }

    fn is_full(&self) -> bool {
        self.places.available_permits() == 0
    }

    fn try_enter(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.places).try_acquire_owned().ok()
    }

    async fn enter(&self) -> Result<OwnedSemaphorePermit, Full> {
        if let Some(place) = self.try_enter() {
            return Ok(place);
        }
        let _queued = self.queue().ok_or(Full)?;
        // Nobody closes it.
        Arc::clone(&self.places)
            .acquire_owned()
            .await
            .map_err(|_| Full)
    }

    fn queue(&self) -> Option<Queueing<'_>> {
        let before = self.queued.fetch_add(1, Ordering::Relaxed);
        let queueing = Queueing(self);
        (before < self.longest).then_some(queueing)
    }
}

struct Queueing<'a>(&'a Limiter);

impl Drop for Queueing<'_> {
    fn drop(&mut self) {
        self.0.queued.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The longest queue for each place, if nothing else is said: beyond a hundred loads' time a deadline is near.
const QUEUED_PER_PLACE: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    fn gate(own: usize, shared: usize, longest: usize) -> Gate {
        let limiter = |limit| Limiter::new(limit, Some(longest));
        Gate::new(Some(limiter(own)), Arc::new(limiter(shared)))
    }

    #[test]
    fn a_load_needs_a_place_of_each_limit() {
        for gate in [gate(1, 9, 0), gate(9, 1, 0)] {
            let first = gate.try_enter().unwrap();

            assert!(gate.try_enter().is_none() && gate.is_full());
            drop(first);

            assert!(gate.try_enter().is_some() && !gate.is_full());
            // The refused one has kept nothing.
            assert_eq!(gate.own().unwrap().in_flight(), 0);
        }
    }

    #[tokio::test]
    async fn the_queue_is_bounded_and_in_turn() {
        let gate = gate(1, 9, 2);
        let running = gate.enter().await.unwrap();
        let mut first = Box::pin(gate.enter());
        let mut second = Box::pin(gate.enter());
        assert!((&mut first).now_or_never().is_none() && (&mut second).now_or_never().is_none());

        assert!(gate.enter().await.is_err());
        assert_eq!(gate.own().unwrap().queued(), 2);
        drop(running);

        assert!((&mut second).now_or_never().is_none());
        let running = (&mut first).now_or_never().unwrap().unwrap();
        drop(running);
        assert!((&mut second).now_or_never().is_some());
        assert_eq!(gate.own().unwrap().queued(), 0);
    }

    #[tokio::test]
    async fn who_is_dropped_leaves_the_queue() {
        let gate = gate(1, 9, 1);
        let running = gate.enter().await.unwrap();
        let mut gone = Box::pin(gate.enter());
        assert!((&mut gone).now_or_never().is_none());

        drop(gone);

        assert_eq!(gate.own().unwrap().queued(), 0);
        drop(running);
        assert!(gate.try_enter().is_some());
    }
}
