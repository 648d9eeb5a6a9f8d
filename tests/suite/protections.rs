//! What each protection is good for: without it, the fault that it is against does its harm.

use crate::nodes::{Node, Remote};
use crate::reads::{
    Numbers, QUIET, counters, ends, held_read, hold_locally, neighbours, read, spawn_read,
};
use std::io;
use tricache::{Cached, InProcess, Loaded, Outcome, Protection, TiersBuilder};
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

#[tokio::test]
async fn a_late_fill_of_a_tagged_value_does_no_harm() {
    for remote in Remote::both() {
        let next = after_a_late_tagged_fill(&remote, remote.builder()).await;

        assert_eq!(next, (1, Outcome::Loaded));
    }
}

#[tokio::test]
async fn without_the_place_from_before_the_load_a_late_tagged_value_is_shown_to_every_node() {
    for remote in Remote::both() {
        let builder = remote.builder().without(Protection::StaleFill);
        let next = after_a_late_tagged_fill(&remote, builder).await;

        assert_eq!(next, (0, Outcome::RemoteHit));
    }
}

#[tokio::test]
async fn a_lost_push_of_a_tag_is_noticed_with_the_next_one() {
    let hub = InProcess::new();

    let next = after_a_lost_tag(&hub, quiet(&hub)).await;

    assert_eq!(next, (1, Outcome::Loaded));
}

#[tokio::test]
async fn without_the_chain_a_lost_push_of_a_tag_stays_unnoticed() {
    let hub = InProcess::new();
    let builder = quiet(&hub).without(Protection::Chain);

    let next = after_a_lost_tag(&hub, builder).await;

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

/// A load begins, a tag of its value is invalidated, and the load fills. What another node reads then.
async fn after_a_late_tagged_fill(remote: &Remote, builder: TiersBuilder) -> (u64, Outcome) {
    let (reader, writer) = (Node::start(builder).await, remote.node().await);
    let store = CountingStore::new();
    store.hold();
    let slow = tokio::spawn(read_tagged(reader.cache.clone(), store.clone(), 1));
    store.wait_for_waiting(1).await;

    store.commit(&1);
    invalidate_tag(&writer, 1).await;
    store.release();
    assert_eq!(*ends(slow).await.unwrap(), 0);

    let next = read_tagged(writer.cache.clone(), store, 1).await;
    (*next, next.outcome())
}

/// A node holds a value while the push of its tag's invalidation is lost, and that of the next tag is not. What it shows
/// then.
async fn after_a_lost_tag(hub: &InProcess, builder: TiersBuilder) -> (u64, Outcome) {
    let (remote, lost, next) = (Remote::Hub(hub.clone()), 1, 2);
    remote.use_buckets([lost, next]).await;
    let (writer, node) = (remote.node().await, Node::start(builder).await);
    let store = CountingStore::new();
    let read = async |key| read_tagged(node.cache.clone(), store.clone(), key).await;
    for key in [lost, next] {
        read(key).await;
        assert_eq!(read(key).await.outcome(), Outcome::LocalHit);
        store.commit(&key);
    }

    hub.lose_pushes(true);
    invalidate_tag(&writer, lost).await;
    hub.lose_pushes(false);
    invalidate_tag(&writer, next).await;
    eventually("the next push arrives", async || *read(next).await == 1).await;

    let shown = read(lost).await;
    (*shown, shown.outcome())
}

/// Reads a key whose value has a tag of its own.
async fn read_tagged(cache: Numbers, store: CountingStore, key: u64) -> Cached<u64> {
    let loader = |_| async move {
        let loaded = Loaded::new(store.load(&key).await);
        Ok::<_, io::Error>(loaded.tag(tag(key)))
    };
    ends(cache.get_or_load(&key, loader)).await.unwrap()
}

async fn invalidate_tag(node: &Node, key: u64) {
    let receipt = node.tiers.invalidate_tags([tag(key)]).await.unwrap();
    assert!(!receipt.is_pending());
}

fn tag(key: u64) -> String {
    format!("number/{key}")
}

/// No heartbeat comes to help.
fn quiet(hub: &InProcess) -> TiersBuilder {
    Remote::Hub(hub.clone()).builder().heartbeat(QUIET)
}
