//! Callers that go away by the thousand: no load stops, no right to load is lost, and nobody's error is counted.

use crate::nodes::Remote;
use crate::reads::{counters, ends, held_read, read, spawn_read};
use crate::table::{Table, spawn_many};
use tricache_test_support::{CountingStore, eventually};

#[tokio::test]
async fn a_thousand_that_wait_for_another_nodes_load_leave_nothing_behind() {
    for remote in Remote::both() {
        let (elsewhere, node) = (remote.node().await, remote.quiet_node([1]).await);
        let store = CountingStore::new();
        let loading = held_read(&elsewhere, &store, 1).await;
        let gone: Vec<_> = (0..1000)
            .map(|_| spawn_read(&node.cache, &store, 1))
            .collect();
        eventually("all wait", async || counters(&node).flights_joined == 999).await;

        for reading in gone {
            reading.drop_caller().await;
        }
        let late = spawn_read(&node.cache, &store, 1);
        store.release();

        assert_eq!((loading.value().await, late.value().await), (0, 0));
        assert_eq!(store.loads(), 1);
        let counted = counters(&node);
        assert_eq!((counted.failed, counted.load_errors), (0, 0));
        assert_eq!(node.tiers.report().loads().in_flight(), 0);
    }
}

#[tokio::test]
async fn a_thousand_batches_stop_no_load_and_lose_none() {
    for remote in Remote::both() {
        let (node, other) = (remote.quiet_node([1, 2]).await, remote.node().await);
        let table = Table::default();
        table.rows.hold();
        let gone: Vec<_> = (0..1000)
            .map(|_| spawn_many(&node.cache, &table, [1, 2]))
            .collect();
        table.rows.wait_for_waiting(2).await;
        eventually("the others wait", async || {
            counters(&node).flights_joined == 999 * 2
        })
        .await;

        for reading in gone {
            reading.abort();
            assert!(ends(reading).await.unwrap_err().is_cancelled());
        }
        table.rows.release();

        for key in [1, 2] {
            eventually("the value is there", async || {
                ends(node.cache.get(&key)).await.unwrap().is_some()
            })
            .await;
            read(&other.cache, &table.rows, key).await;
        }
        assert_eq!(table.calls(), [[1, 2]]);
        let counted = counters(&node);
        assert_eq!((counted.failed, counted.load_errors), (0, 0));
    }
}
