//! The settings of each scenario, as `docs/scenarios.md` lists them.
//!
//! A pass that is shorter or longer than usual stretches what is about its own time: when it breaks and mends, TTLs and
//! windows. What is about a caller or the store stays: deadlines, timeouts, latencies, limits, the pace.

use std::time::Duration;

use tricache::Policy;

use super::{
    choice::Scenario,
    plan::{Fault, LeftOut, Plan, Store},
};

/// The plan of a scenario whose pass takes `lasts`, or as long as usual.
pub(super) fn of(scenario: Scenario, lasts: Option<Duration>) -> Plan {
    let usual = match scenario {
        Scenario::RedisFrozen | Scenario::RedisBlackHoled => 45,
        Scenario::ExpiryStorm | Scenario::HotKey => 15,
        _ => 20,
    };
    let lasts = lasts.unwrap_or(Duration::from_secs(usual));
    let stretch = Stretch(lasts.as_secs_f64() / usual as f64);
    match scenario {
        Scenario::ExpiryStorm | Scenario::All => expiry_storm(stretch, lasts),
        Scenario::StoreSlow => store_slow(stretch, lasts),
        Scenario::StoreDown => store_down(stretch, lasts),
        Scenario::RedisSlow => redis_slow(stretch, lasts),
        Scenario::RedisFrozen => redis_gone(scenario, Fault::RedisFrozen, stretch, lasts),
        Scenario::RedisBlackHoled => redis_gone(scenario, Fault::RedisBlackHoled, stretch, lasts),
        Scenario::RedisRestart => redis_restart(stretch, lasts),
        Scenario::HotKey => hot_key(lasts),
    }
}

fn expiry_storm(stretch: Stretch, lasts: Duration) -> Plan {
    let ttl = stretch.millis(4000);
    // No jitter: everything that was loaded together ends together.
    let policy = common(ttl).jitter(0.0).stale_while_revalidate(ttl);
    Plan {
        // The first keys were loaded a little before the pass begins.
        breaks: ttl.mul_f64(0.9),
        mends: ttl,
        store: Store {
            while_warming: Duration::from_millis(1),
            usually: Duration::from_millis(100),
        },
        without: LeftOut::Limit,
        ..plan(Scenario::ExpiryStorm, Fault::Expiry, ttl, policy, lasts)
    }
}

fn store_slow(stretch: Stretch, lasts: Duration) -> Plan {
    let ttl = stretch.millis(2000);
    let policy = common(ttl)
        .stale_while_revalidate(stretch.millis(1000))
        .stale_if_error(MINUTE)
        .soft_timeout(Duration::from_millis(50));
    let slow = stretch.millis(3000).max(Duration::from_millis(600));
    let fault = Fault::StoreSlow(slow);
    Plan {
        breaks: stretch.millis(5000),
        mends: stretch.millis(13_000),
        without: LeftOut::Policy(common(ttl)),
        ..plan(Scenario::StoreSlow, fault, ttl, policy, lasts)
    }
}

fn store_down(stretch: Stretch, lasts: Duration) -> Plan {
    let ttl = stretch.millis(2000);
    let policy = common(ttl).stale_if_error(MINUTE);
    Plan {
        breaks: stretch.millis(5000),
        mends: stretch.millis(13_000),
        without: LeftOut::Policy(common(ttl)),
        ..plan(Scenario::StoreDown, Fault::StoreDown, ttl, policy, lasts)
    }
}

fn redis_slow(stretch: Stretch, lasts: Duration) -> Plan {
    let ttl = stretch.millis(5000);
    let unlimited = common(ttl)
        .local_ttl(stretch.millis(1000))
        .hard_timeout(Duration::from_secs(30));
    let policy = unlimited
        .hard_timeout(DEADLINE)
        .stale_if_error(MINUTE)
        .soft_timeout(Duration::from_millis(100));
    let fault = Fault::RedisSlow(20..=200);
    Plan {
        keys: 100,
        breaks: stretch.millis(5000),
        mends: stretch.millis(13_000),
        store: steady(20),
        without: LeftOut::Timeouts(unlimited),
        ..plan(Scenario::RedisSlow, fault, ttl, policy, lasts)
    }
}

fn redis_gone(scenario: Scenario, fault: Fault, stretch: Stretch, lasts: Duration) -> Plan {
    let ttl = stretch.millis(5000);
    let unlimited = common(ttl)
        .local_ttl(stretch.millis(1000))
        .hard_timeout(Duration::from_secs(30));
    let policy = unlimited.hard_timeout(DEADLINE).stale_if_error(MINUTE);
    Plan {
        keys: 100,
        breaks: stretch.millis(5000),
        mends: stretch.millis(35_000),
        store: steady(20),
        without: LeftOut::Timeouts(unlimited),
        ..plan(scenario, fault, ttl, policy, lasts)
    }
}

fn redis_restart(stretch: Stretch, lasts: Duration) -> Plan {
    let ttl = MINUTE;
    let policy = common(ttl).local_ttl(stretch.millis(2000));
    Plan {
        breaks: stretch.millis(5000),
        mends: stretch.millis(8000),
        store: steady(20),
        without: LeftOut::Limit,
        ..plan(
            Scenario::RedisRestart,
            Fault::RedisRestart,
            ttl,
            policy,
            lasts,
        )
    }
}

fn hot_key(lasts: Duration) -> Plan {
    let ttl = Duration::from_millis(600);
    // Neither jitter nor an early refresh: it expires when `fault.rs` thinks that it does.
    let policy = common(ttl)
        .jitter(0.0)
        .early_refresh(0.0)
        .stale_while_revalidate(ttl);
    Plan {
        nodes: 8,
        keys: 1,
        breaks: Duration::ZERO,
        mends: lasts,
        store: steady(60),
        limit: 1,
        without: LeftOut::Sharing,
        ..plan(Scenario::HotKey, Fault::Invalidations, ttl, policy, lasts)
    }
}

fn common(ttl: Duration) -> Policy {
    Policy::ttl(ttl).hard_timeout(DEADLINE)
}

fn plan(scenario: Scenario, fault: Fault, ttl: Duration, policy: Policy, lasts: Duration) -> Plan {
    Plan {
        scenario,
        lasts,
        breaks: Duration::ZERO,
        mends: Duration::ZERO,
        fault,
        nodes: 4,
        keys: 200,
        callers: 200,
        every: Duration::from_millis(50),
        store: steady(5),
        ttl,
        policy,
        deadline: DEADLINE,
        limit: 8,
        without: LeftOut::Limit,
        seed: 1,
        is_protected: true,
        skips_slow: false,
    }
}

fn steady(millis: u64) -> Store {
    let latency = Duration::from_millis(millis);
    Store {
        while_warming: latency,
        usually: latency,
    }
}

/// How much longer than usual a pass is.
#[derive(Clone, Copy)]
struct Stretch(f64);

impl Stretch {
    fn millis(self, usual: u64) -> Duration {
        let millis = usual as f64 * self.0;
        // Nothing shorter than a millisecond is accepted as a TTL.
        Duration::from_millis((millis as u64).max(1))
    }
}

const DEADLINE: Duration = Duration::from_millis(250);
const MINUTE: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;
    use clap::ValueEnum;

    #[test]
    fn everything_breaks_and_mends_within_the_pass_however_long_it_is() {
        for scenario in Scenario::value_variants() {
            for seconds in [2, 20, 3600] {
                let lasts = Duration::from_secs(seconds);
                let plan = of(*scenario, Some(lasts));

                assert_eq!(plan.lasts, lasts);
                assert!(plan.breaks <= plan.mends && plan.mends <= lasts, "{plan:?}");
            }
        }
    }

    #[test]
    fn a_shorter_pass_stretches_its_times_and_leaves_those_of_a_caller() {
        let usual = of(Scenario::StoreSlow, None);
        let short = of(Scenario::StoreSlow, Some(usual.lasts / 2));

        assert_eq!((short.ttl, short.mends), (usual.ttl / 2, usual.mends / 2));
        assert_eq!(
            (short.deadline, short.every, short.store.usually),
            (usual.deadline, usual.every, usual.store.usually)
        );
    }
}
