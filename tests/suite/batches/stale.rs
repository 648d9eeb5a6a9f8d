//! An invalidation that comes while a batch loads: never served to who reads later.

use crate::nodes::Remote;
use crate::reads::{counters, ends};
use crate::table::{Table, found, held_many, pairs, read_many, spawn_many};
use tricache_test_support::eventually;

#[tokio::test]
async fn a_batch_that_began_before_an_invalidation_fills_nothing_of_that_key() {
    for remote in Remote::both() {
        let (reader, writer) = (remote.quiet_node(1..=2).await, remote.node().await);
        let table = Table::default();
        let batch = held_many(&reader.cache, &table, &[1, 2]).await;

        table.rows.commit(&1);
        assert!(
            !ends(writer.cache.invalidate(&1))
                .await
                .unwrap()
                .is_pending()
        );
        table.rows.release();

        // It began before the invalidation: the old number is its own, and nobody else's.
        assert_eq!(found(batch).await, [(1, 0), (2, 0)]);
        assert_eq!(counters(&reader).stale_fills, 1);
        for node in [&reader, &writer] {
            assert_eq!(
                pairs(read_many(&node.cache, &table, &[1, 2]).await),
                [(1, 1), (2, 0)]
            );
        }
        assert_eq!(table.calls(), [vec![1, 2], vec![1]]);
    }
}

#[tokio::test]
async fn a_batch_does_not_join_a_load_from_before_an_invalidation() {
    for remote in Remote::both() {
        let (node, table) = (remote.quiet_node(1..=2).await, Table::default());
        let early = held_many(&node.cache, &table, &[1, 2]).await;

        table.rows.commit(&1);
        assert!(!ends(node.cache.invalidate(&1)).await.unwrap().is_pending());
        let late = spawn_many(&node.cache, &table, [1, 2]);
        eventually("it loads what changed and joins the rest", async || {
            table.rows.waiting() == 3 && counters(&node).flights_joined == 1
        })
        .await;
        table.rows.release();

        assert_eq!(found(early).await, [(1, 0), (2, 0)]);
        assert_eq!(found(late).await, [(1, 1), (2, 0)]);
    }
}

#[tokio::test]
async fn many_invalidations_reach_every_node() {
    for remote in Remote::both() {
        let (writer, reader) = (remote.node().await, remote.node().await);
        let (table, keys) = (Table::default(), (0..300).collect::<Vec<u64>>());
        for node in [&writer, &reader] {
            read_many(&node.cache, &table, &keys).await;
        }
        for key in &keys {
            table.rows.commit(key);
        }

        let receipt = ends(writer.cache.invalidate_many(&keys)).await.unwrap();

        assert_eq!((receipt.stamps().len(), receipt.pending()), (300, 0));
        let own = pairs(read_many(&writer.cache, &table, &keys).await);
        assert!(own.iter().all(|(_, number)| *number == 1));
        eventually("the other node shows them", async || {
            let shown = pairs(read_many(&reader.cache, &table, &keys).await);
            shown.iter().all(|(_, number)| *number == 1)
        })
        .await;
    }
}
