//! Many keys at once: one look at each tier, one call of the loader, and every key as well kept as if it were alone.

mod answers;
mod circles;
mod dropped;
#[cfg(feature = "proof")]
mod invalidating;
#[cfg(feature = "proof")]
mod race;
mod reading;
mod round_trips;
mod shared;
mod stale;
