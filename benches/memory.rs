//! How many bytes does an entry cost beside its value: in this process beside moka, in Redis beside `SET PX`?
//!
//! `cargo bench --bench memory`; `-- 1000000` for a million entries. 100,000 values of 200 bytes, without tags and with 5. In this process: what the allocator has
//! handed out after a fresh node has read all of them out of Redis, beside a moka that holds an `Arc` of the same value
//! under the same key. In Redis: the growth of `used_memory` of an empty server, pointer and value, beside the encoded
//! value under a key of its own. Each side has a server of its own: tables that grow by doubling are shared by none.

#[path = "support/mod.rs"]
mod support;

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::{sync::Arc, time::Duration};
use support::{Row, row};
use tricache::{BatchContext, Loaded, Policy, TieredCache, Tiers};
use tricache_test_support::RedisServer;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<std::alloc::System> = &INSTRUMENTED_SYSTEM;

/// How many, unless the command line says so.
const ENTRIES: u64 = 100_000;
static WANTED: std::sync::LazyLock<u64> = std::sync::LazyLock::new(|| {
    let mut numbers = std::env::args().filter_map(|word| word.parse().ok());
    numbers.next().unwrap_or(ENTRIES)
});

const HOUR: Duration = Duration::from_secs(3600);

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let (moka, bare) = (in_moka(), in_bare_redis().await);
    println!("bytes an entry       process    moka   beyond      Redis   SET PX   beyond");
    for tags in [0, 5] {
        let redis = RedisServer::start();
        let remote = in_redis(&redis, tags).await;
        let local = in_process(&redis).await;
        println!(
            "200 bytes, {tags} tags    {local:7.0}  {moka:6.0}  {:7.0}    {remote:7.0}  {bare:7.0}  {:7.0}",
            local - moka,
            remote - bare
        );
    }
}

/// Under the settings that hold for ours: bounded by bytes, with a TTL.
fn in_moka() -> f64 {
    let region = Region::new(ALLOCATOR);
    let moka = moka::sync::Cache::builder()
        .max_capacity(1 << 30)
        .weigher(|_, _: &Arc<Row>| 200)
        .time_to_live(HOUR)
        .build();
    for key in 0..*WANTED {
        moka.insert(key, Arc::new(row(key)));
    }
    moka.run_pending_tasks();
    assert_eq!(moka.entry_count(), *WANTED);
    held(&region)
}

/// A fresh node reads everything out of Redis; what it holds without an entry is not counted.
async fn in_process(redis: &RedisServer) -> f64 {
    let (tiers, cache) = node(redis).await;
    let region = Region::new(ALLOCATOR);
    let keys: Vec<u64> = (0..*WANTED).collect();
    for keys in keys.chunks(100) {
        assert_eq!(cache.get_many(keys).await.unwrap().len(), keys.len());
    }
    settled(&cache).await;
    drop(keys);
    let bytes = held(&region);
    let _ = tiers.shutdown(Duration::ZERO).await;
    bytes
}

/// Lets moka do what it has put off.
async fn settled(cache: &TieredCache<u64, Row>) {
    while cache.local_usage().0 < *WANTED {
        tokio::time::sleep(Duration::from_millis(100)).await;
        for key in 0..1000 {
            cache.get(&key).await.unwrap().unwrap();
        }
    }
}

fn held(region: &Region<'_, std::alloc::System>) -> f64 {
    let change = region.change();
    (change.bytes_allocated as f64 - change.bytes_deallocated as f64) / *WANTED as f64
}

async fn in_redis(redis: &RedisServer, tags: u64) -> f64 {
    let (tiers, cache) = node(redis).await;
    let before = used(redis);
    let keys: Vec<u64> = (0..*WANTED).collect();
    for keys in keys.chunks(100) {
        let load = |cx: BatchContext<u64>| async move {
            let rows = cx.into_keys().into_iter().map(move |key| {
                let tags = (0..tags).map(|tag| format!("category-{tag}"));
                (key, Loaded::new(row(key)).tags(tags))
            });
            Ok::<_, std::io::Error>(rows)
        };
        let batch = cache.get_or_load_many(keys, load).await.unwrap();
        assert!(batch.iter().all(|(_, found)| found.is_ok()));
    }
    let bytes = used(redis) - before;
    let _ = tiers.shutdown(Duration::ZERO).await;
    bytes / *WANTED as f64
}

/// The encoded value alone, under a short key.
async fn in_bare_redis() -> f64 {
    let redis = RedisServer::start();
    let client = redis::Client::open(redis.url()).unwrap();
    let mut raw = client.get_multiplexed_async_connection().await.unwrap();
    let before = used(&redis);
    let keys: Vec<u64> = (0..*WANTED).collect();
    for keys in keys.chunks(100) {
        let mut sets = redis::pipe();
        for key in keys {
            let config = bincode::config::standard();
            let body = bincode::serde::encode_to_vec(row(*key), config).unwrap();
            let set = sets.cmd("SET").arg(format!("row:{key}")).arg(body);
            set.arg("PX").arg(HOUR.as_millis() as u64).ignore();
        }
        sets.query_async::<()>(&mut raw).await.unwrap();
    }
    (used(&redis) - before) / *WANTED as f64
}

fn used(redis: &RedisServer) -> f64 {
    let info = redis.command(&["INFO", "memory"]);
    let line = info
        .lines()
        .find_map(|line| line.strip_prefix("used_memory:"));
    line.unwrap().trim().parse().unwrap()
}

async fn node(redis: &RedisServer) -> (Tiers, TieredCache<u64, Row>) {
    let limit = Duration::from_secs(5);
    let tiers = Tiers::builder("bench")
        .redis(&redis.url())
        .remote_timeout(limit);
    let tiers = tiers.build().await.unwrap();
    let policy = Policy::ttl(HOUR).local_capacity(1 << 30);
    let cache = tiers.cache("row", policy).unwrap();
    (tiers, cache)
}
