//! Why a purge did not reach an edge: opaque, cheap to clone, answered by questions.

use std::{fmt, sync::Arc};

/// What went wrong with a purge, or with a purger's settings.
///
/// Being slow or away is never an error of a purge: what failed in passing is sent again until it is taken. What remains: the
/// vendor refuses, the queue is full, the input is wrong, or the purger was shut down first.
#[derive(Clone)]
pub struct PurgeError(Arc<Kind>);

#[derive(Debug)]
enum Kind {
    Config(String),
    Refused { vendor: String, reason: String },
    Overflow { vendor: String },
    Closed,
}

impl PurgeError {
    /// Whether a setting, a URL or a key was wrong.
    #[must_use]
    pub fn is_config(&self) -> bool {
        matches!(*self.0, Kind::Config(_))
    }

    /// Whether a vendor has refused: the key, the mode, or our credentials.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        matches!(*self.0, Kind::Refused { .. })
    }

    /// Whether a vendor's queue was full, and could not be made shorter. The keys are not purged there.
    #[must_use]
    pub fn is_overflow(&self) -> bool {
        matches!(*self.0, Kind::Overflow { .. })
    }

    /// Whether the purger was shut down, or dropped, before the vendor took the keys.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        matches!(*self.0, Kind::Closed)
    }

    /// The vendor that has refused or whose queue was full.
    #[must_use]
    pub fn vendor(&self) -> Option<&str> {
        match &*self.0 {
            Kind::Refused { vendor, .. } | Kind::Overflow { vendor } => Some(vendor),
            Kind::Config(_) | Kind::Closed => None,
        }
    }

    pub(crate) fn config(text: impl Into<String>) -> Self {
        Self(Arc::new(Kind::Config(text.into())))
    }

    pub(crate) fn refused(vendor: &str, reason: impl Into<String>) -> Self {
        let (vendor, reason) = (vendor.to_owned(), reason.into());
        Self(Arc::new(Kind::Refused { vendor, reason }))
    }

    pub(crate) fn overflow(vendor: &str) -> Self {
        let vendor = vendor.to_owned();
        Self(Arc::new(Kind::Overflow { vendor }))
    }

    pub(crate) fn closed() -> Self {
        Self(Arc::new(Kind::Closed))
    }
}

impl fmt::Display for PurgeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.0 {
            Kind::Config(text) => f.write_str(text),
            Kind::Refused { vendor, reason } => write!(f, "{vendor} refused a purge: {reason}"),
            Kind::Overflow { vendor } => write!(f, "the purge queue of {vendor} is full"),
            Kind::Closed => {
                f.write_str("the purger was shut down before the purge was acknowledged")
            }
        }
    }
}

impl fmt::Debug for PurgeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PurgeError({self})")
    }
}

impl std::error::Error for PurgeError {}
