//! What does a failover do to the hit rate and to the store, while 10,000 reads a second go on?
//!
//! `cargo bench --bench failover`. Two nodes, zipf over 10,000 keys, a store of 5 ms, one address that leads to the promoted replica from the
//! fifth second on. One line a second. Each value is loaded once more, behind the leases and limits; hits in this process go on until it is
//! noticed.

#[path = "support/mod.rs"]
mod support;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use support::{Row, proven, row, zipf};
use tokio::time::{Instant, interval, sleep};
use tricache::{Counters, Level, Policy, TieredCache, Tiers};
use tricache_test_support::{Proxy, RedisServer, eventually};

const KEYS: u64 = 10_000;
const SECONDS: u64 = 12;
const FAILS_AT: u64 = 5;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    for level in [Level::Eventual, Level::Bounded(Duration::from_millis(1500))] {
        measure(level).await;
    }
}

async fn measure(level: Level) {
    let master = RedisServer::start_with(&["--repl-diskless-sync-delay", "0"]);
    let port = master.port().to_string();
    let replica = RedisServer::start_with(&["--replicaof", "127.0.0.1", &port]);
    eventually("the replica follows", async || {
        replica
            .command(&["INFO", "replication"])
            .contains("master_link_status:up")
    })
    .await;
    let front = Proxy::before(&master).await;
    let loads = Arc::new(AtomicU64::new(0));
    let nodes = [node(&front, level).await, node(&front, level).await];
    for (_, cache) in &nodes {
        fill(cache).await;
    }
    for (tiers, _) in &nodes {
        proven(tiers).await;
    }
    println!("{level:?}\nsecond    reads  hit rate  local  redis  loads");
    let reads = nodes.iter().zip(0..).map(|((_, cache), seed)| {
        let (cache, loads) = (cache.clone(), Arc::clone(&loads));
        tokio::spawn(async move { reading(cache, seed, loads).await })
    });
    let reads: Vec<_> = reads.collect();
    let mut before = counted(&nodes);
    let mut loaded = loads.load(Ordering::Relaxed);
    for second in 1..=SECONDS {
        sleep(Duration::from_secs(1)).await;
        if second == FAILS_AT {
            assert_eq!(replica.command(&["REPLICAOF", "NO", "ONE"]), "OK");
            front.lead_to(&replica);
            master.kill();
        }
        let (after, so_far) = (counted(&nodes), loads.load(Ordering::Relaxed));
        let since: Vec<_> = (0..4).map(|i| after[i] - before[i]).collect();
        let reads: u64 = since.iter().sum();
        println!(
            "{second:6}  {reads:7}  {:8.3}  {:5}  {:5}  {:5}",
            (since[0] + since[1] + since[2]) as f64 / reads.max(1) as f64,
            since[0] + since[1],
            since[2],
            so_far - loaded
        );
        (before, loaded) = (after, so_far);
    }
    for read in reads {
        read.abort();
    }
}

async fn node(front: &Proxy, level: Level) -> (Tiers, TieredCache<u64, Row>) {
    let tiers = Tiers::builder("bench")
        .redis(&front.url())
        .build()
        .await
        .unwrap();
    let policy = Policy::ttl(Duration::from_secs(3600)).level(level);
    let cache = tiers.cache("row", policy).unwrap();
    (tiers, cache)
}

/// By batches: the store would take a minute for one after the other.
async fn fill(cache: &TieredCache<u64, Row>) {
    let keys: Vec<_> = (0..KEYS).collect();
    for piece in keys.chunks(500) {
        let batch = cache.get_or_load_many(piece, |cx| async move {
            let rows = cx.into_keys().into_iter().map(|key| (key, row(key)));
            Ok::<_, std::io::Error>(rows.collect::<Vec<_>>())
        });
        batch.await.unwrap();
    }
}

/// 5,000 reads a second, each a task of its own: a slow one holds up nobody.
async fn reading(cache: TieredCache<u64, Row>, seed: u64, loads: Arc<AtomicU64>) {
    let keys = zipf(KEYS, 1 << 20, seed);
    let mut keys = keys.into_iter().cycle();
    let mut tick = interval(Duration::from_millis(10));
    let began = Instant::now();
    let mut sent = 0;
    loop {
        tick.tick().await;
        let due = began.elapsed().as_millis() as u64 * 5;
        while sent < due {
            sent += 1;
            let (cache, loads) = (cache.clone(), Arc::clone(&loads));
            let key = keys.next().unwrap_or_default();
            tokio::spawn(async move { read(&cache, key, &loads).await });
        }
    }
}

async fn read(cache: &TieredCache<u64, Row>, key: u64, loads: &Arc<AtomicU64>) {
    let loads = Arc::clone(loads);
    let load = |_| async move {
        loads.fetch_add(1, Ordering::Relaxed);
        sleep(Duration::from_millis(5)).await;
        Ok::<_, std::io::Error>(row(key))
    };
    cache.get_or_load(&key, load).await.unwrap();
}

/// Reads answered here, here after a question, by Redis, and by a load.
fn counted(nodes: &[(Tiers, TieredCache<u64, Row>)]) -> [u64; 4] {
    let of = |counters: &Counters| {
        [
            counters.local_hits + counters.local_unproven,
            counters.local_revalidated,
            counters.remote_hits,
            counters.loaded,
        ]
    };
    nodes.iter().fold([0; 4], |sum, (tiers, _)| {
        let of = of(tiers.report().counters());
        std::array::from_fn(|i| sum[i] + of[i])
    })
}
