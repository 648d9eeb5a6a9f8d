//! How each vendor is doing: what waits, what was sent, what failed, and since when.

use std::time::Duration;

use tokio::time::Instant;

use super::queue::Queue;

/// How a [`Purger`](crate::purge::Purger) is doing at this moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PurgerReport {
    vendors: Vec<VendorReport>,
}

impl PurgerReport {
    pub(crate) fn new(vendors: Vec<VendorReport>) -> Self {
        Self { vendors }
    }

    /// Each vendor, in the order in which they were named to the purger.
    #[must_use]
    pub fn vendors(&self) -> &[VendorReport] {
        &self.vendors
    }

    /// The vendor of this name.
    #[must_use]
    pub fn vendor(&self, name: &str) -> Option<&VendorReport> {
        self.vendors.iter().find(|vendor| vendor.name == name)
    }
}

/// How one vendor is doing. Counts are of keys, unless they say otherwise, and since the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VendorReport {
    name: String,
    waiting: usize,
    resting: usize,
    calls: u64,
    purged: u64,
    failed: u64,
    coarsened: u64,
    last_error: Option<String>,
    failing_for: Option<Duration>,
}

impl VendorReport {
    /// The vendor's name, as [`Purge::name`](crate::purge::Purge::name) says it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Keys that the vendor has not taken yet. A purge of everything counts as one.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting
    }

    /// Keys that the vendor has taken once, and that are purged a second time soon.
    #[must_use]
    pub fn resting(&self) -> usize {
        self.resting
    }

    /// Calls that were made, those that failed among them.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.calls
    }

    /// Keys that the vendor has taken; a key that was purged twice counts twice.
    #[must_use]
    pub fn purged(&self) -> u64 {
        self.purged
    }

    /// Keys that were given up: refused, too many, or left at the end. Pages that carry them stay until their TTL.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.failed
    }

    /// How often the queue had become too long, and was made coarser.
    #[must_use]
    pub fn coarsened(&self) -> u64 {
        self.coarsened
    }

    /// What went wrong the last time; it stays when the vendor is well again.
    #[must_use]
    pub fn last_error(&self) -> Option<&str> {
        self.last_error.as_deref()
    }

    /// For how long every call has failed; `None` if the last one went well.
    #[must_use]
    pub fn failing_for(&self) -> Option<Duration> {
        self.failing_for
    }
}

/// The counts behind a [`VendorReport`].
#[derive(Debug, Default)]
pub(crate) struct Progress {
    calls: u64,
    purged: u64,
    failed: u64,
    last_error: Option<String>,
    /// The last reason that was told aloud; whatever goes well makes the next failure news again.
    told: Option<String>,
    failing_since: Option<Instant>,
}

impl Progress {
    pub(crate) fn called(&mut self) {
        self.calls += 1;
    }

    pub(crate) fn taken(&mut self, keys: usize) {
        self.purged += keys as u64;
    }

    pub(crate) fn given_up(&mut self, keys: usize) {
        self.failed += keys as u64;
    }

    /// Returns for how long calls had failed before.
    pub(crate) fn succeeded(&mut self, keys: usize, now: Instant) -> Option<Duration> {
        self.taken(keys);
        self.told = None;
        self.failing_since.take().map(|since| now - since)
    }

    /// Returns whether this is news.
    pub(crate) fn failed(&mut self, reason: &str, now: Instant) -> bool {
        self.failing_since.get_or_insert(now);
        self.told(reason)
    }

    /// Notes a reason, and returns whether it is news.
    pub(crate) fn told(&mut self, reason: &str) -> bool {
        self.last_error = Some(reason.to_owned());
        let news = self.told.as_deref() != Some(reason);
        if news {
            self.told = Some(reason.to_owned());
        }
        news
    }

    pub(crate) fn report(&self, name: &str, queue: &Queue, now: Instant) -> VendorReport {
        VendorReport {
            name: name.to_owned(),
            waiting: queue.unsent(),
            resting: queue.resting(),
            calls: self.calls,
            purged: self.purged,
            failed: self.failed,
            coarsened: queue.coarsened(),
            last_error: self.last_error.clone(),
            failing_for: self.failing_since.map(|since| now - since),
        }
    }
}
