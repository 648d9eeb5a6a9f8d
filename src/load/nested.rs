//! What a load has read of other cached values, and so hands on to what it makes of them.
//!
//! A list that was made out of cached products is old as soon as one of them is. So it takes over their tags, their
//! remaining life and their visibility, and depends on each of them and on their caches: before it is stored, the pointer of every entity
//! that it shows is marked, and whoever bumps a marked pointer bumps the entity's tag too.
//!
//! Its place in the tag feed is its own. Each value that a load reads was judged by the tag table after the load had
//! begun, so nothing up to that place is missing in it.

use crate::{
    cached::Found,
    model::{Address, Clock, Generation, Labels, Visibility, entity_tag, millis, nested_tag},
    outcome::Outcome,
    remote::{Remote, RemoteError},
};
use futures_util::{StreamExt, stream};
use std::{
    collections::HashSet,
    future::Future,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::sync::OnceCell;

tokio::task_local! {
    static READS: Reads;
}

/// Collects what one load reads.
#[derive(Clone)]
pub(crate) struct Reads {
    remote: Arc<Remote>,
    inherited: Arc<Mutex<Inherited>>,
}

/// What a load takes over from what it has read.
#[derive(Debug, Default)]
pub(crate) struct Inherited {
    pub(crate) labels: Labels,
    pub(crate) visibility: Visibility,
    life: Option<Life>,
    /// Entities and the generations in which they were shown.
    shown: Vec<(Address, Generation)>,
    /// Something was read that nobody can tell of when it gets old.
    pub(crate) unprovable: bool,
    /// Whether all that was shown is marked, once somebody has tried: a batch need not mark it for each of its keys.
    marked: OnceCell<bool>,
}

/// The end of a life, on the clock of its `Tiers`.
#[derive(Debug)]
struct Life {
    clock: Arc<dyn Clock>,
    deadline: u64,
}

impl Reads {
    pub(crate) fn new(remote: &Arc<Remote>) -> Self {
        Self {
            remote: Arc::clone(remote),
            inherited: Arc::default(),
        }
    }

    /// Runs a loader whose reads are collected here.
    pub(crate) async fn of<F: Future>(&self, loader: F) -> F::Output {
        READS.scope(self.clone(), loader).await
    }

    /// Hands what was read so far on to the load that the caller is part of; outside of a load nothing is noted.
    pub(crate) fn hand_on(&self) {
        let _ = READS.try_with(|reads| reads.lock().add_all(&self.lock()));
    }

    /// What was read so far.
    pub(super) fn take(&self) -> Inherited {
        let mut inherited = self.lock();
        inherited.labels.settle();
        std::mem::take(&mut inherited)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inherited> {
        // The lists are whole after every step, so a panic elsewhere spoils nothing.
        self.inherited
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// The load that the caller is part of has read this value; outside of a load nothing is noted.
pub(crate) fn note_read<V>(
    at: impl FnOnce() -> Address,
    found: &Found<V>,
    remote: &Arc<Remote>,
    clock: &Arc<dyn Clock>,
) {
    // No load is the common case, and no error.
    let _ = READS.try_with(|reads| reads.lock().add(at(), found, &reads.remote, remote, clock));
}

impl Inherited {
    fn add<V>(
        &mut self,
        at: Address,
        found: &Found<V>,
        own: &Arc<Remote>,
        remote: &Arc<Remote>,
        clock: &Arc<dyn Clock>,
    ) {
        let entry = &found.entry;
        self.labels.tags.extend_from_slice(entry.tags());
        self.visibility = self.visibility.max(entry.visibility);
        self.shorten(clock, entry.stale_from());
        // Other tiers have feeds of their own: what they hand on is a name and a life, and no more.
        if !Arc::ptr_eq(own, remote) {
            return;
        }
        let proven = found.outcome != Outcome::LocalUnproven && entry.place().position.is_some();
        match entry.generation {
            Some(generation) if proven => self.depend(at, generation, entry.labels()),
            _ => self.unprovable = true,
        }
    }

    /// All that another load has read.
    fn add_all(&mut self, other: &Self) {
        self.labels.add(&other.labels);
        self.visibility = self.visibility.max(other.visibility);
        if let Some(life) = &other.life {
            self.shorten(&life.clock, life.deadline);
        }
        self.shown.extend(other.shown.iter().cloned());
        self.unprovable |= other.unprovable;
    }

    fn depend(&mut self, at: Address, generation: Generation, labels: Option<&Labels>) {
        if let Some(labels) = labels {
            self.labels
                .dependencies
                .extend_from_slice(&labels.dependencies);
        }
        // Its cache's tag, too: a clear invalidates the entity by no other name.
        let names = [
            entity_tag(at.id.cache, at.id.hash),
            at.cache.tag,
            nested_tag(),
        ];
        self.labels.dependencies.extend(names);
        self.shown.push((at, generation));
    }

    fn shorten(&mut self, clock: &Arc<dyn Clock>, deadline: u64) {
        let life = Life {
            clock: Arc::clone(clock),
            deadline,
        };
        if self
            .remaining()
            .is_none_or(|shortest| life.remaining() < shortest)
        {
            self.life = Some(life);
        }
    }

    /// How long all that was read may still be served, in ms; `None` if nothing was.
    pub(super) fn remaining(&self) -> Option<u64> {
        self.life.as_ref().map(Life::remaining)
    }

    /// Marks every entity that was shown; false if one of them has another generation by now.
    pub(super) async fn mark(
        &self,
        remote: &Remote,
        pointer_ttl: u64,
    ) -> Result<bool, RemoteError> {
        let marked = self
            .marked
            .get_or_try_init(|| self.mark_all(remote, pointer_ttl));
        marked.await.copied()
    }

    async fn mark_all(&self, remote: &Remote, pointer_ttl: u64) -> Result<bool, RemoteError> {
        let mut known = HashSet::new();
        let once = self
            .shown
            .iter()
            .filter(|(at, shown)| known.insert((at.id.cache, at.key.as_str(), *shown)));
        let mut marks = stream::iter(once.cloned().collect::<Vec<_>>())
            .map(|(at, shown)| async move { remote.depend(&at, shown, pointer_ttl).await })
            .buffer_unordered(AT_ONCE);
        let mut current = true;
        while let Some(marked) = marks.next().await {
            current &= marked?;
        }
        Ok(current)
    }
}

impl Life {
    fn remaining(&self) -> u64 {
        self.deadline.saturating_sub(millis(self.clock.now()))
    }
}

/// Pointers marked at once.
const AT_ONCE: usize = 64;
