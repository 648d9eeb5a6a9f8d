//! What does a hit in this process cost, beside moka itself?
//!
//! `cargo bench --bench l1_hit`. 200-byte values, zipf(0.99) over 10,000 resident keys; the full API with policy,
//! proof and counters on one side, a bare `moka::sync::Cache::get` of an `Arc` on the other, alternating in one run.
//! With `--features metrics` also: the same hits while an exporter is fed fifty times as often as by default, and not.

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::{
    sync::{Arc, Barrier},
    time::{Duration, Instant},
};
use tricache::{Policy, TieredCache, Tiers};

#[path = "support/mod.rs"]
mod support;
use support::{Row, median, proven, read_moka, read_ours, row, zipf};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<std::alloc::System> = &INSTRUMENTED_SYSTEM;

const KEYS: u64 = 10_000;
const READS: usize = 2_000_000;
const ROUNDS: usize = 7;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let (tiers, cache) = runtime.block_on(filled());
    let moka = moka::sync::Cache::builder().max_capacity(1 << 30).build();
    (0..KEYS).for_each(|key| moka.insert(key, Arc::new(row(key))));
    println!("threads  tricache ns  moka ns  ratio  allocations/hit");
    for threads in [1, 2] {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            ours.push(timed(threads, |keys| read_ours(&cache, keys)));
            theirs.push(timed(threads, |keys| read_moka(&moka, keys)));
        }
        let (ours, theirs) = (median(&mut ours), median(&mut theirs));
        let allocations = allocations(&cache);
        println!(
            "{threads:7}  {ours:11.0}  {theirs:7.0}  {:5.2}  {allocations:15.4}",
            ours / theirs
        );
    }
    #[cfg(feature = "metrics")]
    observed(&tiers, &cache);
    println!("{:?}", tiers.report().counters());
}

#[cfg(feature = "metrics")]
fn observed(tiers: &Tiers, cache: &TieredCache<u64, Row>) {
    let recorder = metrics_util::debugging::DebuggingRecorder::new();
    println!("threads    metrics on      off  ratio");
    for threads in [1, 2] {
        let (mut on, mut off) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            on.push(fed(tiers, &recorder, || {
                timed(threads, |keys| read_ours(cache, keys))
            }));
            off.push(timed(threads, |keys| read_ours(cache, keys)));
        }
        let (on, off) = (median(&mut on), median(&mut off));
        println!("{threads:7}  {on:11.0}  {off:7.0}  {:5.2}", on / off);
    }
}

#[cfg(feature = "metrics")]
fn fed(tiers: &Tiers, to: &(impl metrics::Recorder + Sync), measure: impl FnOnce() -> f64) -> f64 {
    use std::sync::atomic::{AtomicBool, Ordering};
    let measured = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let feeds = || {
            while !measured.load(Ordering::Relaxed) {
                tiers.publish_metrics();
                std::thread::sleep(Duration::from_millis(10));
            }
        };
        scope.spawn(move || metrics::with_local_recorder(to, feeds));
        let nanoseconds = measure();
        measured.store(true, Ordering::Relaxed);
        nanoseconds
    })
}

async fn filled() -> (Tiers, TieredCache<u64, Row>) {
    let tiers = Tiers::builder("bench").build().await.unwrap();
    let policy = Policy::ttl(Duration::from_secs(3600)).local_ttl(Duration::from_secs(3600));
    let cache = tiers.cache::<u64, Row>("row", policy).unwrap();
    for key in 0..KEYS {
        cache
            .get_or_load(&key, |_| async move { Ok::<_, std::io::Error>(row(key)) })
            .await
            .unwrap();
    }
    // What was filled before proves itself once.
    proven(&tiers).await;
    for key in 0..KEYS {
        cache.get(&key).await.unwrap().unwrap();
    }
    (tiers, cache)
}

/// Nanoseconds per read, all threads reading at once.
fn timed(threads: usize, read: impl Fn(&[u64]) + Sync) -> f64 {
    let barrier = Barrier::new(threads);
    let spent: Vec<Duration> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads)
            .map(|seed| {
                let (barrier, read) = (&barrier, &read);
                scope.spawn(move || {
                    let keys = zipf(KEYS, READS, seed as u64);
                    barrier.wait();
                    let began = Instant::now();
                    read(&keys);
                    began.elapsed()
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    spent.iter().sum::<Duration>().as_nanos() as f64 / (threads * READS) as f64
}

fn allocations(cache: &TieredCache<u64, Row>) -> f64 {
    let keys = zipf(KEYS, 100_000, 99);
    let region = Region::new(ALLOCATOR);
    read_ours(cache, &keys);
    // moka's own housekeeping and the little runtime above are in it.
    region.change().allocations as f64 / keys.len() as f64
}
