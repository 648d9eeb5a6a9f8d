//! Redis killed in the middle of a run, and started again with nothing in it.

use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::{arguments::Arguments, failure::Failure, meter::Loads, remote::Remote, run::Fleet};

/// What happened while Redis was away.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outage {
    /// How long it was away.
    pub(crate) lasted: Duration,
    /// How many reads of rows were taken meanwhile.
    pub(crate) reads: u64,
    /// What the store was asked meanwhile.
    pub(crate) loads: Loads,
}

/// Kills Redis in the middle of the run that began at `begun`, and starts it again. `None`: that was not asked for, or
/// the run did not come to its middle.
///
/// # Errors
/// When Redis cannot be killed, or does not come back.
///
/// # Cancel safety
/// Dropping this future leaves Redis killed.
pub(crate) async fn outage(
    arguments: &Arguments,
    remote: &mut Remote,
    fleet: &Fleet,
    begun: Instant,
) -> Result<Option<Outage>, Failure> {
    let Some(lasts) = arguments.kill_redis() else {
        return Ok(None);
    };
    let middle = arguments.time().map(|time| begun + time / 2);
    if !reach(middle, fleet).await {
        return Ok(None);
    }
    let (killed, reads) = (Instant::now(), fleet.issued());
    remote.kill()?;
    fleet.meter.turn_on();
    wait_until(killed + lasts, fleet).await;
    // Before Redis is there again: what a node loads then, it loads for Redis.
    let loads = fleet.meter.turn_off();
    let reads = fleet.issued() - reads;
    remote.revive().await?;
    Ok(Some(Outage {
        lasted: killed.elapsed(),
        reads,
        loads,
    }))
}

/// Waits for the middle of the time or of the reads; false if the run ended before.
async fn reach(middle: Option<Instant>, fleet: &Fleet) -> bool {
    loop {
        if fleet.is_over() || fleet.stop.is_stopped() {
            return false;
        }
        if middle.is_some_and(|middle| Instant::now() >= middle) || fleet.is_half_read() {
            return true;
        }
        sleep(LOOK).await;
    }
}

async fn wait_until(end: Instant, fleet: &Fleet) {
    while Instant::now() < end && !fleet.stop.is_stopped() {
        sleep(LOOK.min(end.saturating_duration_since(Instant::now()))).await;
    }
}

/// How often to look whether it is time.
const LOOK: Duration = Duration::from_millis(5);
