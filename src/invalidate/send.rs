//! The fixed order of one invalidation, and the sending of those that wait.

use super::Journal;
use crate::{
    error::Error,
    local::Touch,
    model::{Address, Generation, Stamp, Version},
    observe::{Decision, Observer},
    remote::Remote,
};
use futures_util::{StreamExt, stream};
use std::{sync::Arc, time::Duration};
use tokio::time::sleep;

/// What an invalidation needs.
#[derive(Clone)]
pub(crate) struct Sender {
    pub(crate) remote: Arc<Remote>,
    pub(crate) journal: Arc<Journal>,
    pub(crate) observer: Arc<Observer>,
}

impl Sender {
    /// Invalidates one entity: the bump, then `touch` for this process. `None`: it is pending.
    ///
    /// # Errors
    /// Only if the journal is full.
    pub(crate) async fn invalidate(
        &self,
        at: &Address,
        pointer_ttl: u64,
        touch: impl Fn(&Address, Touch),
    ) -> Result<Option<Stamp>, Error> {
        if self.journal.holds(at.id) {
            // An earlier one waits: this one must not overtake it and look acknowledged while that one is not.
            self.postpone(at, pointer_ttl, touch)?;
            return Ok(None);
        }
        match self.remote.bump(at, pointer_ttl).await {
            Ok(stamp) => {
                self.observer.note(Decision::Bump);
                touch(
                    at,
                    Touch::Bumped(Generation {
                        epoch: stamp.epoch,
                        version: Version(stamp.n),
                    }),
                );
                Ok(Some(stamp))
            }
            Err(error) => {
                self.observer.note(Decision::RemoteError);
                tracing::debug!(%error, "redis did not take an invalidation");
                self.postpone(at, pointer_ttl, touch)?;
                Ok(None)
            }
        }
    }

    /// The journal first: once the local entry is gone, readers go to Redis unless the entity stands there.
    fn postpone(
        &self,
        at: &Address,
        pointer_ttl: u64,
        touch: impl Fn(&Address, Touch),
    ) -> Result<(), Error> {
        let added = self.journal.add(at, pointer_ttl);
        touch(at, Touch::Unknown);
        self.observer.note(Decision::PendingBump);
        added
    }
}

/// Sends what waits until Redis takes it; runs as long as the `Tiers`.
pub(crate) async fn resend(sender: Sender) {
    let mut skip = 0;
    loop {
        let batch = sender.journal.next(BATCH, &mut skip).await;
        let asked = batch.len();
        let taken = stream::iter(batch)
            .map(|pending| {
                let sender = &sender;
                async move {
                    let taken = sender
                        .remote
                        .bump(&pending.at, pending.pointer_ttl)
                        .await
                        .is_ok();
                    if taken {
                        sender.observer.note(Decision::Bump);
                        sender.journal.sent(&pending);
                    }
                    taken
                }
            })
            .buffer_unordered(BATCH)
            .fold(0, |taken, ok| async move { taken + usize::from(ok) })
            .await;
        // A short batch was the last: from the front again.
        skip = if asked < BATCH {
            0
        } else {
            skip + asked - taken
        };
        if taken == 0 {
            sleep(PAUSE).await;
        }
    }
}

/// Invalidations under way at once.
pub(crate) const BATCH: usize = 64;
/// After Redis took none.
const PAUSE: Duration = Duration::from_millis(50);
