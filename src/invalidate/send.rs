//! The fixed order of one invalidation, and the sending of those that wait.

use super::{Journal, Receipt};
use crate::{
    error::Error,
    local::Touch,
    model::{Address, Generation, Stamp, Version},
    observe::{Decision, Observer},
    remote::{BUMPS, Remote, RemoteError},
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
        let answer = self.remote.bump(at, pointer_ttl).await;
        self.told(at, pointer_ttl, answer, touch)
    }

    /// The same for many entities. What Redis takes of them it takes, whatever becomes of the others.
    ///
    /// # Errors
    /// Only if the journal is full; the others are invalidated all the same.
    pub(crate) async fn invalidate_many(
        &self,
        at: &[Address],
        pointer_ttl: u64,
        touch: impl Fn(&Address, Touch),
    ) -> Result<Receipt, Error> {
        let (mut receipt, mut failed) = (Receipt::default(), None);
        for piece in at.chunks(BUMPS) {
            for stamp in self.invalidate_piece(piece, pointer_ttl, &touch).await {
                match stamp {
                    Ok(stamp) => receipt.add(stamp),
                    Err(error) => failed = Some(error),
                }
            }
        }
        failed.map_or(Ok(receipt), Err)
    }

    async fn invalidate_piece(
        &self,
        piece: &[Address],
        pointer_ttl: u64,
        touch: impl Fn(&Address, Touch),
    ) -> Vec<Result<Option<Stamp>, Error>> {
        if let [one] = piece {
            return vec![self.invalidate(one, pointer_ttl, touch).await];
        }
        let (waiting, sent): (Vec<_>, Vec<_>) =
            piece.iter().partition(|at| self.journal.holds(at.id));
        let postponed = waiting.into_iter().map(|at| {
            self.postpone(at, pointer_ttl, &touch)?;
            Ok(None)
        });
        let mut stamps: Vec<_> = postponed.collect();
        let answers = self.remote.bump_many(&sent, pointer_ttl).await;
        let told = |(at, answer)| self.told(at, pointer_ttl, answer, &touch);
        stamps.extend(sent.into_iter().zip(answers).map(told));
        stamps
    }

    /// Redis has answered a bump, or not.
    fn told(
        &self,
        at: &Address,
        pointer_ttl: u64,
        answer: Result<Stamp, RemoteError>,
        touch: impl Fn(&Address, Touch),
    ) -> Result<Option<Stamp>, Error> {
        match answer {
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

/// Invalidations sent again at once.
const BATCH: usize = 64;
/// After Redis took none.
const PAUSE: Duration = Duration::from_millis(50);
