//! Switches that break a hub as a real server and a real network break; all off until a test turns one.

#[cfg(feature = "test-util")]
use super::{Hub, InProcess};
use super::{Push, Space, locked};
use crate::remote::{
    RemoteError,
    breaker::{Breaker, Signals},
};
use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout},
};

/// What is broken at present.
#[derive(Debug)]
pub(super) struct Faults {
    refusing: AtomicBool,
    /// A delay or a hold is on: the only thing that a call of a whole hub looks at.
    slow: AtomicBool,
    delay_micros: AtomicU64,
    held: watch::Sender<bool>,
    /// Calls that wait, without those of heartbeats.
    waiting: watch::Sender<usize>,
    losing_pushes: AtomicBool,
    holding_pushes: AtomicBool,
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            refusing: AtomicBool::new(false),
            slow: AtomicBool::new(false),
            delay_micros: AtomicU64::new(0),
            held: watch::Sender::new(false),
            waiting: watch::Sender::new(0),
            losing_pushes: AtomicBool::new(false),
            holding_pushes: AtomicBool::new(false),
        }
    }
}

impl Faults {
    pub(super) fn are_refusing(&self) -> bool {
        self.refusing.load(Ordering::Relaxed)
    }

    /// Waits as long as a call has to, up to `limit`. `counted`: it is one of those that [`InProcess::until_held`] waits for.
    async fn pass(&self, limit: Duration, counted: bool) -> Result<(), RemoteError> {
        let waited = async {
            let micros = self.delay_micros.load(Ordering::Relaxed);
            if micros > 0 {
                sleep(Duration::from_micros(micros)).await;
            }
            let mut held = self.held.subscribe();
            if *held.borrow() {
                let _waiting = counted.then(|| Waiting::new(&self.waiting));
                // The sender is a field of `self`, so the channel cannot be closed here.
                let _ = held.wait_for(|held| !held).await;
            }
        };
        let passed = timeout(limit, waited).await;
        passed.map_err(|_| RemoteError::Timeout)
    }
}

/// One node's way to the hub: what is slow there is late here, and then nobody else waits until a probe was answered.
#[derive(Debug)]
pub(super) struct Way {
    limit: Duration,
    pub(super) breaker: Breaker,
}

impl Way {
    pub(super) fn new(limit: Duration) -> Self {
        let breaker = Breaker::new(Signals::default());
        // A hub is there from the start.
        breaker.probed();
        Self { limit, breaker }
    }

    /// Lets a call through, when its time has come.
    pub(super) async fn call(&self, faults: &Faults) -> Result<(), RemoteError> {
        if !self.breaker.is_up() {
            return Err(RemoteError::Away);
        }
        if !faults.slow.load(Ordering::Relaxed) {
            return Ok(());
        }
        let passed = faults.pass(self.limit, true).await;
        if passed.is_err() {
            // Not its beginning: where time stands still, that is the moment of the last probe.
            self.breaker.failed(Instant::now());
        }
        passed
    }

    /// The same for a probe, which decides whether others are let through.
    pub(super) async fn probe(&self, faults: &Faults) -> Result<(), RemoteError> {
        let passed = if faults.slow.load(Ordering::Relaxed) {
            faults.pass(self.limit, false).await
        } else {
            Ok(())
        };
        match &passed {
            Ok(()) => self.breaker.probed(),
            Err(_) => self.breaker.probe_failed(),
        };
        passed
    }
}

struct Waiting<'a>(&'a watch::Sender<usize>);

impl<'a> Waiting<'a> {
    fn new(waiting: &'a watch::Sender<usize>) -> Self {
        waiting.send_modify(|count| *count += 1);
        Self(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

impl Space {
    /// Sends to all nodes; what was held back goes first.
    pub(super) fn push(&self, faults: &Faults, push: Push) {
        if faults.losing_pushes.load(Ordering::SeqCst) {
            return;
        }
        let mut listeners = locked(&self.listeners);
        listeners.held.push(push);
        if !faults.holding_pushes.load(Ordering::SeqCst) {
            listeners.send_held();
        }
    }
}

/// Faults of the remote tier, for tests: with the feature `test-util` only.
#[cfg(feature = "test-util")]
impl InProcess {
    /// While this is on every call fails at once, as with a Redis that is gone. Default: off.
    pub fn refuse(&self, yes: bool) {
        self.0.faults.refusing.store(yes, Ordering::SeqCst);
    }

    /// Each call is answered after this long in tokio's time, [`Duration::ZERO`]: at once. Default: zero.
    ///
    /// A call that takes longer than [`remote_timeout`](crate::TiersBuilder::remote_timeout) fails, and that node sends
    /// no other one until a heartbeat was answered in time: as with a slow Redis.
    pub fn delay(&self, by: Duration) {
        let micros = u64::try_from(by.as_micros()).unwrap_or(u64::MAX);
        self.0.faults.delay_micros.store(micros, Ordering::SeqCst);
        self.0.note_slow();
    }

    /// While this is on no call is answered: each waits until it is off, or until
    /// [`remote_timeout`](crate::TiersBuilder::remote_timeout) has passed, as with a frozen Redis. Default: off.
    pub fn hold(&self, yes: bool) {
        self.0.faults.held.send_replace(yes);
        self.0.note_slow();
    }

    /// Waits until so many calls are [held](Self::hold) at the same time. Those of heartbeats do not count.
    ///
    /// # Panics
    /// If there are fewer after 10 s of tokio's time.
    ///
    /// # Cancel safety
    /// Dropping this future has no effect.
    pub async fn until_held(&self, calls: usize) {
        let mut waiting = self.0.faults.waiting.subscribe();
        // The sender lives as long as the hub.
        let enough = timeout(LONG, waiting.wait_for(|now| *now >= calls)).await;
        assert!(
            enough.is_ok(),
            "{} of {calls} calls are held after {LONG:?}",
            *self.0.faults.waiting.borrow()
        );
    }

    /// While this is on nothing is pushed to any node, and what is not pushed is lost: a node makes up for it with its next
    /// heartbeat, or when it reads a key of that feed from the hub. Default: off.
    pub fn lose_pushes(&self, yes: bool) {
        self.0.faults.losing_pushes.store(yes, Ordering::SeqCst);
    }

    /// While this is on pushes are held back; turned off, they reach every node in their order. A node makes up for what is
    /// held as for what is [lost](Self::lose_pushes). Default: off.
    pub fn hold_pushes(&self, yes: bool) {
        self.0.faults.holding_pushes.store(yes, Ordering::SeqCst);
        if !yes {
            for space in locked(&self.0.spaces).values() {
                locked(&space.listeners).send_held();
            }
        }
    }

    /// Forgets everything, as FLUSHALL does, or a restart without data.
    pub fn wipe(&self) {
        self.0.each(|records| *records = super::Records::default());
        locked(&self.0.spaces)
            .values()
            .for_each(|space| *locked(&space.agreement) = None);
    }
}

/// What only the protocol's own tests break.
#[cfg(feature = "proof")]
#[doc(hidden)]
impl InProcess {
    /// Nodes of another release or setting have written this as what all agree on.
    pub fn agree_on(&self, text: &str) {
        locked(&self.0.spaces)
            .values()
            .for_each(|space| *locked(&space.agreement) = Some(text.to_owned()));
    }

    /// The replay logs are trimmed to nothing.
    pub fn trim(&self) {
        self.0.each(|records| records.log.clear());
    }
}

#[cfg(feature = "test-util")]
impl Hub {
    fn note_slow(&self) {
        let faults = &self.faults;
        let slow = faults.delay_micros.load(Ordering::SeqCst) > 0 || *faults.held.borrow();
        faults.slow.store(slow, Ordering::SeqCst);
    }

    fn each(&self, change: impl Fn(&mut super::Records)) {
        for space in locked(&self.spaces).values() {
            space
                .buckets
                .iter()
                .for_each(|bucket| change(&mut locked(bucket)));
        }
    }
}

/// A wait that takes this long hangs.
#[cfg(feature = "test-util")]
const LONG: Duration = Duration::from_secs(10);
