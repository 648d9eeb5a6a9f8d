//! Tags while Redis is away: bypassed on this node, told once it is back.

use super::crossings::{outer, sums};
use super::labelled::{invalidate, load, pair, plain, red};
use crate::nodes::{Node, Remote};
use crate::reads::{counters, ends};
use tricache::RemoteState;
use tricache_test_support::{CountingStore, LIMIT, eventually};

async fn refuse(remote: &Remote, node: &Node, yes: bool) {
    let Remote::Hub(hub) = remote else {
        panic!("only a hub refuses on demand")
    };
    hub.refuse(yes);
    let wanted = if yes {
        RemoteState::Away
    } else {
        RemoteState::Up
    };
    eventually("the node has noticed", async || {
        node.tiers.report().remote() == wanted
    })
    .await;
}

#[tokio::test]
async fn what_a_pending_tag_makes_old_is_loaded_and_told_later() {
    let remote = Remote::both().remove(0);
    let (one, other) = pair(&remote).await;
    let store = CountingStore::new();
    for key in [1, 2] {
        let dress = if key == 1 { red } else { plain };
        load(&one.cache, &store, key, dress).await.unwrap();
        load(&other.cache, &store, key, dress).await.unwrap();
        store.commit(&key);
    }

    refuse(&remote, &one, true).await;
    let receipt = ends(one.tiers.invalidate_tags(["red"])).await.unwrap();

    assert_eq!(receipt.pending(), 1);
    assert_eq!(one.tiers.report().pending(), 1);
    assert_eq!(*load(&one.cache, &store, 1, red).await.unwrap(), 1);
    assert_eq!(*load(&one.cache, &store, 2, plain).await.unwrap(), 0);
    refuse(&remote, &one, false).await;
    let settled = tokio::time::timeout(LIMIT, receipt.settled())
        .await
        .unwrap();
    assert_eq!((settled.pending(), settled.stamps().len()), (0, 1));
    assert_eq!(*load(&one.cache, &store, 1, red).await.unwrap(), 1);
    eventually("the other node has heard", async || {
        *load(&other.cache, &store, 1, red).await.unwrap() == 1
    })
    .await;
}

#[tokio::test]
async fn what_redis_holds_of_a_pending_tag_is_not_believed_when_it_is_back() {
    // The bucket of tags refuses, everything else answers: the journal cannot be emptied, and reads go to Redis.
    let remote = Remote::around_redis();
    let node = remote.node().await;
    let store = CountingStore::new();
    load(&node.cache, &store, 1, red).await.unwrap();
    store.commit(&1);
    let server = remote.server();
    server.command(&["RENAME", "tc1:{test:tags}:t", "{test:tags}:kept"]);
    server.command(&["SET", "tc1:{test:tags}:t", "no hash"]);

    let receipt = ends(node.tiers.invalidate_tags(["red"])).await.unwrap();

    assert!(receipt.is_pending());
    assert_eq!(*load(&node.cache, &store, 1, red).await.unwrap(), 1);
    server.command(&["DEL", "tc1:{test:tags}:t"]);
    server.command(&["RENAME", "{test:tags}:kept", "tc1:{test:tags}:t"]);
    let settled = tokio::time::timeout(LIMIT, receipt.settled())
        .await
        .unwrap();
    assert!(!settled.is_pending());
}

#[tokio::test]
async fn too_many_pending_invalidations_become_one_of_the_whole_cache() {
    let remote = Remote::both().remove(0);
    let (one, other) = pair(&remote).await;
    let store = CountingStore::new();
    for key in 0..10 {
        load(&one.cache, &store, key, plain).await.unwrap();
        load(&other.cache, &store, key, plain).await.unwrap();
        store.commit(&key);
    }

    refuse(&remote, &one, true).await;
    let keys: Vec<u64> = (0..MANY).collect();
    let receipt = ends(one.cache.invalidate_many(&keys)).await.unwrap();

    assert_eq!(receipt.pending() as u64, MANY);
    assert_eq!(counters(&one).overflows, 1);
    assert_eq!(one.tiers.report().pending(), 1);
    assert_eq!(*load(&one.cache, &store, 1, plain).await.unwrap(), 1);
    refuse(&remote, &one, false).await;
    let settled = tokio::time::timeout(LIMIT, receipt.settled())
        .await
        .unwrap();
    assert_eq!(
        (settled.pending(), settled.stamps().len() as u64),
        (0, MANY)
    );
    for node in [&one, &other] {
        for key in 0..10 {
            eventually("what waited is effective", async || {
                *load(&node.cache, &store, key, plain).await.unwrap() == 1
            })
            .await;
        }
    }
    // And it goes on as before.
    store.commit(&1);
    ends(one.cache.invalidate(&1)).await.unwrap();
    assert_eq!(*load(&one.cache, &store, 1, plain).await.unwrap(), 2);
    invalidate(&one, "red").await;
}

/// Tags had no bound: a service that invalidates by tags filled its memory with them while Redis was away.
#[tokio::test]
async fn too_many_pending_tags_become_one_of_everything() {
    let remote = Remote::both().remove(0);
    let (one, other) = pair(&remote).await;
    let store = CountingStore::new();
    for node in [&one, &other] {
        load(&node.cache, &store, 1, red).await.unwrap();
    }
    store.commit(&1);

    refuse(&remote, &one, true).await;
    let red_one = ends(one.tiers.invalidate_tags(["red"])).await.unwrap();
    let tags: Vec<String> = (0..MANY).map(|tag| format!("tag-{tag}")).collect();
    let receipt = ends(one.tiers.invalidate_tags(tags)).await.unwrap();

    assert_eq!(receipt.pending() as u64, MANY);
    assert_eq!(counters(&one).overflows, 1);
    assert!(one.tiers.report().pending() < 10);
    assert_eq!(*load(&one.cache, &store, 1, red).await.unwrap(), 1);
    refuse(&remote, &one, false).await;
    for receipt in [red_one, receipt] {
        let settled = tokio::time::timeout(LIMIT, receipt.settled())
            .await
            .unwrap();
        assert!(!settled.is_pending());
    }
    eventually("the other node has heard", async || {
        *load(&other.cache, &store, 1, red).await.unwrap() == 1
    })
    .await;
}

/// An invalidation waited for Redis, and on its own node what shows the entity was served as before, while the entity itself
/// was loaded anew.
#[tokio::test]
async fn what_shows_a_pending_entity_is_made_anew_on_its_own_node() {
    let remote = Remote::both().remove(0);
    let (one, other) = pair(&remote).await;
    let (here, there, store) = (sums(&one), sums(&other), CountingStore::new());
    for (node, sums) in [(&one, &here), (&other, &there)] {
        assert_eq!(outer(node, sums, &store).await, 0);
    }
    store.commit(&1);

    refuse(&remote, &one, true).await;
    let receipt = ends(one.cache.invalidate(&1)).await.unwrap();

    assert!(receipt.is_pending());
    assert_eq!(outer(&one, &here, &store).await, 10);
    refuse(&remote, &one, false).await;
    let settled = tokio::time::timeout(LIMIT, receipt.settled())
        .await
        .unwrap();
    assert!(!settled.is_pending());
    for (node, sums) in [(&one, &here), (&other, &there)] {
        eventually("the node has heard", async || {
            outer(node, sums, &store).await == 10
        })
        .await;
    }
}

/// One more than the journal takes.
const MANY: u64 = (1 << 16) + 1;
