//! Does invalidating a tag of 1,000,000 entries cost what invalidating one key costs?
//!
//! `cargo bench --bench tag_cost`. One node holds 1,000,000 entries that all carry the same tags, in its own memory and
//! in its remote. Each round invalidates one of the tags and one key, in turns; the very first bump, which makes all of
//! them old, has a column of its own. Beside them hits of other entries, before and right after a bump: nothing sweeps.

#[path = "support/mod.rs"]
mod support;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use support::{Row, median, proven, read_ours, row, sized_row, zipf};
use tricache::{BatchContext, InProcess, Loaded, Policy, TieredCache, Tiers, TiersBuilder};
use tricache_test_support::RedisServer;

const ENTRIES: u64 = 1_000_000;
const OTHERS: u64 = 10_000;
const ROUNDS: u64 = 2_000;
const READS: usize = 20_000;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    println!("medians in us     tag    key   ratio   first tag   hit ns: before  after   ratio");
    let hub = InProcess::new();
    measure("in process", Tiers::builder("bench").in_process(&hub)).await;
    let redis = RedisServer::start();
    let limit = Duration::from_secs(5);
    let builder = Tiers::builder("bench").redis(&redis.url());
    measure("Redis", builder.remote_timeout(limit)).await;
}

async fn measure(remote: &str, builder: TiersBuilder) {
    let tiers = builder.build().await.unwrap();
    let policy = Policy::ttl(Duration::from_secs(3600)).local_ttl(Duration::from_secs(3600));
    let policy = policy.local_capacity(1 << 32);
    let cache = tiers.cache::<u64, Row>("row", policy).unwrap();
    let others = tiers.cache::<u64, Row>("other", policy).unwrap();
    fill(&cache, 0..ENTRIES, |key| tagged(sized_row(key, 20))).await;
    fill(&others, 0..OTHERS, |key| Loaded::new(row(key))).await;
    proven(&tiers).await;
    let keys: Vec<u64> = (0..OTHERS).collect();
    others.get_many(&keys).await.unwrap();
    let held = cache.local_usage().0;
    assert!(held > ENTRIES * 99 / 100, "{held} entries are held");

    // Both ways are warm before the first tag of all.
    for round in 0..200 {
        key_once(&others, OTHERS + round).await;
        tag_once(&tiers, &format!("nobody's-{round}")).await;
    }
    let first = tag_once(&tiers, "all").await;
    let (mut tags, mut keys) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        tags.push(tag_once(&tiers, ["all", "of-them"][round as usize % 2]).await);
        keys.push(key_once(&cache, fastrand::u64(..ENTRIES)).await);
    }
    let (before, after, hits) = hits(&tiers, &others).await;
    let (tag, key) = (median(&mut tags), median(&mut keys));
    println!(
        "{remote:14}  {tag:5.1}  {key:5.1}   {:5.2}   {first:9.1}   {before:14.0}  {after:5.0}   {hits:5.2}",
        tag / key
    );
    assert!(
        cache.get(&1).await.unwrap().is_none(),
        "an old value was answered"
    );
    let _ = tiers.shutdown(Duration::ZERO).await;
}

/// Nanoseconds of a hit before a bump and right after it, and the median of the ratios.
///
/// The first reads after a bump look at the tag table once for each entry, with a sweep or without one: so those of the
/// other side come after a bump, too, of a tag that nobody carries.
async fn hits(tiers: &Tiers, others: &TieredCache<u64, Row>) -> (f64, f64, f64) {
    let (mut before, mut after, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    let keys: Arc<[u64]> = zipf(OTHERS, READS, 1).into();
    for round in 0..101 {
        tag_once(tiers, &format!("nobody's-{round}")).await;
        let quiet = hit(others, &keys).await;
        tag_once(tiers, "all").await;
        let disturbed = hit(others, &keys).await;
        before.push(quiet);
        after.push(disturbed);
        ratios.push(disturbed / quiet);
    }
    (median(&mut before), median(&mut after), median(&mut ratios))
}

async fn hit(others: &TieredCache<u64, Row>, keys: &Arc<[u64]>) -> f64 {
    let (others, keys) = (others.clone(), Arc::clone(keys));
    let spent = tokio::task::spawn_blocking(move || {
        let began = Instant::now();
        read_ours(&others, &keys);
        began.elapsed()
    });
    spent.await.unwrap().as_nanos() as f64 / READS as f64
}

async fn tag_once(tiers: &Tiers, tag: &str) -> f64 {
    let began = Instant::now();
    let receipt = tiers.invalidate_tags([tag]).await.unwrap();
    assert!(!receipt.is_pending());
    began.elapsed().as_secs_f64() * 1e6
}

async fn key_once(cache: &TieredCache<u64, Row>, key: u64) -> f64 {
    let began = Instant::now();
    let receipt = cache.invalidate(&key).await.unwrap();
    assert!(!receipt.is_pending());
    began.elapsed().as_secs_f64() * 1e6
}

fn tagged(row: Row) -> Loaded<Row> {
    Loaded::new(row).tags(["all", "of-them"])
}

async fn fill(
    cache: &TieredCache<u64, Row>,
    keys: std::ops::Range<u64>,
    value: impl Fn(u64) -> Loaded<Row> + Copy + Send + 'static,
) {
    let keys: Vec<u64> = keys.collect();
    for keys in keys.chunks(500) {
        let load = |cx: BatchContext<u64>| async move {
            let rows = cx.into_keys().into_iter().map(move |key| (key, value(key)));
            Ok::<_, std::io::Error>(rows)
        };
        let batch = cache.get_or_load_many(keys, load).await.unwrap();
        assert!(batch.iter().all(|(_, found)| found.is_ok()));
    }
}
