//! What do 100 keys cost at once: all in Redis, beside a bare `MGET` and a decode; all here, beside 100 single hits?
//!
//! `cargo bench --bench batch`. For the first question a fresh node reads every hundred keys once, so each of them is a
//! remote hit, and its copy is put here. The baseline gets the same number of bytes over one redis-rs connection and
//! decodes them with bincode. A second one gets a short record beside each, as the protocol does, and looks at none: what
//! is above it is ours.

#[path = "support/mod.rs"]
mod support;

use std::{
    hint::black_box,
    time::{Duration, Instant},
};
use support::{Row, median, row};
use tricache::{Outcome, Policy, TieredCache, Tiers};
use tricache_test_support::RedisServer;

const ROUNDS: usize = 7;
const BATCH: u64 = 100;
const BATCHES: u64 = 300;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let redis = RedisServer::start();
    fill(&redis).await;
    println!("100 keys, medians of {ROUNDS} rounds            tricache us   baseline us   ratio");
    for records in [Records::Values, Records::ValuesAndPointers] {
        in_redis(&redis, records).await;
    }
    here(&redis).await;
}

/// What the baseline asks for.
#[derive(Clone, Copy, PartialEq)]
enum Records {
    Values,
    ValuesAndPointers,
}

/// All in Redis, beside `MGET`.
async fn in_redis(redis: &RedisServer, records: Records) {
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let (tiers, cache) = node(redis).await;
        let mut raw = connection(redis).await;
        // The raw side goes first in every other round.
        for turn in 0..2 {
            let mut times = Vec::new();
            for batch in 0..BATCHES {
                let keys: Vec<u64> = (batch * BATCH..(batch + 1) * BATCH).collect();
                let began = Instant::now();
                if (turn + round) % 2 == 0 {
                    remote_hits(&cache, &keys).await;
                } else {
                    mget(&mut raw, &keys, records).await;
                }
                times.push(began.elapsed().as_secs_f64() * 1e6);
            }
            let side = if (turn + round) % 2 == 0 {
                &mut ours
            } else {
                &mut theirs
            };
            side.push(median(&mut times));
        }
        let _ = tiers.shutdown(Duration::ZERO).await;
    }
    let beside = match records {
        Records::Values => "in Redis, beside MGET",
        Records::ValuesAndPointers => "in Redis, beside MGET of twice as many",
    };
    print(beside, &mut ours, &mut theirs);
}

/// All in this process, beside one after the other.
async fn here(redis: &RedisServer) {
    let (_tiers, cache) = node(redis).await;
    let keys: Vec<u64> = (0..BATCH).collect();
    remote_hits(&cache, &keys).await;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let (mut batches, mut singles) = (Vec::new(), Vec::new());
        for _ in 0..1000 {
            let began = Instant::now();
            black_box(cache.get_or_load_many(&keys, nothing).await.unwrap());
            batches.push(began.elapsed().as_secs_f64() * 1e6);
            let began = Instant::now();
            for key in &keys {
                black_box(cache.get_or_load(key, |_| no_row()).await.unwrap());
            }
            singles.push(began.elapsed().as_secs_f64() * 1e6);
        }
        ours.push(median(&mut batches));
        theirs.push(median(&mut singles));
    }
    print("here, beside 100 hits", &mut ours, &mut theirs);
}

fn print(what: &str, ours: &mut [f64], theirs: &mut [f64]) {
    let (ours, theirs) = (median(ours), median(theirs));
    println!(
        "{what:38}   {ours:11.1}   {theirs:11.1}   {:5.2}",
        ours / theirs
    );
}

async fn remote_hits(cache: &TieredCache<u64, Row>, keys: &[u64]) {
    let batch = cache.get_or_load_many(keys, nothing).await.unwrap();
    for (key, hit) in batch.iter() {
        let hit = hit.unwrap();
        assert_eq!((hit.outcome(), hit.id), (Outcome::RemoteHit, *key));
    }
}

async fn nothing(_: tricache::BatchContext<u64>) -> std::io::Result<Vec<(u64, Row)>> {
    Err(std::io::Error::other("a miss"))
}

fn no_row() -> std::future::Ready<std::io::Result<Row>> {
    std::future::ready(Err(std::io::Error::other("a miss")))
}

async fn mget(raw: &mut redis::aio::MultiplexedConnection, keys: &[u64], records: Records) {
    let mut command = redis::cmd("MGET");
    for key in keys {
        command.arg(raw_key(*key));
    }
    if records == Records::ValuesAndPointers {
        for key in keys {
            command.arg(raw_pointer(*key));
        }
    }
    let bodies: Vec<Vec<u8>> = command.query_async(raw).await.unwrap();
    let config = bincode::config::standard();
    for (body, key) in bodies.iter().zip(keys) {
        let decoded = bincode::serde::decode_from_slice(&body[ENVELOPE..], config);
        let (row, _): (Row, _) = decoded.unwrap();
        assert_eq!(row.id, *key);
    }
}

async fn node(redis: &RedisServer) -> (Tiers, TieredCache<u64, Row>) {
    let limit = Duration::from_secs(5);
    let tiers = Tiers::builder("bench")
        .redis(&redis.url())
        .remote_timeout(limit);
    let tiers = tiers.build().await.unwrap();
    let policy = Policy::ttl(Duration::from_secs(3600)).local_capacity(1 << 30);
    let cache = tiers.cache("row", policy).unwrap();
    (tiers, cache)
}

async fn connection(redis: &RedisServer) -> redis::aio::MultiplexedConnection {
    let info = redis::IntoConnectionInfo::into_connection_info(redis.url()).unwrap();
    let settings = redis::io::tcp::TcpSettings::default().set_nodelay(true);
    let client = redis::Client::open(info.set_tcp_settings(settings)).unwrap();
    client.get_multiplexed_async_connection().await.unwrap()
}

/// Stores every row through the cache, and the same row bare for the baseline.
async fn fill(redis: &RedisServer) {
    let (tiers, cache) = node(redis).await;
    let mut raw = connection(redis).await;
    for batch in 0..BATCHES {
        let keys: Vec<u64> = (batch * BATCH..(batch + 1) * BATCH).collect();
        let rows = |cx: tricache::BatchContext<u64>| async move {
            Ok::<_, std::io::Error>(cx.into_keys().into_iter().map(|key| (key, row(key))))
        };
        cache.get_or_load_many(&keys, rows).await.unwrap();
        let mut sets = redis::pipe();
        for key in keys {
            sets.cmd("SET").arg(raw_pointer(key)).arg(POINTER).ignore();
            let mut body = vec![0; ENVELOPE];
            let config = bincode::config::standard();
            bincode::serde::encode_into_std_write(row(key), &mut body, config).unwrap();
            sets.cmd("SET")
                .arg(raw_key(key))
                .arg(body)
                .arg("PX")
                .arg(3_600_000)
                .ignore();
        }
        sets.query_async::<()>(&mut raw).await.unwrap();
    }
    let _ = tiers.shutdown(Duration::ZERO).await;
}

fn raw_key(key: u64) -> String {
    format!("raw:row/{key}@0123456789abcdef")
}

fn raw_pointer(key: u64) -> String {
    format!("raw:pointer:row/{key}")
}

/// As long as ours.
const POINTER: &str = "1|1790000000000001|1790000000000001|0|-";
/// Our header's length: the baseline carries as many bytes.
const ENVELOPE: usize = 64;
