//! What Redis and the other nodes hear of a step, and what they do not.

use crate::nodes::Remote;
use crate::reads::{counters, ends, neighbours, read};
use crate::wire::Wire;
use futures_util::future::join_all;
use tricache::Outcome;
use tricache_test_support::{CountingStore, eventually};

#[tokio::test]
async fn each_step_of_a_value_costs_so_many_commands_and_no_more() {
    let wire = Wire::new().await;
    let (near, store) = (wire.remote.node().await, CountingStore::new());
    // The first invalidation of a bucket is told to whatever may show its entity; this is not the first.
    let (_, key) = neighbours(&near.cache).await;
    let node = wire.node_that_knows_the_scripts(&[key]).await;
    let mut before = wire.commands();
    let mut cost = || {
        let now = wire.commands();
        now - std::mem::replace(&mut before, now)
    };

    read(&node.cache, &store, key).await;
    assert_eq!(cost(), 3, "a load: a look, the lease, the fill");
    for _ in 0..5 {
        let hit = read(&node.cache, &store, key).await;
        assert_eq!(hit.outcome(), Outcome::LocalHit);
    }
    assert_eq!(cost(), 0, "hits");
    ends(node.cache.invalidate(&key)).await.unwrap();
    assert_eq!(cost(), 1, "an invalidation");
    ends(node.cache.insert(&key, 7)).await.unwrap();
    assert_eq!(cost(), 2, "an insert: an invalidation and a fill");
    ends(node.cache.invalidate(&key)).await.unwrap();
    read(&near.cache, &store, key).await;
    cost();
    let copied = read(&node.cache, &store, key).await;
    assert_eq!((copied.outcome(), cost()), (Outcome::RemoteHit, 1));
    assert_eq!(store.loads(), 2);
}

#[tokio::test]
async fn callers_of_one_key_ask_redis_once() {
    let wire = Wire::new().await;
    wire.buckets(&[1]).await;
    let store = CountingStore::new();
    read(&wire.remote.node().await.cache, &store, 1).await;
    let node = wire.node().await;
    let sent = wire.commands();

    let reads = (0..100).map(|_| read(&node.cache, &store, 1));
    let answers = join_all(reads).await;

    let copied = |answer: &tricache::Cached<u64>| answer.outcome() == Outcome::RemoteHit;
    assert!(answers.iter().all(copied));
    assert_eq!(wire.commands() - sent, 1);
    assert_eq!(store.loads(), 1);
}

/// A node that told the others what it loads or copies would make each of them ask Redis again.
#[tokio::test]
async fn a_load_and_a_copy_are_told_to_nobody_and_a_change_is() {
    let wire = Wire::new().await;
    let (one, other) = (wire.remote.node().await, wire.remote.node().await);
    // The first invalidation of a bucket is told to whatever may show its entity; these are not the first.
    let (first, second) = neighbours(&one.cache).await;
    let keys = [first, second];
    let told = || (wire.calls_of("xadd"), wire.calls_of("spublish"));
    let (before, store) = (told(), CountingStore::new());

    for key in keys {
        read(&one.cache, &store, key).await;
        read(&other.cache, &store, key).await;
    }

    assert_eq!((store.loads(), told()), (2, before));
    assert_eq!(counters(&other).remote_hits, 2);
    ends(one.cache.invalidate(&second)).await.unwrap();
    assert_eq!(told(), (before.0 + 1, before.1 + 1));
}

#[tokio::test]
async fn a_node_that_is_told_tells_nobody() {
    let wire = Wire::new().await;
    let node = wire.node_that_knows_the_scripts(&[1]).await;
    let (writer, store) = (wire.remote.node().await, CountingStore::new());
    read(&node.cache, &store, 1).await;
    let (sent, heard) = (wire.scripts_sent(), counters(&node).events);

    ends(writer.cache.invalidate(&1)).await.unwrap();
    eventually("it is told", async || counters(&node).events == heard + 1).await;
    // Whatever it had sent before this is counted when this is answered.
    assert!(ends(node.cache.get(&1)).await.unwrap().is_none());

    assert_eq!(wire.scripts_sent(), sent);
}

/// The news of one's own writes comes back over the feed while the next ones are made.
#[tokio::test]
async fn what_was_just_written_is_read_however_often_it_changes() {
    for remote in Remote::both() {
        let (node, store) = (remote.quiet_node([1]).await, CountingStore::new());

        for round in 0..300 {
            ends(node.cache.invalidate(&1)).await.unwrap();
            for value in [2 * round, 2 * round + 1] {
                ends(node.cache.insert(&1, value)).await.unwrap();
                assert_eq!(*read(&node.cache, &store, 1).await, value);
            }
        }

        assert_eq!(store.loads(), 0);
    }
}
