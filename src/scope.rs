//! What one request has read: the entities, what they held, and how long the shortest-lived of them may still be served.
//!
//! A middleware opens a scope around a handler; every read of a value inside it is recorded. Work that the handler
//! spawns as a task of its own is outside, unless it is [carried](RequestScope::carry) along.

mod claim;
mod collected;
mod confirmation;
mod read_set;
mod shown;
mod summary;

pub(crate) use self::{
    claim::{Claim, Testimony, Witness},
    shown::{Keeper, Read, Shown, Source},
};
pub use self::{confirmation::Confirmation, read_set::ReadSet, summary::ScopeSummary};

use self::collected::{Collected, Seen};
use futures_util::{future::join_all, poll};
use std::{
    fmt,
    future::Future,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Poll,
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
                .map(|claims| claims[0].witness().confirm(claims)),
        );
        let mut asked = pin!(asked);
        // What is answered at once needs no timer.
        let answers = match poll!(asked.as_mut()) {
            Poll::Ready(answers) => Some(answers),
            Poll::Pending => timeout(within, asked).await.ok(),
        };
        answers.map_or(Confirmation::Unknown, |answers| {
            let all = answers.into_iter();
            all.fold(Confirmation::UNTOUCHED, Confirmation::and)
        })
    }

    /// What was read so far, to be asked later whether it could be read again as it was.
    ///
    /// `None` if nothing was read, or if one of the reads was not answered by this process at once: if it had to ask the
    /// remote tier or a loader, was stale, found nothing, failed or was given up. So whoever holds the set knows all that
    /// the caches had to say to what ran in the scope.
    #[must_use]
    pub fn reads(&self) -> Option<ReadSet> {
        ReadSet::of(&self.lock())
    }

    /// Records a read in the current scope, if there is one. Where there is none, nothing of the entry is looked at:
    /// that would cost a hit another cache line.
    pub(crate) fn record<'a>(read: impl FnOnce() -> Read<'a>) {
        // No scope is the common case outside of requests, and no error.
        let _ = CURRENT.try_with(|scope| scope.lock().add(read()));
    }

    /// A read of the current scope, if there is one, has no answer yet: not every one gets one that is recorded.
    pub(crate) fn wait() {
        let _ = CURRENT.try_with(|scope| scope.lock().waited = true);
    }

    fn lock(&self) -> MutexGuard<'_, Collected> {
        // Every step leaves the lists whole, so a panic elsewhere spoils nothing.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl From<Collected> for RequestScope {
    fn from(collected: Collected) -> Self {
        Self(Arc::new(Mutex::new(collected)))
    }
}

impl fmt::Debug for RequestScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let collected = self.lock();
        let entities: Vec<_> = collected.seen.iter().map(Seen::name).collect();
        f.debug_struct("RequestScope")
            .field("entities", &entities)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
