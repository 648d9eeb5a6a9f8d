//! F32: a thousand readers of one key on ten nodes, at once.

use crate::nodes::{Node, Remote};
use crate::reads::{counters, spawn_read};
use futures_util::future::join_all;
use tricache_test_support::{CountingStore, eventually};

#[tokio::test]
async fn f32_a_thousand_misses_on_ten_nodes_are_one_load() {
    for remote in Remote::both() {
        let nodes: Vec<Node> = join_all((0..10).map(|_| remote.node())).await;
        let store = CountingStore::new();
        store.hold();

        let readings: Vec<_> = (0..1000)
            .map(|number| spawn_read(&nodes[number % 10].cache, &store, 1))
            .collect();
        let sum = |count: fn(&Node) -> u64| nodes.iter().map(count).sum::<u64>();
        eventually("all wait for one", async || {
            let joined = sum(|node| counters(node).flights_joined);
            let leased = sum(|node| counters(node).lease_waits);
            (joined, leased) == (990, 9)
        })
        .await;
        store.release();

        for reading in readings {
            assert_eq!(reading.value().await, 0);
        }
        assert_eq!(store.loads(), 1);
        assert_eq!(sum(|node| counters(node).remote_errors), 0);
    }
}
