//! The fixed order of one invalidation, and the sending of those that wait.

use super::{
    Journal, Receipt,
    journal::{Awaited, Pending, Subject, Taken},
};
use crate::{
    error::Error,
    local::Touch,
    model::{
        Address, EntityId, Generation, Stamp, Strength, TagBump, Version, entity_tag,
        everything_tag,
    },
    observe::{Decision, Observer},
    remote::{BUMPS, Bump, Bumped, Order, Remote, RemoteError},
    tags::TagTable,
};
use futures_util::{StreamExt, stream};
use std::{slice, sync::Arc, time::Duration};
use tokio::time::{sleep, timeout};

/// What an invalidation needs.
#[derive(Clone)]
pub(crate) struct Sender {
    pub(crate) remote: Arc<Remote>,
    pub(crate) journal: Arc<Journal>,
    pub(crate) tags: Arc<TagTable>,
    pub(crate) observer: Arc<Observer>,
}

/// What became of an invalidation.
pub(crate) enum Sent {
    /// Redis has it.
    Acknowledged(Stamp, Order),
    /// Redis has yet to take it.
    Pending(Awaited),
}

/// What became of a bump.
struct Told {
    sent: Sent,
    /// A value may be stored that shows the entity.
    depended: bool,
}

impl Sender {
    /// Invalidates one entity: the bump, then `touch` for this process, then whatever shows it.
    ///
    /// # Errors
    /// Only after a shutdown.
    pub(crate) async fn invalidate(
        &self,
        at: &Address,
        bump: Bump,
        touch: impl Fn(&Address, Touch),
    ) -> Result<Sent, Error> {
        // An earlier one waits: this one must not overtake it and look acknowledged while that one is not.
        let waits = self.journal.holds(at.id) || self.journal.holds_tag(at.cache.tag);
        if waits {
            return self.postpone(at, bump, touch);
        }
        let answer = self.remote.bump(at, bump).await;
        let mut sent = vec![self.told(at, bump, answer, touch)];
        self.tell_dependents(slice::from_ref(&at), &mut sent, bump.strength)
            .await;
        self.count_bumps(&sent);
        // One entity, one answer.
        sent.pop()
            .map_or_else(|| Err(Error::closed()), |told| told.map(|told| told.sent))
    }

    /// The same for many entities. What Redis takes of them it takes, whatever becomes of the others.
    ///
    /// # Errors
    /// Only after a shutdown.
    pub(crate) async fn invalidate_many(
        &self,
        at: &[Address],
        bump: Bump,
        touch: impl Fn(&Address, Touch),
    ) -> Result<Receipt, Error> {
        let (mut receipt, mut failed) = (Receipt::default(), None);
        for piece in at.chunks(BUMPS) {
            for sent in self.invalidate_piece(piece, bump, &touch).await {
                match sent {
                    Ok(sent) => receipt.add(sent),
                    Err(error) => failed = Some(error),
                }
            }
        }
        failed.map_or(Ok(receipt), Err)
    }

    async fn invalidate_piece(
        &self,
        piece: &[Address],
        bump: Bump,
        touch: impl Fn(&Address, Touch),
    ) -> Vec<Result<Sent, Error>> {
        if let [one] = piece {
            return vec![self.invalidate(one, bump, touch).await];
        }
        let waits =
            |at: &&Address| self.journal.holds(at.id) || self.journal.holds_tag(at.cache.tag);
        let (waiting, asked): (Vec<_>, Vec<_>) = piece.iter().partition(waits);
        let postponed = waiting
            .into_iter()
            .map(|at| self.postpone(at, bump, &touch));
        let mut all: Vec<_> = postponed.collect();
        let answers = self.remote.bump_many(&asked, bump).await;
        let told = |(at, answer): (&&Address, _)| self.told(at, bump, answer, &touch);
        let mut sent: Vec<_> = asked.iter().zip(answers).map(told).collect();
        self.tell_dependents(&asked, &mut sent, bump.strength).await;
        self.count_bumps(&sent);
        all.extend(sent.into_iter().map(|told| told.map(|told| told.sent)));
        all
    }

    /// Redis has answered a bump, or not.
    fn told(
        &self,
        at: &Address,
        bump: Bump,
        answer: Result<Bumped, RemoteError>,
        touch: impl Fn(&Address, Touch),
    ) -> Result<Told, Error> {
        let bumped = match answer {
            Ok(bumped) => bumped,
            Err(error) => {
                self.failed(&error);
                let sent = self.postpone(at, bump, touch)?;
                return Ok(Told {
                    sent,
                    depended: false,
                });
            }
        };
        // Also where nothing was bumped: the later commit's event may still be on its way to this process.
        let generation = generation_of(&bumped.stamp);
        touch(at, Touch::Bumped(generation, bump.strength));
        Ok(Told {
            sent: Sent::Acknowledged(bumped.stamp, bumped.order),
            depended: bumped.depended,
        })
    }

    /// Whatever shows one of these entities is old, too: an invalidation is acknowledged when that is told as well.
    async fn tell_dependents(
        &self,
        at: &[&Address],
        told: &mut [Result<Told, Error>],
        strength: Strength,
    ) {
        let depended = |told: &Result<Told, Error>| told.as_ref().is_ok_and(|told| told.depended);
        let places: Vec<_> = (0..told.len())
            .filter(|place| depended(&told[*place]))
            .collect();
        if places.is_empty() {
            return;
        }
        let tags: Vec<_> = places
            .iter()
            .map(|place| entity_tag_of(at[*place].id))
            .collect();
        match self.invalidate_tags(&tags, strength).await {
            Ok(sent) => {
                for (place, sent) in places.into_iter().zip(sent) {
                    if let (Ok(told), Sent::Pending(_)) = (&mut told[place], &sent) {
                        told.sent = sent;
                    }
                }
            }
            Err(error) => {
                for place in places {
                    told[place] = Err(error.clone());
                }
            }
        }
    }

    /// Last of all: where a bump is counted, whatever shows its entity is old as well.
    fn count_bumps(&self, told: &[Result<Told, Error>]) {
        for told in told.iter().flatten() {
            if matches!(told.sent, Sent::Acknowledged(_, order) if order != Order::Older) {
                self.observer.note(Decision::Bump);
            }
        }
    }

    /// Invalidates tags: the bumps, then this node's table. Answers in their order.
    ///
    /// # Errors
    /// Only after a shutdown.
    pub(crate) async fn invalidate_tags(
        &self,
        tags: &[u64],
        strength: Strength,
    ) -> Result<Vec<Sent>, Error> {
        let mut sent = Vec::with_capacity(tags.len());
        for some in tags.chunks(TAGS_AT_ONCE) {
            self.invalidate_some(some, strength, &mut sent).await?;
        }
        let acknowledged = sent.iter().rev().find_map(|sent| match sent {
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
        tags: &[u64],
        strength: Strength,
        sent: &mut Vec<Sent>,
    ) -> Result<(), Error> {
        let sent_at = self.tags.generation();
        let waits = tags.iter().any(|tag| self.journal.holds_tag(*tag));
        let bumped = if waits {
            None
        } else {
            match self.remote.bump_tags(tags, strength).await {
                Ok(stamps) => Some(stamps),
                Err(error) => {
                    self.failed(&error);
                    None
                }
            }
        };
        let Some(stamps) = bumped else {
            for tag in tags {
                sent.push(Sent::Pending(self.postpone_tag(*tag, strength)?));
            }
            return Ok(());
        };
        for (tag, stamp) in tags.iter().zip(stamps) {
            self.observer.note(Decision::TagBump);
            let bump = TagBump::new(stamp.n, strength);
            self.tags.bumped(stamp.epoch, *tag, bump, sent_at);
            sent.push(Sent::Acknowledged(stamp, Order::Unknown));
        }
        Ok(())
    }

    /// The journal first: once the local entry is gone, readers go to Redis unless the entity stands there.
    fn postpone(
        &self,
        at: &Address,
        bump: Bump,
        touch: impl Fn(&Address, Touch),
    ) -> Result<Sent, Error> {
        let awaited = self.take_over(at, bump);
        touch(at, Touch::Unknown);
        self.observer.note(Decision::PendingBump);
        Ok(Sent::Pending(awaited?))
    }

    fn take_over(&self, at: &Address, bump: Bump) -> Result<Awaited, Error> {
        if !self.journal.holds_tag(at.cache.tag) {
            // What shows the entity is old, too. Before the journal, which says when that is over.
            self.tags.pend(entity_tag_of(at.id));
            let subject = Subject::Entity {
                at: at.clone(),
                pointer_ttl: bump.pointer_ttl,
            };
            if let Taken::Waits(awaited) = self.journal.add(subject, bump.strength)? {
                return Ok(awaited);
            }
            self.observer.note(Decision::Overflow);
            tracing::warn!(
                cache = at.cache.as_str(),
                "too many invalidations wait for redis: the whole cache is invalidated in their place"
            );
        }
        // The table first: what is swallowed must not be believed for a moment.
        self.tags.pend(at.cache.tag);
        let pended = self.tags.generation();
        let swallowed = self.journal.swallow(Some(at.id.cache), at.cache.tag)?;
        self.tags
            .settled(swallowed.entities.into_iter().map(entity_tag_of), pended);
        Ok(swallowed.awaited)
    }

    fn postpone_tag(&self, tag: u64, strength: Strength) -> Result<Awaited, Error> {
        self.tags.pend(tag);
        self.observer.note(Decision::PendingBump);
        if let Taken::Waits(awaited) = self.journal.add(Subject::Tag(tag), strength)? {
            return Ok(awaited);
        }
        self.observer.note(Decision::Overflow);
        tracing::warn!(
            "too many invalidations wait for redis: everything is invalidated in their place"
        );
        self.tags.pend(everything_tag());
        Ok(self.journal.swallow(None, everything_tag())?.awaited)
    }

    fn failed(&self, error: &RemoteError) {
        self.observer.note(Decision::RemoteError);
        tracing::debug!(%error, "redis did not take an invalidation");
    }

    /// Sends one that waits; false if Redis did not take it.
    async fn send(&self, pending: &Pending) -> bool {
        let sent = match &pending.subject {
            Subject::Entity { at, pointer_ttl } => {
                self.send_entity(at, *pointer_ttl, pending.strength).await
            }
            Subject::Tag(tag) => self.send_tag(*tag, pending.strength).await,
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
        };
        let sent_at = self.tags.generation();
        let bumped = self.remote.bump(at, bump).await?;
        let tag = entity_tag_of(at.id);
        if bumped.depended {
            self.send_tag(tag, strength).await?;
        } else {
            self.tags.settled([tag].into_iter(), sent_at);
        }
        self.observer.note(Decision::Bump);
        Ok(bumped.stamp)
    }

    async fn send_tag(&self, tag: u64, strength: Strength) -> Result<Stamp, RemoteError> {
        let sent_at = self.tags.generation();
        let stamps = self.remote.bump_tags(&[tag], strength).await?;
        let stamp = stamps
            .first()
            .ok_or(RemoteError::Nonsense("no stamp of a tag"))?;
        self.observer.note(Decision::TagBump);
        let bump = TagBump::new(stamp.n, strength);
        self.tags.bumped(stamp.epoch, tag, bump, sent_at);
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

fn generation_of(stamp: &Stamp) -> Generation {
    Generation {
        epoch: stamp.epoch,
        version: Version(stamp.n),
    }
}

fn entity_tag_of(id: EntityId) -> u64 {
    entity_tag(id.cache, id.hash)
}

/// Invalidations sent again at once.
const BATCH: usize = 64;
/// Tags that one script bumps: it must not keep others waiting.
const TAGS_AT_ONCE: usize = 256;
/// After Redis took none.
const PAUSE: Duration = Duration::from_millis(50);
/// How long an invalidation waits for this node's own feed: as long as a push may take before it counts as lost.
const CATCH_UP: Duration = Duration::from_millis(50);
