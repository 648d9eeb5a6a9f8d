//! The edge in front of the service: the open trait behind which it lies, and the purges that this process sees to.
//!
//! An invalidation hands its names over once Redis and this process know of it. Who bumped sees the purge through to the second
//! one, and then forgets the note that the bump has left in Redis; if it dies before, another node finds the note.

mod edge;
mod errands;

pub use self::edge::{Edge, EdgePurge};
pub(crate) use self::errands::{AT_ONCE, Errand, Errands, Handed, Standing};
