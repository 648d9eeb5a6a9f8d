//! A Redis that refuses: full, forgetful, loading, demoted, forbidding, or talking nonsense.
//!
//! In each case the reader gets the value from the store and no error, the counters say what happened, and afterwards
//! the cache works on and shows nothing stale.

mod impostor;
mod lost;
mod memory;
mod nonsense;
mod rights;
mod roles;
mod scripts;
mod stampede;

use crate::nodes::{Node, Remote};
use crate::reads::{counters, ends, read};
use std::time::Duration;
use tricache::{Outcome, RemoteState};
use tricache_test_support::{CountingStore, eventually};

/// A node that notices soon.
async fn quick_node(remote: &Remote) -> Node {
    Node::start(remote.builder().heartbeat(Duration::from_millis(50))).await
}

/// The node's reads come from the store, and its invalidations wait.
async fn does_without_redis(node: &Node, store: &CountingStore, keys: std::ops::Range<u64>) {
    for key in keys {
        let before = store.committed(&key);
        assert_eq!(*read(&node.cache, store, key).await, before);
        store.commit(&key);
        assert!(
            ends(node.cache.invalidate(&key))
                .await
                .unwrap()
                .is_pending()
        );
        assert_eq!(*read(&node.cache, store, key).await, before + 1);
    }
}

/// Nothing waits any more, every node shows what is committed, and values go from node to node.
async fn works_again(nodes: [&Node; 2], store: &CountingStore, keys: std::ops::Range<u64>) {
    for node in nodes {
        eventually("Redis is asked again, and nothing waits", async || {
            let report = node.tiers.report();
            report.remote() == RemoteState::Up && report.pending() == 0
        })
        .await;
        for key in keys.clone() {
            eventually("what is committed is shown", async || {
                *read(&node.cache, store, key).await == store.committed(&key)
            })
            .await;
        }
    }
    let [one, other] = nodes;
    eventually("values go through Redis", async || {
        let key = 10_000 + store.loads();
        read(&one.cache, store, key).await;
        read(&other.cache, store, key).await.outcome() == Outcome::RemoteHit
    })
    .await;
    let before = counters(other).events;
    eventually("pushes arrive", async || {
        one.cache.invalidate(&1).await.unwrap();
        counters(other).events > before
    })
    .await;
}
