//! What does a request pay when Redis is killed, frozen or swallowed by the network, and how soon is Redis used again?
//!
//! `cargo bench --bench outage`. A request reads three keys that this process does not hold; the store takes 5 ms a
//! key. The baseline is the same request without a cache, measured in the same run.

mod support;

use std::time::{Duration, Instant};
use support::median;
use tricache::{Outcome, Policy, RemoteState, TieredCache, Tiers};
use tricache_test_support::{Proxy, RedisServer};

const STORE: Duration = Duration::from_millis(5);
const READS: u64 = 3;
const REQUESTS: u64 = 200;
const ROUNDS: u64 = 5;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let mut bare: Vec<_> = Vec::new();
    for _ in 0..REQUESTS {
        bare.push(without_cache().await);
    }
    let bare = median(&mut bare);
    println!("without a cache: {bare:.2} ms a request of {READS} reads\n");
    println!(
        "fault    round  first adds ms  later add ms (p50, p99, max)  bare (p99, max)  back after ms"
    );
    for round in 0..ROUNDS {
        for fault in [Fault::Killed, Fault::Frozen, Fault::Swallowed] {
            fault.strike(round, bare).await;
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Fault {
    Killed,
    Frozen,
    Swallowed,
}

impl Fault {
    async fn strike(self, round: u64, bare: f64) {
        let redis = RedisServer::start();
        let proxy = Proxy::before(&redis).await;
        let tiers = Tiers::builder("bench")
            .redis(&proxy.url())
            .build()
            .await
            .unwrap();
        let policy = Policy::ttl(Duration::from_secs(600));
        let cache = tiers.cache::<u64, u64>("row", policy).unwrap();
        request(&cache, 0).await;

        match self {
            Self::Killed => redis.kill(),
            Self::Frozen => redis.freeze(),
            Self::Swallowed => proxy.cut(),
        }
        let first = request(&cache, 1).await - bare;
        // In turns, so that a slow moment of the machine shows in both.
        let (mut later, mut alone) = (Vec::new(), Vec::new());
        for number in 0..REQUESTS {
            later.push(request(&cache, 2 + number).await - bare);
            alone.push(without_cache().await - bare);
        }
        match self {
            Self::Killed => redis.restart_empty(),
            Self::Frozen => redis.thaw(),
            Self::Swallowed => proxy.heal(),
        }
        let back = used_again(&tiers, &cache).await;

        let (p50, _) = (median(&mut later), median(&mut alone));
        let [later, alone] = [later, alone].map(|sorted| {
            let (p99, max) = (sorted[sorted.len() * 99 / 100], sorted[sorted.len() - 1]);
            format!("{p99:7.2} {max:7.2}")
        });
        let fault = format!("{self:?}").to_lowercase();
        println!("{fault:9}  {round:3}  {first:13.1}  {p50:10.2} {later}  {alone}  {back:13.0}");
    }
}

/// One request, of keys that nobody has read before; in milliseconds.
async fn request(cache: &TieredCache<u64, u64>, number: u64) -> f64 {
    let began = Instant::now();
    for read in 0..READS {
        let key = number * READS + read;
        cache.get_or_load(&key, |_| load()).await.unwrap();
    }
    began.elapsed().as_secs_f64() * 1e3
}

async fn without_cache() -> f64 {
    let began = Instant::now();
    for _ in 0..READS {
        load().await.unwrap();
    }
    began.elapsed().as_secs_f64() * 1e3
}

async fn load() -> Result<u64, std::io::Error> {
    tokio::time::sleep(STORE).await;
    Ok(1)
}

/// Until a value is stored in Redis again, which shows in its version; in milliseconds.
async fn used_again(tiers: &Tiers, cache: &TieredCache<u64, u64>) -> f64 {
    let began = Instant::now();
    for key in 1_000_000.. {
        let read = cache.get_or_load(&key, |_| load()).await.unwrap();
        let stored = read.outcome() == Outcome::Loaded && read.version().is_some();
        if stored && tiers.report().remote() == RemoteState::Up {
            break;
        }
    }
    began.elapsed().as_secs_f64() * 1e3
}
