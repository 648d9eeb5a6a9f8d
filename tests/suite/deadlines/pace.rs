//! A Redis that answers, but later than the store would.

use crate::nodes::Remote;
use crate::reads::{Numbers, ends, numbers};
use futures_util::future::join_all;
use std::{io, time::Duration};
use tricache::{Cached, Outcome, Policy, RemoteState, Tiers};
use tricache_test_support::{CountingStore, Proxy, eventually};

/// A fifth of the limit is never slow: this is beyond it, and what the proxy adds to each call far beyond that.
const LIMIT: Duration = Duration::from_millis(500);
const DELAY: Duration = Duration::from_millis(90);
const KEYS: u64 = 40;

struct Slow {
    proxy: Proxy,
    tiers: Tiers,
    cache: Numbers,
    other: Numbers,
    _remote: Remote,
    _tiers: Tiers,
}

/// A node that has loaded from a store of this latency, and has a Redis that gets slow then; and one on a way that does not.
async fn slow(store: &CountingStore) -> Slow {
    let remote = Remote::around_redis();
    let target = ([127, 0, 0, 1], remote.server().port()).into();
    let proxy = Proxy::start(target).await;
    let policy = Policy::ttl(Duration::from_secs(600));
    let behind = Tiers::builder("test")
        .redis(&proxy.url())
        .remote_timeout(LIMIT)
        .skip_slow_redis(true);
    let (tiers, cache) = numbers(behind, policy).await;
    let (_tiers, other) = numbers(remote.builder(), policy).await;
    join_all((0..KEYS).map(|key| load(&cache, store, key))).await;
    proxy.delay(DELAY);
    Slow {
        proxy,
        tiers,
        cache,
        other,
        _remote: remote,
        _tiers,
    }
}

async fn load(cache: &Numbers, store: &CountingStore, key: u64) -> Cached<u64> {
    let store = store.clone();
    let load = |_| async move { Ok::<_, io::Error>(store.load(&key).await) };
    ends(cache.get_or_load(&key, load)).await.unwrap()
}

/// Reads what only Redis holds.
async fn read_remote(slow: &Slow, store: &CountingStore, from: u64) {
    join_all((from..from + KEYS).map(|key| load(&slow.other, store, key))).await;
    join_all((from..from + KEYS).map(|key| load(&slow.cache, store, key))).await;
}

#[tokio::test]
async fn a_redis_slower_than_the_store_is_skipped_until_it_is_quick() {
    let store = CountingStore::new();
    let slow = slow(&store).await;
    let mut from = 1000;
    eventually("it is found to be slow", async || {
        read_remote(&slow, &store, from).await;
        from += KEYS;
        slow.tiers.report().remote() == RemoteState::Slow
    })
    .await;

    // Redis holds a value, and it is not asked.
    load(&slow.other, &store, 5000).await;
    let loaded = load(&slow.cache, &store, 5000).await;
    assert_eq!(
        (loaded.outcome(), loaded.version()),
        (Outcome::Loaded, None)
    );
    // Invalidations are sent as ever.
    let receipt = ends(slow.cache.invalidate(&5000)).await.unwrap();
    assert!(!receipt.is_pending());
    assert_eq!(slow.tiers.report().counters().remote_errors, 0);

    slow.proxy.delay(Duration::ZERO);
    eventually("it is found to be quick", async || {
        slow.tiers.report().remote() == RemoteState::Up
    })
    .await;
    load(&slow.other, &store, 6000).await;
    let found = load(&slow.cache, &store, 6000).await;
    assert_eq!(found.outcome(), Outcome::RemoteHit);
}

/// What was invalidated elsewhere is heard of, though nobody asks Redis.
#[tokio::test]
async fn a_skipped_redis_still_tells_what_was_invalidated() {
    let store = CountingStore::new();
    let slow = slow(&store).await;
    let mut from = 1000;
    eventually("it is found to be slow", async || {
        read_remote(&slow, &store, from).await;
        from += KEYS;
        slow.tiers.report().remote() == RemoteState::Slow
    })
    .await;
    store.commit(&0);

    ends(slow.other.invalidate(&0)).await.unwrap();

    eventually("the new value is served", async || {
        *load(&slow.cache, &store, 0).await == 1
    })
    .await;
}

#[tokio::test]
async fn a_redis_quicker_than_the_store_is_asked_however_long_it_takes() {
    let store = CountingStore::with_latency(DELAY * 6);
    let slow = slow(&store).await;

    for round in 0..3 {
        read_remote(&slow, &store, 1000 + round * KEYS).await;
        assert_ne!(slow.tiers.report().remote(), RemoteState::Slow);
    }

    load(&slow.other, &store, 5000).await;
    let found = load(&slow.cache, &store, 5000).await;
    assert_eq!(found.outcome(), Outcome::RemoteHit);
}
