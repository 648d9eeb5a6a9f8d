//! What does it cost that an epoch counts only on the server that it began on?
//!
//! `cargo bench --bench fence --features proof`. A hit in Redis and an invalidation, each with the fence and without it, one
//! after the other over one connection; the sides take turns.

#[path = "support/mod.rs"]
mod support;

use std::time::{Duration, Instant};
use support::{Row, median, row};
use tricache::{Outcome, Policy, Protection, TieredCache, Tiers};
use tricache_test_support::RedisServer;

const ROUNDS: usize = 21;
const KEYS: u64 = 1000;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let redis = RedisServer::start();
    let sides = [
        Side::new(&redis, true).await,
        Side::new(&redis, false).await,
    ];
    println!("               with us  without us  ratio");
    for what in [What::Hit, What::Bump] {
        let (mut with, mut without) = (Vec::new(), Vec::new());
        for round in 0..ROUNDS {
            for turn in 0..2 {
                let side = &sides[(turn + round) % 2];
                let took = side.measure(&redis, what).await;
                if side.fenced { &mut with } else { &mut without }.push(took);
            }
        }
        let (with, without) = (median(&mut with), median(&mut without));
        println!(
            "{:12}  {with:8.1}  {without:10.1}  {:5.3}",
            format!("{what:?}"),
            with / without
        );
    }
}

#[derive(Clone, Copy, Debug)]
enum What {
    Hit,
    Bump,
}

/// A namespace of its own: epochs that nobody owns count for no node with the fence.
struct Side {
    fenced: bool,
    cache: TieredCache<u64, Row>,
    _tiers: Tiers,
}

impl Side {
    async fn new(redis: &RedisServer, fenced: bool) -> Self {
        let (tiers, cache) = node(redis, fenced).await;
        for key in 0..KEYS {
            let load = |_| async move { Ok::<_, std::io::Error>(row(key)) };
            cache.get_or_load(&key, load).await.unwrap();
        }
        Self {
            fenced,
            cache,
            _tiers: tiers,
        }
    }

    /// The median of one call, in microseconds.
    async fn measure(&self, redis: &RedisServer, what: What) -> f64 {
        match what {
            // A node that holds nothing yet.
            What::Hit => {
                let (_tiers, cache) = node(redis, self.fenced).await;
                timed(KEYS, async |key| {
                    let load = |_| async { Err::<Row, _>(std::io::Error::other("a miss")) };
                    let hit = cache.get_or_load(&key, load).await.unwrap();
                    assert_eq!(hit.outcome(), Outcome::RemoteHit);
                })
                .await
            }
            // Keys that nobody holds.
            What::Bump => {
                timed(KEYS, async |key| {
                    let told = self.cache.invalidate(&(KEYS + key)).await.unwrap();
                    assert!(!told.is_pending());
                })
                .await
            }
        }
    }
}

async fn node(redis: &RedisServer, fenced: bool) -> (Tiers, TieredCache<u64, Row>) {
    let tiers = Tiers::builder(if fenced { "with" } else { "without" })
        .redis(&redis.url())
        .remote_timeout(Duration::from_secs(5));
    let tiers = if fenced {
        tiers
    } else {
        tiers.without(Protection::Fence)
    };
    let tiers = tiers.build().await.unwrap();
    let policy = Policy::ttl(Duration::from_secs(3600));
    let cache = tiers.cache("row", policy).unwrap();
    (tiers, cache)
}

async fn timed(keys: u64, once: impl AsyncFn(u64)) -> f64 {
    let mut latencies = Vec::new();
    for key in 0..keys {
        let began = Instant::now();
        once(key).await;
        latencies.push(began.elapsed().as_secs_f64() * 1e6);
    }
    median(&mut latencies)
}
