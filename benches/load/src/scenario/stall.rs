//! How late the tool itself is: on a machine that is too busy, callers are late for the machine's sake.

use std::{convert::Infallible, time::Duration};

use tokio::time::{Instant, sleep_until};

use super::timeline::Timeline;

/// Sleeps a millisecond again and again, and notes how much later than wanted it wakes. Never ends.
///
/// # Cancel safety
/// Dropping this future ends the watch.
pub(super) async fn watch(timeline: &Timeline) -> Infallible {
    loop {
        let wanted = Instant::now() + STEP;
        sleep_until(wanted).await;
        timeline.stalled(wanted, wanted.elapsed());
    }
}

const STEP: Duration = Duration::from_millis(1);
