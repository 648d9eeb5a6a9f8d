//! The miss path: one load per key and fleet.
//!
//! In order: a *flight*, so that one caller of this process goes on; the *lease*, so that one node of the fleet does;
//! the loader, in a task of its own that no dropped caller stops; the *fill*, refused if the key was invalidated
//! meanwhile. A batch goes the same way, all its keys a step at a time. See `docs/stampede.md` and `docs/batches.md`.

mod batch;
mod circle;
mod draft;
mod flight;
mod lease;
mod loaded;
mod nested;
mod places;
mod run;
mod seek;
mod shelf;
mod unpack;

pub use self::loaded::{LoadContext, Loaded};
pub(crate) use self::{
    batch::{Led, run_many, sorted},
    circle::{Circles, is_loading, number as load_number, waits_for, within as within_load},
    draft::Draft,
    flight::{Flight, Flights, Joinable, Permit, Role, Started},
    lease::{Acquired, Meaning, acquire, outlived},
    nested::{Reads, note_read},
    places::Places,
    run::{Grant, Loader, give_back, loader, run},
    seek::{Seeker, Waiters, ask_many},
    shelf::{Origin, Shelf},
    unpack::Unpacked,
};
