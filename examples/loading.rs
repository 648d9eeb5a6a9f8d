//! A cache that knows its loader: warmed at the start, and one query for the rows that many tasks ask for one by one. Without Redis.
//!
//! ```text
//! $ cargo run --example loading
//! SELECT … WHERE id IN (1, 2, 3): 3 loaded
//! SELECT … WHERE id IN (4, 5, 6, 7, 8)
//! seller 1, seller 2, seller 3, seller 4, seller 5, seller 6, seller 7, seller 8
//! ```

use std::{convert::Infallible, time::Duration};

use tricache::{BatchContext, Collect, Error, Policy, Tiers, WarmUp};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let tiers = Tiers::builder("shop").build().await?;
    let sellers = tiers.cache::<u64, String>("seller", Policy::ttl(Duration::from_secs(600)))?;
    let collect = Collect::within(Duration::from_millis(2)).at_most(100);
    let sellers = sellers.with_collecting_loader(collect, |cx: BatchContext<u64>| async {
        Ok::<_, Infallible>(select(cx.into_keys()))
    })?;

    let warmed = sellers.warm(1..=3, WarmUp::concurrency(1)).await?;
    println!(": {} loaded", warmed.loaded);

    // Each task asks for one row and knows nothing of the others.
    let mut page = Vec::new();
    for id in 1..=8 {
        let sellers = sellers.clone();
        page.push(tokio::spawn(async move { sellers.get(&id).await }));
    }
    let mut names = Vec::new();
    for seller in page {
        names.push(seller.await.expect("no panic")?.to_string());
    }
    println!("\n{}", names.join(", "));

    tiers.shutdown(Duration::from_secs(1)).await;
    Ok(())
}

/// Stands for a query.
fn select(mut ids: Vec<u64>) -> Vec<(u64, String)> {
    ids.sort_unstable();
    let list: Vec<_> = ids.iter().map(u64::to_string).collect();
    print!("SELECT … WHERE id IN ({})", list.join(", "));
    ids.into_iter()
        .map(|id| (id, format!("seller {id}")))
        .collect()
}
