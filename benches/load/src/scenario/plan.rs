//! What one scenario does: who calls, what breaks and when, and the settings of the caches.

use std::{ops::RangeInclusive, time::Duration};

use tricache::Policy;

use super::{choice::Scenario, verdict::Bounds};

/// One scenario with all its numbers.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) scenario: Scenario,
    /// How long one pass takes, without its warm-up.
    pub(super) lasts: Duration,
    /// When it breaks and when it is mended again, since the beginning of the pass.
    pub(super) breaks: Duration,
    pub(super) mends: Duration,
    pub(super) fault: Fault,
    pub(super) nodes: usize,
    pub(super) keys: u32,
    pub(super) callers: usize,
    /// The pace of each caller.
    pub(super) every: Duration,
    pub(super) store: Store,
    pub(super) ttl: Duration,
    pub(super) policy: Policy,
    /// The policy's hard timeout.
    pub(super) deadline: Duration,
    /// How many loads each node may run at once.
    pub(super) limit: usize,
    /// What is left out of an unprotected run.
    pub(super) without: LeftOut,
    pub(super) seed: u64,
    pub(super) is_protected: bool,
    /// Whether reads leave a Redis alone that is slower than the store.
    pub(super) skips_slow: bool,
}

/// How long the store takes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Store {
    pub(super) while_warming: Duration,
    pub(super) usually: Duration,
}

/// What breaks.
#[derive(Clone, Debug)]
pub(super) enum Fault {
    /// Nothing but time passes.
    Expiry,
    /// A load takes this long.
    StoreSlow(Duration),
    StoreDown,
    /// A round trip takes so many milliseconds, drawn anew ten times a second.
    RedisSlow(RangeInclusive<u64>),
    RedisFrozen,
    RedisBlackHoled,
    RedisRestart,
    /// The only key is written and invalidated all the time.
    Invalidations,
}

/// The protection that an unprotected run does without.
#[derive(Clone, Debug)]
pub(super) enum LeftOut {
    /// The limit on loads.
    Limit,
    /// What the policy has: this one is used instead.
    Policy(Policy),
    /// The limit of a call to Redis and the deadline.
    Timeouts(Policy),
    /// The Redis that nodes share: each is alone.
    Sharing,
}

impl Plan {
    /// What the pass with tricache has to keep.
    pub(super) fn bounds(&self) -> Bounds {
        Bounds {
            deadline: self.deadline,
            loads: self.limit * self.nodes,
        }
    }

    /// Whether the nodes reach Redis through a network that can be broken.
    pub(super) fn needs_proxy(&self) -> bool {
        matches!(self.fault, Fault::RedisSlow(_) | Fault::RedisBlackHoled)
    }

    /// Whether there is a moment before which all was well, and one after which it is to be so again.
    pub(super) fn mends_at_all(&self) -> bool {
        !matches!(self.fault, Fault::Invalidations)
    }

    /// Whether something is broken for a while, rather than for a moment or all the time.
    pub(super) fn lasts_a_while(&self) -> bool {
        !matches!(self.fault, Fault::Expiry | Fault::Invalidations)
    }

    /// The policy of the nodes' caches.
    pub(super) fn policy(&self) -> Policy {
        match &self.without {
            LeftOut::Policy(policy) | LeftOut::Timeouts(policy) if !self.is_protected => *policy,
            _ => self.policy,
        }
    }

    /// How long a call to Redis may take, if that is not the default.
    pub(super) fn remote_timeout(&self) -> Option<Duration> {
        let left_out = matches!(self.without, LeftOut::Timeouts(_)) && !self.is_protected;
        left_out.then_some(LONG)
    }

    /// The limit that each node is given; `None`: that of tricache, which no scenario reaches.
    pub(super) fn limit(&self) -> Option<usize> {
        let left_out = matches!(self.without, LeftOut::Limit) && !self.is_protected;
        (!left_out).then_some(self.limit)
    }

    /// Whether all nodes share one Redis.
    pub(super) fn is_shared(&self) -> bool {
        self.is_protected || !matches!(self.without, LeftOut::Sharing)
    }
}

/// Longer than any deadline here.
const LONG: Duration = Duration::from_secs(20);
