//! How long a value lives, and how it may be served. There is no cache without a TTL.

use super::{
    Visibility,
    clock::millis,
    level::{Level, WhenDeaf},
};
use crate::error::Error;
use std::time::Duration;

/// How long values of a cache live, and how.
///
/// ```
/// use std::time::Duration;
/// use tricache::Policy;
///
/// let policy = Policy::ttl(Duration::from_secs(600)).local_ttl(Duration::from_secs(10));
/// ```
///
/// Settings are checked when the cache is built.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Policy {
    pub(crate) ttl: Duration,
    absent_ttl: Option<Duration>,
    pub(crate) visibility: Visibility,
    local_ttl: Option<Duration>,
    jitter: f64,
    pub(crate) stale_while_revalidate: Duration,
    pub(crate) stale_if_error: Duration,
    retry_after: Duration,
    early_refresh: f64,
    soft_timeout: Option<Duration>,
    pub(crate) hard_timeout: Duration,
    load_timeout: Option<Duration>,
    pub(crate) max_loads: Option<usize>,
    pub(crate) max_queued_loads: Option<usize>,
    pub(crate) local_capacity: u64,
    pub(crate) level: Level,
    pub(crate) when_deaf: WhenDeaf,
}

impl Policy {
    /// Values live at most `ttl`, counted from the start of their load, in every tier together: one millisecond to ten years.
    #[must_use]
    pub const fn ttl(ttl: Duration) -> Self {
        Self {
            ttl,
            absent_ttl: None,
            visibility: Visibility::Public,
            local_ttl: None,
            jitter: 0.1,
            stale_while_revalidate: Duration::ZERO,
            stale_if_error: Duration::ZERO,
            retry_after: Duration::from_secs(1),
            early_refresh: 1.0,
            soft_timeout: None,
            hard_timeout: DEFAULT_HARD_TIMEOUT,
            load_timeout: None,
            max_loads: None,
            max_queued_loads: None,
            local_capacity: 64 << 20,
            level: Level::Eventual,
            when_deaf: WhenDeaf::Ask,
        }
    }

    /// How long a value is served from this process before Redis is asked whether its version still holds; only the
    /// version travels, not the value. Also the longest that a node cut off from Redis serves it.
    ///
    /// Default: 30 s, or the TTL if that is shorter.
    #[must_use]
    pub const fn local_ttl(mut self, ttl: Duration) -> Self {
        self.local_ttl = Some(ttl);
        self
    }

    /// How long it is remembered that the loader found no such value; zero: not at all.
    ///
    /// Invalidate the key when the thing is created, and nobody waits that long.
    ///
    /// Default: 10 s, or the TTL if that is shorter.
    #[must_use]
    pub const fn absent_ttl(mut self, ttl: Duration) -> Self {
        self.absent_ttl = Some(ttl);
        self
    }

    /// Who may see the values of this cache; a loader may be stricter for a single one.
    ///
    /// Default: [`Visibility::Public`].
    #[must_use]
    pub const fn visibility(mut self, visibility: Visibility) -> Self {
        self.visibility = visibility;
        self
    }

    /// The part of its TTL that a value may lose at random, so that values loaded together do not expire together. It only
    /// shortens: 0 to 0.5.
    ///
    /// Default: 0.1.
    #[must_use]
    pub const fn jitter(mut self, fraction: f64) -> Self {
        self.jitter = fraction;
        self
    }

    /// How long past its TTL a value is served at once while one load of the fleet replaces it (RFC 5861, section 3).
    ///
    /// Absences have no such window: what was created is found. Default: zero.
    #[must_use]
    pub const fn stale_while_revalidate(mut self, window: Duration) -> Self {
        self.stale_while_revalidate = window;
        self
    }

    /// How long past its TTL a value stands in for a loader that fails (RFC 5861, section 4).
    ///
    /// Absences have no such window. Default: zero.
    #[must_use]
    pub const fn stale_if_error(mut self, window: Duration) -> Self {
        self.stale_if_error = window;
        self
    }

    /// How long the store is left alone after a value has stood in for a failing loader: reads get that value at once. Also the
    /// pause after a background load that failed.
    ///
    /// Default: 1 s.
    #[must_use]
    pub const fn retry_after(mut self, pause: Duration) -> Self {
        self.retry_after = pause;
        self
    }

    /// How early a value that is read often is loaded again before its TTL is over, as a multiple of what its load took;
    /// each read draws at random whether it is the one (XFetch: Vattani, Chierichetti, Lowenstein, "Optimal
    /// probabilistic cache stampede prevention", 2015). The read is answered at once with the value that is there. Zero: never.
    ///
    /// Default: 1.
    #[must_use]
    pub const fn early_refresh(mut self, times: f64) -> Self {
        self.early_refresh = times;
        self
    }

    /// How long a call waits before a value past its TTL, inside [`stale_if_error`](Self::stale_if_error), is its answer.
    /// The load goes on and fills. Where there is no such value the call waits on.
    ///
    /// One millisecond up to the [`hard_timeout`](Self::hard_timeout). Default: none, a call waits until the hard timeout.
    #[must_use]
    pub const fn soft_timeout(mut self, limit: Duration) -> Self {
        self.soft_timeout = Some(limit);
        self
    }

    /// The deadline of a call, over everything that it may wait for: Redis, another's load, a place in the queue, its own
    /// load. It ends with a value past its TTL, inside [`stale_if_error`](Self::stale_if_error), or an error with
    /// [`is_timeout`](crate::Error::is_timeout). The load goes on and fills, as long as
    /// [`load_timeout`](Self::load_timeout) lets it.
    ///
    /// One millisecond to ten years. Default: 30 s.
    #[must_use]
    pub const fn hard_timeout(mut self, limit: Duration) -> Self {
        self.hard_timeout = limit;
        self
    }

    /// How long a loader may run, whoever waits for it: then its future is dropped, all that wait for it get an error with
    /// [`is_timeout`](crate::Error::is_timeout) or a stale value, and the next read begins another load. As short as
    /// the [`hard_timeout`](Self::hard_timeout), a late load is stopped instead of going on.
    ///
    /// One millisecond to ten years. Default: 60 s, or the hard timeout if that is longer.
    #[must_use]
    pub const fn load_timeout(mut self, limit: Duration) -> Self {
        self.load_timeout = Some(limit);
        self
    }

    /// How many loads of this cache may run at once in this process, those in the background among them; a batch's loader counts
    /// as one. Further ones queue in turn, until their call's [`hard_timeout`](Self::hard_timeout).
    ///
    /// A load that another load's loader asks for runs within the place of that one, so that loads never wait for each other's
    /// places. At least 1. Default: none, only that of
    /// [`TiersBuilder::max_loads`](crate::TiersBuilder::max_loads).
    #[must_use]
    pub const fn max_loads(mut self, loads: usize) -> Self {
        self.max_loads = Some(loads);
        self
    }

    /// How many loads of this cache may queue. What comes beyond is not loaded: its calls end at once, with a value past
    /// its TTL, inside [`stale_if_error`](Self::stale_if_error), or an error with
    /// [`is_overloaded`](crate::Error::is_overloaded). Zero: nothing queues.
    ///
    /// Needs [`max_loads`](Self::max_loads). Default: a hundred times that.
    #[must_use]
    pub const fn max_queued_loads(mut self, loads: usize) -> Self {
        self.max_queued_loads = Some(loads);
        self
    }

    /// How many bytes this cache may hold in this process, counted as encoded values, keys and overhead.
    ///
    /// Default: 64 MiB.
    #[must_use]
    pub const fn local_capacity(mut self, bytes: u64) -> Self {
        self.local_capacity = bytes;
        self
    }

    /// What a read may return. Default: [`Level::Eventual`].
    #[must_use]
    pub const fn level(mut self, level: Level) -> Self {
        self.level = level;
        self
    }

    /// What becomes of a value of this process while its feed is not proven to be live; for [`Level::Bounded`] only.
    /// Default: [`WhenDeaf::Ask`].
    #[must_use]
    pub const fn when_deaf(mut self, choice: WhenDeaf) -> Self {
        self.when_deaf = choice;
        self
    }

    /// The same policy, or the setting that is wrong.
    pub(crate) fn checked(self) -> Result<Self, Error> {
        self.level.check(self.when_deaf)?;
        check("ttl", self.ttl, SHORTEST)?;
        check("absent_ttl", self.absent_ttl_or_default(), Duration::ZERO)?;
        check("local_ttl", self.local_ttl_or_default(), SHORTEST)?;
        check(
            "stale_while_revalidate",
            self.stale_while_revalidate,
            Duration::ZERO,
        )?;
        check("stale_if_error", self.stale_if_error, Duration::ZERO)?;
        check("retry_after", self.retry_after, Duration::ZERO)?;
        check("hard_timeout", self.hard_timeout, SHORTEST)?;
        check("load_timeout", self.load_timeout_or_default(), SHORTEST)?;
        if let Some(soft) = self.soft_timeout {
            check("soft_timeout", soft, SHORTEST)?;
            if soft > self.hard_timeout {
                return Err(Error::config(format!(
                    "the policy's soft_timeout of {soft:?} is refused: it is beyond the hard_timeout of {:?}",
                    self.hard_timeout
                )));
            }
        }
        if self.max_loads == Some(0) {
            return Err(Error::config(
                "the policy's max_loads is zero: nothing could be loaded",
            ));
        }
        if self.max_queued_loads.is_some() && self.max_loads.is_none() {
            return Err(Error::config(
                "the policy's max_queued_loads is refused: it needs a max_loads",
            ));
        }
        if !(0.0..=100.0).contains(&self.early_refresh) {
            return Err(Error::config(format!(
                "the policy's early_refresh of {} is refused: it must be 0 to 100",
                self.early_refresh
            )));
        }
        if !(0.0..=0.5).contains(&self.jitter) {
            return Err(Error::config(format!(
                "the policy's jitter of {} is refused: it must be 0 to 0.5",
                self.jitter
            )));
        }
        if self.local_capacity == 0 {
            return Err(Error::config(
                "the policy's local_capacity is zero bytes: nothing could be held",
            ));
        }
        Ok(self)
    }

    /// The TTL in milliseconds, shortened at random.
    pub(crate) fn jittered_ttl(&self) -> u64 {
        self.shortened(millis(self.ttl))
    }

    /// How long an absence is remembered, in milliseconds and shortened at random; `None`: not at all.
    pub(crate) fn jittered_absent_ttl(&self) -> Option<u64> {
        match millis(self.absent_ttl_or_default()) {
            0 => None,
            ttl => Some(self.shortened(ttl)),
        }
    }

    /// The local TTL in milliseconds, shortened at random.
    pub(crate) fn jittered_local_ttl(&self) -> u64 {
        self.shortened(self.local_ttl_millis())
    }

    /// The local TTL in milliseconds.
    pub(crate) fn local_ttl_millis(&self) -> u64 {
        millis(self.local_ttl_or_default())
    }

    /// How long a pointer must outlive the start of a fill, in milliseconds: longer than anything it speaks for.
    pub(crate) fn pointer_ttl(&self) -> u64 {
        millis(self.ttl) + self.stale_for() + POINTER_SLACK
    }

    /// How long past its TTL a value is kept at all, in milliseconds.
    pub(crate) fn stale_for(&self) -> u64 {
        self.revalidate_for().max(millis(self.stale_if_error))
    }

    /// How long past its TTL a value is served while it is loaded again, in milliseconds.
    pub(crate) fn revalidate_for(&self) -> u64 {
        millis(self.stale_while_revalidate)
    }

    /// How long the store is left alone after it has failed, in milliseconds.
    pub(crate) fn retry_after_millis(&self) -> u64 {
        millis(self.retry_after)
    }

    /// The longest that a load of this many microseconds may begin before the end of a life, in milliseconds.
    pub(crate) fn earliest_refresh(&self, load_micros: u32) -> u64 {
        self.early(load_micros, LONGEST_DRAW)
    }

    /// How long before the end of a life this read would load again, in milliseconds; drawn anew for each read.
    pub(crate) fn drawn_refresh(&self, load_micros: u32) -> u64 {
        self.early(load_micros, -(1.0 - fastrand::f64()).ln())
    }

    fn early(&self, load_micros: u32, draw: f64) -> u64 {
        let millis = f64::from(load_micros) / 1000.0 * self.early_refresh * draw.min(LONGEST_DRAW);
        millis as u64
    }

    /// How long a call waits before a stale value is its answer; `None`: until its deadline, or there can be no such value.
    pub(crate) fn patience(&self) -> Option<Duration> {
        self.soft_timeout.filter(|_| !self.stale_if_error.is_zero())
    }

    pub(crate) fn load_timeout_or_default(&self) -> Duration {
        let default = DEFAULT_LOAD_TIMEOUT.max(self.hard_timeout);
        self.load_timeout.unwrap_or(default)
    }

    fn absent_ttl_or_default(&self) -> Duration {
        self.absent_ttl.unwrap_or(DEFAULT_ABSENT_TTL).min(self.ttl)
    }

    fn local_ttl_or_default(&self) -> Duration {
        self.local_ttl.unwrap_or(DEFAULT_LOCAL_TTL).min(self.ttl)
    }

    fn shortened(&self, ttl: u64) -> u64 {
        let lost = ttl as f64 * self.jitter * fastrand::f64();
        ttl.saturating_sub(lost as u64).max(1)
    }
}

fn check(setting: &str, value: Duration, shortest: Duration) -> Result<(), Error> {
    if value < shortest || value > LONGEST {
        return Err(Error::config(format!(
            "the policy's {setting} of {value:?} is refused: it must be {shortest:?} to {} days",
            LONGEST.as_secs() / 86_400
        )));
    }
    Ok(())
}

const SHORTEST: Duration = Duration::from_millis(1);
const LONGEST: Duration = Duration::from_secs(3650 * 86_400);
const DEFAULT_LOCAL_TTL: Duration = Duration::from_secs(30);
const DEFAULT_ABSENT_TTL: Duration = Duration::from_secs(10);
const DEFAULT_HARD_TIMEOUT: Duration = Duration::from_secs(30);
const DEFAULT_LOAD_TIMEOUT: Duration = Duration::from_secs(60);
const POINTER_SLACK: u64 = 60_000;
/// One read in about 22,000 would draw a longer time.
const LONGEST_DRAW: f64 = 10.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_and_absurd_durations_are_refused_by_name() {
        let hour = Duration::from_secs(3600);
        let cases = [
            ("ttl", Policy::ttl(Duration::ZERO)),
            ("ttl", Policy::ttl(Duration::from_nanos(1))),
            ("ttl", Policy::ttl(Duration::MAX)),
            ("local_ttl", Policy::ttl(hour).local_ttl(Duration::ZERO)),
            (
                "stale_while_revalidate",
                Policy::ttl(hour).stale_while_revalidate(Duration::MAX),
            ),
            (
                "stale_if_error",
                Policy::ttl(hour).stale_if_error(Duration::MAX),
            ),
            ("jitter", Policy::ttl(hour).jitter(0.6)),
            ("jitter", Policy::ttl(hour).jitter(f64::NAN)),
            ("local_capacity", Policy::ttl(hour).local_capacity(0)),
            ("max_loads", Policy::ttl(hour).max_loads(0)),
            ("max_queued_loads", Policy::ttl(hour).max_queued_loads(9)),
            (
                "hard_timeout",
                Policy::ttl(hour).hard_timeout(Duration::ZERO),
            ),
            ("soft_timeout", Policy::ttl(hour).soft_timeout(hour)),
            (
                "soft_timeout",
                Policy::ttl(hour).soft_timeout(Duration::ZERO),
            ),
            (
                "load_timeout",
                Policy::ttl(hour).load_timeout(Duration::MAX),
            ),
        ];
        for (setting, policy) in cases {
            let error = policy.checked().unwrap_err();
            assert!(
                error.is_config() && error.to_string().contains(setting),
                "{setting}: {error}"
            );
        }
    }

    #[test]
    fn jitter_only_shortens() {
        let policy = Policy::ttl(Duration::from_secs(100)).jitter(0.5);

        let drawn: Vec<_> = (0..1000).map(|_| policy.jittered_ttl()).collect();

        assert!(drawn.iter().all(|ttl| (50_000..=100_000).contains(ttl)));
        assert!(drawn.iter().any(|ttl| *ttl < 99_000));
    }

    #[test]
    fn an_absence_is_remembered_for_a_shorter_time_or_not_at_all() {
        let policy = |ttl| Policy::ttl(Duration::from_secs(ttl)).jitter(0.0);

        assert_eq!(policy(600).jittered_absent_ttl(), Some(10_000));
        assert_eq!(policy(5).jittered_absent_ttl(), Some(5_000));
        let never = policy(600).absent_ttl(Duration::ZERO);
        assert_eq!(never.checked().unwrap().jittered_absent_ttl(), None);
    }

    #[test]
    fn the_local_ttl_never_exceeds_the_ttl() {
        let policy = Policy::ttl(Duration::from_secs(5))
            .local_ttl(Duration::from_secs(60))
            .jitter(0.0);

        assert_eq!(policy.jittered_local_ttl(), 5000);
    }

    #[test]
    fn a_load_may_run_as_long_as_a_call_may_wait_for_it() {
        let policy = Policy::ttl(Duration::from_secs(10));
        let minutes = Duration::from_secs(300);

        assert_eq!(policy.load_timeout_or_default(), Duration::from_secs(60));
        let patient = policy.hard_timeout(minutes);
        assert_eq!(patient.load_timeout_or_default(), minutes);
        let strict = patient.load_timeout(Duration::from_secs(1));
        assert_eq!(strict.load_timeout_or_default(), Duration::from_secs(1));
    }

    #[test]
    fn a_pointer_outlives_whatever_it_speaks_for() {
        let policy = Policy::ttl(Duration::from_secs(10)).stale_if_error(Duration::from_secs(100));

        assert_eq!(policy.pointer_ttl(), 170_000);
    }
}
