//! The deadline of a call, over everything that it may wait for.
//!
//! It stands around the call and not around the load: a call that ends early is dropped, and a dropped call disturbs nobody. A
//! load that has begun goes on; the right to begin one is handed over to somebody else who waits.

use super::{
    core::Core,
    many::{Miss, Outlived, Results},
};
use crate::{
    cached::Found,
    error::Error,
    model::{Address, CacheKey, Entry, Policy},
    observe::{Decision, Unanswered},
    remote::RemoteError,
};
use std::{future::Future, pin::pin, sync::Arc};
use tokio::{
    select,
    time::{Instant, timeout_at},
};

/// When a call that begins now is to be answered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadline {
    /// A stale value is good enough from here on.
    pub(super) soft: Option<Instant>,
    pub(super) hard: Instant,
}

impl Deadline {
    pub(super) fn of(policy: &Policy) -> Self {
        let now = Instant::now();
        Self {
            soft: policy.patience().map(|patience| now + patience),
            hard: now + policy.hard_timeout,
        }
    }

    pub(super) fn is_over(&self) -> bool {
        Instant::now() >= self.hard
    }

    pub(super) fn is_soft_over(&self) -> bool {
        self.soft.is_some_and(|soft| Instant::now() >= soft)
    }
}

impl<V: Send + Sync + 'static> Core<V> {
    /// The answer of a read that loads, or what stands in for it when it is late.
    pub(super) async fn in_time(
        &self,
        at: &Address,
        reading: impl Future<Output = Result<Found<V>, Error>>,
    ) -> Result<Found<V>, Error> {
        let deadline = Deadline::of(&self.shelf.policy);
        let reading = self.or_stale(deadline, at, reading);
        match timeout_at(deadline.hard, reading).await {
            Ok(answer) => answer,
            Err(_) => self.late(at),
        }
    }

    /// Past the soft timeout a stale value wins, if there is one.
    async fn or_stale(
        &self,
        deadline: Deadline,
        at: &Address,
        reading: impl Future<Output = Result<Found<V>, Error>>,
    ) -> Result<Found<V>, Error> {
        let mut reading = pin!(reading);
        let Some(soft) = deadline.soft else {
            return reading.await;
        };
        if let Ok(answer) = timeout_at(soft, &mut reading).await {
            return answer;
        }
        select! {
            biased;
            answer = &mut reading => answer,
            Some(found) = self.stand_in_early(at) => Ok(found),
        }
    }

    /// The same for a read that does not load: Redis was too slow to be asked.
    pub(super) async fn find_in_time(&self, at: &Address) -> Option<Found<V>> {
        let read = Unanswered::new(&self.shelf.observer);
        let deadline = Deadline::of(&self.shelf.policy);
        let found = match timeout_at(deadline.hard, self.find(at)).await {
            Ok(found) => found,
            Err(_) => self.without_remote(at, &RemoteError::Timeout),
        };
        read.answered();
        if found.is_none() {
            self.missed();
        }
        found
    }

    /// One look at Redis for many keys; those that it has not answered by the deadline are left without a result.
    pub(super) async fn find_many_in_time(
        &self,
        deadline: Deadline,
        misses: Vec<Miss>,
        found: &mut [Option<Result<Found<V>, Error>>],
    ) -> (Vec<Miss>, Vec<Outlived<V>>) {
        let finding = self.find_many(misses, found);
        timeout_at(deadline.hard, finding).await.unwrap_or_default()
    }

    /// At the deadline nothing is asked any more: what this process holds and can prove, or an error.
    fn late(&self, at: &Address) -> Result<Found<V>, Error> {
        // Somebody may have filled it in the last moment.
        if let Some(found) = self.local(&at.key) {
            return Ok(found);
        }
        if let Some(entry) = self.late_stale(at) {
            return Ok(self.stand(at, entry));
        }
        self.shelf.observer.note(Decision::Timeout);
        Err(self.failed(Error::late_call(self.shelf.policy.hard_timeout)))
    }

    /// Whatever of a batch has no result by its deadline.
    pub(super) fn late_many<K: CacheKey>(&self, results: &mut Results<K, V>) {
        let keys = results.keys.iter().zip(&mut results.found);
        for (key, found) in keys.filter(|(_, found)| found.is_none()) {
            *found = Some(self.late(&self.shelf.address(self.render(key))));
        }
    }

    /// Past the soft timeout of a batch: true if stale values stand in for all that is missing.
    pub(super) fn stand_in_many<K: CacheKey>(&self, results: &mut Results<K, V>) -> bool {
        let keys = results.keys.iter().zip(&mut results.found);
        let mut stale = Vec::new();
        for (key, found) in keys.filter(|(_, found)| found.is_none()) {
            let at = self.shelf.address(self.render(key));
            match self.late_stale(&at) {
                Some(entry) => stale.push((at, entry, found)),
                None => return false,
            }
        }
        for (at, entry, found) in stale {
            *found = Some(Ok(self.stand(&at, entry)));
        }
        true
    }

    fn late_stale(&self, at: &Address) -> Option<Arc<Entry<V>>> {
        let proven = self.proven_stale(&at.key, self.shelf.now());
        let entry = match proven {
            None if !self.engine.remote.is_up(at.id.bucket) => self.unproven_stale(at),
            proven => proven,
        };
        entry.filter(|entry| self.may_stand(entry))
    }

    /// Asks Redis only where that may be of use: what it held past its TTL was copied to this process on the way to the load.
    async fn stand_in_early(&self, at: &Address) -> Option<Found<V>> {
        let entry = self.shelf.local.get(at.id.hash, at.key.bytes())?;
        if !self.may_stand(&entry) {
            return None;
        }
        self.stand_in(at).await
    }
}
