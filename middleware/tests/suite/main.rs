//! The middleware through its public API, in front of caches whose clock the tests move, and behind real caches.

mod ahead;
mod cached_service;
mod fake_edge;
mod gate;
mod guard;
mod lists;
#[cfg(feature = "purge")]
mod nginx;
#[cfg(feature = "purge")]
mod onlookers;
#[cfg(feature = "purge")]
mod origin;
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
#[cfg(feature = "purge")]
mod varnish;
#[cfg(feature = "purge")]
mod visitor;
