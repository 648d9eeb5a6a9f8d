//! What does the purge record cost: a bump, and the requests beside 10,000 invalidations a second?
//!
//! `cargo bench --bench purge_record`. The baselines stand beside, in one run and in turns: the same bumps without an edge, and the same
//! reads with no invalidations, and with as many that note nothing. The edge here takes each purge at once, and is done with it after
//! a second, as one with a second purge is; so about 10,000 names are noted and followed at any time.

mod support;

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};
use support::{Row, median, proven, row};
use tokio::time::{MissedTickBehavior, interval, sleep};
use tricache::{Edge, EdgePurge, EdgeSubject, Policy, Strength, TieredCache, Tiers};
use tricache_test_support::RedisServer;

const ROUNDS: usize = 5;
const BUMPS: u64 = 2000;
const READS: u64 = 2000;
const AT_ONCE: u64 = 50;
const PACE: Duration = Duration::from_millis(5);
const SECOND: Duration = Duration::from_secs(1);

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    bumps().await;
    beside().await;
}

/// One bump after the other: from the call to the acknowledgement, and the server's time for each.
async fn bumps() {
    println!("a bump      p50 us  Redis us each");
    let redis = RedisServer::start();
    let mut nodes = Vec::new();
    for kind in [Kind::Bare, Kind::Recorded] {
        nodes.push((kind, kind.node(&redis).await, Vec::new(), Vec::new()));
    }
    for round in 0..ROUNDS as u64 {
        for (_, (_, cache), times, server) in &mut nodes {
            let before = server_micros(&redis);
            for key in 0..BUMPS {
                let began = Instant::now();
                cache.invalidate(&(round * BUMPS + key)).await.unwrap();
                times.push(began.elapsed().as_secs_f64() * 1e6);
            }
            server.push((server_micros(&redis) - before) / BUMPS as f64);
        }
    }
    for (kind, _, mut times, mut server) in nodes {
        let (p50, each) = (median(&mut times), median(&mut server));
        println!("{kind:10?}  {p50:6.1}  {each:6.1}");
    }
}

/// Reads of one node while another one invalidates.
async fn beside() {
    println!("\nreads beside            L1 ns p50, p99     L2 us p50, p99     invalidations/s");
    let mut of_all = BTreeMap::new();
    for round in 0..ROUNDS {
        for (place, kind) in [None, Some(Kind::Bare), Some(Kind::Recorded)]
            .into_iter()
            .enumerate()
        {
            let found = reads_beside(kind).await;
            println!("{round} {}", line(kind, &found));
            let all: &mut Vec<[f64; 5]> = &mut of_all.entry(place).or_insert((kind, Vec::new())).1;
            all.push(found);
        }
    }
    println!();
    for (kind, mut all) in of_all.into_values() {
        let column = |at: usize| {
            let mut column: Vec<_> = all.iter().map(|found| found[at]).collect();
            median(&mut column)
        };
        let medians = std::array::from_fn(column);
        println!("m {}", line(kind, &medians));
        all.clear();
    }
}

async fn reads_beside(kind: Option<Kind>) -> [f64; 5] {
    let redis = RedisServer::start();
    let (_one, writer) = Kind::Bare.node(&redis).await;
    for key in 0..READS {
        writer.insert(&(1 << 32 | key), row(key)).await.unwrap();
    }
    let (tiers, reader) = Kind::Bare.node(&redis).await;
    reader.get(&(1 << 32)).await.unwrap();
    proven(&tiers).await;

    let (stop, sent) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicU64::new(0)),
    );
    let mut load = None;
    if let Some(kind) = kind {
        let node = kind.node(&redis).await;
        load = Some(tokio::spawn(invalidate(node, stop.clone(), sent.clone())));
        // Until as many names are noted as ever will be.
        sleep(SECOND * 2).await;
    }
    let (began, before) = (Instant::now(), sent.load(SeqCst));
    let mut local = local_reads(&reader).await;
    let mut remote = remote_reads(&reader).await;
    let rate = (sent.load(SeqCst) - before) as f64 / began.elapsed().as_secs_f64();
    stop.store(true, SeqCst);
    if let Some(load) = load {
        load.await.unwrap();
    }
    let (l1, l2) = (median(&mut local), median(&mut remote));
    let p99 = |sorted: &[f64]| sorted[sorted.len() * 99 / 100];
    [l1, p99(&local), l2, p99(&remote), rate]
}

/// 10,000 a second, in pieces.
async fn invalidate(
    node: (Tiers, TieredCache<u64, Row>),
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
) {
    let mut pace = interval(PACE);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut next = 0;
    while !stop.load(SeqCst) {
        pace.tick().await;
        let keys: Vec<_> = (next..next + AT_ONCE).collect();
        next = (next + AT_ONCE) % 1_000_000;
        let receipt = node.1.invalidate_many(&keys).await.unwrap();
        assert!(!receipt.is_pending());
        sent.fetch_add(AT_ONCE, SeqCst);
    }
}

/// Hits of one key, a hundred at a time, for about a second.
async fn local_reads(reader: &TieredCache<u64, Row>) -> Vec<f64> {
    let mut times = Vec::new();
    for _ in 0..READS / 2 {
        let began = Instant::now();
        for _ in 0..100 {
            assert!(reader.get(&(1 << 32)).await.unwrap().is_some());
        }
        times.push(began.elapsed().as_secs_f64() * 1e9 / 100.0);
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    times
}

/// Keys that this process has not read yet, each once.
async fn remote_reads(reader: &TieredCache<u64, Row>) -> Vec<f64> {
    let mut times = Vec::new();
    for key in 1..READS {
        let began = Instant::now();
        assert!(reader.get(&(1 << 32 | key)).await.unwrap().is_some());
        times.push(began.elapsed().as_secs_f64() * 1e6);
    }
    times
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Bare,
    Recorded,
}

impl Kind {
    async fn node(self, redis: &RedisServer) -> (Tiers, TieredCache<u64, Row>) {
        let limit = Duration::from_secs(5);
        let builder = Tiers::builder("bench")
            .redis(&redis.url())
            .remote_timeout(limit);
        let builder = match self {
            Self::Bare => builder,
            Self::Recorded => builder.edge(Pages),
        };
        let tiers = builder.build().await.unwrap();
        let policy = Policy::ttl(Duration::from_secs(600)).local_ttl(Duration::from_secs(600));
        let cache = tiers.cache("row", policy).unwrap();
        (tiers, cache)
    }
}

struct Pages;

impl Edge for Pages {
    fn purge(&self, _: &EdgeSubject, _: Strength) -> EdgePurge {
        EdgePurge::new(async { Ok(()) }, async {
            sleep(SECOND).await;
            Ok(())
        })
    }
}

fn line(kind: Option<Kind>, [l1, l1_late, l2, l2_late, rate]: &[f64; 5]) -> String {
    let what = match kind {
        None => "nothing",
        Some(Kind::Bare) => "bumps",
        Some(Kind::Recorded) => "bumps with the record",
    };
    format!("{what:21} {l1:8.0} {l1_late:8.0}  {l2:8.1} {l2_late:8.1}  {rate:8.0}")
}

/// Processor time that the server has used, in µs.
fn server_micros(redis: &RedisServer) -> f64 {
    let info = redis.command(&["INFO", "cpu"]);
    let used = |name: &str| {
        let line = info.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|seconds| seconds.trim().parse::<f64>().ok())
            .unwrap_or_default()
    };
    (used("used_cpu_user:") + used("used_cpu_sys:")) * 1e6
}
