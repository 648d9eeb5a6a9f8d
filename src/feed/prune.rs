//! Forgetting bumped tags that can refuse nothing any more, so that no table grows without bound.

use crate::{
    model::{Clock, ServerTime, millis},
    observe::{Decision, Observer},
    remote::Remote,
    tags::TagTable,
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::time::sleep;

/// The task's parts.
pub(crate) struct Pruner {
    pub(crate) remote: Arc<Remote>,
    pub(crate) tags: Arc<TagTable>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) server_time: Arc<ServerTime>,
    pub(crate) tag_bucket: u16,
    pub(crate) observer: Arc<Observer>,
    /// The longest life of a value of this node, in ms.
    pub(crate) longest: Arc<AtomicU64>,
    pub(crate) every: Duration,
}

impl Pruner {
    /// Prunes now and then, as long as the `Tiers` runs.
    pub(crate) async fn run(self) {
        loop {
            sleep(self.every).await;
            let longest = self.longest.load(Ordering::Relaxed);
            if longest > 0 {
                self.prune(longest).await;
            } else {
                // Without a cache there is nothing that this node's table could judge.
                self.tags.prune(u64::MAX);
            }
        }
    }

    async fn prune(&self, longest: u64) {
        if let Some(now) = self
            .server_time
            .to_server(self.tag_bucket, millis(self.clock.now()))
        {
            // Positions are Redis time in microseconds, or later.
            self.tags
                .prune(now.saturating_sub(longest).saturating_mul(1000));
        }
        if let Err(error) = self
            .remote
            .prune_tags(longest, millis(self.every) / 2)
            .await
        {
            self.observer.note(Decision::RemoteError);
            tracing::debug!(%error, "old tags could not be pruned");
        }
    }
}
