//! How many loads does a cold key cost when 1,000 callers on each of 4 nodes want it at once?
//!
//! `cargo bench --bench stampede`. The store takes 50 ms; the baseline is that one load.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use tricache::{InProcess, Policy, Tiers, TiersBuilder};
use tricache_test_support::RedisServer;

const NODES: usize = 4;
const CALLERS: usize = 1000;
const STORE: Duration = Duration::from_millis(50);
const ROUNDS: u64 = 10;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let (redis, hub) = (RedisServer::start(), InProcess::new());
    println!("remote      round  loads  slowest ms  slowest / load");
    storm("redis", || Tiers::builder("bench").redis(&redis.url())).await;
    storm("in process", || Tiers::builder("bench").in_process(&hub)).await;
}

async fn storm(remote: &str, builder: impl Fn() -> TiersBuilder) {
    let mut nodes = Vec::new();
    for _ in 0..NODES {
        let tiers = builder()
            .remote_timeout(Duration::from_secs(5))
            .build()
            .await
            .unwrap();
        let policy = Policy::ttl(Duration::from_secs(600));
        nodes.push(tiers.cache::<u64, String>("page", policy).unwrap());
    }
    for key in 0..ROUNDS {
        let loads = Arc::new(AtomicUsize::new(0));
        let mut callers = Vec::new();
        let began = Instant::now();
        for caller in 0..NODES * CALLERS {
            let (cache, loads) = (nodes[caller % NODES].clone(), Arc::clone(&loads));
            callers.push(tokio::spawn(async move {
                let load = |_| async move {
                    loads.fetch_add(1, Ordering::SeqCst);
                    tokio::time::sleep(STORE).await;
                    Ok::<_, std::io::Error>("page".to_owned())
                };
                cache.get_or_load(&key, load).await.unwrap();
                began.elapsed()
            }));
        }
        let mut slowest = Duration::ZERO;
        for caller in callers {
            slowest = slowest.max(caller.await.unwrap());
        }
        println!(
            "{remote:10}  {key:5}  {:5}  {:10.1}  {:14.2}",
            loads.load(Ordering::SeqCst),
            slowest.as_secs_f64() * 1e3,
            slowest.as_secs_f64() / STORE.as_secs_f64()
        );
    }
}
