//! A store that gets slow, fails and has nothing new, and callers that get an answer all the same. Without Redis.
//!
//! ```text
//! $ cargo run --example answers
//! the store answers:        Lamp, loaded
//! it is slow now:           Lamp, stale
//! it was in the background: Lamp, local_hit
//! it fails now:             Lamp, stale_if_error
//! nothing has changed:      Lamp, loaded; not modified: 2 of 4 loads
//! nobody knows this one:    the loader failed: the store is down
//! ```

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use tokio::time::sleep;
use tricache::{Error, LoadContext, Loaded, LoadingCache, Policy, Tiers};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let tiers = Tiers::builder("shop").build().await?;
    let store = Store::default();
    let policy = Policy::ttl(TTL)
        .jitter(0.0)
        .early_refresh(0.0)
        .stale_while_revalidate(TTL)
        .stale_if_error(TTL * 100)
        .retry_after(TTL)
        .soft_timeout(TTL / 2)
        .hard_timeout(TTL * 10);
    let asked = store.clone();
    let products = tiers
        .cache::<u64, String>("product", policy)?
        .with_loader(move |cx| asked.clone().product(cx));

    show("the store answers:", &products).await?;

    store.set(SLOW);
    sleep(TTL).await;
    show("it is slow now:", &products).await?;
    // The load goes on in the background, and fills.
    sleep(TTL / 2).await;
    show("it was in the background:", &products).await?;

    store.set(DOWN);
    sleep(TTL * 2).await;
    show("it fails now:", &products).await?;

    store.set(UP);
    sleep(TTL).await;
    show("nothing has changed:", &products).await?;
    let counters = *tiers.report().counters();
    println!(
        "; not modified: {} of {} loads",
        counters.not_modified, counters.loads
    );

    store.set(DOWN);
    let error = products.get(&43).await.expect_err("nothing stands in");
    println!("nobody knows this one:    {error}");
    tiers.shutdown(Duration::from_secs(1)).await;
    Ok(())
}

async fn show(moment: &str, products: &LoadingCache<u64, String>) -> Result<(), Error> {
    let product = products.get(&42).await?;
    print!("{moment:25} {}, {}", *product, product.outcome());
    if moment != "nothing has changed:" {
        println!();
    }
    Ok(())
}

/// Stands for a database.
#[derive(Clone, Default)]
struct Store(Arc<AtomicU8>);

impl Store {
    fn set(&self, state: u8) {
        self.0.store(state, Ordering::Relaxed);
    }

    async fn product(self, cx: LoadContext<u64, String>) -> io::Result<Loaded<String>> {
        match self.0.load(Ordering::Relaxed) {
            DOWN => return Err(io::Error::other("the store is down")),
            SLOW => sleep(TTL / 4).await,
            _ => {}
        }
        // A real one would be asked with a row version or an `ETag`.
        Ok(match cx.previous() {
            Some(previous) if **previous == "Lamp" => Loaded::not_modified(),
            _ => Loaded::new("Lamp".to_owned()),
        })
    }
}

const UP: u8 = 0;
const SLOW: u8 = 1;
const DOWN: u8 = 2;
const TTL: Duration = Duration::from_millis(400);
