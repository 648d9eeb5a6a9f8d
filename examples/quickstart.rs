//! Load once, then hit; write, then invalidate, by key or by tag. In one process, without Redis.
//!
//! ```text
//! $ cargo run --example quickstart
//! 1999 cents; loads so far: 1
//! 1999 cents; loads so far: 1
//! 2499 cents; loads so far: 2
//! 2499 cents; loads so far: 2
//! 2499 cents; loads so far: 3
//! ```

use std::{
    convert::Infallible,
    sync::atomic::{AtomicU64, Ordering::SeqCst},
    time::Duration,
};

use tricache::{Error, Loaded, Policy, Tiers};

static DATABASE: AtomicU64 = AtomicU64::new(1999); // what product 42 costs; stands for a table

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let tiers = Tiers::builder("shop").build().await?;
    let prices = tiers.cache::<u64, u64>("price", Policy::ttl(Duration::from_secs(600)))?;
    let show = async || {
        let lamp = || Loaded::new(DATABASE.load(SeqCst)).tag("lamps");
        let load = |_| async move { Ok::<_, Infallible>(lamp()) }; // runs on a miss
        let price = prices.get_or_load(&42, load).await?;
        let loads = tiers.report().counters().loads;
        println!("{} cents; loads so far: {loads}", *price);
        Ok::<_, Error>(())
    };

    show().await?;
    show().await?;
    DATABASE.store(2499, SeqCst); // commit first,
    prices.invalidate(&42).await?; // then invalidate: every tier of every instance
    show().await?;
    show().await?;
    tiers.invalidate_tags(["lamps"]).await?; // whatever has this tag, in every cache
    show().await?;

    tiers.shutdown(Duration::from_secs(1)).await;
    Ok(())
}
