//! The handle: where keys enter, how far they are, and the end.
//!
//! One task serves all vendors. It ends with [`Purger::shutdown`], or when the last handle is dropped.

use std::{collections::HashSet, fmt, sync::Arc, time::Duration};

use futures_util::future::join_all;
use tokio::{
    runtime::Handle,
    sync::{Mutex, watch},
    task::JoinHandle,
    time::timeout,
};

use super::{
    batch::Mode,
    error::PurgeError,
    key,
    lane::Lane,
    pace::Pauses,
    queue::{Coarser, Rules},
    receipt::{PurgeReceipt, Ticket},
    report::PurgerReport,
    vendor::Purge,
};

/// Purges keys at every vendor, until each has taken them. Clones share one queue.
///
/// The queue is in memory: what it holds is lost with the process, unless it came from a `Tiers` that has this purger as its
/// [edge](tricache::TiersBuilder::edge): that stands in Redis, too. Dropping the last handle ends its task at once; call
/// [`shutdown`](Self::shutdown) so that it sends what it has.
#[derive(Clone)]
pub struct Purger(Arc<Inner>);

struct Inner {
    lanes: Arc<[Lane]>,
    keys_of_caches: Option<KeyOfCache>,
    expected: Duration,
    ending: watch::Sender<bool>,
    /// Until it has ended.
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Purger {
    /// Starts to describe a purger. Each key is purged at once, and again `second_after` its last request: what was being
    /// rendered meanwhile reached the edge after the first purge. Pass twice the interval of the heartbeats, after which every
    /// node knows of the invalidation, and at least as long as the edge needs to spread a purge. Zero: no second purge.
    pub fn builder(second_after: Duration) -> PurgerBuilder {
        PurgerBuilder {
            second_after,
            vendors: Vec::new(),
            window: Duration::from_millis(50),
            longest_queue: 10_000,
            coarser: None,
            keys_of_caches: None,
            refuses_soft: false,
            pauses: Pauses {
                first: Duration::from_millis(200),
                longest: Duration::from_secs(30),
                locked_out: Duration::from_secs(60),
            },
        }
    }

    /// Asks every vendor to purge the keys. Returns at once; the receipt tells when they have done so.
    ///
    /// A key that is waiting already is sent once, hard if anyone has asked for that. A key that is in a call at this moment is
    /// sent again after it. [`purge_keys`](crate::purge_keys) and [`purge_keys_of_tag`](crate::purge_keys_of_tag) name the keys.
    ///
    /// # Errors
    /// A key is no surrogate key, and none of them is purged; or the purger is shut down. Whatever a vendor has against a key is told by the receipt.
    pub fn purge(
        &self,
        keys: impl IntoIterator<Item = impl AsRef<str>>,
        mode: Mode,
    ) -> Result<PurgeReceipt, PurgeError> {
        if *self.0.ending.borrow() {
            return Err(PurgeError::closed());
        }
        let checked = keys.into_iter().map(|key| key::checked(key.as_ref()));
        let keys: Vec<_> = checked.collect::<Result<_, _>>()?;
        let vendors = self.0.lanes.iter().map(Lane::name);
        let ticket = Ticket::new(vendors, keys.len());
        for lane in &*self.0.lanes {
            lane.ask(&keys, mode, &ticket);
        }
        Ok(PurgeReceipt::new(ticket))
    }

    /// Asks every vendor to purge all that it holds, hard. A vendor without such a call refuses, which its receipt says.
    ///
    /// # Errors
    /// The purger is shut down.
    pub fn purge_everything(&self) -> Result<PurgeReceipt, PurgeError> {
        if *self.0.ending.borrow() {
            return Err(PurgeError::closed());
        }
        let ticket = Ticket::new(self.0.lanes.iter().map(Lane::name), 1);
        self.0
            .lanes
            .iter()
            .for_each(|lane| lane.ask_everything(&ticket));
        Ok(PurgeReceipt::new(ticket))
    }

    /// How each vendor is doing.
    #[must_use]
    pub fn report(&self) -> PurgerReport {
        PurgerReport::new(self.0.lanes.iter().map(Lane::report).collect())
    }

    /// Takes no more keys, and sends what it has without waiting for windows, until `deadline` has passed. Returns how many keys
    /// were left then, over all vendors; their receipts fail. Second purges are waited for.
    ///
    /// # Cancel safety
    /// Dropping this future leaves the purger shut down: its task goes on until nothing is left or the last handle is dropped.
    pub async fn shutdown(&self, deadline: Duration) -> usize {
        self.0.ending.send_replace(true);
        self.0.lanes.iter().for_each(Lane::wake);
        let mut running = self.0.task.lock().await;
        if let Some(task) = running.as_mut() {
            if timeout(deadline, &mut *task).await.is_err() {
                task.abort();
                // Aborted, or just done: either way it is gone, and that is all that matters.
                let _ = task.await;
            }
            *running = None;
        }
        self.0.lanes.iter().map(Lane::left).sum()
    }
}

impl fmt::Debug for Purger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Purger")
            .field("report", &self.report())
            .finish_non_exhaustive()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(task) = self.task.get_mut() {
            task.abort();
        }
    }
}

/// What a [`Purger`] is made of.
#[must_use]
pub struct PurgerBuilder {
    second_after: Duration,
    vendors: Vec<Box<dyn Purge>>,
    window: Duration,
    longest_queue: usize,
    coarser: Option<Coarser>,
    keys_of_caches: Option<KeyOfCache>,
    refuses_soft: bool,
    pauses: Pauses,
}

impl PurgerBuilder {
    /// Adds a vendor. At least one is needed, and their names must differ.
    pub fn vendor(mut self, vendor: impl Purge) -> Self {
        self.vendors.push(Box::new(vendor));
        self
    }

    /// Adds several vendors of a kind, as the nodes of [`Varnish`](crate::purge::Varnish).
    pub fn vendors(mut self, vendors: impl IntoIterator<Item = impl Purge>) -> Self {
        for vendor in vendors {
            self = self.vendor(vendor);
        }
        self
    }

    /// How long a key waits for others that share its call. A batch that is full goes at once. Default: 50 ms.
    pub fn window(mut self, window: Duration) -> Self {
        self.window = window;
        self
    }

    /// The most keys that may wait for a vendor, those waiting for their second purge among them. Beyond it the queue becomes
    /// coarser: by [`coarsen_by`](Self::coarsen_by), then by one purge of everything where the vendor has it. Otherwise further
    /// keys are given up, which their receipts and the log say. Default: 10,000.
    pub fn longest_queue(mut self, keys: usize) -> Self {
        self.longest_queue = keys;
        self
    }

    /// Names a key that stands on *every* page that shows another key, such as a tag that all values of a cache have; used when
    /// the queue has become too long. The key of a cache that [`purge_keys`](crate::purge_keys) names is none: only pages with
    /// too many keys carry it. Default: no such key is known, and a queue that is too long becomes a purge of everything.
    pub fn coarsen_by(
        mut self,
        coarser: impl Fn(&str) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        self.coarser = Some(Arc::new(coarser));
        self
    }

    /// Names a key that stands on *every* page that shows something of a cache, such as a tag that all its values have; used when a
    /// whole cache is invalidated. The key of a cache that [`purge_keys`](crate::purge_keys) names is none. Default: no such key is
    /// known, and a cleared cache is a purge of everything.
    pub fn key_of_cache(
        mut self,
        key: impl Fn(&str) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        self.keys_of_caches = Some(Arc::new(key));
        self
    }

    /// A vendor that knows no soft purge refuses soft ones, and their receipts fail. Default: it purges hard instead.
    pub fn refuse_soft(mut self) -> Self {
        self.refuses_soft = true;
        self
    }

    /// The pause after a first failure; it doubles with each failure in a row, and up to half of it is left to chance. A longer
    /// wish in the vendor's `Retry-After` is kept, up to an hour. Default: 200 ms.
    pub fn first_pause(mut self, pause: Duration) -> Self {
        self.pauses.first = pause;
        self
    }

    /// The longest pause of our own. Default: 30 s.
    pub fn longest_pause(mut self, pause: Duration) -> Self {
        self.pauses.longest = pause;
        self
    }

    /// How long a vendor that refuses our credentials is not called. Until then its keys are given up at once. Default: 60 s.
    pub fn locked_out_pause(mut self, pause: Duration) -> Self {
        self.pauses.locked_out = pause;
        self
    }

    /// Starts the purger's task.
    ///
    /// # Errors
    /// There is no vendor, two have one name, the queue may hold nothing, or this is not a tokio runtime.
    pub fn build(self) -> Result<Purger, PurgeError> {
        self.check()?;
        let runtime = Handle::try_current()
            .map_err(|_| PurgeError::config("a purger is built outside of a tokio runtime"))?;
        let keys_of_caches = self.keys_of_caches.clone();
        let expected = self.window + self.second_after + SPARE;
        let lanes = self.lanes();
        let (ending, near) = watch::channel(false);
        let task = runtime.spawn(purge_all(Closing(Arc::clone(&lanes)), near));
        Ok(Purger(Arc::new(Inner {
            lanes,
            keys_of_caches,
            expected,
            ending,
            task: Mutex::new(Some(task)),
        })))
    }

    fn check(&self) -> Result<(), PurgeError> {
        if self.vendors.is_empty() {
            return Err(PurgeError::config("a purger has no vendor"));
        }
        if self.longest_queue == 0 {
            return Err(PurgeError::config(
                "longest_queue is 0: no key could ever wait",
            ));
        }
        let mut names = HashSet::new();
        match self
            .vendors
            .iter()
            .find(|vendor| !names.insert(vendor.name()))
        {
            Some(twice) => Err(PurgeError::config(format!(
                "two vendors are called {}",
                twice.name()
            ))),
            None => Ok(()),
        }
    }

    fn lanes(self) -> Arc<[Lane]> {
        let lane = |(place, vendor): (usize, Box<dyn Purge>)| {
            let rules = Rules {
                vendor: place,
                name: vendor.name().into(),
                limits: vendor.limits(),
                window: self.window,
                second_after: self.second_after,
                longest: self.longest_queue,
                coarser: self.coarser.clone(),
            };
            Lane::new(vendor, rules, self.refuses_soft, self.pauses)
        };
        self.vendors.into_iter().enumerate().map(lane).collect()
    }
}

impl fmt::Debug for PurgerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.vendors.iter().map(|vendor| vendor.name()).collect();
        f.debug_struct("PurgerBuilder")
            .field("vendors", &names)
            .finish_non_exhaustive()
    }
}

/// A key that stands on every page that shows something of the cache of this name.
pub(crate) type KeyOfCache = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// What the edge of a `Tiers` needs.
impl Purger {
    pub(crate) fn key_of_cache(&self, cache: &str) -> Option<String> {
        self.0.keys_of_caches.as_ref().and_then(|key| key(cache))
    }

    pub(crate) fn usual_time(&self) -> Duration {
        self.0.expected
    }
}

/// What vendors take for two calls that go well, and more.
const SPARE: Duration = Duration::from_secs(5);

/// The purger's task.
async fn purge_all(closing: Closing, near: watch::Receiver<bool>) {
    join_all(closing.0.iter().map(|lane| lane.run(near.clone()))).await;
}

/// Gives up what is left, however the task ends: by itself, aborted, or with its runtime.
struct Closing(Arc<[Lane]>);

impl Drop for Closing {
    fn drop(&mut self) {
        self.0.iter().for_each(Lane::close);
    }
}
