//! What does a stale value cost, beside a fresh hit?
//!
//! `cargo bench --bench l1_stale`. 200-byte values of 100 keys in this process, one thread, the full API; three sides in turns: values within
//! their TTL, values past it while a load of each is under way, and values that stand in for a load that has just failed.

use std::{
    future::pending,
    hint::black_box,
    io,
    time::{Duration, Instant},
};
use tricache::{Outcome, Policy, TieredCache, Tiers};

#[path = "support/mod.rs"]
mod support;
use support::{Row, median, proven, row};

const KEYS: u64 = 100;
const READS: usize = 200_000;
const ROUNDS: usize = 21;

#[derive(Clone, Copy)]
enum Load {
    Succeeds,
    Hangs,
    Fails,
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let tiers = runtime.block_on(async { Tiers::builder("bench").build().await.unwrap() });
    let policy = |ttl| {
        Policy::ttl(ttl)
            .local_ttl(HOUR)
            .jitter(0.0)
            .early_refresh(0.0)
    };
    let fresh = tiers.cache::<u64, Row>("fresh", policy(HOUR)).unwrap();
    let revalidating = policy(SHORT).stale_while_revalidate(HOUR);
    let revalidated = tiers
        .cache::<u64, Row>("revalidated", revalidating)
        .unwrap();
    let standing = policy(SHORT).stale_if_error(HOUR).retry_after(HOUR / 2);
    let stands_in = tiers.cache::<u64, Row>("stands-in", standing).unwrap();
    let sides = [
        ("fresh", &fresh, Load::Succeeds, Outcome::LocalHit),
        (
            "stale, a load runs",
            &revalidated,
            Load::Hangs,
            Outcome::Stale,
        ),
        (
            "stale, a load failed",
            &stands_in,
            Load::Fails,
            Outcome::StaleIfError,
        ),
    ];
    runtime.block_on(async {
        for (_, cache, _, _) in sides {
            for key in 0..KEYS {
                let load = |_| async move { Ok::<_, io::Error>(row(key)) };
                cache.get_or_load(&key, load).await.unwrap();
            }
        }
        tokio::time::sleep(SHORT).await;
        proven(&tiers).await;
        for (_, cache, load, _) in sides {
            reads(cache, 1_000, load, None).await;
        }
    });
    let mut nanoseconds = sides.map(|_| Vec::new());
    for _ in 0..ROUNDS {
        for ((_, cache, load, outcome), times) in sides.iter().zip(&mut nanoseconds) {
            let began = Instant::now();
            let reader = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            reader.block_on(reads(cache, READS, *load, Some(*outcome)));
            times.push(began.elapsed().as_nanos() as f64 / READS as f64);
        }
    }
    let nanoseconds = nanoseconds.map(|mut times| median(&mut times));
    println!("side                     ns  to fresh");
    for ((name, ..), ns) in sides.iter().zip(&nanoseconds) {
        println!("{name:20}  {ns:5.0}  {:8.2}", ns / nanoseconds[0]);
    }
    println!("{:?}", tiers.report().counters().nonzero());
}

/// Reads that are all answered by this process.
async fn reads(cache: &TieredCache<u64, Row>, count: usize, load: Load, expected: Option<Outcome>) {
    for read in 0..count {
        let key = read as u64 % KEYS;
        let load = |_| async move {
            match load {
                Load::Succeeds => Ok(row(key)),
                Load::Hangs => pending().await,
                Load::Fails => Err(io::Error::other("the store is down")),
            }
        };
        let cached = cache.get_or_load(&key, load).await.unwrap();
        if let Some(expected) = expected {
            assert_eq!(cached.outcome(), expected);
        }
        black_box(cached);
    }
}

const SHORT: Duration = Duration::from_millis(500);
const HOUR: Duration = Duration::from_secs(3600);
