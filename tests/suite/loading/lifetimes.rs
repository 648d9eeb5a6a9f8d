//! How long a value lives: its TTL in all tiers together, and nothing in Redis without one.

use crate::nodes::Remote;
use crate::reads::{Numbers, ends, held_read, numbers, read, spawn_read};
use std::{collections::BTreeSet, sync::Arc, time::Duration};
use tricache::{InProcess, ManualClock, Outcome, Policy, Tiers};
use tricache_test_support::{CountingStore, RedisServer};

#[tokio::test]
async fn a_value_lives_no_longer_than_its_ttl_in_all_tiers_together() {
    let (clock, nodes) = two_nodes(Policy::ttl(TTL).jitter(0.0)).await;
    let [one, other] = nodes.each_ref().map(|(_, cache)| cache);
    let store = CountingStore::new();
    let born = read(one, &store, 1).await;
    assert_eq!((born.age(), born.remaining()), (Duration::ZERO, TTL));

    clock.advance(TTL * 7 / 10);
    let copied = read(other, &store, 1).await;

    // The copy lives on for what remained, not for another TTL.
    assert_eq!(copied.outcome(), Outcome::RemoteHit);
    assert_eq!(
        (copied.age(), copied.remaining()),
        (TTL * 7 / 10, TTL * 3 / 10)
    );
    clock.advance(TTL * 3 / 10 - MILLISECOND);
    for cache in [one, other] {
        let last = ends(cache.get(&1)).await.unwrap().unwrap();
        assert_eq!(last.remaining(), MILLISECOND);
    }
    clock.advance(MILLISECOND);
    for cache in [one, other] {
        assert!(ends(cache.get(&1)).await.unwrap().is_none());
    }
    assert_eq!(read(other, &store, 1).await.outcome(), Outcome::Loaded);
    assert_eq!(store.loads(), 2);
}

#[tokio::test]
async fn a_slow_load_does_not_make_a_value_live_longer() {
    let (clock, nodes) = two_nodes(Policy::ttl(TTL).jitter(0.0)).await;
    let [one, other] = nodes.each_ref().map(|(_, cache)| cache);
    let store = CountingStore::new();
    store.hold();
    let slow = spawn_read(one, &store, 1);
    store.wait_for_waiting(1).await;

    clock.advance(TTL / 2);
    store.release();
    let loaded = slow.result().await.unwrap();

    assert_eq!((loaded.age(), loaded.remaining()), (TTL / 2, TTL / 2));
    clock.advance(TTL / 2);
    for cache in [one, other] {
        assert!(ends(cache.get(&1)).await.unwrap().is_none());
    }
}

#[tokio::test]
async fn a_load_that_takes_longer_than_the_ttl_is_answered_and_kept_nowhere() {
    let (clock, nodes) = two_nodes(Policy::ttl(TTL).jitter(0.0)).await;
    let [one, other] = nodes.each_ref().map(|(_, cache)| cache);
    let store = CountingStore::new();
    store.hold();
    let slow = spawn_read(one, &store, 1);
    store.wait_for_waiting(1).await;

    clock.advance(TTL * 2);
    store.release();

    let loaded = slow.result().await.unwrap();
    assert_eq!((*loaded, loaded.remaining()), (0, Duration::ZERO));
    for cache in [one, other] {
        assert!(ends(cache.get(&1)).await.unwrap().is_none());
    }
}

#[tokio::test]
async fn jitter_never_makes_a_value_live_longer() {
    let (_clock, nodes) = two_nodes(Policy::ttl(TTL).jitter(0.5)).await;
    let store = CountingStore::new();

    let mut lives = BTreeSet::new();
    for key in 0..100 {
        lives.insert(read(&nodes[0].1, &store, key).await.remaining());
    }

    assert!(lives.iter().all(|life| (TTL / 2..=TTL).contains(life)));
    assert!(lives.len() > 10, "{lives:?}");
}

#[tokio::test]
async fn past_the_local_ttl_the_version_is_confirmed_and_the_value_kept() {
    let policy = Policy::ttl(TTL).local_ttl(TTL / 10).jitter(0.0);
    let (clock, nodes) = two_nodes(policy).await;
    let cache = &nodes[0].1;
    let store = CountingStore::new();
    read(cache, &store, 1).await;

    clock.advance(TTL / 10);
    let confirmed = read(cache, &store, 1).await;

    assert_eq!(confirmed.outcome(), Outcome::LocalRevalidated);
    assert_eq!(confirmed.remaining(), TTL * 9 / 10);
    // No confirmation takes it past its TTL.
    clock.advance(TTL * 9 / 10);
    assert_eq!(read(cache, &store, 1).await.outcome(), Outcome::Loaded);
}

#[tokio::test]
async fn a_confirmation_does_not_transfer_the_value() {
    let clock = ManualClock::new();
    let remote = Remote::around_redis();
    let policy = Policy::ttl(Duration::from_secs(600)).local_ttl(TTL);
    let builder = remote.builder().clock(Arc::new(clock.clone()));
    let (_tiers, cache) = numbers(builder, policy).await;
    let store = CountingStore::new();
    read(&cache, &store, 1).await;

    // What is not there cannot be transferred.
    let redis = remote.server();
    let value = redis.command(&["KEYS", "tc1:*:v:number/1@*"]);
    assert_eq!(redis.command(&["UNLINK", &value]), "1");
    clock.advance(TTL);
    let confirmed = read(&cache, &store, 1).await;

    assert_eq!(
        (*confirmed, confirmed.outcome()),
        (0, Outcome::LocalRevalidated)
    );
    assert_eq!(store.loads(), 1);
}

#[tokio::test]
async fn every_key_in_redis_has_a_ttl_but_the_control_records_of_the_buckets() {
    let remote = Remote::around_redis();
    let node = remote.node().await;
    let store = CountingStore::new();
    for key in 0..50 {
        read(&node.cache, &store, key).await;
    }
    let invalidated: Vec<_> = (25..75).collect();
    ends(node.cache.invalidate_many(&invalidated))
        .await
        .unwrap();
    ends(node.cache.insert(&100, 1)).await.unwrap();
    let _loading = held_read(&node, &store, 101).await;

    let redis = remote.server();
    let mut kinds = BTreeSet::new();
    for key in scan(redis) {
        let kind = key.split("}:").nth(1).unwrap().split(':').next().unwrap();
        let ttl: i64 = redis.command(&["PTTL", &key]).parse().unwrap();
        match kind {
            "a" | "c" | "l" | "t" => assert_eq!(ttl, -1, "{key}"),
            _ => assert!(ttl > 0, "{key} has no TTL: {ttl}"),
        }
        kinds.insert(kind.to_owned());
    }

    assert_eq!(
        kinds,
        ["a", "c", "l", "p", "s", "t", "v"]
            .map(str::to_owned)
            .into()
    );
}

/// Two nodes around a hub, with one clock for all.
async fn two_nodes(policy: Policy) -> (ManualClock, [(Tiers, Numbers); 2]) {
    let clock = ManualClock::new();
    let hub = InProcess::with_clock(Arc::new(clock.clone()));
    let remote = Remote::Hub(hub);
    let builder = || remote.builder().clock(Arc::new(clock.clone()));
    let nodes = [
        numbers(builder(), policy).await,
        numbers(builder(), policy).await,
    ];
    (clock, nodes)
}

fn scan(redis: &RedisServer) -> Vec<String> {
    let mut keys = Vec::new();
    let mut cursor = "0".to_owned();
    loop {
        let reply = redis.command(&["SCAN", &cursor, "COUNT", "100"]);
        let mut lines = reply.lines().map(str::to_owned);
        cursor = lines.next().unwrap();
        keys.extend(lines);
        if cursor == "0" {
            return keys;
        }
    }
}

const TTL: Duration = Duration::from_secs(10);
const MILLISECOND: Duration = Duration::from_millis(1);
