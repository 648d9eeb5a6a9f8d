//! What does a hit in Redis cost, this process' copy filled, beside a bare `GET` and a decode?
//!
//! `cargo bench --bench l2_hit`. Every key is read once per round by a fresh node, so every read is a remote hit.
//! The baseline gets the same number of bytes over one redis-rs connection and decodes them with bincode.

#[path = "support/mod.rs"]
mod support;

use futures_util::{StreamExt, stream};
use std::time::{Duration, Instant};
use support::{Row, median, sized_row};
use tricache::{Outcome, Policy, TieredCache, Tiers};
use tricache_test_support::RedisServer;

const ROUNDS: usize = 5;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let redis = RedisServer::start();
    println!("bytes   tasks  tricache/s      raw/s  throughput  p50 us  raw p50  p50 ratio");
    for (bytes, keys) in [(200, 20_000), (10_000, 4_000)] {
        fill(&redis, bytes, keys).await;
        for tasks in [1, 64] {
            compare(
                &redis,
                bytes,
                if tasks == 1 { keys / 4 } else { keys },
                tasks,
            )
            .await;
        }
    }
}

async fn compare(redis: &RedisServer, bytes: usize, keys: u64, tasks: usize) {
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    let (mut our_p50, mut their_p50) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let (tiers, cache) = node(redis, bytes).await;
        // The raw side goes first in every other round.
        for turn in 0..2 {
            if (turn + round) % 2 == 0 {
                let (rate, p50) = timed(keys, tasks, {
                    let cache = cache.clone();
                    move |key| ours_once(cache.clone(), key)
                })
                .await;
                ours.push(rate);
                our_p50.push(p50);
            } else {
                let raw = connection(redis).await;
                let (rate, p50) =
                    timed(keys, tasks, move |key| raw_once(raw.clone(), key, bytes)).await;
                theirs.push(rate);
                their_p50.push(p50);
            }
        }
        let _ = tiers.shutdown(Duration::ZERO).await;
    }
    let (ours, theirs) = (median(&mut ours), median(&mut theirs));
    let (our_p50, their_p50) = (median(&mut our_p50), median(&mut their_p50));
    println!(
        "{bytes:6}  {tasks:5}  {ours:10.0}  {theirs:9.0}  {:10.2}  {our_p50:6.0}  {their_p50:7.0}  {:9.2}",
        ours / theirs,
        our_p50 / their_p50
    );
}

async fn node(redis: &RedisServer, bytes: usize) -> (Tiers, TieredCache<u64, Row>) {
    let limit = Duration::from_secs(5);
    let tiers = Tiers::builder("bench")
        .redis(&redis.url())
        .remote_timeout(limit);
    let tiers = tiers.build().await.unwrap();
    let policy = Policy::ttl(Duration::from_secs(3600)).local_capacity(1 << 30);
    let cache = tiers.cache(&format!("row{bytes}"), policy).unwrap();
    (tiers, cache)
}

async fn connection(redis: &RedisServer) -> redis::aio::MultiplexedConnection {
    let info = redis::IntoConnectionInfo::into_connection_info(redis.url()).unwrap();
    let settings = redis::io::tcp::TcpSettings::default().set_nodelay(true);
    let client = redis::Client::open(info.set_tcp_settings(settings)).unwrap();
    client.get_multiplexed_async_connection().await.unwrap()
}

/// Stores every row through the cache, and the same row bare for the baseline.
async fn fill(redis: &RedisServer, bytes: usize, keys: u64) {
    let (tiers, cache) = node(redis, bytes).await;
    let raw = connection(redis).await;
    let one = |key| {
        let (cache, mut raw) = (cache.clone(), raw.clone());
        async move {
            let load = |_| async move { Ok::<_, std::io::Error>(sized_row(key, bytes)) };
            cache.get_or_load(&key, load).await.unwrap();
            let mut body = vec![0; ENVELOPE];
            let row = sized_row(key, bytes);
            bincode::serde::encode_into_std_write(row, &mut body, bincode::config::standard())
                .unwrap();
            let mut set = redis::cmd("SET");
            set.arg(raw_key(key, bytes))
                .arg(body)
                .arg("PX")
                .arg(3_600_000);
            set.query_async::<()>(&mut raw).await.unwrap();
        }
    };
    stream::iter(0..keys).for_each_concurrent(64, one).await;
    let _ = tiers.shutdown(Duration::ZERO).await;
}

async fn ours_once(cache: TieredCache<u64, Row>, key: u64) {
    let load = |_| async { Err::<Row, _>(std::io::Error::other("a miss")) };
    let hit = cache.get_or_load(&key, load).await.unwrap();
    assert_eq!(hit.outcome(), Outcome::RemoteHit);
}

async fn raw_once(mut raw: redis::aio::MultiplexedConnection, key: u64, bytes: usize) {
    let body: Vec<u8> = redis::cmd("GET")
        .arg(raw_key(key, bytes))
        .query_async(&mut raw)
        .await
        .unwrap();
    let config = bincode::config::standard();
    let (row, _): (Row, _) = bincode::serde::decode_from_slice(&body[ENVELOPE..], config).unwrap();
    assert_eq!(row.id, key);
}

fn raw_key(key: u64, bytes: usize) -> String {
    format!("raw:row{bytes}/{key}@0123456789abcdef")
}

/// Reads per second, and the median latency in microseconds.
async fn timed<F: Future<Output = ()> + Send + 'static>(
    keys: u64,
    tasks: usize,
    once: impl Fn(u64) -> F + Clone + Send + 'static,
) -> (f64, f64) {
    let began = Instant::now();
    let mut running = Vec::new();
    for task in 0..tasks as u64 {
        let once = once.clone();
        running.push(tokio::spawn(async move {
            let mut latencies = Vec::new();
            for key in (task..keys).step_by(tasks) {
                let began = Instant::now();
                once(key).await;
                latencies.push(began.elapsed().as_secs_f64() * 1e6);
            }
            latencies
        }));
    }
    let mut latencies = Vec::new();
    for task in running {
        latencies.extend(task.await.unwrap());
    }
    (
        keys as f64 / began.elapsed().as_secs_f64(),
        median(&mut latencies),
    )
}

/// Our header's length: the baseline carries as many bytes.
const ENVELOPE: usize = 64;
