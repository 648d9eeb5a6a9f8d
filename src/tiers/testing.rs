//! Waits without polling, for the tests of services.

use super::Tiers;
use crate::error::Error;
use std::time::Duration;
use tokio::time::timeout;

/// For tests: with the feature `test-util` only.
impl Tiers {
    /// Waits until this node has applied every invalidation that the remote tier knows of, those among them whose pushes
    /// were lost or are held.
    ///
    /// It is a heartbeat that is awaited: whatever the clock was moved by, all feeds are proven afterwards, and what this
    /// process holds is served without asking.
    ///
    /// # Errors
    /// [`is_unavailable`](Error::is_unavailable) if the remote tier does not answer; after a shutdown.
    ///
    /// # Cancel safety
    /// Dropped early, the node may have caught up or not.
    pub async fn until_caught_up(&self) -> Result<(), Error> {
        self.engine.catch_up().await
    }

    /// Waits until no loader of this node runs and its values are stored, those in the background among them, and no write is
    /// under way.
    ///
    /// # Panics
    /// If some still run after 10 s of tokio's time.
    ///
    /// # Cancel safety
    /// Dropping this future has no effect.
    pub async fn until_idle(&self) {
        let tasks = &self.engine.tasks;
        assert!(
            timeout(LONG, tasks.idle()).await.is_ok(),
            "{} loads still run after {LONG:?}",
            tasks.running()
        );
    }
}

/// A load that takes this long hangs.
const LONG: Duration = Duration::from_secs(10);
