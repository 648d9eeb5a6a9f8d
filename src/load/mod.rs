//! The miss path: one load per key and fleet.
//!
//! In order: a *flight*, so that one caller of this process goes on; the *lease*, so that one node of the fleet does;
//! the loader, in a task of its own that no dropped caller stops; the *fill*, refused if the key was invalidated
//! meanwhile. See `docs/stampede.md`.

mod circle;
mod draft;
mod flight;
mod lease;
mod loaded;
mod nested;
mod run;
mod shelf;

pub use self::loaded::{LoadContext, Loaded};
pub(crate) use self::{
    circle::{Circles, waits_for},
    draft::Draft,
    flight::{Flight, Flights, Joinable, Permit, Role, Started},
    lease::{Acquired, acquire},
    nested::note_read,
    run::{Grant, give_back, loader, message as panic_message, run},
    shelf::{Origin, Shelf},
};
