//! Many tags: on one value, over time, and one of them over and over.

use super::labelled::{invalidate, load, pair};
use crate::nodes::Remote;
use crate::reads::{counters, ends, numbers};
use std::{io, sync::Arc, time::Duration};
use tricache::{InProcess, Loaded, ManualClock, Outcome, Policy};
use tricache_test_support::{CountingStore, eventually};

#[tokio::test]
async fn a_value_with_a_thousand_tags_is_old_with_the_last_of_them() {
    fn dressed(value: u64) -> Loaded<u64> {
        Loaded::new(value).tags((0..1000).map(|tag| format!("tag-{tag}")))
    }
    for remote in Remote::both() {
        let (one, other) = pair(&remote).await;
        let store = CountingStore::new();
        load(&one.cache, &store, 1, dressed).await.unwrap();
        let copied = load(&other.cache, &store, 1, dressed).await.unwrap();
        assert_eq!(copied.tags().len(), 1000);
        store.commit(&1);

        invalidate(&one, "tag-1000").await;
        assert_eq!(*load(&one.cache, &store, 1, dressed).await.unwrap(), 0);
        invalidate(&one, "tag-999").await;

        assert_eq!(*load(&one.cache, &store, 1, dressed).await.unwrap(), 1);
    }
}

#[tokio::test]
async fn a_value_with_more_tags_than_fit_is_answered_and_kept_nowhere() {
    fn dressed(value: u64) -> Loaded<u64> {
        Loaded::new(value).tags((0..5000).map(|tag| format!("tag-{tag}")))
    }
    for remote in Remote::both() {
        let node = remote.node().await;
        let store = CountingStore::new();

        for _ in 0..2 {
            let loaded = load(&node.cache, &store, 1, dressed).await.unwrap();
            assert_eq!(loaded.outcome(), Outcome::Loaded);
        }

        assert_eq!(counters(&node).not_stored, 2);
        assert!(ends(node.cache.get(&1)).await.unwrap().is_none());
    }
}

#[tokio::test]
async fn a_hundred_thousand_tags_are_invalidated_in_one_call() {
    for remote in Remote::both() {
        let (one, other) = pair(&remote).await;
        let store = CountingStore::new();
        let numbered = |key: u64| {
            let store = store.clone();
            move |_| async move {
                let loaded = Loaded::new(store.load(&key).await);
                Ok::<_, io::Error>(loaded.tag(format!("tag-{key}")))
            }
        };
        for key in [0, 50_000, 99_999, 100_000] {
            ends(other.cache.get_or_load(&key, numbered(key)))
                .await
                .unwrap();
            store.commit(&key);
        }

        let tags = (0..100_000).map(|tag| format!("tag-{tag}"));
        let receipt = ends(one.tiers.invalidate_tags(tags)).await.unwrap();

        assert_eq!((receipt.stamps().len(), receipt.pending()), (100_000, 0));
        assert_eq!(one.tiers.report().bumped_tags(), 100_000);
        for (key, shown) in [(0, 1), (50_000, 1), (99_999, 1), (100_000, 0)] {
            eventually("the other node has heard", async || {
                let cached = ends(other.cache.get_or_load(&key, numbered(key))).await;
                *cached.unwrap() == shown
            })
            .await;
        }
        // A node that starts now does not read them all: older values ask, once.
        let (late, cache) = numbers(remote.builder(), *one.cache.policy()).await;
        for _ in 0..2 {
            let kept = ends(cache.get_or_load(&100_000, numbered(100_000))).await;
            assert_eq!(*kept.unwrap(), 0);
        }
        assert_eq!(late.report().counters().tag_lookups, 1);
    }
}

#[tokio::test]
async fn a_tag_that_is_invalidated_ten_thousand_times_takes_one_place() {
    fn hot(value: u64) -> Loaded<u64> {
        Loaded::new(value).tag("hot")
    }
    for remote in Remote::both() {
        let (one, other) = pair(&remote).await;
        let store = CountingStore::new();
        for _ in 0..100 {
            let mut all = tokio::task::JoinSet::new();
            for _ in 0..100 {
                let tiers = one.tiers.clone();
                all.spawn(async move { tiers.invalidate_tags(["hot"]).await });
            }
            for receipt in all.join_all().await {
                assert!(!receipt.unwrap().is_pending());
            }
            store.commit(&1);
            let cached = load(&other.cache, &store, 1, hot).await.unwrap();
            assert!(cached.tags().len() == 1);
        }

        invalidate(&one, "hot").await;

        assert_eq!(one.tiers.report().bumped_tags(), 1);
        assert_eq!(*load(&one.cache, &store, 1, hot).await.unwrap(), 100);
        eventually("the other node has heard all of it", async || {
            *load(&other.cache, &store, 1, hot).await.unwrap() == 100
        })
        .await;
        assert_eq!(other.tiers.report().bumped_tags(), 1);
    }
}

#[tokio::test]
async fn tags_that_can_refuse_nothing_any_more_are_forgotten() {
    let clock = ManualClock::new();
    let hub = Remote::Hub(InProcess::with_clock(Arc::new(clock.clone())));
    let builder = hub.builder().clock(Arc::new(clock.clone()));
    let policy = Policy::ttl(Duration::from_secs(60));
    let (tiers, cache) = numbers(builder.heartbeat(Duration::from_millis(10)), policy).await;
    let store = CountingStore::new();
    for tag in 0..1000 {
        ends(tiers.invalidate_tags([format!("tag-{tag}")]))
            .await
            .unwrap();
    }
    assert_eq!(tiers.report().bumped_tags(), 1000);

    clock.advance(Duration::from_secs(3600));
    ends(tiers.invalidate_tags(["young"])).await.unwrap();

    eventually("the old ones are forgotten", async || {
        tiers.report().bumped_tags() == 1
    })
    .await;
    let reader = numbers(hub.builder().clock(Arc::new(clock.clone())), policy).await;
    assert_eq!(reader.0.report().bumped_tags(), 1);
    load(&cache, &store, 1, |value| Loaded::new(value).tag("tag-7"))
        .await
        .unwrap();
    let copied = load(&reader.1, &store, 1, Loaded::new).await.unwrap();
    assert_eq!((*copied, copied.outcome()), (0, Outcome::RemoteHit));
}

#[tokio::test]
async fn redis_forgets_old_tags_and_refuses_what_they_could_have_refused() {
    let remote = Remote::around_redis();
    let one = remote.node().await;
    let store = CountingStore::new();
    load(&one.cache, &store, 1, Loaded::new).await.unwrap();
    let many: Vec<_> = (0..2000).map(|tag| format!("tag-{tag}")).collect();
    ends(one.tiers.invalidate_tags(&many)).await.unwrap();
    load(&one.cache, &store, 2, Loaded::new).await.unwrap();
    let redis = remote.server();
    let records = || redis.command(&["HLEN", "tc1:{test:tags}:t"]);
    assert_eq!(records(), "2001");

    // As a node does whose values live for no time at all.
    let mut cursor = "0".to_owned();
    loop {
        let key = |kind: &str| format!("tc1:{{test:tags}}:{kind}");
        let keys = ["c", "l", "f", "t"].map(key);
        let [control, log, channel, table] = keys.each_ref().map(String::as_str);
        let arguments = [
            "EVAL", PRUNE, "4", control, log, channel, table, "1", "1", "0",
        ];
        cursor = redis.command(&[&arguments[..], &[&cursor, "30000"]].concat());
        if cursor == "0" {
            break;
        }
    }

    // The floor, the longest life, and when it began.
    assert_eq!(records(), "3");
    let late = remote.node().await;
    let from_before = load(&late.cache, &store, 1, Loaded::new).await.unwrap();
    let from_after = load(&late.cache, &store, 2, Loaded::new).await.unwrap();
    assert_eq!(from_before.outcome(), Outcome::Loaded);
    assert_eq!(from_after.outcome(), Outcome::RemoteHit);
}

const PRUNE: &str = concat!(
    include_str!("../../../src/remote/scripts/common.lua"),
    include_str!("../../../src/remote/scripts/tags_prune.lua")
);
