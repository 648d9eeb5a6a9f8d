//! Keys at the edge, purged: from "these surrogate keys are old" to "every edge has said so", or the reason why not.
//!
//! [`Purger`] is a queue in memory and one task. It joins keys that are asked for twice, waits a moment so that they share a call,
//! keeps to each vendor's quota, pauses after a failure, and purges each key a second time, because a page that was being
//! rendered during the first purge may reach the edge after it. A vendor that fails holds up nobody but itself.
//!
//! A vendor is whatever implements [`Purge`]: [`Varnish`], [`Fastly`], [`Cloudflare`], [`CloudFront`], or your own.
//!
//! ```no_run
//! use std::time::Duration;
//! use tricache_middleware::{
//!     purge::{Fastly, Mode, Purger, Secret, Varnish},
//!     purge_keys,
//! };
//!
//! # async fn purge() -> Result<(), Box<dyn std::error::Error>> {
//! let token = Secret::new(std::env::var("FASTLY_TOKEN")?)?;
//! let purger = Purger::builder(Duration::from_secs(1))
//!     .vendor(Fastly::builder("SU1Z0isxPaozGVKXdv0eY", token).build()?)
//!     .vendors(Varnish::builder(["http://10.0.0.1:6081", "http://10.0.0.2:6081"]).build()?)
//!     .build()?;
//!
//! let receipt = purger.purge(purge_keys("product/42"), Mode::Hard)?;
//! receipt.acknowledged().await?; // by Fastly and by both nodes
//!
//! purger.shutdown(Duration::from_secs(10)).await;
//! # Ok(()) }
//! ```
//!
//! | file | its sentence |
//! |---|---|
//! | `purger` | the handle: the queue's front, its settings, its end |
//! | `edge` | the purger as the edge of a `Tiers` |
//! | `receipt` | what one purge is waiting for |
//! | `report` | how each vendor is doing |
//! | `lane` | one vendor's way through the queue, as a loop |
//! | `queue` | the keys one vendor still has to purge, as a pure state machine |
//! | `pace` | when a vendor may be called: quota, and pauses after failures |
//! | `vendor` | the trait, and what a call can answer |
//! | `limits` | what a vendor takes in one call, and how often |
//! | `batch` | what one call names |
//! | `key` | what can be a key at any vendor |
//! | `error` | why a purge did not reach an edge |
//! | `varnish`, `fastly`, `cloudflare`, `cloudfront` | the vendors |
//! | `http` | the HTTP client: timeouts, no redirects, statuses as answers |
//! | `retry_after` | a header in two forms |
//! | `secret` | what is never shown |
//! | `signature` | AWS's signature of CloudFront's calls |

mod batch;
mod cloudflare;
mod cloudfront;
mod edge;
mod error;
mod fastly;
mod http;
mod key;
mod lane;
mod limits;
mod pace;
mod purger;
mod queue;
mod receipt;
mod report;
mod retry_after;
mod secret;
mod signature;
mod varnish;
mod vendor;

pub use batch::{Batch, Mode};
pub use cloudflare::{Cloudflare, CloudflareBuilder, CloudflarePlan};
pub use cloudfront::{AwsCredentials, CloudFront, CloudFrontBuilder};
pub use error::PurgeError;
pub use fastly::{Fastly, FastlyBuilder};
pub use limits::{Limits, Quota};
pub use purger::{Purger, PurgerBuilder};
pub use receipt::{PurgeReceipt, VendorState};
pub use report::{PurgerReport, VendorReport};
pub use secret::Secret;
pub use varnish::{Varnish, VarnishBuilder};
pub use vendor::{Answer, Failure, Purge, PurgeFuture};
