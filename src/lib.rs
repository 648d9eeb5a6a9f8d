//! A tiered cache for services whose data changes.
//!
//! A service keeps its hot data in its own memory, in Redis, and at the CDN. tricache is the glue between them: one
//! [`TieredCache`] in front of a database call, and one invalidation that reaches Redis and every node, with a stated
//! bound on how stale a read can be.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), tricache::Error> {
//! use std::time::Duration;
//! use tricache::{Policy, Tiers};
//!
//! # #[derive(serde::Serialize, serde::Deserialize)]
//! # struct Product { name: String }
//! # #[derive(Clone)]
//! # struct Repo;
//! # impl Repo { async fn product(&self, _: u64) -> Result<Product, std::io::Error> { Ok(Product { name: "Lamp".into() }) } }
//! # let repo = Repo;
//! // Without `.redis(url)` the remote tier is in memory: enough for one process, and for tests.
//! let tiers = Tiers::builder("shop").build().await?;
//! let products = tiers.cache::<u64, Product>("product", Policy::ttl(Duration::from_secs(600)))?;
//!
//! let product = products.get_or_load(&42, |_| {
//!     let repo = repo.clone();
//!     async move { repo.product(42).await }
//! }).await?;
//! assert_eq!(product.name, "Lamp");
//!
//! // After the commit of a change:
//! let receipt = products.invalidate(&42).await?;
//! assert!(!receipt.is_pending());
//! # Ok(()) }
//! ```
//!
//! # The map
//!
//! A **cache** asks **local**, then **remote**, and otherwise **loads**, once. A write **invalidates**: a bump in Redis, the
//! **feed** to every node. A request's **scope** remembers what it read, and the middleware of `tricache-middleware` turns that into headers.
//!
//! | module | what it is for |
//! |---|---|
//! | `tiers` | start, caches, report, shutdown |
//! | `cache` | the handle, and the read path from top to bottom |
//! | `engine` | what caches share while they run |
//! | `tasks` | the tasks that a shutdown waits for |
//! | `load` | the miss path in order: flight, lease, loader, fill |
//! | `feed` | events, the chain that shows a loss, heartbeats, proof of liveness |
//! | `tags` | which tags were bumped, and when |
//! | `invalidate` | the fixed order of steps; what Redis did not take yet |
//! | `local` | the tier in this process |
//! | `remote` | the tier in Redis, or the same in memory |
//! | `purge` | the edge in front, and the purges that this process sees to |
//! | `codec` | values as bytes, and how they are recognised |
//! | `scope` | what one request has read, and whether it is still current |
//! | `cached`, `outcome`, `error`, `observe` | what a read answers, and what is counted |
//! | `model` | keys, versions, policies, clocks: pure data |
//!
//! # Features
//!
//! All are off by default, and none changes what is there without it.
//!
//! | feature | what it brings |
//! |---|---|
//! | `messagepack` | the codec `MessagePack` |
//! | `metrics` | counters and durations for the exporter that the service has installed, through the facade `metrics` |
//! | `postcard` | the codec `Postcard` |
//! | `uuid` | `CacheKey` for `uuid::Uuid` |
//! | `test-util` | for the tests of a service: faults of [`InProcess`], waits of [`Tiers`] without polling, assertions on [`Cached`] |
//!
//! The pages in `docs/` tell why it is as it is: `docs/coherence.md` is the one to begin with.

mod cache;
mod cached;
mod codec;
mod engine;
mod error;
mod feed;
#[cfg(feature = "proof")]
#[doc(hidden)]
pub mod fuzzing;
mod invalidate;
mod load;
mod local;
mod model;
mod observe;
mod outcome;
mod purge;
mod remote;
mod scope;
mod tags;
mod tasks;
mod tiers;

#[cfg(feature = "messagepack")]
pub use self::codec::MessagePack;
#[cfg(feature = "postcard")]
pub use self::codec::Postcard;
#[cfg(feature = "tls")]
pub use self::remote::Tls;
#[cfg(feature = "proof")]
#[doc(hidden)]
pub use self::tiers::Protection;
pub use self::{
    cache::{Batch, BatchContext, Collect, LoadingCache, Pinned, TieredCache, WarmUp, Warmed},
    cached::Cached,
    codec::{Bincode, Codec, DecodeError, EncodeError},
    error::{BoxError, Error, OptionalExt},
    invalidate::Receipt,
    load::{LoadContext, Loaded, Loads},
    model::{
        CacheKey, Clock, EdgeSubject, EntityName, Epoch, KeyWriter, Level, ManualClock, Policy,
        Stamp, StoreVersion, Strength, SystemClock, Tag, Version, Visibility, WhenDeaf,
    },
    observe::Counters,
    outcome::Outcome,
    purge::{Edge, EdgePurge},
    remote::{Advice, Fencing, InProcess},
    scope::{Confirmation, ReadSet, RequestScope, ScopeSummary},
    tiers::{
        CacheBuilder, Drained, EdgeReport, NodeReport, Outage, RemoteState, Report, Tiers,
        TiersBuilder,
    },
};

/// The examples of the page, run so that they stay true.
#[cfg(all(doctest, feature = "test-util"))]
#[doc = include_str!("../docs/testing.md")]
struct TestingPage;
