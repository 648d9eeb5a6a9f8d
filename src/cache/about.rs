//! What a cache says of itself.

use super::TieredCache;
use crate::{
    load::Loads,
    model::{Level, Policy},
};

impl<K, V: Send + Sync + 'static> TieredCache<K, V> {
    /// The name under which the cache was made.
    #[must_use]
    pub fn name(&self) -> &str {
        self.core.shelf.name.as_str()
    }

    /// How long its values live.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.core.shelf.policy
    }

    /// The level that this cache keeps right now: that of its policy, but [`Level::Eventual`] while a cache of
    /// [`Level::Bounded`] may serve what is not proven ([`WhenDeaf::Serve`](crate::WhenDeaf::Serve)), and where the server does not
    /// tell who it is, so that a restart with older data may go unnoticed ([`Report::fencing`](crate::Report::fencing)).
    #[must_use]
    pub fn level(&self) -> Level {
        self.core.level()
    }

    /// Entries that this process holds, and their bytes; both lag behind a little.
    #[must_use]
    pub fn local_usage(&self) -> (u64, u64) {
        self.core.shelf.local.usage()
    }

    /// Its loads, running and queued, and how many may run at once; `None` without a [limit](Policy::max_loads) of its own.
    #[must_use]
    pub fn loads(&self) -> Option<Loads> {
        self.core.shelf.gate.own()
    }
}
