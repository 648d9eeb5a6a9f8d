//! What one request has read: the entities, what they held, and how long the shortest-lived of them may still be served.
//!
//! A middleware opens a scope around a handler; every read of a value inside it is recorded. Work that the handler
//! spawns as a task of its own is outside, unless it is [run](RequestScope::run) in the scope too.

use crate::model::{Clock, EntityName, Tag, Visibility, millis, to_duration};
use crate::outcome::Outcome;
use std::{
    collections::HashMap,
    fmt,
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

tokio::task_local! {
    static CURRENT: RequestScope;
}

/// Collects what is read while a future runs. Clones share what they collect.
///
/// ```
/// # async fn handle(products: tricache::TieredCache<u64, String>) -> Result<(), tricache::Error> {
/// use tricache::RequestScope;
///
/// let scope = RequestScope::new();
/// let page = scope.run(async { products.get(&42).await }).await?;
/// for entity in scope.summary().entities() {
///     println!("read {entity}");
/// }
/// # Ok(()) }
/// ```
#[derive(Clone, Default)]
pub struct RequestScope(Arc<Mutex<Collected>>);

#[derive(Default)]
struct Collected {
    entities: Vec<EntityName>,
    /// Of each entity, what it held.
    contents: Vec<Option<u64>>,
    /// Where the entities stand, once there are many.
    known: HashMap<EntityName, usize>,
    outcomes: Vec<(Outcome, u32)>,
    /// As they came, so that a read looks for none; repeated ones are taken out before they become many.
    tags: Vec<Tag>,
    different_tags: usize,
    visibility: Visibility,
    shortest: Option<Deadline>,
}

/// One read, as a scope is told of it.
pub(crate) struct Read<'a> {
    pub(crate) entity: EntityName,
    /// The hash of what it held; `None` if that was not encoded.
    pub(crate) content_id: Option<u64>,
    pub(crate) outcome: Outcome,
    pub(crate) tags: &'a [Tag],
    pub(crate) visibility: Visibility,
    /// The end of its life, in ms of this clock.
    pub(crate) deadline: u64,
    pub(crate) clock: &'a Arc<dyn Clock>,
}

/// The end of a value's life on the clock of its `Tiers`.
struct Deadline {
    clock: Arc<dyn Clock>,
    at: u64,
}

/// What a scope has collected, with the remaining life at the moment of asking.
#[derive(Clone, Debug)]
pub struct ScopeSummary {
    entities: Vec<EntityName>,
    contents: Vec<Option<u64>>,
    outcomes: Vec<(Outcome, u32)>,
    tags: Vec<Tag>,
    visibility: Visibility,
    remaining: Option<Duration>,
}

impl RequestScope {
    /// An empty scope.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The scope that the calling task runs in, if any.
    #[must_use]
    pub fn current() -> Option<Self> {
        CURRENT.try_with(Clone::clone).ok()
    }

    /// Runs a future inside this scope. Scopes nest: the innermost one records.
    pub async fn run<F: Future>(&self, future: F) -> F::Output {
        CURRENT.scope(self.clone(), future).await
    }

    /// What was read so far. The remaining life is measured now, so ask as late as you can.
    #[must_use]
    pub fn summary(&self) -> ScopeSummary {
        let collected = self.lock();
        let remaining = collected.shortest.as_ref().map(Deadline::remaining);
        ScopeSummary {
            entities: collected.entities.clone(),
            contents: collected.contents.clone(),
            outcomes: collected.outcomes.clone(),
            tags: each_once(collected.tags.clone()),
            visibility: collected.visibility,
            remaining,
        }
    }

    /// Records a read in the current scope, if there is one. Where there is none, nothing of the entry is looked at:
    /// that would cost a hit another cache line.
    pub(crate) fn record<'a>(read: impl FnOnce() -> Read<'a>) {
        // No scope is the common case outside of requests, and no error.
        let _ = CURRENT.try_with(|scope| scope.add(read()));
    }

    fn add(&self, read: Read<'_>) {
        let mut collected = self.lock();
        collected.note_content(read.entity, read.content_id);
        collected.count(read.outcome);
        collected.note_tags(read.tags);
        collected.visibility = collected.visibility.max(read.visibility);
        let shortest = collected.shortest.as_ref();
        if shortest.is_none_or(|shortest| shortest.outlives(read.clock, read.deadline)) {
            collected.shortest = Some(Deadline {
                clock: Arc::clone(read.clock),
                at: read.deadline,
            });
        }
    }

    fn lock(&self) -> MutexGuard<'_, Collected> {
        // Every step leaves the lists whole, so a panic elsewhere spoils nothing.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Collected {
    /// What was read twice and was not the same has no content that a page could be known by.
    fn note_content(&mut self, entity: EntityName, content_id: Option<u64>) {
        let Some(at) = self.position(&entity) else {
            if self.entities.is_empty() {
                self.entities.reserve(FEW);
                self.contents.reserve(FEW);
            }
            self.entities.push(entity);
            self.contents.push(content_id);
            return;
        };
        if self.contents[at] != content_id {
            self.contents[at] = None;
        }
    }

    /// Most pages read few entities: a look at each costs less than hashing one.
    fn position(&mut self, entity: &EntityName) -> Option<usize> {
        if self.entities.len() < FEW {
            return self.entities.iter().position(|known| known == entity);
        }
        for at in self.known.len()..self.entities.len() {
            self.known.insert(self.entities[at].clone(), at);
        }
        self.known.get(entity).copied()
    }

    fn note_tags(&mut self, tags: &[Tag]) {
        self.tags.extend_from_slice(tags);
        if self.tags.len() > MANY + 2 * self.different_tags {
            self.tags = each_once(std::mem::take(&mut self.tags));
            self.different_tags = self.tags.len();
        }
    }

    fn count(&mut self, outcome: Outcome) {
        let known = self
            .outcomes
            .iter_mut()
            .find(|(known, _)| *known == outcome);
        match known {
            Some((_, reads)) => *reads += 1,
            None => self.outcomes.push((outcome, 1)),
        }
    }
}

impl fmt::Debug for RequestScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestScope")
            .field("entities", &self.lock().entities)
            .finish_non_exhaustive()
    }
}

impl Deadline {
    /// On one clock no time is asked for; a scope that reads of several `Tiers` compares what remains on each.
    fn outlives(&self, clock: &Arc<dyn Clock>, at: u64) -> bool {
        if Arc::ptr_eq(clock, &self.clock) {
            return at < self.at;
        }
        to_duration(at.saturating_sub(millis(clock.now()))) < self.remaining()
    }

    fn remaining(&self) -> Duration {
        to_duration(self.at.saturating_sub(millis(self.clock.now())))
    }
}

impl ScopeSummary {
    /// The entities that were read, in the order of their first read.
    #[must_use]
    pub fn entities(&self) -> &[EntityName] {
        &self.entities
    }

    /// What each of [`entities`](Self::entities) held, in the same order, as [`Cached::content_id`](crate::Cached::content_id).
    ///
    /// What does not exist has an id of its own. `None` if the value was not encoded, or was read twice and had changed
    /// in between.
    #[must_use]
    pub fn content_ids(&self) -> &[Option<u64>] {
        &self.contents
    }

    /// How many reads were answered in which way, in the order of their first; what was read twice counts twice.
    #[must_use]
    pub fn outcomes(&self) -> &[(Outcome, u32)] {
        &self.outcomes
    }

    /// The tags of what was read, each once, in their order.
    #[must_use]
    pub fn tags(&self) -> &[Tag] {
        &self.tags
    }

    /// Who may see what was read: the strictest of all.
    #[must_use]
    pub fn visibility(&self) -> Visibility {
        self.visibility
    }

    /// The least remaining life of what was read; `None` if nothing was.
    #[must_use]
    pub fn remaining(&self) -> Option<Duration> {
        self.remaining
    }

    /// Whether nothing was read.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entities.is_empty()
    }
}

/// In their order.
fn each_once(mut tags: Vec<Tag>) -> Vec<Tag> {
    tags.sort_unstable();
    tags.dedup();
    tags
}

/// Entities up to which a list is looked through.
const FEW: usize = 16;

/// Tags up to which repeated ones are no burden.
const MANY: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ManualClock;

    fn read(key: &str, clock: &ManualClock, remaining: u64) {
        let shared: Arc<dyn Clock> = Arc::new(clock.clone());
        read_of(key, &shared, remaining);
    }

    fn read_of(key: &str, shared: &Arc<dyn Clock>, remaining: u64) {
        let tags = [Tag::new("lamps"), Tag::new(key)];
        RequestScope::record(|| Read {
            entity: EntityName::new("product", key),
            content_id: Some(remaining),
            outcome: Outcome::LocalHit,
            tags: &tags,
            visibility: Visibility::Public,
            deadline: millis(shared.now()) + remaining,
            clock: shared,
        });
    }

    #[tokio::test]
    async fn a_scope_collects_names_once_and_the_shortest_life() {
        let (scope, clock) = (RequestScope::new(), ManualClock::new());
        scope
            .run(async {
                read("1", &clock, 9000);
                read("2", &clock, 5000);
                read("1", &clock, 7000);
            })
            .await;

        let summary = scope.summary();
        assert_eq!(
            summary
                .entities()
                .iter()
                .map(EntityName::as_str)
                .collect::<Vec<_>>(),
            ["product/1", "product/2"]
        );
        assert_eq!(summary.remaining(), Some(Duration::from_secs(5)));
        assert_eq!(
            summary.tags().iter().map(Tag::as_str).collect::<Vec<_>>(),
            ["1", "2", "lamps"]
        );
    }

    #[tokio::test]
    async fn many_entities_are_named_once_too() {
        let (scope, clock) = (RequestScope::new(), ManualClock::new());
        let keys: Vec<_> = (0..3 * FEW).map(|key| key.to_string()).collect();
        scope
            .run(async {
                for key in keys.iter().chain(&keys) {
                    read(key, &clock, 9000);
                }
            })
            .await;

        let summary = scope.summary();
        let named: Vec<_> = summary.entities().iter().map(EntityName::as_str).collect();
        let wanted: Vec<_> = keys.iter().map(|key| format!("product/{key}")).collect();
        assert_eq!(named, wanted);
    }

    #[tokio::test]
    async fn tags_that_come_again_and_again_are_kept_once() {
        let (scope, clock) = (RequestScope::new(), ManualClock::new());
        scope
            .run(async {
                for key in 0..10 * MANY {
                    read(&(key % 3).to_string(), &clock, 9000);
                }
            })
            .await;

        let tags = scope.summary().tags().to_vec();
        assert_eq!(tags, ["0", "1", "2", "lamps"].map(Tag::new));
        assert!(scope.lock().tags.len() <= MANY + 2 * tags.len());
    }

    #[tokio::test]
    async fn each_entity_has_the_content_that_was_read_unless_it_changed_in_between() {
        let clock = ManualClock::new();
        let keys: Vec<_> = (0..2 * FEW).map(|key| key.to_string()).collect();
        for (few, changed) in [(3, 1), (2 * FEW, FEW + 1)] {
            let scope = RequestScope::new();
            scope
                .run(async {
                    for key in keys[..few].iter().chain(&keys[..few]) {
                        read(key, &clock, 9000);
                    }
                    read(&keys[changed], &clock, 5000);
                })
                .await;

            let summary = scope.summary();
            let mut wanted = vec![Some(9000); few];
            wanted[changed] = None;
            assert_eq!(summary.content_ids(), wanted);
            let reads = u32::try_from(2 * few + 1).unwrap();
            assert_eq!(summary.outcomes(), [(Outcome::LocalHit, reads)]);
        }
    }

    #[tokio::test]
    async fn the_shortest_life_is_found_on_one_clock_and_on_several() {
        let early: Arc<dyn Clock> = Arc::new(ManualClock::new());
        let clock = ManualClock::new();
        clock.advance(Duration::from_secs(100));
        let late: Arc<dyn Clock> = Arc::new(clock);
        for reads in [
            [(&early, 9000), (&early, 5000), (&early, 7000)],
            // Its end is later, on a clock that is later still.
            [(&early, 9000), (&late, 5000), (&early, 7000)],
            [(&late, 9000), (&early, 7000), (&late, 5000)],
        ] {
            let scope = RequestScope::new();
            scope
                .run(async {
                    for (clock, remaining) in reads {
                        read_of("1", clock, remaining);
                    }
                })
                .await;

            assert_eq!(scope.summary().remaining(), Some(Duration::from_secs(5)));
        }
    }

    #[tokio::test]
    async fn the_remaining_life_is_that_at_the_time_of_asking() {
        let (scope, clock) = (RequestScope::new(), ManualClock::new());
        scope.run(async { read("1", &clock, 5000) }).await;

        clock.advance(Duration::from_secs(3));
        assert_eq!(scope.summary().remaining(), Some(Duration::from_secs(2)));
        clock.advance(Duration::from_secs(3));
        assert_eq!(scope.summary().remaining(), Some(Duration::ZERO));
    }

    #[tokio::test]
    async fn outside_of_a_scope_nothing_is_recorded() {
        read("1", &ManualClock::new(), 1);

        assert!(RequestScope::current().is_none());
        assert!(RequestScope::new().summary().is_empty());
    }
}
