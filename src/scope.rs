//! What one request has read: the entities, what they held, and how long the shortest-lived of them may still be served.
//!
//! A middleware opens a scope around a handler; every read of a value inside it is recorded. Work that the handler
//! spawns as a task of its own is outside, unless it is [carried](RequestScope::carry) along.

mod claim;
mod confirmation;
mod summary;

pub(crate) use self::claim::{Claim, Testimony, Witness};
pub use self::{confirmation::Confirmation, summary::ScopeSummary};

use crate::model::{
    Address, Clock, EntityName, Generation, Place, Tag, Visibility, millis, to_duration,
};
use crate::outcome::Outcome;
use futures_util::future::join_all;
use smallvec::{SmallVec, smallvec};
use std::{
    collections::HashMap,
    fmt,
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::timeout;

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
    seen: Vec<Seen>,
    /// Where the entities stand, once there are many.
    known: HashMap<EntityName, usize>,
    outcomes: Vec<(Outcome, u32)>,
    tags: Names<Tag>,
    dependencies: Names<u64>,
    visibility: Visibility,
    shortest: Option<Deadline>,
    objections: Vec<&'static str>,
}

/// One entity that was read, perhaps more than once.
struct Seen {
    entity: EntityName,
    /// The hash of what it held.
    content: Option<u64>,
    /// More than one if it changed in between, or two `Tiers` have an entity of this name.
    claims: SmallVec<[Claim; 1]>,
}

/// Names as they came, so that a read looks for none; repeated ones are taken out before they become many.
struct Names<T> {
    all: Vec<T>,
    different: usize,
}

// Not derived: that would ask it of the names.
impl<T> Default for Names<T> {
    fn default() -> Self {
        Self {
            all: Vec::new(),
            different: 0,
        }
    }
}

/// One read, as a scope is told of it.
pub(crate) struct Read<'a> {
    pub(crate) entity: EntityName,
    /// The hash of what it held; `None` if that was not encoded.
    pub(crate) content_id: Option<u64>,
    pub(crate) outcome: Outcome,
    pub(crate) tags: &'a [Tag],
    /// What its load has read.
    pub(crate) dependencies: &'a [u64],
    pub(crate) visibility: Visibility,
    /// The end of its life, in ms of this clock.
    pub(crate) deadline: u64,
    pub(crate) clock: &'a Arc<dyn Clock>,
    pub(crate) witness: &'a Arc<dyn Witness>,
    pub(crate) at: Address,
    /// `None`: nobody can prove it.
    pub(crate) generation: Option<Generation>,
    pub(crate) place: Place,
    /// By which the tag table knows what every entry of its cache carries, and what it carries itself.
    pub(crate) hashes: [&'a [u64]; 2],
}

/// The end of a value's life on the clock of its `Tiers`.
#[derive(Clone)]
struct Deadline {
    clock: Arc<dyn Clock>,
    at: u64,
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

    /// Takes the scope of the calling task along into another one: what `future` reads there counts as read here.
    ///
    /// A task that is spawned without it reads outside of every scope. What it contributes to a page is then missing from
    /// the page's lifetime, its keys and its privacy, and nothing can notice. Futures that are joined or selected in the
    /// handler's own task need no carrying. Await the task before you answer: what it reads later comes too late.
    ///
    /// ```
    /// # async fn handle(products: tricache::TieredCache<u64, String>) {
    /// use tricache::RequestScope;
    ///
    /// let task = tokio::spawn(RequestScope::carry(async move { products.get(&42).await }));
    /// # let _ = task.await;
    /// # }
    /// ```
    ///
    /// # Cancel safety
    /// Dropping the future drops `future`; what it has read until then stays recorded.
    pub fn carry<F: Future>(future: F) -> impl Future<Output = F::Output> {
        // Here and not in the future: by the time that runs, it is in the other task.
        let scope = Self::current();
        async move {
            match scope {
                Some(scope) => scope.run(future).await,
                None => future.await,
            }
        }
    }

    /// What is made of what was read here must not be shared, whatever its route says: it shows something that no cache
    /// knows of, such as a feature flag or the time of day.
    ///
    /// The reason is for people who ask why a page is not shared.
    pub fn object(&self, reason: &'static str) {
        self.lock().object(reason);
    }

    /// Takes over all that another scope has collected so far, as if it had been read here.
    ///
    /// For work that has a scope of its own for a reason, within one that is to know of it too. The order does not matter,
    /// and what both have collected counts once, but for the number of reads.
    pub fn absorb(&self, other: &Self) {
        if Arc::ptr_eq(&self.0, &other.0) {
            return;
        }
        // One lock at a time: two scopes may absorb each other.
        let taken = other.lock().copy();
        self.lock().absorb(taken);
    }

    /// What was read so far. The remaining life is measured now, so ask as late as you can.
    #[must_use]
    pub fn summary(&self) -> ScopeSummary {
        ScopeSummary::of(&self.lock())
    }

    /// Asks the remote tier whether all that was read so far is still what it was: versions and tags, of a thousand
    /// entities in two questions that travel together.
    ///
    /// To be asked just before something leaves that no later invalidation can catch up with. An invalidation that was
    /// acknowledged before this call is always noticed, whether this node was told of it or not. It never takes longer
    /// than `within`; what is not answered by then is [`Unknown`](Confirmation::Unknown).
    ///
    /// # Cancel safety
    /// Dropping this future has no effect.
    pub async fn confirm(&self, within: Duration) -> Confirmation {
        let claims = self.lock().claims();
        if claims.is_empty() {
            return Confirmation::UNTOUCHED;
        }
        let asked = join_all(
            claims
                .iter()
                .map(|claims| claims[0].witness.confirm(claims)),
        );
        match timeout(within, asked).await {
            Ok(answers) => answers
                .into_iter()
                .fold(Confirmation::UNTOUCHED, Confirmation::and),
            Err(_) => Confirmation::Unknown,
        }
    }

    /// Records a read in the current scope, if there is one. Where there is none, nothing of the entry is looked at:
    /// that would cost a hit another cache line.
    pub(crate) fn record<'a>(read: impl FnOnce() -> Read<'a>) {
        // No scope is the common case outside of requests, and no error.
        let _ = CURRENT.try_with(|scope| scope.lock().add(read()));
    }

    fn lock(&self) -> MutexGuard<'_, Collected> {
        // Every step leaves the lists whole, so a panic elsewhere spoils nothing.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Collected {
    fn add(&mut self, read: Read<'_>) {
        self.count(read.outcome, 1);
        self.tags.note(read.tags);
        self.dependencies.note(read.dependencies);
        self.visibility = self.visibility.max(read.visibility);
        self.shorten(read.clock, read.deadline);
        let claim = Claim {
            witness: Arc::clone(read.witness),
            at: read.at,
            generation: read.generation,
            place: read.place,
            hashes: read.hashes.into_iter().flatten().copied().collect(),
        };
        self.note(read.entity, read.content_id, claim);
    }

    /// What was read twice and was not the same has no content that a page could be known by.
    fn note(&mut self, entity: EntityName, content: Option<u64>, claim: Claim) {
        let Some(at) = self.position(&entity) else {
            if self.seen.is_empty() {
                self.seen.reserve(FEW);
            }
            let claims = smallvec![claim];
            self.seen.push(Seen {
                entity,
                content,
                claims,
            });
            return;
        };
        let seen = &mut self.seen[at];
        if seen.content != content {
            seen.content = None;
        }
        if !seen.claims.iter_mut().any(|known| known.covers(&claim)) {
            seen.claims.push(claim);
        }
    }

    /// Most pages read few entities: a look at each costs less than hashing one.
    fn position(&mut self, entity: &EntityName) -> Option<usize> {
        if self.seen.len() < FEW {
            return self.seen.iter().position(|seen| seen.entity == *entity);
        }
        for at in self.known.len()..self.seen.len() {
            self.known.insert(self.seen[at].entity.clone(), at);
        }
        self.known.get(entity).copied()
    }

    fn count(&mut self, outcome: Outcome, reads: u32) {
        let known = self
            .outcomes
            .iter_mut()
            .find(|(known, _)| *known == outcome);
        match known {
            Some((_, count)) => *count += reads,
            None => self.outcomes.push((outcome, reads)),
        }
    }

    fn shorten(&mut self, clock: &Arc<dyn Clock>, at: u64) {
        let shortest = self.shortest.as_ref();
        if shortest.is_none_or(|shortest| shortest.outlives(clock, at)) {
            let clock = Arc::clone(clock);
            self.shortest = Some(Deadline { clock, at });
        }
    }

    fn object(&mut self, reason: &'static str) {
        if let Err(at) = self.objections.binary_search(&reason) {
            self.objections.insert(at, reason);
        }
    }

    fn absorb(&mut self, other: Self) {
        for seen in other.seen {
            for claim in seen.claims {
                self.note(seen.entity.clone(), seen.content, claim);
            }
        }
        for (outcome, reads) in other.outcomes {
            self.count(outcome, reads);
        }
        self.tags.note(&other.tags.all);
        self.dependencies.note(&other.dependencies.all);
        self.visibility = self.visibility.max(other.visibility);
        if let Some(deadline) = other.shortest {
            self.shorten(&deadline.clock, deadline.at);
        }
        other
            .objections
            .into_iter()
            .for_each(|reason| self.object(reason));
    }

    /// All but the places, which whoever needs them finds again.
    fn copy(&self) -> Self {
        let seen = self.seen.iter().map(|seen| Seen {
            entity: seen.entity.clone(),
            content: seen.content,
            claims: seen.claims.clone(),
        });
        Self {
            seen: seen.collect(),
            known: HashMap::new(),
            outcomes: self.outcomes.clone(),
            tags: self.tags.copy(),
            dependencies: self.dependencies.copy(),
            visibility: self.visibility,
            shortest: self.shortest.clone(),
            objections: self.objections.clone(),
        }
    }

    /// The claims of each witness; none of these lists is empty.
    fn claims(&self) -> Vec<Vec<Claim>> {
        let mut lists: Vec<Vec<Claim>> = Vec::new();
        for claim in self.seen.iter().flat_map(|seen| &seen.claims) {
            let list = lists.iter_mut().find(|list| list[0].is_of(&claim.witness));
            match list {
                Some(list) => list.push(claim.clone()),
                None => lists.push(vec![claim.clone()]),
            }
        }
        lists
    }
}

impl<T: Clone + Ord> Names<T> {
    fn note(&mut self, names: &[T]) {
        self.all.extend_from_slice(names);
        if self.all.len() > MANY + 2 * self.different {
            self.all = each_once(std::mem::take(&mut self.all));
            self.different = self.all.len();
        }
    }

    fn copy(&self) -> Self {
        let all = self.all.clone();
        Self {
            all,
            different: self.different,
        }
    }
}

impl fmt::Debug for RequestScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let collected = self.lock();
        let entities: Vec<_> = collected.seen.iter().map(|seen| &seen.entity).collect();
        f.debug_struct("RequestScope")
            .field("entities", &entities)
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

/// In their order.
fn each_once<T: Ord>(mut names: Vec<T>) -> Vec<T> {
    names.sort_unstable();
    names.dedup();
    names
}

/// Entities up to which a list is looked through.
const FEW: usize = 16;

/// Names up to which repeated ones are no burden.
const MANY: usize = 64;

#[cfg(test)]
mod tests;
