//! When a flight began, and until when that lets others join it.

/// The moment at which a flight begins.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Started {
    pub(crate) at: u64,
    /// Generation of the tag table.
    pub(crate) told: u64,
    /// How often this process was told of an entity, of whatever cache.
    pub(crate) touched: u64,
}

/// Which flights may be joined: those that an invalidation would have detached by now.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Joinable {
    /// The feed of the key's bucket is live.
    pub(crate) live: bool,
    /// Without a live feed, flights that began at or after this moment.
    pub(crate) since: u64,
}
