//! A shop on axum and SQLite, behind tricache.
//!
//! `main.rs` says what to start and what to type; the script `demo` shows it behind a real Varnish. The idea is in three files:
//! [`Shop`] reads through caches, `writes` invalidates after each commit, on every tier, `routes` marks what an edge may share.
//!
//! | file | its sentence |
//! |---|---|
//! | `shop` | reads through the caches |
//! | `writes` | commits, then invalidates |
//! | `edge` | the Varnish servers in front |
//! | `routes` | what there is, and what of it is public; the answers in JSON |
//! | `pages` | the pages for browsers, and the one that is private |
//! | `html` | what a browser is shown |
//! | `failure` | why there is no page |
//! | `store` | the slow source of truth: SQLite |
//! | `queries` | what SQLite is asked |
//! | `pool` | a few connections, used from blocking threads |
//! | `seed` | makes and fills the database, once, whoever comes first |
//! | `model` | what the shop sells |

mod edge;
mod failure;
mod html;
mod model;
mod pages;
mod pool;
mod queries;
mod routes;
mod seed;
mod shop;
mod store;
mod writes;

pub use edge::varnish;
pub use model::{Account, Bought, Change, Moved, NewProduct, NewReview, Product, Review};
pub use routes::{routes, serve};
pub use shop::{Page, Shop};
pub use store::{PAGE, Store, StoreError};
pub use tricache::Tiers;
