//! The trait that a vendor implements, and what a call to it can answer.

use std::{borrow::Cow, future::Future, pin::Pin, time::Duration};

use super::{batch::Batch, limits::Limits};

/// What [`Purge::purge`] returns.
pub type PurgeFuture<'a> = Pin<Box<dyn Future<Output = Answer> + Send + 'a>>;

/// An edge that can be told which pages are old: one vendor's account, or one node of a farm.
///
/// A [`Purger`](crate::purge::Purger) makes one call at a time, within the [`Limits`], and repeats what failed.
///
/// # Examples
/// ```
/// use tricache_middleware::purge::{Answer, Batch, Limits, Purge, PurgeFuture};
///
/// /// Prints instead of purging.
/// struct DryRun;
///
/// impl Purge for DryRun {
///     fn name(&self) -> &str {
///         "dry-run"
///     }
///
///     fn limits(&self) -> Limits {
///         Limits::new(100).soft().everything()
///     }
///
///     fn purge<'a>(&'a self, batch: &'a Batch) -> PurgeFuture<'a> {
///         Box::pin(async move {
///             println!("{:?}: {:?}", batch.mode(), batch.keys().collect::<Vec<_>>());
///             Answer::done()
///         })
///     }
/// }
/// ```
pub trait Purge: Send + Sync + 'static {
    /// What reports and logs call it: without a secret, and different from the other vendors of the same purger.
    fn name(&self) -> &str;

    /// What one call may name, and how often. Asked once.
    fn limits(&self) -> Limits;

    /// Purges what the batch names, or says why not.
    ///
    /// A key that no page carries is done. A call that has not ended after a minute is given up, and
    /// sent again. It may be sent again though it has succeeded, if its answer was lost.
    ///
    /// # Cancel safety
    /// The future is dropped when its minute is over, or the purger ends; the vendor may have taken the batch all the same.
    fn purge<'a>(&'a self, batch: &'a Batch) -> PurgeFuture<'a>;
}

/// How a call to a vendor ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub(crate) done: Done,
    pub(crate) failure: Option<Failure>,
}

/// Which keys of a batch the vendor has taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Done {
    All,
    These(Vec<String>),
}

impl Answer {
    /// The vendor has taken the whole batch.
    #[must_use]
    pub fn done() -> Self {
        Self {
            done: Done::All,
            failure: None,
        }
    }

    /// The vendor has taken these keys of the batch; the others met with the failure.
    #[must_use]
    pub fn partly(done: impl IntoIterator<Item = impl Into<String>>, failure: Failure) -> Self {
        Self {
            done: Done::These(done.into_iter().map(Into::into).collect()),
            failure: Some(failure),
        }
    }

    /// The vendor has taken nothing, as far as one can know.
    #[must_use]
    pub fn failed(failure: Failure) -> Self {
        Self::partly(None::<String>, failure)
    }

    /// Whether the vendor has taken the whole batch.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.done == Done::All
    }

    /// What went wrong; `None` if the whole batch is done.
    #[must_use]
    pub fn failure(&self) -> Option<&Failure> {
        self.failure.as_ref()
    }
}

/// Why a vendor did not take a batch, and what may be done about it.
///
/// Its text goes into reports, logs and errors: it says what happened, without a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub(crate) kind: FailureKind,
    pub(crate) text: Cow<'static, str>,
    pub(crate) after: Option<Duration>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FailureKind {
    Passing,
    Refused,
    LockedOut,
}

impl Failure {
    /// It may go better the next time: a timeout, a 429, a 5xx. The keys are sent again after a pause.
    #[must_use]
    pub fn passing(text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(FailureKind::Passing, text)
    }

    /// The vendor will never take this batch: a 400. Its keys are given up, and their receipts say why.
    #[must_use]
    pub fn refused(text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(FailureKind::Refused, text)
    }

    /// The vendor takes nothing from us: a 401, a 403, an account that it does not know. The batch's keys are given up, and
    /// so is all that is waiting or comes, without a call, until a pause is over.
    #[must_use]
    pub fn locked_out(text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(FailureKind::LockedOut, text)
    }

    fn new(kind: FailureKind, text: impl Into<Cow<'static, str>>) -> Self {
        Self {
            kind,
            text: text.into(),
            after: None,
        }
    }

    /// The vendor wants no call before this much time has passed. Default: the purger's own pause.
    #[must_use]
    pub fn retry_after(mut self, pause: Duration) -> Self {
        self.after = Some(pause);
        self
    }

    /// Whether the same batch may succeed later.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        self.kind == FailureKind::Passing
    }

    /// Whether the vendor takes nothing from us, whatever the batch.
    #[must_use]
    pub fn is_locked_out(&self) -> bool {
        self.kind == FailureKind::LockedOut
    }

    /// How long the vendor wants to be left alone, if it has said so.
    #[must_use]
    pub fn pause(&self) -> Option<Duration> {
        self.after
    }

    /// What happened.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }
}
