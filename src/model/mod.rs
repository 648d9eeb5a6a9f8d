//! Pure data and the arithmetic of time: keys, versions, policies, entries. No I/O, nothing async.

mod address;
mod clock;
mod entry;
mod event;
mod key;
mod labels;
mod policy;
mod server_time;
mod tag;
mod version;

pub use self::{
    address::EntityName,
    clock::{Clock, ManualClock, SystemClock},
    key::{CacheKey, KeyWriter},
    labels::Visibility,
    policy::{Level, Policy},
    tag::Tag,
    version::{Epoch, Stamp, StoreVersion, Version},
};
pub(crate) use self::{
    address::{Address, CacheName, EntityId, checked_name},
    clock::{millis, to_duration},
    entry::{Content, Entry, Lifetime, Seal},
    event::{Event, EventKind, Strength, TagBump},
    key::RenderedKey,
    labels::{Labels, Place, Position},
    server_time::ServerTime,
    tag::{cache_tag, entity_tag, everything_tag, nested_tag},
    version::{Generation, Head, Nonce, Pointer},
};
