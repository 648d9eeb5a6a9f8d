//! Pure data and the arithmetic of time: keys, versions, policies, entries. No I/O, nothing async.

mod address;
mod clock;
mod entry;
mod event;
mod key;
mod policy;
mod server_time;
mod version;

pub use self::{
    address::EntityName,
    clock::{Clock, ManualClock, SystemClock},
    key::{CacheKey, KeyWriter},
    policy::{Level, Policy},
    version::{Epoch, Stamp, StoreVersion, Version},
};
pub(crate) use self::{
    address::{Address, CacheName, EntityId, checked_name},
    clock::{millis, to_duration},
    entry::{Entry, Lifetime},
    event::{Event, EventKind},
    key::RenderedKey,
    server_time::ServerTime,
    version::{Generation, Head, Nonce, Pointer},
};
