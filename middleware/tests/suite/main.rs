//! The middleware through its public API, in front of caches whose clock the tests move.

mod ahead;
mod cached_service;
mod fake_edge;
mod guard;
mod lists;
mod policy;
#[cfg(feature = "purge")]
mod purge;
mod reads;
#[cfg(feature = "axum")]
mod router;
mod rules;
mod scopes;
mod service;
mod structured;
mod support;
