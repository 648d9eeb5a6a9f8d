//! The fixed order of an invalidation of tags: Redis, this node's table, the edge, this node's feed.

use super::{
    journal::{OldTag, Place, Subject},
    send::{Invalidated, Sender, Sent},
};
use crate::{
    error::Error,
    model::{EdgeSubject, Stamp, Strength, TagBump, everything_tag},
    observe::Decision,
    remote::{Order, RemoteError, TagNotes},
};
use std::time::Duration;
use tokio::time::timeout;

impl OldTag {
    /// What is to be purged with its bump.
    fn own_subject(&self) -> Option<&EdgeSubject> {
        self.edge.as_ref().filter(|_| self.purges)
    }

    /// Every value of every cache.
    pub(crate) fn everything() -> Self {
        Self {
            hash: everything_tag(),
            edge: Some(EdgeSubject::Everything),
            purges: true,
        }
    }
}

impl Sender {
    /// Invalidates tags: the bumps, then this node's table, then the edge. Answers in their order.
    ///
    /// # Errors
    /// Only after a shutdown.
    pub(crate) async fn invalidate_tags(
        &self,
        tags: &[OldTag],
        strength: Strength,
    ) -> Result<Vec<Invalidated>, Error> {
        let mut sent = Vec::with_capacity(tags.len());
        for some in tags.chunks(TAGS_AT_ONCE) {
            self.invalidate_some(some, strength, &mut sent).await?;
        }
        let acknowledged = sent.iter().rev().find_map(|told| match &told.sent {
            Sent::Acknowledged(stamp, _) => Some(*stamp),
            Sent::Pending(_) => None,
        });
        if let Some(stamp) = acknowledged {
            // A load that begins before this node's feed has caught up would be refused for no use. A lost push must not
            // keep the caller, though.
            let caught_up = self.tags.until_applied(stamp.epoch, stamp.n);
            let _ = timeout(CATCH_UP, caught_up).await;
        }
        Ok(sent)
    }

    async fn invalidate_some(
        &self,
        tags: &[OldTag],
        strength: Strength,
        sent: &mut Vec<Invalidated>,
    ) -> Result<(), Error> {
        let sent_at = self.tags.generation();
        let waits = tags.iter().any(|tag| self.journal.holds_tag(tag.hash));
        let bumped = if waits {
            None
        } else {
            match self.bump_tags(tags, strength).await {
                Ok(stamps) => Some(stamps),
                Err(error) => {
                    self.failed(&error);
                    None
                }
            }
        };
        let Some(stamps) = bumped else {
            for tag in tags {
                let postponed = self.postpone_tag(tag, strength)?;
                sent.push(self.tell_edge_of_tag(tag, postponed, strength));
            }
            return Ok(());
        };
        for (tag, stamp) in tags.iter().zip(stamps) {
            self.observer.note(Decision::TagBump);
            let bump = TagBump::new(stamp.n, strength);
            self.tags.bumped(stamp.epoch, tag.hash, bump, sent_at);
            let taken = Sent::Acknowledged(stamp, Order::Unknown);
            sent.push(self.tell_edge_of_tag(tag, taken, strength));
        }
        Ok(())
    }

    /// The bumps, with a note for each that is to be purged.
    pub(super) async fn bump_tags(
        &self,
        tags: &[OldTag],
        strength: Strength,
    ) -> Result<Vec<Stamp>, RemoteError> {
        let hashes: Vec<_> = tags.iter().map(|tag| tag.hash).collect();
        let Some(recording) = self.record else {
            return self.remote.bump_tags(&hashes, strength, None).await;
        };
        let subjects: Vec<_> = tags.iter().map(OldTag::own_subject).collect();
        let notes = TagNotes {
            recording,
            subjects: &subjects,
        };
        self.remote.bump_tags(&hashes, strength, Some(notes)).await
    }

    fn postpone_tag(&self, tag: &OldTag, strength: Strength) -> Result<Sent, Error> {
        self.tags.pend(tag.hash);
        self.observer.note(Decision::PendingBump);
        // What shows an entity is still old when that entity's own purge is over: its pages go once more with this bump.
        let subject = Subject::Tag(OldTag {
            purges: true,
            ..tag.clone()
        });
        if let Place::Waits(awaited) = self.journal.add(subject, strength)? {
            return Ok(Sent::Pending(awaited));
        }
        self.observer.note(Decision::Overflow);
        tracing::warn!(
            "too many invalidations wait for redis: everything is invalidated in their place"
        );
        self.tags.pend(everything_tag());
        let awaited = self.journal.swallow(None, OldTag::everything())?.awaited;
        Ok(Sent::Pending(awaited))
    }
}

/// Tags that one script bumps: it must not keep others waiting.
const TAGS_AT_ONCE: usize = 256;
/// How long an invalidation waits for this node's own feed: as long as a push may take before it counts as lost.
const CATCH_UP: Duration = Duration::from_millis(50);
