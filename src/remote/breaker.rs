//! Whether Redis is worth asking: the first call that fails opens it, and a probe decides.
//!
//! One failure is enough, since it costs little to be wrong: a probe (a heartbeat) is sent at once, and a Redis that
//! only had a slow moment is asked again one round trip later. Were it to take three, a request that reads three keys
//! would wait three times. While it is open a read costs no round trip, only the store's latency.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{sync::Notify, time::Instant};

/// The state of the way to Redis.
#[derive(Debug)]
pub(super) struct Breaker {
    state: AtomicU8,
    failures: AtomicU32,
    origin: Instant,
    /// When the last probe was answered, in microseconds since the origin.
    answered_at: AtomicU64,
    opened_at: Mutex<Option<Instant>>,
    signals: Signals,
}

/// What the breakers of all nodes say together.
#[derive(Clone, Debug, Default)]
pub(super) struct Signals {
    /// A probe is wanted at once.
    wanted: Arc<Notify>,
    /// A server is back after an outage, or answers for the first time.
    returned: Arc<Notify>,
}

/// Whether calls are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Standing {
    Up,
    /// It answers, but later than the store.
    Slow,
    /// A call failed, and no probe was answered within its limit yet; those that were answered later say that Redis is there.
    Probing,
    /// The probe failed, too.
    Away,
}

/// What keeps calls from being sent, and since when.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trouble {
    pub(crate) failures: u32,
    pub(crate) lasting: Duration,
}

impl Breaker {
    /// Away until the first answer.
    pub(super) fn new(signals: Signals) -> Self {
        let origin = Instant::now();
        Self {
            state: AtomicU8::new(AWAY),
            failures: AtomicU32::new(0),
            origin,
            answered_at: AtomicU64::new(0),
            opened_at: Mutex::new(Some(origin)),
            signals,
        }
    }

    pub(super) fn signals(&self) -> &Signals {
        &self.signals
    }

    pub(super) fn is_up(&self) -> bool {
        self.state.load(Ordering::Relaxed) == UP
    }

    pub(super) fn standing(&self) -> Standing {
        match self.state.load(Ordering::Relaxed) {
            UP => Standing::Up,
            PROBING => Standing::Probing,
            _ => Standing::Away,
        }
    }

    /// What is wrong at present; `None` while it is up.
    pub(super) fn trouble(&self) -> Option<Trouble> {
        let opened = *self.opened_at();
        Some(Trouble {
            failures: self.failures.load(Ordering::Relaxed),
            lasting: opened?.elapsed(),
        })
    }

    /// A call that began at `since` failed in a way that tells of the server; answers true if it opened the breaker.
    pub(super) fn failed(&self, since: Instant) -> bool {
        // Of many calls caught by one slow moment all but the first tell what the probe knows better.
        if self.micros(since) <= self.answered_at.load(Ordering::Acquire) {
            return false;
        }
        self.failures.fetch_add(1, Ordering::Relaxed);
        let opened = self
            .state
            .compare_exchange(UP, PROBING, Ordering::AcqRel, Ordering::Relaxed)
            .is_ok();
        if opened {
            *self.opened_at() = Some(since);
            self.signals.want();
        }
        opened
    }

    /// The probe failed; answers true if Redis did not count as away before.
    pub(super) fn probe_failed(&self) -> bool {
        self.failures.fetch_add(1, Ordering::Relaxed);
        self.opened_at().get_or_insert_with(Instant::now);
        self.state.swap(AWAY, Ordering::AcqRel) != AWAY
    }

    /// The probe was answered; answers true if Redis was away before.
    pub(super) fn probed(&self) -> bool {
        let answered = self.micros(Instant::now());
        self.answered_at.store(answered, Ordering::Release);
        self.failures.store(0, Ordering::Relaxed);
        if self.is_up() {
            return false;
        }
        *self.opened_at() = None;
        let was_away = self.state.swap(UP, Ordering::AcqRel) == AWAY;
        if was_away {
            self.signals.returned.notify_one();
        }
        was_away
    }

    fn micros(&self, at: Instant) -> u64 {
        let micros = at.saturating_duration_since(self.origin).as_micros();
        // Half a million years fit.
        u64::try_from(micros).unwrap_or(u64::MAX)
    }

    fn opened_at(&self) -> MutexGuard<'_, Option<Instant>> {
        // A time is never half written, so a panic elsewhere spoils nothing.
        self.opened_at
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Signals {
    /// Asks for a probe at once.
    pub(super) fn want(&self) {
        self.wanted.notify_one();
    }

    /// Waits until a probe is wanted at once.
    pub(super) async fn wanted(&self) {
        self.wanted.notified().await;
    }

    /// Waits until a server is back from an outage.
    pub(super) async fn returned(&self) {
        self.returned.notified().await;
    }
}

const UP: u8 = 0;
const PROBING: u8 = 1;
const AWAY: u8 = 2;

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;
    use tokio::time::advance;

    const MOMENT: Duration = Duration::from_millis(10);

    /// A breaker whose Redis has answered a moment ago.
    async fn up() -> Breaker {
        let breaker = Breaker::new(Signals::default());
        assert!(breaker.probed() && breaker.signals.returned().now_or_never().is_some());
        advance(MOMENT).await;
        breaker
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_away_until_the_first_answer() {
        let breaker = Breaker::new(Signals::default());
        assert_eq!(breaker.standing(), Standing::Away);
        assert!(breaker.trouble().is_some());

        assert!(breaker.probed());

        assert!(breaker.is_up() && breaker.trouble().is_none());
        assert!(!breaker.probed());
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_failure_opens_it_and_asks_for_a_probe() {
        let breaker = up().await;
        assert!(breaker.signals.wanted().now_or_never().is_none());

        assert!(breaker.failed(Instant::now()) && !breaker.failed(Instant::now()));

        assert_eq!(breaker.standing(), Standing::Probing);
        assert_eq!(breaker.trouble().unwrap().failures, 2);
        assert!(breaker.signals.wanted().now_or_never().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn an_answered_probe_closes_it_and_a_failed_one_does_not() {
        let breaker = up().await;
        breaker.failed(Instant::now());
        // A slow moment is no outage: nothing is to be looked into.
        assert!(!breaker.probed() && breaker.is_up());
        assert!(breaker.signals.returned().now_or_never().is_none());

        advance(MOMENT).await;
        breaker.failed(Instant::now());
        assert!(breaker.probe_failed() && !breaker.probe_failed());
        advance(MOMENT).await;
        assert_eq!(breaker.standing(), Standing::Away);
        let trouble = breaker.trouble().unwrap();
        assert_eq!((trouble.failures, trouble.lasting), (3, MOMENT));

        assert!(breaker.probed() && breaker.is_up());
        assert!(breaker.signals.returned().now_or_never().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn what_began_before_the_last_answer_tells_nothing_new() {
        let breaker = up().await;
        let since = Instant::now();
        advance(MOMENT).await;
        assert!(breaker.failed(since));
        breaker.probed();

        assert!(!breaker.failed(since) && breaker.is_up());

        advance(MOMENT).await;
        assert!(breaker.failed(Instant::now()));
    }
}
