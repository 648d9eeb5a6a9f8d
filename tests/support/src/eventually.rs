//! Awaiting a condition that no event announces.

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// How long [`eventually`] waits: 10 seconds, so that a loaded machine does not fail a correct test.
pub const LIMIT: Duration = Duration::from_secs(10);

/// Waits until `condition` holds, at most [`LIMIT`].
///
/// Use it only where nothing can be awaited directly. Time is tokio's: in a test with paused time the
/// limit passes at once when nothing else is left to do.
///
/// # Examples
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let mut looks = 0;
/// tricache_test_support::eventually("the third look", async || {
///     looks += 1;
///     looks == 3
/// })
/// .await;
/// # }
/// ```
///
/// # Panics
/// With `label` when the limit has passed.
#[track_caller]
pub fn eventually(label: &str, condition: impl AsyncFnMut() -> bool) -> impl Future<Output = ()> {
    eventually_within(LIMIT, label, condition)
}

/// Waits until `condition` holds, at most `limit`.
///
/// # Panics
/// With `label` when the limit has passed.
#[track_caller]
pub fn eventually_within(
    limit: Duration,
    label: &str,
    mut condition: impl AsyncFnMut() -> bool,
) -> impl Future<Output = ()> {
    let caller = std::panic::Location::caller();
    async move {
        let start = Instant::now();
        while !condition().await {
            let waited = start.elapsed();
            assert!(waited < limit, "{caller}: not within {limit:?}: {label}");
            sleep(POLL).await;
        }
    }
}

/// Short enough to cost a test nothing, long enough to leave the processor to the others.
const POLL: Duration = Duration::from_millis(2);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn returns_as_soon_as_the_condition_holds() {
        let start = Instant::now();

        eventually("one second passed", async || {
            start.elapsed() >= Duration::from_secs(1)
        })
        .await;

        assert!(start.elapsed() < Duration::from_millis(1_010));
    }

    #[tokio::test(start_paused = true)]
    #[should_panic(expected = "not within 3s: the moon is blue")]
    async fn panics_with_the_label_when_the_limit_has_passed() {
        eventually_within(Duration::from_secs(3), "the moon is blue", async || false).await;
    }
}
