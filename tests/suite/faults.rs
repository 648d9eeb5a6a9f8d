//! Named faults: each ends as the fault table of the protocol says. The name of a test begins with its number.
//!
//! Faults that a hub in memory can have are tested on both remotes, the others on a Redis of their own, behind a
//! network that fails on demand.

mod failovers;
mod fills;
mod outages;
mod payloads;
mod pushes;
mod restarts;
mod scene;
mod strangers;
mod twins;
