//! What was loaded, together with what its load has read, before it is put anywhere.

use super::{Loaded, loaded::Confirmed, nested::Inherited};
use crate::{
    error::Error,
    model::{Content, Labels, Policy, StoreVersion, Visibility, millis},
};

/// A value or its absence on its way into the tiers.
pub(crate) struct Draft<V> {
    pub(crate) content: Content<V>,
    /// Of a value that is that of before.
    pub(crate) confirmed: Option<Confirmed>,
    pub(crate) labels: Labels,
    pub(crate) visibility: Visibility,
    /// How long it may live from the start of its load, in ms.
    pub(crate) ttl: u64,
    /// The version of the store that was read.
    pub(crate) version: Option<StoreVersion>,
    /// Whether any tier may keep it.
    pub(crate) keep: bool,
}

impl<V> Draft<V> {
    /// # Errors
    /// If it confirms a value that nobody was given.
    pub(crate) fn new(mut loaded: Loaded<V>, policy: &Policy) -> Result<Self, Error> {
        let (content, confirmed) = (loaded.content()?, loaded.confirmed());
        let mut labels = loaded.labels;
        labels.settle();
        let ttl = if content.is_absent() {
            policy.jittered_absent_ttl()
        } else {
            Some(policy.jittered_ttl())
        };
        let most = loaded.ttl.map_or(u64::MAX, millis);
        Ok(Self {
            content,
            confirmed,
            labels,
            visibility: loaded.visibility.max(policy.visibility),
            ttl: ttl.unwrap_or(0).min(most),
            version: loaded.version,
            keep: loaded.keep && ttl.is_some() && most > 0,
        })
    }

    /// Takes over what the load has read, which may live on for `remaining` ms from the load's end; it took `took` ms.
    /// `stale`: the policy has a stale window, so what is made of a value past its TTL is kept as one that is past its own.
    pub(super) fn inherit(&mut self, inherited: &Inherited, took: u64, stale: bool) {
        self.labels.add(&inherited.labels);
        self.visibility = self.visibility.max(inherited.visibility);
        if let Some(remaining) = inherited.remaining() {
            // The life is counted from the start of the load.
            self.ttl = self.ttl.min(took + remaining);
            self.keep &= remaining > 0 || stale;
        }
        self.keep &= !inherited.unprovable;
    }

    /// A read that is pinned to a version keeps a value, or an absence, of this very version and no other.
    pub(crate) fn pin(&mut self, pin: Option<StoreVersion>) -> bool {
        // What was kept of it is of this version, so a loader that confirms it need not say so.
        let confirmed = self.confirmed.is_some() && self.version.is_none();
        let fits = pin.is_none() || pin == self.version || confirmed;
        self.keep &= fits;
        fits
    }
}
