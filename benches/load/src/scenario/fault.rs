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

/// Writes and invalidates by turns on every node: mostly when the load of the time before is over, sometimes in its
/// middle.
async fn invalidate(plan: &Plan, world: &World, until: Instant) {
    let mut random = Rng::with_seed(plan.seed);
    let mut turn = 0;
    while Instant::now() < until {
        let reader = &world.readers[turn % world.readers.len()];
        let writing = world.store.write();
        reader.invalidate(0).await;
        drop(writing);
        turn += 1;
        sleep(Duration::from_millis(random.u64(PAUSE))).await;
    }
}

/// How often the delay is drawn anew.
const REDRAWN: Duration = Duration::from_millis(100);
/// Between two invalidations, in milliseconds: around a load that takes 60.
const PAUSE: RangeInclusive<u64> = 20..=600;
