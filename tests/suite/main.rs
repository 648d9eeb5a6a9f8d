//! The behaviour of a cache through its public API, on both remotes.

mod bad_input;
mod basics;
mod batches;
#[cfg(feature = "proof")]
mod chaos;
#[cfg(feature = "proof")]
mod faults;
mod leases;
mod loading;
mod nodes;
#[cfg(feature = "proof")]
mod protections;
#[cfg(feature = "proof")]
mod races;
mod reads;
mod shutdowns;
#[cfg(feature = "proof")]
mod steps;
#[cfg(feature = "proof")]
mod truth;
