//! Versions, epochs and positions: what says whether a value is still the value.
//!
//! A version is one number: the feed position of the bump that made it, `max(head + 1, Redis TIME in µs)`.
//! It grows and is never issued twice, also when a pointer was evicted or a clock stepped back.
//! All numbers that a script touches stay below 2^53, where Lua's doubles are exact.

use serde::Serialize;
use std::fmt;

/// One generation of an entity's value. Growing within an [`Epoch`], never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Version(pub(crate) u64);

impl Version {
    /// The number, as Redis keeps it.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One incarnation of a bucket's data in Redis. A wipe, an empty restart or a promotion starts another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Epoch(pub(crate) u64);

impl Epoch {
    /// The number, as Redis keeps it. Epochs have no order.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }

    pub(crate) fn random() -> Self {
        Self(random_52_bits())
    }
}

/// The random part of a link in the feed's chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Nonce(pub(crate) u64);

impl Nonce {
    pub(crate) fn random() -> Self {
        Self(random_52_bits())
    }
}

fn random_52_bits() -> u64 {
    fastrand::u64(1..1 << 52)
}

/// A version the caller knows: a row version, a commit number, a content hash.
///
/// As a *pinned version* it is part of the key in every tier: immutable, an update makes another key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct StoreVersion(u128);

impl StoreVersion {
    /// The number.
    #[must_use]
    pub const fn number(self) -> u128 {
        self.0
    }

    /// As Redis keeps it: of one length, so that texts compare like numbers.
    pub(crate) fn text(self) -> String {
        format!("{:032x}", self.0)
    }
}

impl From<u64> for StoreVersion {
    fn from(number: u64) -> Self {
        Self(u128::from(number))
    }
}

impl From<u128> for StoreVersion {
    fn from(number: u128) -> Self {
        Self(number)
    }
}

/// What a value must carry to be the current one: its version, in its epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Generation {
    pub(crate) epoch: Epoch,
    pub(crate) version: Version,
}

/// A bucket's control record: which incarnation, and how far its feed has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) epoch: Epoch,
    /// Position and version of the last event.
    pub(crate) n: u64,
    pub(crate) nonce: Nonce,
    /// The highest version issued, with or without an event. At least `n`.
    pub(crate) high: u64,
}

/// The current version of an entity, in Redis beside its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pointer {
    pub(crate) version: Version,
    /// Values from here up to the version may be served stale; a hard invalidation sets it to the version.
    pub(crate) floor: Version,
    pub(crate) flags: u32,
    /// The newest version of the store that this pointer is known to speak for.
    pub(crate) store: Option<StoreVersion>,
}

impl Pointer {
    /// A value was stored that shows the entity. It stays as long as the pointer.
    pub(crate) const DEPENDED: u32 = 1;
    /// The store's version came with a bump, not with a load.
    pub(crate) const STORE_BUMPED: u32 = 2;
    /// The version came with a bump, not with a load that found no pointer. It stays as long as the pointer.
    pub(crate) const BUMPED: u32 = 4;

    pub(crate) fn has(&self, flag: u32) -> bool {
        self.flags & flag != 0
    }
}

/// Where an invalidation stands in the feed: what a client would carry to read its own writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Stamp {
    pub(crate) bucket: u16,
    pub(crate) epoch: Epoch,
    pub(crate) n: u64,
}

impl Stamp {
    /// The slice of the key space whose feed carries the invalidation.
    #[must_use]
    pub const fn bucket(&self) -> u16 {
        self.bucket
    }

    /// The incarnation in which the position counts.
    #[must_use]
    pub const fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// The position; also the version that the invalidation gave to its entity.
    #[must_use]
    pub const fn n(&self) -> u64 {
        self.n
    }
}
