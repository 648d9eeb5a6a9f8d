//! The sending of invalidations that wait, until Redis takes them.

use super::{
    journal::{OldTag, Pending, Subject},
    send::{Sender, Sent, entity_tag_of},
};
use crate::{
    model::{Address, Stamp, Strength, TagBump},
    observe::Decision,
    remote::{Bump, Order, RemoteError},
};
use futures_util::{StreamExt, stream};
use std::{slice, time::Duration};
use tokio::time::sleep;

impl Sender {
    /// Sends one that waits; false if Redis did not take it.
    async fn send(&self, pending: &Pending) -> bool {
        // While too few follow it would be done again and again, and each time everybody would load anew.
        let bucket = match &pending.subject {
            Subject::Entity { at, .. } => at.id.bucket,
            Subject::Tag(_) => self.remote.tag_bucket(),
        };
        if let Err(error) = self.remote.is_followed(bucket).await {
            tracing::debug!(%error, "a pending invalidation waits for replicas");
            return false;
        }
        let sent = match &pending.subject {
            Subject::Entity { at, pointer_ttl } => {
                self.send_entity(at, *pointer_ttl, pending.strength).await
            }
            Subject::Tag(tag) => self.send_tag(tag, pending.strength).await,
        };
        match sent {
            Ok(stamp) => self.journal.sent(pending, stamp),
            Err(error) => {
                tracing::debug!(%error, "redis did not take a pending invalidation");
                return false;
            }
        }
        true
    }

    /// The version of the store is not sent again: whose order it tells may be long over.
    async fn send_entity(
        &self,
        at: &Address,
        pointer_ttl: u64,
        strength: Strength,
    ) -> Result<Stamp, RemoteError> {
        let bump = Bump {
            pointer_ttl,
            strength,
            store: None,
            record: self.record,
        };
        let sent_at = self.tags.generation();
        let bumped = self.remote.bump(at, bump).await?;
        if bumped.depended {
            self.send_tag(&self.dependents_of(at), strength).await?;
        } else {
            let tag = entity_tag_of(at.id);
            self.tags.settled([tag].into_iter(), sent_at);
        }
        self.observer.note(Decision::Bump);
        let taken = Sent::Acknowledged(bumped.stamp, bumped.order);
        self.tell_edge(at, taken, strength);
        Ok(bumped.stamp)
    }

    async fn send_tag(&self, tag: &OldTag, strength: Strength) -> Result<Stamp, RemoteError> {
        let sent_at = self.tags.generation();
        let stamps = self.bump_tags(slice::from_ref(tag), strength).await?;
        let stamp = stamps
            .first()
            .ok_or(RemoteError::Nonsense("no stamp of a tag"))?;
        self.observer.note(Decision::TagBump);
        let bump = TagBump::new(stamp.n, strength);
        self.tags.bumped(stamp.epoch, tag.hash, bump, sent_at);
        let taken = Sent::Acknowledged(*stamp, Order::Unknown);
        self.tell_edge_of_tag(tag, taken, strength);
        Ok(*stamp)
    }
}

/// Sends what waits until Redis takes it; runs as long as the `Tiers`.
pub(crate) async fn resend(sender: Sender) {
    let mut skip = 0;
    loop {
        let batch = sender.journal.next(BATCH, &mut skip).await;
        let asked = batch.len();
        let sender = &sender;
        let taken = stream::iter(batch)
            .map(|pending| async move { sender.send(&pending).await })
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
