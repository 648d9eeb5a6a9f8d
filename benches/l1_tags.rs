//! What does a hit in this process cost if the entry has tags, and while tags of other entries are bumped?
//!
//! `cargo bench --bench l1_tags`. 200-byte values, zipf(0.99) over 10,000 resident keys, one thread: the full API with
//! entries of 5 tags, quiet and while another node bumps 1,000 tags a second that none of them carries, beside entries
//! without tags and beside moka's own `get` of an `Arc`. The sides take turns in every round; ratios are medians of the
//! rounds' ratios. The bumps themselves run on the other core.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::time::{MissedTickBehavior, interval};
use tricache::{InProcess, Loaded, Policy, TieredCache, Tiers, TiersBuilder};
use tricache_test_support::RedisServer;

#[path = "support/mod.rs"]
mod support;
use support::{Row, median, proven, read_moka, read_ours, row, zipf};

const KEYS: u64 = 10_000;
const READS: usize = 200_000;
const ROUNDS: usize = 41;
const TAGS: u64 = 5;
/// Different tags that are bumped, in turn.
const BUMPED: u64 = 1_000;
const PACE: Duration = Duration::from_millis(1);

#[tokio::main(flavor = "multi_thread", worker_threads = 1)]
async fn main() {
    let hub = InProcess::new();
    compare("in process", || Tiers::builder("bench").in_process(&hub)).await;
    let redis = RedisServer::start();
    compare("Redis", || Tiers::builder("bench").redis(&redis.url())).await;
}

async fn compare(remote: &str, builder: impl Fn() -> TiersBuilder) {
    let tiers = builder().build().await.unwrap();
    let other = builder().build().await.unwrap();
    let plain = filled(&tiers, "plain", 0).await;
    let tagged = filled(&tiers, "tagged", TAGS).await;
    let moka = moka::sync::Cache::builder().max_capacity(1 << 30).build();
    (0..KEYS).for_each(|key| moka.insert(key, Arc::new(row(key))));

    let keys: Arc<[u64]> = zipf(KEYS, READS, 1).into();
    let mut times = [const { Vec::new() }; 4];
    let mut rates = Vec::new();
    for _ in 0..ROUNDS {
        let moka = moka.clone();
        times[0].push(timed(&keys, move |keys| read_moka(&moka, keys)).await);
        for (side, cache) in [(1, &plain), (2, &tagged)] {
            let cache = cache.clone();
            times[side].push(timed(&keys, move |keys| read_ours(&cache, keys)).await);
        }
        let before = (Instant::now(), tiers.report().counters().tag_events);
        let bumps = tokio::spawn(bump(other.clone()));
        let tagged = tagged.clone();
        times[3].push(timed(&keys, move |keys| read_ours(&tagged, keys)).await);
        bumps.abort();
        let heard = tiers.report().counters().tag_events - before.1;
        rates.push(heard as f64 / before.0.elapsed().as_secs_f64());
    }
    print(remote, &mut times, median(&mut rates));
    for tiers in [tiers, other] {
        let _ = tiers.shutdown(Duration::ZERO).await;
    }
}

fn print(remote: &str, times: &mut [Vec<f64>; 4], rate: f64) {
    let ratio = |side: usize, beside: usize| {
        let both = times[side].iter().zip(&times[beside]);
        median(&mut both.map(|(one, other)| one / other).collect::<Vec<_>>())
    };
    let to_moka = [0, 1, 2, 3].map(|side| ratio(side, 0));
    let to_quiet = ratio(3, 2);
    let what = ["moka", "no tags", "5 tags", "5 tags, bumps"];
    println!("{remote:16}      ns   to moka");
    for (side, what) in what.iter().enumerate() {
        let ns = median(&mut times[side]);
        println!("  {what:14}  {ns:6.0}  {:8.2}", to_moka[side]);
    }
    println!("  bumps heard {rate:.0}/s, with them to quiet {to_quiet:.2}");
}

/// Bumps tags until it is dropped.
async fn bump(other: Tiers) {
    let mut pace = interval(PACE);
    pace.set_missed_tick_behavior(MissedTickBehavior::Burst);
    for tag in (0..BUMPED).cycle() {
        pace.tick().await;
        let tags = [format!("other-{tag}")];
        assert!(!other.invalidate_tags(tags).await.unwrap().is_pending());
    }
}

/// Nanoseconds per read, on a thread of its own.
async fn timed(keys: &Arc<[u64]>, read: impl FnOnce(&[u64]) + Send + 'static) -> f64 {
    let keys = Arc::clone(keys);
    let spent = tokio::task::spawn_blocking(move || {
        let began = Instant::now();
        read(&keys);
        began.elapsed()
    });
    spent.await.unwrap().as_nanos() as f64 / READS as f64
}

async fn filled(tiers: &Tiers, name: &str, tags: u64) -> TieredCache<u64, Row> {
    let policy = Policy::ttl(Duration::from_secs(3600)).local_ttl(Duration::from_secs(3600));
    let cache = tiers.cache::<u64, Row>(name, policy).unwrap();
    let keys: Vec<u64> = (0..KEYS).collect();
    for keys in keys.chunks(100) {
        let load = |cx: tricache::BatchContext<u64>| async move {
            let rows = cx.into_keys().into_iter().map(move |key| {
                // As a list of products has them: some for many rows, some for few.
                let tags =
                    (0..tags).map(move |tag| format!("tag-{tag}-{}", key % 10_u64.pow(tag as u32)));
                (key, Loaded::new(row(key)).tags(tags))
            });
            Ok::<_, std::io::Error>(rows)
        };
        let batch = cache.get_or_load_many(keys, load).await.unwrap();
        assert!(batch.iter().all(|(_, found)| found.is_ok()));
    }
    // What was filled before proves itself once.
    proven(tiers).await;
    assert_eq!(cache.get_many(&keys).await.unwrap().len(), keys.len());
    cache
}
