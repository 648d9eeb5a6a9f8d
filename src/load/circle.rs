//! Loads that wait for each other in a circle, found before they do.
//!
//! A loader may read the cache. If the load that it would wait for waits, directly or through others, for the
//! loader's own load, nobody would ever answer. Each waiting of a load for another is an edge; an edge that would
//! close a circle is refused.
//!
//! A load may also wait for a *lease*: that of a load of this very process which nobody joins any more, because its
//! key was invalidated or its bucket lost something. So who holds a lease is noted, too.

use crate::model::Address;
use std::{
    collections::HashMap,
    future::Future,
    sync::{
        Arc, LazyLock, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

tokio::task_local! {
    static CURRENT: u64;
}

/// Who waits for whom in this process, and who holds which lease in its `Tiers`.
#[derive(Debug, Default)]
pub(crate) struct Circles {
    edges: Arc<Mutex<Edges>>,
    holders: Mutex<HashMap<LeaseName, u64>>,
}

/// Loads, and those that each waits for.
type Edges = HashMap<u64, Vec<u64>>;

/// What a lease is for: cache, key, type of the value.
type LeaseName = (u32, u64, u64);

/// A waiting under way; ends when dropped.
#[derive(Debug)]
pub(crate) struct Waiting<'a> {
    circles: &'a Circles,
    from: u64,
    to: u64,
}

/// A lease held; given up when dropped.
#[derive(Debug)]
pub(super) struct Holding<'a> {
    circles: &'a Circles,
    lease: LeaseName,
    holder: u64,
}

/// A new number for a flight, or for the load of a batch, which its flights wait for.
pub(crate) fn number() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// Runs a loader as that of flight `number`.
pub(crate) async fn within<F: Future>(number: u64, loader: F) -> F::Output {
    CURRENT.scope(number, loader).await
}

/// Whether the caller is part of a load.
pub(crate) fn is_loading() -> bool {
    CURRENT.try_with(|_| ()).is_ok()
}

/// Notes that the caller waits for flight `to`; `Err` if that flight waits for the caller's own load.
///
/// A caller outside any loader waits for nobody's sake, and nothing is noted.
pub(crate) fn waits_for(circles: &Circles, to: u64) -> Result<Option<Waiting<'_>>, ()> {
    let Ok(from) = CURRENT.try_with(|current| *current) else {
        return Ok(None);
    };
    circles.waits(from, to).map(Some)
}

impl Circles {
    /// Those of one `Tiers`. A circle may lead through several, so who waits for whom is noted for all of them together.
    pub(crate) fn of_this_process() -> Self {
        static EDGES: LazyLock<Arc<Mutex<Edges>>> = LazyLock::new(Arc::default);
        Self {
            edges: Arc::clone(&EDGES),
            holders: Mutex::default(),
        }
    }

    /// Notes that flight `holder` loads under the lease of this address.
    pub(super) fn holds(&self, at: &Address, holder: u64) -> Holding<'_> {
        let lease = lease_name(at);
        lock(&self.holders).insert(lease, holder);
        Holding {
            circles: self,
            lease,
            holder,
        }
    }

    /// Notes that flight `from` waits for the lease of this address; `Err` if who holds it waits for that flight.
    ///
    /// Nothing is noted where another process holds it.
    pub(super) fn waits_for_lease(
        &self,
        at: &Address,
        from: u64,
    ) -> Result<Option<Waiting<'_>>, ()> {
        let holder = lock(&self.holders).get(&lease_name(at)).copied();
        holder.map(|to| self.waits(from, to)).transpose()
    }

    /// Notes that flight `from` waits for load `to`; `Err` if that would close a circle.
    pub(super) fn waits(&self, from: u64, to: u64) -> Result<Waiting<'_>, ()> {
        let mut edges = lock(&self.edges);
        if leads_to(&edges, to, from) {
            return Err(());
        }
        edges.entry(from).or_default().push(to);
        drop(edges);
        Ok(Waiting {
            circles: self,
            from,
            to,
        })
    }
}

/// The maps are whole after every step, so a panic elsewhere spoils nothing.
fn lock<T>(map: &Mutex<T>) -> MutexGuard<'_, T> {
    map.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut edges = lock(&self.circles.edges);
        if let Some(targets) = edges.get_mut(&self.from) {
            if let Some(index) = targets.iter().position(|target| *target == self.to) {
                targets.swap_remove(index);
            }
            if targets.is_empty() {
                edges.remove(&self.from);
            }
        }
    }
}

impl Drop for Holding<'_> {
    fn drop(&mut self) {
        let mut holders = lock(&self.circles.holders);
        // After an invalidation another load may hold it by now.
        if holders.get(&self.lease) == Some(&self.holder) {
            holders.remove(&self.lease);
        }
    }
}

fn lease_name(at: &Address) -> LeaseName {
    (at.id.cache, at.id.hash, at.schema)
}

/// Whether `start` waits for `goal`, directly or through others. There is no circle yet, so this ends.
fn leads_to(edges: &Edges, start: u64, goal: u64) -> bool {
    start == goal
        || edges
            .get(&start)
            .is_some_and(|targets| targets.iter().any(|next| leads_to(edges, *next, goal)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_circle_over_three_loads_is_refused() {
        let circles = Circles::default();
        let one = within(1, async { waits_for(&circles, 2) }).await;
        let two = within(2, async { waits_for(&circles, 3) }).await;

        assert!(one.is_ok() && two.is_ok());
        assert!(within(3, async { waits_for(&circles, 1).is_err() }).await);
        assert!(within(3, async { waits_for(&circles, 3).is_err() }).await);
        assert!(within(3, async { waits_for(&circles, 4).is_ok() }).await);
    }

    #[tokio::test]
    async fn an_ended_waiting_is_forgotten() {
        let circles = Circles::default();
        drop(within(1, async { waits_for(&circles, 2) }).await);

        assert!(within(2, async { waits_for(&circles, 1).is_ok() }).await);
        assert!(waits_for(&circles, 1).unwrap().is_none());
        assert!(lock(&circles.edges).is_empty());
    }
}
