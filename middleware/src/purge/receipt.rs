//! What one purge is waiting for: each vendor's word, or the reason why it does not come.
//!
//! The queue holds a receipt weakly: dropping it frees what it costs and cancels nothing.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use tokio::sync::Notify;

use super::error::PurgeError;

/// One purge, on its way to every vendor. Dropping it cancels nothing.
pub struct PurgeReceipt(Arc<Ticket>);

/// How far a purge has come at one vendor.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum VendorState {
    /// The vendor has not taken all keys yet. [`Purger::report`](crate::purge::Purger::report) says whether it is failing.
    Waiting,
    /// The vendor has taken all keys.
    Acknowledged,
    /// The vendor will not take all of them.
    Failed(PurgeError),
}

impl PurgeReceipt {
    pub(crate) fn new(ticket: Arc<Ticket>) -> Self {
        Self(ticket)
    }

    /// Waits until each vendor has taken all keys, or at least one will not. It does not wait for the second purge.
    ///
    /// A vendor that is away is waited for until it is back: set a limit where you cannot wait.
    ///
    /// # Errors
    /// A vendor refuses, its queue was full, or the purger was shut down first. The other vendors go on.
    ///
    /// # Cancel safety
    /// Dropping this future cancels nothing, and the receipt can be asked again.
    pub async fn acknowledged(&self) -> Result<(), PurgeError> {
        self.until(Ticket::verdict).await
    }

    /// Waits until each vendor has taken all keys for good: a second time, at least `second_after` their last request.
    ///
    /// A key that is asked for again meanwhile is done with that later request.
    ///
    /// # Errors
    /// As for [`acknowledged`](Self::acknowledged), and if the second purge is refused.
    ///
    /// # Cancel safety
    /// As for [`acknowledged`](Self::acknowledged).
    pub async fn done(&self) -> Result<(), PurgeError> {
        self.until(Ticket::last_verdict).await
    }

    async fn until(
        &self,
        verdict: impl Fn(&Ticket) -> Option<Result<(), PurgeError>>,
    ) -> Result<(), PurgeError> {
        loop {
            let changed = self.0.changed.notified();
            tokio::pin!(changed);
            // Listens before it looks, so that nothing that happens in between is missed.
            changed.as_mut().enable();
            if let Some(verdict) = verdict(&self.0) {
                return verdict;
            }
            changed.await;
        }
    }

    /// How far each vendor is, in the order in which they were named to the purger.
    #[must_use]
    pub fn vendors(&self) -> Vec<(String, VendorState)> {
        let parts = self.0.parts.lock().unwrap_or_else(PoisonError::into_inner);
        let name_and_state = |part: &Part| (part.vendor.to_string(), part.state());
        parts.iter().map(name_and_state).collect()
    }
}

impl fmt::Debug for PurgeReceipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.vendors()).finish()
    }
}

/// What the vendors write on a receipt.
#[derive(Debug)]
pub(crate) struct Ticket {
    parts: Mutex<Vec<Part>>,
    changed: Notify,
}

/// One vendor's part of a ticket.
#[derive(Debug)]
struct Part {
    vendor: Arc<str>,
    /// Taken once.
    first: Step,
    /// Done for good.
    last: Step,
}

/// How far the keys are on one of their two steps.
#[derive(Clone, Debug)]
struct Step {
    keys_left: usize,
    error: Option<PurgeError>,
}

impl Step {
    fn settle(&mut self, keys: usize, error: Option<&PurgeError>) {
        self.keys_left = self.keys_left.saturating_sub(keys);
        if self.error.is_none() {
            self.error = error.cloned();
        }
    }
}

impl Ticket {
    /// Every vendor has so many keys to take.
    pub(crate) fn new(vendors: impl Iterator<Item = Arc<str>>, keys: usize) -> Arc<Self> {
        let step = Step {
            keys_left: keys,
            error: None,
        };
        let part = |vendor| Part {
            vendor,
            first: step.clone(),
            last: step.clone(),
        };
        Arc::new(Self {
            parts: Mutex::new(vendors.map(part).collect()),
            changed: Notify::new(),
        })
    }

    /// The vendor has taken so many more of the keys, or will not.
    fn settle(&self, vendor: usize, keys: usize, error: Option<&PurgeError>) {
        self.change(vendor, |part| part.first.settle(keys, error));
    }

    /// The vendor has taken so many more of the keys for good, or will not.
    fn settle_for_good(&self, vendor: usize, keys: usize, error: Option<&PurgeError>) {
        self.change(vendor, |part| part.last.settle(keys, error));
    }

    fn change(&self, vendor: usize, change: impl FnOnce(&mut Part)) {
        change(&mut self.parts.lock().unwrap_or_else(PoisonError::into_inner)[vendor]);
        self.changed.notify_waiters();
    }

    /// The same for good.
    fn last_verdict(&self) -> Option<Result<(), PurgeError>> {
        let parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        let errors = |part: &Part| part.first.error.clone().or_else(|| part.last.error.clone());
        if let Some(error) = parts.iter().find_map(errors) {
            return Some(Err(error));
        }
        let all_done = parts.iter().all(|part| part.last.keys_left == 0);
        all_done.then_some(Ok(()))
    }

    /// The first failure, or that all is done; `None` while something may still go either way.
    pub(crate) fn verdict(&self) -> Option<Result<(), PurgeError>> {
        let parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(error) = parts.iter().find_map(|part| part.first.error.as_ref()) {
            return Some(Err(error.clone()));
        }
        let all_done = parts.iter().all(|part| part.first.keys_left == 0);
        all_done.then_some(Ok(()))
    }
}

impl Part {
    fn state(&self) -> VendorState {
        match &self.first.error {
            Some(error) => VendorState::Failed(error.clone()),
            None if self.first.keys_left == 0 => VendorState::Acknowledged,
            None => VendorState::Waiting,
        }
    }
}

/// Whoever waits for one key at one vendor.
#[derive(Debug, Default)]
pub(crate) struct Waiters(Vec<Waiter>);

/// A ticket, with the number of its keys that became this one.
#[derive(Debug)]
struct Waiter {
    ticket: Weak<Ticket>,
    keys: usize,
}

impl Waiters {
    pub(crate) fn one(ticket: &Arc<Ticket>) -> Self {
        Self(vec![Waiter {
            ticket: Arc::downgrade(ticket),
            keys: 1,
        }])
    }

    pub(crate) fn join(&mut self, others: Self) {
        others.0.into_iter().for_each(|other| self.push(other));
    }

    /// Keys of one purge that become one key come in a row: they share a waiter.
    fn push(&mut self, waiter: Waiter) {
        if let Some(last) = self.0.last_mut()
            && Weak::ptr_eq(&last.ticket, &waiter.ticket)
        {
            last.keys += waiter.keys;
            return;
        }
        // Whenever it would grow, so that receipts that were dropped do not pile up while a vendor is away.
        if self.0.len() == self.0.capacity() {
            self.0.retain(|waiter| waiter.ticket.strong_count() > 0);
        }
        self.0.push(waiter);
    }

    /// Taken once: they may go on waiting until it is done for good.
    pub(crate) fn acknowledge(&self, vendor: usize) {
        self.each(|ticket, keys| ticket.settle(vendor, keys, None));
    }

    pub(crate) fn done(self, vendor: usize) {
        self.each(|ticket, keys| ticket.settle_for_good(vendor, keys, None));
    }

    /// It was never taken.
    pub(crate) fn fail(self, vendor: usize, error: &PurgeError) {
        self.each(|ticket, keys| ticket.settle(vendor, keys, Some(error)));
    }

    /// It was taken once, and will not be a second time.
    pub(crate) fn fail_late(self, vendor: usize, error: &PurgeError) {
        self.each(|ticket, keys| ticket.settle_for_good(vendor, keys, Some(error)));
    }

    fn each(&self, tell: impl Fn(&Ticket, usize)) {
        for waiter in &self.0 {
            if let Some(ticket) = waiter.ticket.upgrade() {
                tell(&ticket, waiter.keys);
            }
        }
    }

    #[cfg(test)]
    pub(crate) fn held(&self) -> usize {
        self.0.len()
    }
}
