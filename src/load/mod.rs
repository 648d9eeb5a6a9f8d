//! The miss path: one load per key and fleet.
//!
//! In order: a *flight*, so that one caller of this process goes on; the *lease*, so that one node of the fleet does;
//! the loader, in a task of its own that no dropped caller stops; the *fill*, refused if the key was invalidated
//! meanwhile. See `docs/stampede.md`.

mod circle;
mod flight;
mod lease;
mod loaded;
mod run;
mod shelf;

pub use self::loaded::{LoadContext, Loaded};
pub(crate) use self::{
    circle::{Circles, waits_for},
    flight::{Flights, Joinable, Permit, Role},
    lease::{Acquired, acquire},
    run::{Grant, give_back, message as panic_message, run},
    shelf::Shelf,
};
