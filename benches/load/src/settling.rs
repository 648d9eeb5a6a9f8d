//! Invalidations that Redis did not take at once, until it does.

use std::{
    future::Future,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio::{task::JoinSet, time::timeout};

use crate::{
    keys::Key,
    node::Told,
    truth::{Owed, Truth},
};

/// Waits for pending invalidations and takes down when they are acknowledged. Dropping it stops the waiting.
#[derive(Debug, Default)]
pub(crate) struct Settling(Mutex<JoinSet<bool>>);

impl Settling {
    /// Waits for what `told` leaves pending of the invalidation after `commit`, beside the caller.
    pub(crate) fn follow(&self, told: Told, truth: &Arc<Truth>, owed: Owed, key: Key, commit: u64) {
        let truth = truth.clone();
        self.spawn(async move {
            let taken = told.in_the_end().await;
            if taken {
                truth.acknowledged(owed, key.index, commit, Instant::now());
            }
            taken
        });
    }

    /// Waits up to `within` for all of them; how many are pending still.
    ///
    /// # Cancel safety
    /// Dropping this future stops the waiting for good.
    pub(crate) async fn finish(&self, within: Duration) -> u64 {
        let mut waits = std::mem::take(&mut *self.waits());
        let mut pending = waits.len() as u64;
        let all = async {
            while let Some(wait) = waits.join_next().await {
                pending -= u64::from(matches!(wait, Ok(true)));
            }
        };
        // What is counted so far is the answer, whether it was enough time or not.
        let _ = timeout(within, all).await;
        pending
    }

    fn spawn(&self, wait: impl Future<Output = bool> + Send + 'static) {
        let mut waits = self.waits();
        waits.spawn(wait);
    }

    fn waits(&self) -> std::sync::MutexGuard<'_, JoinSet<bool>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_is_not_taken_in_time_or_never_will_be_is_pending() {
        let settling = Settling::default();
        settling.spawn(async { true });
        settling.spawn(async { false });
        settling.spawn(std::future::pending());

        let pending = settling.finish(Duration::from_secs(5)).await;

        assert_eq!(pending, 2);
        assert_eq!(settling.finish(Duration::from_secs(5)).await, 0);
    }
}
