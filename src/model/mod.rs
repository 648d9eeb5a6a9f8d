//! Pure data and the arithmetic of time: keys, versions, policies, entries. No I/O, nothing async.

mod address;
mod clock;
mod entry;
mod event;
mod key;
mod labels;
mod level;
mod policy;
mod server_time;
mod subject;
mod tag;
mod version;

pub use self::{
    address::EntityName,
    clock::{Clock, ManualClock, SystemClock},
    event::Strength,
    key::{CacheKey, KeyWriter},
    labels::Visibility,
    level::{Level, WhenDeaf},
    policy::Policy,
    subject::EdgeSubject,
    tag::Tag,
    version::{Epoch, Stamp, StoreVersion, Version},
};
pub(crate) use self::{
    address::{Address, CacheName, EntityId, checked_name},
    clock::{millis, to_duration},
    entry::{Content, Entry, Lifetime, Seal},
    event::{Event, EventKind, TagBump},
    key::RenderedKey,
    labels::{Labels, Place, Position},
    level::{Deaf, Reach, Trust},
    server_time::ServerTime,
    subject::{Noted, PurgeNote, Recording, TOO_MANY, Wish},
    tag::{cache_tag, entity_tag, everything_tag, nested_tag},
    version::{Generation, Head, Nonce, Pointer},
};
