//! The fixed order of one invalidation: Redis, this process, whatever shows the entity, the edge.

use super::{
    Journal, Receipt,
    journal::{Awaited, OldTag, Place, Subject},
    receipt::Audience,
};
use crate::{
    error::Error,
    local::Touch,
    model::{
        Address, EdgeSubject, EntityId, Generation, Recording, Stamp, Strength, Version, entity_tag,
    },
    observe::{Decision, Observer},
    purge::{Errands, Handed},
    remote::{BUMPS, Bump, Bumped, Order, Remote, RemoteError},
    tags::TagTable,
};
use std::{
    slice,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// What an invalidation needs.
#[derive(Clone)]
pub(crate) struct Sender {
    pub(crate) remote: Arc<Remote>,
    pub(crate) journal: Arc<Journal>,
    pub(crate) tags: Arc<TagTable>,
    pub(crate) observer: Arc<Observer>,
    /// The edge, where this process has one.
    pub(crate) errands: Option<Arc<Errands>>,
    /// Whether bumps note what the edge has to purge.
    pub(crate) record: Option<Recording>,
    /// In ms; the longest that a cache of this process serves what it was not told of.
    pub(crate) heard_after: Arc<AtomicU64>,
}

/// What became of an invalidation.
pub(crate) enum Sent {
    /// Redis has it.
    Acknowledged(Stamp, Order),
    /// Redis has yet to take it.
    Pending(Awaited),
}

/// The same, with what became of its purge.
pub(crate) struct Invalidated {
    pub(crate) sent: Sent,
    /// `None`: there is no edge, or nothing to purge.
    pub(crate) edge: Option<Handed>,
}

/// What became of a bump.
struct Told {
    sent: Sent,
    /// A value may be stored that shows the entity.
    depended: bool,
}

impl Sender {
    /// Who is to hear of an invalidation.
    pub(crate) fn audience(&self) -> Audience {
        Audience {
            heard_after: Duration::from_millis(self.heard_after.load(Ordering::Relaxed)),
            has_edge: self.errands.is_some(),
        }
    }

    /// Invalidates one entity: the bump, then `touch` for this process, then whatever shows it, then the edge.
    ///
    /// # Errors
    /// Only after a shutdown.
    pub(crate) async fn invalidate(
        &self,
        at: &Address,
        bump: Bump,
        touch: impl Fn(&Address, Touch),
    ) -> Result<Invalidated, Error> {
        // An earlier one waits: this one must not overtake it and look acknowledged while that one is not.
        let waits = self.journal.holds(at.id) || self.journal.holds_tag(at.cache.tag);
        if waits {
            let sent = self.postpone(at, bump, touch)?;
            return Ok(self.tell_edge(at, sent, bump.strength));
        }
        let answer = self.remote.bump(at, bump).await;
        let mut sent = vec![self.told(at, bump, answer, touch)];
        self.tell_dependents(slice::from_ref(&at), &mut sent, bump.strength)
            .await;
        self.count_bumps(&sent);
        // One entity, one answer.
        let told = sent.pop().unwrap_or_else(|| Err(Error::closed()))?;
        Ok(self.tell_edge(at, told.sent, bump.strength))
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
        let (mut receipt, mut failed) = (Receipt::new(self.audience()), None);
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
    ) -> Vec<Result<Invalidated, Error>> {
        if let [one] = piece {
            return vec![self.invalidate(one, bump, touch).await];
        }
        let waits =
            |at: &&Address| self.journal.holds(at.id) || self.journal.holds_tag(at.cache.tag);
        let (waiting, asked): (Vec<_>, Vec<_>) = piece.iter().partition(waits);
        let postpone = |at: &Address| {
            let sent = self.postpone(at, bump, &touch)?;
            Ok(self.tell_edge(at, sent, bump.strength))
        };
        let mut all: Vec<_> = waiting.into_iter().map(postpone).collect();
        let answers = self.remote.bump_many(&asked, bump).await;
        let told = |(at, answer): (&&Address, _)| self.told(at, bump, answer, &touch);
        let mut sent: Vec<_> = asked.iter().zip(answers).map(told).collect();
        self.tell_dependents(&asked, &mut sent, bump.strength).await;
        self.count_bumps(&sent);
        let told = asked.iter().zip(sent);
        all.extend(told.map(|(at, told)| Ok(self.tell_edge(at, told?.sent, bump.strength))));
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
            .map(|place| self.dependents_of(at[*place]))
            .collect();
        match self.invalidate_tags(&tags, strength).await {
            Ok(sent) => {
                for (place, sent) in places.into_iter().zip(sent) {
                    if let (Ok(told), Sent::Pending(_)) = (&mut told[place], &sent.sent) {
                        told.sent = sent.sent;
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
            if let Place::Waits(awaited) = self.journal.add(subject, bump.strength)? {
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
        let tag = OldTag {
            hash: at.cache.tag,
            edge: Some(EdgeSubject::Cache(at.cache.as_str().to_owned())),
            purges: true,
        };
        let swallowed = self.journal.swallow(Some(at.id.cache), tag)?;
        self.tags
            .settled(swallowed.entities.into_iter().map(entity_tag_of), pended);
        Ok(swallowed.awaited)
    }

    pub(super) fn failed(&self, error: &RemoteError) {
        self.observer.note(Decision::RemoteError);
        tracing::debug!(%error, "redis did not take an invalidation");
    }
}

fn generation_of(stamp: &Stamp) -> Generation {
    Generation {
        epoch: stamp.epoch,
        version: Version(stamp.n),
    }
}

pub(super) fn entity_tag_of(id: EntityId) -> u64 {
    entity_tag(id.cache, id.hash)
}
