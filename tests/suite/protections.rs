//! What each protection is good for: without it, the fault that it is against does its harm.

use crate::nodes::{Node, Remote};
use crate::reads::{QUIET, counters, held_read, hold_locally, neighbours, read, spawn_read};
use tricache::{InProcess, Outcome, Protection, TiersBuilder};
use tricache_test_support::{CountingStore, eventually};

#[tokio::test]
async fn a_late_fill_does_no_harm() {
    for remote in Remote::both() {
        let next = after_a_late_fill(&remote, remote.builder()).await;

        assert_eq!(next, (1, Outcome::Loaded));
    }
}

#[tokio::test]
async fn without_the_check_of_fills_a_late_one_shows_the_old_value_to_every_node() {
    for remote in Remote::both() {
        let builder = remote.builder().without(Protection::StaleFill);
        let next = after_a_late_fill(&remote, builder).await;

        assert_eq!(next, (0, Outcome::RemoteHit));
    }
}

#[tokio::test]
async fn a_reader_does_not_join_a_load_from_before_an_invalidation() {
    for remote in Remote::both() {
        assert_eq!(joined_late(&remote.node().await).await, 1);
    }
}

#[tokio::test]
async fn without_the_check_of_flights_a_reader_joins_a_load_from_before_an_invalidation() {
    for remote in Remote::both() {
        let builder = remote.builder().without(Protection::StaleFill);

        assert_eq!(joined_late(&Node::start(builder).await).await, 0);
    }
}

#[tokio::test]
async fn a_lost_push_is_noticed_with_the_next_one() {
    let hub = InProcess::new();

    let next = after_a_lost_push(&hub, quiet(&hub)).await;

    assert_eq!(next, (1, Outcome::Loaded));
}

#[tokio::test]
async fn without_the_chain_a_lost_push_stays_unnoticed() {
    let hub = InProcess::new();
    let builder = quiet(&hub).without(Protection::Chain);

    let next = after_a_lost_push(&hub, builder).await;

    assert_eq!(next, (0, Outcome::LocalHit));
}

/// A load begins, its key is invalidated, and the load fills. What another node reads then.
async fn after_a_late_fill(remote: &Remote, builder: TiersBuilder) -> (u64, Outcome) {
    let (reader, writer) = (Node::start(builder).await, remote.node().await);
    let store = CountingStore::new();
    let slow = held_read(&reader, &store, 1).await;

    store.commit(&1);
    assert!(!writer.cache.invalidate(&1).await.unwrap().is_pending());
    store.release();
    assert_eq!(slow.value().await, 0);

    let next = read(&writer.cache, &store, 1).await;
    (*next, next.outcome())
}

/// A load begins, its key is invalidated by the same node, and somebody reads it there. What is read.
async fn joined_late(node: &Node) -> u64 {
    let store = CountingStore::new();
    let slow = held_read(node, &store, 1).await;

    store.commit(&1);
    assert!(!node.cache.invalidate(&1).await.unwrap().is_pending());
    let late = spawn_read(&node.cache, &store, 1);
    eventually("the late reader waits for a load", async || {
        counters(node).flights_joined == 1 || store.waiting() == 2
    })
    .await;
    store.release();

    assert_eq!(slow.value().await, 0);
    late.value().await
}

/// A node holds a key while the push of its invalidation is lost, and that of the next one is not. What it shows then.
async fn after_a_lost_push(hub: &InProcess, builder: TiersBuilder) -> (u64, Outcome) {
    let writer = Remote::Hub(hub.clone()).node().await;
    let (lost, next) = neighbours(&writer.cache).await;
    let (node, store) = (Node::start(builder).await, CountingStore::new());
    for key in [lost, next] {
        hold_locally(&node, &store, key).await;
        store.commit(&key);
    }

    hub.lose_pushes(true);
    writer.cache.invalidate(&lost).await.unwrap();
    hub.lose_pushes(false);
    writer.cache.invalidate(&next).await.unwrap();
    eventually("the next push arrives", async || {
        *read(&node.cache, &store, next).await == 1
    })
    .await;

    let shown = read(&node.cache, &store, lost).await;
    (*shown, shown.outcome())
}

/// No heartbeat comes to help.
fn quiet(hub: &InProcess) -> TiersBuilder {
    Remote::Hub(hub.clone()).builder().heartbeat(QUIET)
}
