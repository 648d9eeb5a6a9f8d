//! Spans: one for each call and one for each load, at debug level, made only where somebody listens.
//!
//! Keys stand in spans and nowhere else, so a filter that leaves debug out leaves them out.

use crate::{error::Error, outcome::Outcome};
use tracing::{Id, Level, Span, debug, debug_span, field::Empty, level_filters::LevelFilter};

macro_rules! spans {
    ($($(#[doc = $doc:literal])+ $call:ident $name:literal,)+) => {
        /// What is traced.
        #[derive(Clone, Copy, Debug)]
        pub(crate) enum Traced {
            $($(#[doc = $doc])+ $call,)+
        }

        impl Traced {
            fn made(self, cache: &str, key: Option<&str>, keys: Option<usize>) -> Span {
                match self {
                    $(Self::$call => {
                        let parent = self.parent();
                        debug_span!(target: "tricache", parent: parent, $name, cache, key, keys, outcome = Empty)
                    })+
                }
            }
        }
    };
}

spans! {
    /// A read that does not load.
    Get "tricache.get",
    /// A read that loads.
    GetOrLoad "tricache.get_or_load",
    /// A batch that does not load.
    GetMany "tricache.get_many",
    /// A batch that loads.
    GetOrLoadMany "tricache.get_or_load_many",
    /// Invalidations of keys.
    Invalidate "tricache.invalidate",
    /// Soft ones.
    Expire "tricache.expire",
    /// A value that is brought along.
    Insert "tricache.insert",
    /// An invalidation of a whole cache, or of everything.
    Clear "tricache.clear",
    /// Invalidations of tags.
    InvalidateTags "tricache.invalidate_tags",
    /// Soft ones of tags.
    ExpireTags "tricache.expire_tags",
    /// A loader's task, below the call that began it.
    Load "tricache.load",
    /// A load in the background, below nothing: the call that asked for it is answered already.
    Refresh "tricache.refresh",
}

impl Traced {
    fn parent(self) -> Option<Id> {
        match self {
            Self::Refresh => None,
            _ => Span::current().id(),
        }
    }

    /// The span of something that concerns one key.
    pub(crate) fn of_key(self, cache: &str, key: &str) -> Span {
        if !is_listening() {
            return Span::none();
        }
        self.made(cache, Some(key), None)
    }

    /// The span of something that concerns so many keys or tags.
    pub(crate) fn of_many(self, cache: &str, keys: usize) -> Span {
        if !is_listening() {
            return Span::none();
        }
        self.made(cache, None, Some(keys))
    }

    /// The span of something that concerns a whole cache.
    pub(crate) fn of_all(self, cache: &str) -> Span {
        if !is_listening() {
            return Span::none();
        }
        self.made(cache, None, None)
    }
}

/// Whether anybody wants debug spans at all: one load of an atomic number.
#[inline]
pub(crate) fn is_listening() -> bool {
    Level::DEBUG <= LevelFilter::current()
}

/// Notes in a read's span what it came to; `None`: nothing was held.
pub(crate) fn ended(span: &Span, answer: Option<Result<Outcome, &Error>>) {
    let label = match answer {
        Some(Ok(outcome)) => {
            if outcome.is_stale() {
                span.in_scope(|| debug!("a value past its ttl was served"));
            }
            outcome.as_str()
        }
        Some(Err(_)) => "failed",
        None => "missed",
    };
    span.record("outcome", label);
}

/// The same of a write: whether Redis has taken it.
pub(crate) fn told(span: &Span, pending: Option<bool>) {
    let label = match pending {
        Some(false) => "acknowledged",
        Some(true) => "pending",
        None => "failed",
    };
    span.record("outcome", label);
}
