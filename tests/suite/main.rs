//! The behaviour of a cache through its public API, on both remotes.

mod advice;
#[cfg(feature = "proof")]
mod agreements;
mod bad_input;
mod basics;
mod batches;
mod behaviours;
#[cfg(feature = "proof")]
mod chaos;
mod codecs;
#[cfg(feature = "test-util")]
mod counts;
mod deadlines;
mod draining;
#[cfg(feature = "proof")]
mod faults;
mod leases;
mod limits;
mod loaders;
mod loading;
mod nodes;
mod prefixes;
#[cfg(feature = "proof")]
mod protections;
#[cfg(feature = "proof")]
mod races;
mod reads;
#[cfg(feature = "proof")]
mod refusals;
mod shutdowns;
#[cfg(feature = "test-util")]
mod stale;
mod switches;
mod table;
#[cfg(feature = "proof")]
mod tags;
#[cfg(feature = "proof")]
mod truth;
mod warm;
mod wire;
