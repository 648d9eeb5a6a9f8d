//! The middleware through its public API, in front of caches whose clock the tests move.

mod cached_service;
mod policy;
#[cfg(feature = "purge")]
mod purge;
mod reads;
#[cfg(feature = "axum")]
mod router;
mod rules;
mod service;
mod support;
