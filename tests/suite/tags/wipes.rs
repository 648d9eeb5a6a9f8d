//! Tags when Redis loses what it knew, wholly or in part.

use super::labelled::{invalidate, load, pair, plain, red};
use crate::nodes::{Node, Remote};
use crate::reads::{counters, ends};
use std::time::Duration;
use tricache::{InProcess, Outcome};
use tricache_test_support::{CountingStore, eventually};

#[tokio::test]
async fn after_a_wipe_tags_work_as_before() {
    for remote in Remote::both() {
        let (one, other) = pair(&remote).await;
        let store = CountingStore::new();
        load(&one.cache, &store, 1, red).await.unwrap();
        invalidate(&one, "red").await;
        load(&other.cache, &store, 1, red).await.unwrap();

        match &remote {
            Remote::Hub(hub) => hub.wipe(),
            Remote::Redis(redis) => {
                redis.command(&["FLUSHALL"]);
            }
        }
        store.commit(&1);
        invalidate(&one, "red").await;

        assert_eq!(*load(&one.cache, &store, 1, red).await.unwrap(), 1);
        for node in [&one, &other] {
            eventually("it is kept again", async || {
                let cached = load(&node.cache, &store, 1, red).await.unwrap();
                *cached == 1 && cached.outcome() == Outcome::LocalHit
            })
            .await;
        }
        store.commit(&1);
        invalidate(&other, "red").await;
        assert_eq!(*load(&other.cache, &store, 1, red).await.unwrap(), 2);
    }
}

/// The table is evicted or deleted while the control record stays: nothing is known of what was bumped before.
#[tokio::test]
async fn a_lost_table_of_tags_never_makes_an_old_value_young() {
    let remote = Remote::around_redis();
    let one = remote.node().await;
    let store = CountingStore::new();
    load(&one.cache, &store, 1, red).await.unwrap();
    load(&one.cache, &store, 2, plain).await.unwrap();
    invalidate(&one, "red").await;
    store.commit(&1);
    store.commit(&2);

    assert_eq!(remote.server().command(&["DEL", "tc1:{test:tags}:t"]), "1");
    let late = remote.node().await;

    assert_eq!(*load(&late.cache, &store, 1, red).await.unwrap(), 1);
    // What was never invalidated cannot be told apart from it any more.
    assert_eq!(*load(&late.cache, &store, 2, plain).await.unwrap(), 1);
    invalidate(&late, "red").await;
    store.commit(&1);
    invalidate(&late, "red").await;
    assert_eq!(*load(&late.cache, &store, 1, red).await.unwrap(), 2);
}

#[tokio::test]
async fn a_lost_event_of_a_tag_is_noticed_by_the_heartbeat() {
    let hub = InProcess::new();
    let remote = Remote::Hub(hub.clone());
    let one = remote.node().await;
    let other = Node::start(remote.builder().heartbeat(Duration::from_millis(50))).await;
    let store = CountingStore::new();
    load(&one.cache, &store, 1, red).await.unwrap();
    load(&other.cache, &store, 1, red).await.unwrap();
    store.commit(&1);

    hub.lose_pushes(true);
    ends(one.tiers.invalidate_tags(["red"])).await.unwrap();

    eventually("the other node has noticed", async || {
        *load(&other.cache, &store, 1, red).await.unwrap() == 1
    })
    .await;
    hub.lose_pushes(false);
}

#[tokio::test]
async fn a_gap_in_the_feed_of_tags_is_filled_from_the_table() {
    let hub = InProcess::new();
    let remote = Remote::Hub(hub.clone());
    let one = remote.node().await;
    let other = Node::start(remote.builder().heartbeat(Duration::from_millis(50))).await;
    let store = CountingStore::new();
    for key in [1, 2] {
        let dress = if key == 1 { red } else { plain };
        load(&one.cache, &store, key, dress).await.unwrap();
        load(&other.cache, &store, key, dress).await.unwrap();
        store.commit(&key);
    }

    // Lost on the way, and trimmed from the log: only the table tells.
    hub.lose_pushes(true);
    ends(one.tiers.invalidate_tags(["red"])).await.unwrap();
    hub.trim();
    eventually("the gap is noticed", async || counters(&other).gaps > 0).await;
    hub.lose_pushes(false);

    eventually("the tagged value is old", async || {
        *load(&other.cache, &store, 1, red).await.unwrap() == 1
    })
    .await;
    assert_eq!(*load(&other.cache, &store, 2, plain).await.unwrap(), 0);
    assert_eq!(counters(&other).tag_lookups, 0);
}
