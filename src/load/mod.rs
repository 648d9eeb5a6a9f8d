//! The miss path: one load per key and fleet.
//!
//! In order: a *flight*, so that one caller of this process goes on; the *lease*, so that one node of the fleet does;
//! a *place*, so that only so many loads run at once; the loader, in a task of its own that no dropped caller stops; the *fill*, refused if the key was invalidated
//! meanwhile. A batch goes the same way, all its keys a step at a time. See `docs/stampede.md` and `docs/batches.md`.

mod admit;
mod batch;
mod circle;
mod draft;
mod filling;
mod flight;
mod gate;
mod lease;
mod loaded;
mod moment;
mod nested;
mod places;
mod run;
mod seek;
mod shelf;
mod unpack;
mod vouch;

pub(crate) use self::{
    admit::{Pass, admit, give_up, queue},
    batch::{Led, run_many, sorted},
    circle::{Circles, is_loading, number as load_number, waits_for, within as within_load},
    draft::Draft,
    flight::{Flight, Flights, Permit, Role},
    gate::{Gate, Limiter},
    lease::{Acquired, Meaning, acquire, outlived},
    moment::{Joinable, Started},
    nested::{Reads, note_read},
    places::Places,
    run::{Grant, Loader, give_back, in_time, loader, run},
    seek::{Seeker, Waiters, ask_many},
    shelf::{Origin, Shelf},
    unpack::Unpacked,
};
pub use self::{
    gate::Loads,
    loaded::{LoadContext, Loaded},
};
