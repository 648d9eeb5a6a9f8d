//! What a request read decides what an edge may keep.
//!
//! [`EdgeLayer`] notes every cache entry that a request reads through [`tricache`], and writes three headers when
//! the response is ready: `Cache-Control` for browsers, `Surrogate-Control` with the least remaining life of what
//! was read, and `Surrogate-Key` with the names of entities and tags, so that one purge finds every page that shows them.
//! Nothing is shared unless the route says so with [`Public`], and nothing that looks personal is shared at all.
//!
//! ```
//! use std::time::Duration;
//! use axum::{Router, extract::State, routing::get};
//! use tricache::{Error, Policy, TieredCache, Tiers};
//! use tricache_middleware::{EdgeLayer, Profile, Public};
//!
//! async fn price(State(prices): State<TieredCache<u64, u64>>) -> String {
//!     let price = prices.get_or_load(&42, async |_| Ok::<_, Error>(1999)).await;
//!     price.map_or_else(|error| error.to_string(), |price| price.to_string())
//! }
//!
//! # async fn app() -> Result<Router, Error> {
//! let tiers = Tiers::builder("shop").build().await?;
//! let prices = tiers.cache("price", Policy::ttl(Duration::from_secs(600)))?;
//!
//! let app = Router::new()
//!     .route("/price", get(price).layer(Public)) // the same for everyone
//!     .route("/basket", get(async || "yours"))   // private
//!     .layer(EdgeLayer::new(Profile::fastly()))
//!     .with_state(prices);
//! # Ok(app) }
//! ```
//!
//! | file | its sentence |
//! |---|---|
//! | `cache` | a layer around a service that does database calls: its answers are cached |
//! | `layer` | the layer: a scope around the request, headers on the response |
//! | `edge` | what all services of one layer share: the steps from a response to its headers |
//! | `public` | the mark of a route whose answer is the same for everyone |
//! | `varies_on` | request headers that a response depends on |
//! | `profile` | what an edge in front understands; `vendors` names those that were read up on |
//! | `edges` | the edges in front, as one layer knows them |
//! | `stated` | what the handler itself said about caching |
//! | `facts` | what the rules ask about a request, its response and what was read in between |
//! | `decide` | every rule about sharing, in order, as a pure function |
//! | `verdict` | what each edge may keep of a page that may be shared |
//! | `write` | a decision, as headers |
//! | `structured` | what is written as a Structured Field |
//! | `key_line` | the keys of a page, as one header value that one edge can take |
//! | `surrogate_key` | names as surrogate keys, and all that a purge must name |
//! | `entity_tag` | a validator made of what a page was made of |
//! | `not_modified` | a 304 in place of a page that its client has already |
//! | `ahead` | the same before the handler is asked, for a route that reads through caches alone |
//! | `remembered` | the pages that this can be done for |
//! | `cache_status` | how the tiers have answered, as `Cache-Status` |
//! | `explain` | why a response is shared or not, for one who knows a secret |
//! | `secret` | a secret that requests may carry |
//! | `last_look` | what a layer outside of the edge's did to a shared page |
//! | `observe` | one event and one count per decision |
//!
//! [`CacheLayer`] is for the other side of a server: it caches the answers of a `tower::Service` that does database calls.
//!
//! # Features
//! - `axum`: [`Public`] as a part of an axum response. The layers work with any tower server without it.
//! - `purge`: the module `purge`, which tells edges what is old.

mod ahead;
mod cache;
mod cache_status;
mod decide;
mod edge;
mod edges;
mod entity_tag;
mod explain;
mod facts;
mod guard;
mod key_line;
mod last_look;
mod layer;
mod not_modified;
mod observe;
mod profile;
mod public;
#[cfg(feature = "purge")]
pub mod purge;
mod remembered;
mod secret;
mod stated;
mod structured;
mod surrogate_key;
mod varies_on;
mod verdict;
mod write;

pub use cache::{CacheLayer, CacheService};
pub use last_look::{LastLook, LastLookFuture, LastLookService};
pub use layer::{EdgeFuture, EdgeLayer, EdgeService};
pub use observe::EdgeReport;
pub use profile::{Control, KeyField, Profile, Separator};
pub use public::{MarkPublic, MarkPublicFuture, Public, PublicVarying};
pub use surrogate_key::{purge_keys, purge_keys_of_tag, surrogate_key};
