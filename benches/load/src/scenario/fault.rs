//! What is broken, and how.

use std::{ops::RangeInclusive, time::Duration};

use fastrand::Rng;
use tokio::time::{Instant, sleep, sleep_until};

use super::{
    plan::{Fault, Plan},
    world::World,
};
use crate::failure::Failure;

/// Breaks what the plan breaks, when it says so, and mends it.
///
/// # Errors
/// When the system refuses, or Redis does not come back.
///
/// # Cancel safety
/// Dropping this future leaves broken what is broken.
pub(super) async fn strike(plan: &Plan, world: &mut World, origin: Instant) -> Result<(), Failure> {
    let mends = origin + plan.mends;
    sleep_until(origin + plan.breaks).await;
    match &plan.fault {
        Fault::Expiry => {}
        Fault::StoreSlow(latency) => {
            world.store.take(*latency);
            sleep_until(mends).await;
            world.store.take(plan.store.usually);
        }
        Fault::StoreDown => {
            world.store.fail(true);
            sleep_until(mends).await;
            world.store.fail(false);
        }
        Fault::RedisSlow(round_trip) => slow_down(plan, world, round_trip, mends).await,
        Fault::RedisFrozen => {
            world.redis.freeze()?;
            sleep_until(mends).await;
            world.redis.thaw()?;
        }
        Fault::RedisBlackHoled => {
            world
                .proxy
                .iter()
                .for_each(tricache_test_support::Proxy::cut);
            sleep_until(mends).await;
            world
                .proxy
                .iter()
                .for_each(tricache_test_support::Proxy::heal);
        }
        Fault::RedisRestart => {
            world.redis.kill()?;
            sleep_until(mends).await;
            world.redis.revive().await?;
        }
        Fault::Invalidations => invalidate(plan, world, mends).await,
    }
    Ok(())
}

/// Every byte travels longer, in each direction half of the round trip.
async fn slow_down(plan: &Plan, world: &World, millis: &RangeInclusive<u64>, until: Instant) {
    let mut random = Rng::with_seed(plan.seed);
    let Some(network) = &world.proxy else {
        return;
    };
    while Instant::now() < until {
        let round_trip = Duration::from_millis(random.u64(millis.clone()));
        network.delay(round_trip / 2);
        sleep_until(until.min(Instant::now() + REDRAWN)).await;
    }
    network.delay(Duration::ZERO);
}

/// Writes and invalidates, each time on another node.
///
/// It never does so in the moment in which the value expires: which of the two a load was begun for, the store could not
/// tell then.
async fn invalidate(plan: &Plan, world: &World, until: Instant) {
    let mut random = Rng::with_seed(plan.seed);
    let mut turn = 0;
    let mut pause = MIDDLE;
    while Instant::now() < until {
        let reader = &world.readers[turn % world.readers.len()];
        let writing = world.store.write();
        reader.invalidate(0).await;
        drop(writing);
        turn += 1;
        pause = match random.u8(..3) {
            0 if pause != EARLY => EARLY,
            1 => LATE,
            _ => MIDDLE,
        };
        sleep(Duration::from_millis(random.u64(pause.clone()))).await;
    }
}

/// Milliseconds from one invalidation to the next: in the middle of the load that it calls for, which takes 60. Never twice in
/// a row, since a node waits for three leaders and then for nobody.
const EARLY: RangeInclusive<u64> = 20..=50;
/// When that load is over, long before the value expires, 600 after the load's beginning.
const MIDDLE: RangeInclusive<u64> = 150..=450;
/// When the value has expired and is loaded again.
const LATE: RangeInclusive<u64> = 800..=1100;
/// How often the delay is drawn anew.
const REDRAWN: Duration = Duration::from_millis(100);
