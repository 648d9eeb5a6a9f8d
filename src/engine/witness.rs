//! Whether what a request has shown is still what Redis says: asked just before an answer leaves for an edge.
//!
//! This node's own knowledge comes first: what it was told of and Redis was not is old, too. Then the versions and the tags
//! are asked for side by side, so that one round trip answers for both.

use super::Engine;
use crate::{
    model::{Epoch, Generation, Pointer, Position, TagBump, millis, to_duration},
    remote::{Ask, RemoteError, Snapshot, TagsKnown},
    scope::{Claim, Confirmation, Testimony, Witness},
    tags::Standing,
};
use std::{collections::HashMap, future::ready, time::Duration};

impl Witness for Engine {
    fn confirm<'a>(&'a self, claims: &'a [Claim]) -> Testimony<'a> {
        if !self.protections.guard {
            return Box::pin(ready(Confirmation::UNTOUCHED));
        }
        if claims.iter().any(|claim| self.knows_better(claim)) {
            return Box::pin(ready(Confirmation::Moved));
        }
        Box::pin(self.judge(claims))
    }
}

/// A claim that can be judged.
struct Proven<'a> {
    claim: &'a Claim,
    generation: Generation,
    position: Position,
}

impl Engine {
    async fn judge(&self, claims: &[Claim]) -> Confirmation {
        let proven: Vec<_> = claims.iter().filter_map(Proven::of).collect();
        let (entities, tags) = tokio::join!(self.judge_entities(&proven), self.judge_tags(&proven));
        let judged = entities.and(tags);
        if proven.len() < claims.len() {
            return judged.and(Confirmation::Unknown);
        }
        judged
    }

    /// Whether this node was told of an invalidation since.
    fn knows_better(&self, claim: &Claim) -> bool {
        self.journal().holds(claim.id())
            || matches!(
                self.tags.check(claim.place(), claim.hashes()),
                Standing::Refused | Standing::Expired(_)
            )
    }

    async fn judge_entities(&self, proven: &[Proven<'_>]) -> Confirmation {
        let at: Vec<_> = proven.iter().map(|it| it.claim.address()).collect();
        let asks = at.iter().map(|at| Ask { at, value: false });
        let asks: Vec<_> = asks.collect();
        let answers = self.remote.read_many(&asks, false).await;
        let judged = proven.iter().zip(answers);
        judged.fold(Confirmation::UNTOUCHED, |sum, (proven, answer)| {
            sum.and(self.judge_entity(proven, answer))
        })
    }

    fn judge_entity(
        &self,
        proven: &Proven<'_>,
        answer: Result<Snapshot, RemoteError>,
    ) -> Confirmation {
        let Ok(snapshot) = answer else {
            return Confirmation::Unknown;
        };
        self.seen(proven.claim.id().bucket, snapshot.head);
        match (snapshot.generation(), snapshot.pointer) {
            (Some(current), Some(pointer)) if current == proven.generation => {
                let bumped = pointer.has(Pointer::BUMPED);
                let version = bumped.then_some(pointer.version.0);
                self.quiet_since(proven.claim.id().bucket, version)
            }
            (Some(_), Some(_)) => Confirmation::Moved,
            // Missing means unknown: it may have been evicted, or wiped.
            _ => Confirmation::Unknown,
        }
    }

    async fn judge_tags(&self, proven: &[Proven<'_>]) -> Confirmation {
        let Some(first) = proven.first() else {
            return Confirmation::UNTOUCHED;
        };
        let epoch = first.position.epoch;
        if proven.iter().any(|proven| proven.position.epoch != epoch) {
            return Confirmation::Moved;
        }
        let (tags, earliest) = earliest_positions(proven);
        let mut judged = Confirmation::UNTOUCHED;
        for some in tags.chunks(TAGS) {
            let Ok(known) = self.remote.tags(some).await else {
                return judged.and(Confirmation::Unknown);
            };
            judged = judged.and(self.judge_known(&known, epoch, &earliest));
        }
        judged
    }

    fn judge_known(
        &self,
        known: &TagsKnown,
        epoch: Epoch,
        earliest: &HashMap<u64, u64>,
    ) -> Confirmation {
        let Some(head) = known.head else {
            return Confirmation::Unknown;
        };
        self.seen(self.layout.tag_bucket(), known.head);
        let since = |(tag, bump): &(u64, TagBump)| bump.n > earliest.get(tag).copied().unwrap_or(0);
        if head.epoch != epoch || known.bumps.iter().any(since) {
            return Confirmation::Moved;
        }
        if earliest.values().any(|n| *n < known.floor) {
            return Confirmation::Unknown;
        }
        let last = known.bumps.iter().map(|(_, bump)| bump.n).max();
        self.quiet_since(self.layout.tag_bucket(), last)
    }

    /// It was last bumped with this version, which is a time of Redis' in µs, or ahead of it.
    fn quiet_since(&self, bucket: u16, version: Option<u64>) -> Confirmation {
        let Some(version) = version else {
            return Confirmation::UNTOUCHED;
        };
        let now = millis(self.clock.now());
        let at = self.server_time.to_local(bucket, version / 1000);
        Confirmation::Current {
            quiet: at.map_or(Duration::ZERO, |at| to_duration(now.saturating_sub(at))),
        }
    }
}

impl<'a> Proven<'a> {
    fn of(claim: &'a Claim) -> Option<Self> {
        Some(Self {
            claim,
            generation: claim.generation()?,
            position: claim.place().position?,
        })
    }
}

/// The tags, each once, and of each the position of the entity that knows of the fewest invalidations.
fn earliest_positions(proven: &[Proven<'_>]) -> (Vec<u64>, HashMap<u64, u64>) {
    let mut earliest: HashMap<u64, u64> = HashMap::new();
    for proven in proven {
        for tag in proven.claim.hashes() {
            let n = earliest.entry(tag).or_insert(u64::MAX);
            *n = proven.position.n.min(*n);
        }
    }
    (earliest.keys().copied().collect(), earliest)
}

/// Tags of one question, so that Redis serves others in between.
const TAGS: usize = 1000;
