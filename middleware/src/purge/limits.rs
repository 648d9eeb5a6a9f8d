//! What a vendor takes in one call, and how often: data, so that one queue serves all.

use std::time::Duration;

/// What one call may name, and what a vendor can do.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use tricache_middleware::purge::{Limits, Quota};
///
/// let akamai = Limits::new(1000)
///     .bytes(50_000, 3) // in a body, each key between quotes and a comma
///     .longest_key(128)
///     .quota(Quota::keys(5000, Duration::from_millis(120)))
///     .soft();
/// # let _ = akamai;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    keys: usize,
    bytes: usize,
    beside_each: usize,
    longest_key: usize,
    quota: Option<Quota>,
    soft: bool,
    everything: bool,
}

impl Limits {
    /// At most `keys_per_call` keys in a call, and nothing else known. None counts as one.
    #[must_use]
    pub const fn new(keys_per_call: usize) -> Self {
        let keys = if keys_per_call == 0 { 1 } else { keys_per_call };
        Self {
            keys,
            bytes: usize::MAX,
            beside_each: 0,
            longest_key: usize::MAX,
            quota: None,
            soft: false,
            everything: false,
        }
    }

    /// The bytes that the keys of one call may take in its header or body, and how many stand beside each key there.
    ///
    /// A key that is too long for a call of its own is refused, as one that exceeds [`longest_key`](Self::longest_key).
    /// Default: no bound.
    #[must_use]
    pub const fn bytes(mut self, per_call: usize, beside_each: usize) -> Self {
        self.bytes = per_call;
        self.beside_each = beside_each;
        self
    }

    /// The longest key that the vendor stores, in bytes. Default: no bound.
    #[must_use]
    pub const fn longest_key(mut self, bytes: usize) -> Self {
        self.longest_key = bytes;
        self
    }

    /// How often the vendor may be called. Default: no bound.
    #[must_use]
    pub const fn quota(mut self, quota: Quota) -> Self {
        self.quota = Some(quota);
        self
    }

    /// The vendor knows [`Mode::Soft`](crate::purge::Mode::Soft). Default: it does not.
    #[must_use]
    pub const fn soft(mut self) -> Self {
        self.soft = true;
        self
    }

    /// The vendor can purge [everything](crate::purge::Batch::everything) in one call. Default: it cannot.
    #[must_use]
    pub const fn everything(mut self) -> Self {
        self.everything = true;
        self
    }

    pub(crate) const fn knows_soft(&self) -> bool {
        self.soft
    }

    pub(crate) const fn knows_everything(&self) -> bool {
        self.everything
    }

    pub(crate) const fn quota_of_calls(&self) -> Option<Quota> {
        self.quota
    }

    /// Whether the vendor could have stored it, and takes it back.
    pub(crate) fn fits_alone(&self, key: &str) -> bool {
        key.len() <= self.longest_key && key.len() + self.beside_each <= self.bytes
    }

    /// Whether one more key of this length fits beside `keys` keys that take `bytes`.
    pub(crate) fn fits(&self, keys: usize, bytes: usize, key: &str) -> bool {
        keys < self.keys_per_call() && bytes + self.bytes_of(key) <= self.bytes
    }

    pub(crate) const fn bytes_of(&self, key: &str) -> usize {
        key.len() + self.beside_each
    }

    /// Never more than the quota can ever hold: such a call would wait for ever.
    pub(crate) fn keys_per_call(&self) -> usize {
        match self.quota {
            Some(quota) if quota.counts_keys => self.keys.min(quota.burst as usize),
            _ => self.keys,
        }
    }
}

/// A token bucket: so many at once, then one in each period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    burst: u32,
    period: Duration,
    counts_keys: bool,
}

impl Quota {
    /// `burst` calls at once, then one in each `period`. A burst of none counts as one.
    #[must_use]
    pub const fn calls(burst: u32, period: Duration) -> Self {
        Self::new(burst, period, false)
    }

    /// `burst` keys at once, then one in each `period`, whatever calls they come in. A burst of none counts as one.
    #[must_use]
    pub const fn keys(burst: u32, period: Duration) -> Self {
        Self::new(burst, period, true)
    }

    const fn new(burst: u32, period: Duration, counts_keys: bool) -> Self {
        Self {
            burst: if burst == 0 { 1 } else { burst },
            period,
            counts_keys,
        }
    }

    pub(crate) const fn burst(&self) -> u32 {
        self.burst
    }

    pub(crate) const fn period(&self) -> Duration {
        self.period
    }

    /// What a call with so many keys costs; everything costs as one key.
    pub(crate) fn cost(&self, keys: usize) -> u32 {
        if self.counts_keys {
            u32::try_from(keys).unwrap_or(u32::MAX).clamp(1, self.burst)
        } else {
            1
        }
    }
}
