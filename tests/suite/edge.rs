//! The edge's part of an invalidation, and the purge record, on both remotes.

mod fake;
mod names;
mod pending;
mod receipts;
mod record;
mod refused;
mod sweeping;
mod too_many;
