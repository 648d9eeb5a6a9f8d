//! How soon after an invalidation do other nodes no longer serve the old value, at 1,000 invalidations a second?
//!
//! `cargo bench --bench propagation`. From the call of `invalidate` on one node to the moment at which another node, asked over and
//! over, does not answer from its own memory any more. The baseline is bare Pub/Sub on the same server: from the call of
//! `PUBLISH` to the subscriber's handler.

use futures_util::StreamExt;
use std::time::{Duration, Instant};
use tokio::{
    sync::mpsc,
    time::{MissedTickBehavior, interval},
};
use tricache::{Outcome, Policy, TieredCache, Tiers};
use tricache_test_support::RedisServer;

const EVENTS: u64 = 5000;
const PACE: Duration = Duration::from_millis(1);

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let redis = RedisServer::start();
    println!("what          p50 us   p99 us   max us");
    for _ in 0..3 {
        print("raw Pub/Sub", raw(&redis).await);
        print("tricache", ours(&redis).await);
    }
}

async fn raw(redis: &RedisServer) -> Vec<f64> {
    let client = redis::Client::open(redis.url()).unwrap();
    let mut subscriber = client.get_async_pubsub().await.unwrap();
    subscriber.subscribe("bench").await.unwrap();
    let (sent, mut sends) = mpsc::unbounded_channel();
    let handler = tokio::spawn(async move {
        let mut messages = subscriber.on_message();
        let mut latencies = Vec::new();
        while latencies.len() < EVENTS as usize {
            messages.next().await.unwrap();
            let arrived = Instant::now();
            let began: Instant = sends.recv().await.unwrap();
            latencies.push(arrived.saturating_duration_since(began).as_secs_f64() * 1e6);
        }
        latencies
    });
    let mut publisher = client.get_multiplexed_async_connection().await.unwrap();
    let mut pace = paced();
    for _ in 0..EVENTS {
        pace.tick().await;
        sent.send(Instant::now()).unwrap();
        let mut publish = redis::cmd("PUBLISH");
        publish
            .arg("bench")
            .arg("60 bytes or so, as long as an event of the feed is, or nearly");
        publish.query_async::<()>(&mut publisher).await.unwrap();
    }
    handler.await.unwrap()
}

async fn ours(redis: &RedisServer) -> Vec<f64> {
    let (_one, writer) = node(redis).await;
    let (_other, reader) = node(redis).await;
    let mut pace = paced();
    let mut latencies = Vec::new();
    for key in 0..EVENTS {
        settled(&reader, key).await;
        pace.tick().await;
        let began = Instant::now();
        let invalidation = tokio::spawn({
            let writer = writer.clone();
            async move { writer.invalidate(&key).await.unwrap() }
        });
        while is_local(&reader, key).await {
            tokio::task::yield_now().await;
        }
        latencies.push(began.elapsed().as_secs_f64() * 1e6);
        assert!(!invalidation.await.unwrap().is_pending());
    }
    latencies
}

/// Loads the key until the reader answers it from its own memory.
async fn settled(reader: &TieredCache<u64, u64>, key: u64) {
    let load = |_| async move { Ok::<_, std::io::Error>(key) };
    while reader.get_or_load(&key, load).await.unwrap().outcome() != Outcome::LocalHit {}
}

async fn is_local(reader: &TieredCache<u64, u64>, key: u64) -> bool {
    let found = reader.get(&key).await.unwrap();
    found.is_some_and(|found| found.outcome() == Outcome::LocalHit)
}

async fn node(redis: &RedisServer) -> (Tiers, TieredCache<u64, u64>) {
    let limit = Duration::from_secs(5);
    let tiers = Tiers::builder("bench")
        .redis(&redis.url())
        .remote_timeout(limit);
    let tiers = tiers.build().await.unwrap();
    let cache = tiers
        .cache("number", Policy::ttl(Duration::from_secs(600)))
        .unwrap();
    (tiers, cache)
}

fn paced() -> tokio::time::Interval {
    let mut pace = interval(PACE);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    pace
}

fn print(what: &str, mut latencies: Vec<f64>) {
    latencies.sort_by(f64::total_cmp);
    let at = |part: f64| latencies[((latencies.len() - 1) as f64 * part) as usize];
    println!(
        "{what:12}  {:6.0}  {:7.0}  {:7.0}",
        at(0.5),
        at(0.99),
        at(1.0)
    );
}
