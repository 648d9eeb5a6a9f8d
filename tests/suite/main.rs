//! The behaviour of a cache through its public API, on both remotes.

mod basics;
mod nodes;
