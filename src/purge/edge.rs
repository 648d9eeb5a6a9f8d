//! What an edge must be able to do: purge a name, and say how far that is.

use crate::{
    error::BoxError,
    model::{EdgeSubject, Strength},
};
use std::{fmt, future::Future, pin::Pin, time::Duration};

/// A step of a purge that may fail for good.
type Step = Pin<Box<dyn Future<Output = Result<(), BoxError>> + Send>>;

/// The edge in front of a service, which keeps pages: one vendor, or several at once.
///
/// Given to [`TiersBuilder::edge`](crate::TiersBuilder::edge), it is told of whatever is invalidated. `Purger` of
/// `tricache-middleware` is one.
///
/// # Examples
/// ```
/// use tricache::{Edge, EdgePurge, EdgeSubject, Strength};
///
/// /// Prints instead of purging.
/// struct DryRun;
///
/// impl Edge for DryRun {
///     fn purge(&self, subject: &EdgeSubject, strength: Strength) -> EdgePurge {
///         println!("{subject:?} {strength:?}");
///         EdgePurge::new(async { Ok(()) }, async { Ok(()) })
///     }
/// }
/// ```
pub trait Edge: Send + Sync + 'static {
    /// Begins to purge every page that shows the subject, and returns at once: it is called by whoever invalidates.
    ///
    /// Whatever fails in passing is its own to repeat, for as long as that takes. It is called again for a subject that is
    /// still under way, when that was invalidated again: then only a purge that begins after the call counts for it. That a
    /// subject is named twice is harmless.
    fn purge(&self, subject: &EdgeSubject, strength: Strength) -> EdgePurge;

    /// How long a purge takes from this call until it is [done for good](EdgePurge::new) when nothing fails. A note that is
    /// older in Redis is taken for one whose node has died, and another node purges once more. All nodes should answer alike.
    /// Default: 10 s.
    fn expected(&self) -> Duration {
        Duration::from_secs(10)
    }
}

/// A purge that an [`Edge`] has begun. Dropping it cancels nothing.
pub struct EdgePurge {
    pub(crate) taken: Step,
    pub(crate) done: Step,
}

impl EdgePurge {
    /// `taken` ends when the edge has purged, everywhere, and `done` when that holds for good: a page that was being rendered
    /// meanwhile, of what was old, may have reached the edge after the first purge, so there must have been a second one.
    ///
    /// An error of either says that it will not happen: the edge refuses. The name stays in the purge record then, and is
    /// purged again after a pause. While the edge is only away, neither ends.
    pub fn new(
        taken: impl Future<Output = Result<(), BoxError>> + Send + 'static,
        done: impl Future<Output = Result<(), BoxError>> + Send + 'static,
    ) -> Self {
        Self {
            taken: Box::pin(taken),
            done: Box::pin(done),
        }
    }

    /// A purge that the edge refuses.
    pub fn refused(error: impl Into<BoxError>) -> Self {
        let error = error.into();
        Self::new(async { Err(error) }, async { Ok(()) })
    }
}

impl fmt::Debug for EdgePurge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EdgePurge").finish_non_exhaustive()
    }
}
