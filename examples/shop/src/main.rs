//! A shop that answers from its caches, and from SQLite when it must.
//!
//! Start one instance, and ask it twice. The first answer waits for the database, the second does not:
//!
//! ```text
//! cargo run -p shop
//!
//! curl -i localhost:3000/products/42
//!     x-cache: loaded
//!     cache-control: public, max-age=0, must-revalidate
//!     surrogate-control: max-age=54, stale-while-revalidate=60
//!     surrogate-key: product.42
//!
//!     {"id":42,"name":"Lamp 42","category":"lamps","price_cents":2054,"sold":4}
//!
//! curl -i localhost:3000/products/42                   # x-cache: local_revalidated, a little later local_hit
//! curl -i localhost:3000/report                        # what the caches counted; private, no-store
//! ```
//!
//! A page of a category is a list of numbers and a batch of products: two queries, one if only products are missing. The
//! edge knows it by the list, by each product, and by the tag that all lists of the category share:
//!
//! ```text
//! curl -i 'localhost:3000/products?category=lamps'     # and &page=1
//!     surrogate-control: max-age=28, stale-while-revalidate=60
//!     surrogate-key: list.lamps_-2c0 product.42 product.2 product.12 … product.192 product.lamps-list
//! ```
//!
//! What there is not is remembered for ten seconds, here and at the edge, or until it is created:
//!
//! ```text
//! curl -i localhost:3000/products/3001                 # 404
//!     surrogate-control: max-age=9, stale-while-revalidate=60
//!     surrogate-key: product.3001
//!
//! curl -i localhost:3000/products -H 'content-type: application/json' \
//!      -d '{"name":"Desk","category":"desks","price_cents":19900}'
//!     HTTP/1.1 201 Created
//!     location: /products/3001
//!
//! curl -i localhost:3000/products/3001                 # x-cache: loaded, "name":"Desk"
//! ```
//!
//! Then two instances on one database and one Redis. What A writes, B answers at once:
//!
//! ```text
//! PORT=3001 REDIS_URL=redis://127.0.0.1:6379 cargo run -p shop     # A
//! PORT=3002 REDIS_URL=redis://127.0.0.1:6379 cargo run -p shop     # B
//!
//! curl -i localhost:3002/products/42                   # B keeps it in its memory
//! curl -i 'localhost:3002/products?category=lamps'     # and the list that it stands in
//! curl -i -X PUT localhost:3001/products/42 \
//!      -H 'content-type: application/json' -d '{"name":"Lantern","category":"desks"}'
//! curl -i localhost:3002/products/42                   # x-cache: loaded, "name":"Lantern"
//! curl -i localhost:3001/products/42                   # x-cache: remote_hit: B has left it in Redis
//! curl -i 'localhost:3002/products?category=lamps'     # no longer there
//! curl -i 'localhost:3002/products?category=desks'     # but here
//! ```
//!
//! For browsers there are `/`, a page of each category (`/c/lamps`) and of each product with its reviews (`/p/42`), and one that
//! is private: `/account`, for who says `cookie: customer=7`. Behind Varnish the first four are answered without the shop:
//! `examples/shop/demo` starts both, and shows step by step what is kept, purged and fetched anew.
//!
//! Settings, all from the environment: `PORT` (3000; 0: any that is free), `REDIS_URL` (none: each process invalidates only
//! itself), `VARNISH` (none; or addresses between commas, with the configuration of `varnish.vcl`), `PURGE_TOKEN` (what that
//! says), `DATABASE` (a file in the system's temporary folder; made and filled at the first start), `RUST_LOG` (info).

use std::{env, error::Error, io::IsTerminal, path::PathBuf};

use shop::{Shop, Store, Tiers, serve, varnish};
use tokio::net::TcpListener;
use tracing_subscriber::EnvFilter;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let log = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(log)
        .with_ansi(std::io::stdout().is_terminal())
        .init();

    let port: u16 = env::var("PORT").map_or(Ok(3000), |port| port.parse())?;
    let store = Store::open(&database()).await?;
    let shop = open(store).await?;
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    tracing::info!("listening on http://{}", listener.local_addr()?);

    serve(shop, listener, ctrl_c()).await?;
    Ok(())
}

fn database() -> PathBuf {
    env::var_os("DATABASE").map_or_else(
        || env::temp_dir().join("tricache-shop.sqlite"),
        PathBuf::from,
    )
}

async fn open(store: Store) -> Result<Shop, Box<dyn Error>> {
    let mut tiers = Tiers::builder("shop");
    if let Ok(url) = env::var("REDIS_URL") {
        tiers = tiers.redis(&url);
    }
    let Ok(servers) = env::var("VARNISH") else {
        return Ok(Shop::open(store, tiers.build().await?)?);
    };
    let token = env::var("PURGE_TOKEN").map_err(|_| "VARNISH needs PURGE_TOKEN")?;
    let purger = varnish(servers.split(','), &token)?;
    let tiers = tiers.edge(purger.clone()).build().await?;
    Ok(Shop::open(store, tiers)?.behind(purger))
}

async fn ctrl_c() {
    if let Err(error) = tokio::signal::ctrl_c().await {
        tracing::warn!(%error, "cannot wait for ctrl-c");
        std::future::pending::<()>().await;
    }
}
