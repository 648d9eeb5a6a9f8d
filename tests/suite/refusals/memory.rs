//! F33: the memory is full and nothing may be evicted. What adds to it is refused; what reads is not.

use super::{does_without_redis, quick_node, works_again};
use crate::nodes::Remote;
use crate::reads::{counters, held_read, read};
use tricache::Outcome;
use tricache_test_support::CountingStore;

#[tokio::test]
async fn f33_a_full_redis_takes_no_values_and_no_invalidations_and_nobody_sees_an_error() {
    let remote = Remote::around_redis();
    let (one, other) = (quick_node(&remote).await, quick_node(&remote).await);
    let store = CountingStore::new();
    let filled = read(&one.cache, &store, 20).await;

    limit_memory(&remote, "1");
    // What stands in Redis is read all the same.
    let there = read(&other.cache, &store, 20).await;
    assert_eq!((*there, there.outcome()), (*filled, Outcome::RemoteHit));
    does_without_redis(&one, &store, 0..5).await;
    assert_eq!(one.tiers.report().pending(), 5);
    let counted = counters(&one);
    assert_eq!((counted.pending_bumps, counted.bumps), (5, 0));
    assert!(counted.remote_errors >= 5);
    limit_memory(&remote, "0");

    works_again([&one, &other], &store, 0..5).await;
    assert!(counters(&one).bumps >= 5);
}

/// Redis lets a script finish that has written before: a fill that still has its lease to give back is stored. One whose
/// lease is over is not.
#[tokio::test]
async fn f33_a_value_that_is_loaded_while_the_memory_fills_up_is_answered_and_not_stored() {
    let remote = Remote::around_redis();
    let (one, other) = (quick_node(&remote).await, quick_node(&remote).await);
    let store = CountingStore::new();
    let loading = held_read(&one, &store, 1).await;
    let lease = remote.only_key("tc1:*:s:*");
    assert_eq!(remote.server().command(&["DEL", &lease]), "1");

    limit_memory(&remote, "1");
    store.release();

    assert_eq!(loading.value().await, 0);
    assert_eq!(remote.server().command(&["KEYS", "tc1:*:v:*"]), "");
    assert!(counters(&one).remote_errors > 0);
    limit_memory(&remote, "0");
    works_again([&one, &other], &store, 1..2).await;
}

/// In bytes; zero is no limit. Nothing is evicted by default.
fn limit_memory(remote: &Remote, bytes: &str) {
    let set = ["CONFIG", "SET", "maxmemory", bytes];
    assert_eq!(remote.server().command(&set), "OK");
}
