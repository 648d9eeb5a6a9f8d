//! F5, F6 and F20: the remote tier is wiped, killed or frozen. Callers get their answers from the store meanwhile.

use crate::nodes::{Node, Remote};
use crate::reads::{counters, ends, held_read, read, served_locally};
use futures_util::future::join_all;
use std::time::Duration;
use tricache::{Outcome, RemoteState};
use tricache_test_support::{CountingStore, eventually};

#[tokio::test]
async fn f5_nothing_old_outlives_a_wipe() {
    for remote in Remote::both() {
        let (one, other) = (quick_node(&remote).await, quick_node(&remote).await);
        let store = CountingStore::new();
        for key in KEYS {
            served_locally(&one, &store, key).await;
            served_locally(&other, &store, key).await;
        }
        let late = CountingStore::new();
        let slow = held_read(&one, &late, 100).await;

        wipe(&remote);
        // No invalidation tells of these: only the new epoch does.
        KEYS.for_each(|key| {
            store.commit(&key);
        });
        late.release();

        assert_eq!(slow.value().await, 0);
        assert_eq!(counters(&one).stale_fills, 1);
        for node in [&one, &other] {
            eventually("nothing is served from before the wipe", async || {
                reads_new(node, &store).await
            })
            .await;
        }
        late.commit(&100);
        assert_eq!(*read(&other.cache, &late, 100).await, 1);
        assert_eq!(*read(&one.cache, &late, 100).await, 1);
    }
}

#[tokio::test]
async fn f6_callers_are_served_while_redis_is_dead_and_nothing_old_outlives_its_empty_restart() {
    for remote in Remote::both() {
        let (one, other) = (quick_node(&remote).await, quick_node(&remote).await);
        let store = CountingStore::new();
        for key in KEYS {
            served_locally(&one, &store, key).await;
            served_locally(&other, &store, key).await;
        }

        kill(&remote);
        for key in 100..120 {
            assert_eq!(*read(&one.cache, &store, key).await, 0);
            assert_eq!(*read(&other.cache, &store, key).await, 0);
        }
        is(&one, RemoteState::Away).await;
        store.commit(&0);
        assert!(ends(one.cache.invalidate(&0)).await.unwrap().is_pending());
        assert_eq!(*read(&one.cache, &store, 0).await, 1);
        restart_empty(&remote);

        is(&one, RemoteState::Up).await;
        KEYS.skip(1).for_each(|key| {
            store.commit(&key);
        });
        for node in [&one, &other] {
            eventually("nothing is served from before the restart", async || {
                reads_new(node, &store).await
            })
            .await;
        }
        eventually("nothing is pending", async || {
            one.tiers.report().pending() == 0
        })
        .await;
    }
}

#[tokio::test]
async fn f20_every_call_ends_while_redis_is_frozen() {
    let remote = Remote::around_redis();
    let node = hurried_node(&remote).await;
    let store = CountingStore::new();
    read(&node.cache, &store, 0).await;

    freeze(&remote);
    let loads = (100..150).map(|key| read(&node.cache, &store, key));
    let values: Vec<_> = join_all(loads).await.iter().map(|value| **value).collect();
    let held = read(&node.cache, &store, 0).await;
    let found = ends(node.cache.get(&200)).await.unwrap();
    let many: Vec<_> = (0..10).collect();
    let receipts = [
        ends(node.cache.invalidate(&1)).await.unwrap(),
        ends(node.cache.invalidate_many(&many)).await.unwrap(),
        ends(node.cache.insert(&2, 7)).await.unwrap(),
    ];

    assert_eq!(values, [0; 50]);
    assert_eq!(*held, 0);
    assert!(found.is_none());
    assert_eq!(receipts.map(|receipt| receipt.pending()), [1, 10, 1]);
    is(&node, RemoteState::Away).await;
    // Now nobody waits for Redis: a timeout would be counted.
    let errors = counters(&node).remote_errors;
    let before = counters(&node).loads;
    for key in 300..350 {
        read(&node.cache, &store, key).await;
    }
    assert_eq!(counters(&node).loads, before + 50);
    // The heartbeats go on, so this only bounds it.
    assert!(counters(&node).remote_errors < errors + 50);
    thaw(&remote);
}

#[tokio::test]
async fn f20_what_was_invalidated_while_redis_was_frozen_is_invalid_when_it_thaws() {
    let remote = Remote::around_redis();
    let (one, other) = (hurried_node(&remote).await, hurried_node(&remote).await);
    let store = CountingStore::new();
    for key in KEYS {
        served_locally(&one, &store, key).await;
        served_locally(&other, &store, key).await;
    }

    freeze(&remote);
    for key in KEYS {
        store.commit(&key);
        assert!(ends(one.cache.invalidate(&key)).await.unwrap().is_pending());
        // The node that was told knows better than Redis, from then on.
        assert_eq!(*read(&one.cache, &store, key).await, 1);
    }
    assert_eq!(one.tiers.report().pending(), KEYS.count());
    is(&one, RemoteState::Away).await;
    thaw(&remote);

    is(&one, RemoteState::Up).await;
    is(&other, RemoteState::Up).await;
    eventually("Redis took what was pending", async || {
        one.tiers.report().pending() == 0
    })
    .await;
    for node in [&one, &other] {
        eventually("nothing old is served", async || {
            reads_new(node, &store).await
        })
        .await;
    }
    eventually("values reach the other node again", async || {
        let key = store.loads();
        read(&one.cache, &store, key).await;
        read(&other.cache, &store, key).await.outcome() == Outcome::RemoteHit
    })
    .await;
}

#[tokio::test]
async fn f20_a_load_that_redis_froze_under_is_answered_and_its_late_fill_is_judged() {
    let remote = Remote::around_redis();
    let (one, other) = (hurried_node(&remote).await, hurried_node(&remote).await);
    let (old, store) = <(CountingStore, CountingStore)>::default();
    let slow = held_read(&one, &old, 1).await;

    freeze(&remote);
    store.commit(&1);
    assert!(ends(one.cache.invalidate(&1)).await.unwrap().is_pending());
    // Its fill is on its way to the frozen server, ahead of the invalidation that is sent again.
    old.release();
    assert_eq!(slow.value().await, 0);
    assert_eq!(*read(&one.cache, &store, 1).await, 1);
    thaw(&remote);

    eventually("Redis took the invalidation", async || {
        one.tiers.report().pending() == 0
    })
    .await;
    eventually("both read what is new", async || {
        *read(&one.cache, &store, 1).await == 1 && *read(&other.cache, &store, 1).await == 1
    })
    .await;
}

/// Served from each node's memory when the fault comes.
const KEYS: std::ops::Range<u64> = 0..5;

/// A node that notices soon.
async fn quick_node(remote: &Remote) -> Node {
    Node::start(remote.builder().heartbeat(Duration::from_millis(50))).await
}

/// A node that waits for Redis a quarter of a second at most.
async fn hurried_node(remote: &Remote) -> Node {
    let builder = remote.builder().remote_timeout(Duration::from_millis(250));
    Node::start(builder.heartbeat(Duration::from_millis(50))).await
}

/// Whether the node shows each key as it is in the store.
async fn reads_new(node: &Node, store: &CountingStore) -> bool {
    for key in KEYS {
        if *read(&node.cache, store, key).await != store.committed(&key) {
            return false;
        }
    }
    true
}

async fn is(node: &Node, state: RemoteState) {
    eventually(&format!("the remote tier is {state:?}"), async || {
        node.tiers.report().remote() == state
    })
    .await;
}

fn wipe(remote: &Remote) {
    match remote {
        Remote::Redis(redis) => assert_eq!(redis.command(&["FLUSHALL"]), "OK"),
        Remote::Hub(hub) => hub.wipe(),
    }
}

fn kill(remote: &Remote) {
    match remote {
        Remote::Redis(redis) => redis.kill(),
        Remote::Hub(hub) => hub.refuse(true),
    }
}

fn restart_empty(remote: &Remote) {
    match remote {
        Remote::Redis(redis) => redis.restart_empty(),
        Remote::Hub(hub) => {
            hub.wipe();
            hub.refuse(false);
        }
    }
}

fn freeze(remote: &Remote) {
    match remote {
        Remote::Redis(redis) => redis.freeze(),
        Remote::Hub(hub) => hub.refuse(true),
    }
}

fn thaw(remote: &Remote) {
    match remote {
        Remote::Redis(redis) => redis.thaw(),
        Remote::Hub(hub) => hub.refuse(false),
    }
}
