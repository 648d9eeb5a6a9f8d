//! A shop on axum and SQLite, behind tricache.
//!
//! `main.rs` says what to start and what to type. The idea is in two files: [`Shop`] reads through caches and
//! invalidates after it wrote; `routes` marks what an edge may share.
//!
//! | file | its sentence |
//! |---|---|
//! | `shop` | reads through the caches, writes and then invalidates |
//! | `routes` | the pages, and what of them is public |
//! | `store` | the slow source of truth: SQLite |
//! | `pool` | a few connections, used from blocking threads |
//! | `seed` | makes and fills the database, once, whoever comes first |
//! | `model` | what the shop sells |

mod model;
mod pool;
mod routes;
mod seed;
mod shop;
mod store;

pub use model::{Change, Moved, NewProduct, Product};
pub use routes::{routes, serve};
pub use shop::{Page, Shop};
pub use store::{PAGE, Store, StoreError};
pub use tricache::Tiers;
