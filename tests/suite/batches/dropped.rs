//! Callers that go away: before the load begins they hand over, after that nothing stops it.

use crate::nodes::Remote;
use crate::reads::{counters, ends, held_read};
use crate::table::{Table, found, held_many, pairs, read_many, spawn_many};
use crate::wire::Wire;
use tricache::Outcome;
use tricache_test_support::{CountingStore, eventually};

#[tokio::test]
async fn a_load_goes_on_without_its_caller() {
    for remote in Remote::both() {
        let (node, table) = (remote.quiet_node(1..=2).await, Table::default());
        let dropped = held_many(&node.cache, &table, &[1, 2]).await;
        let waiting = spawn_many(&node.cache, &table, [2, 1]);
        eventually("another waits", async || {
            counters(&node).flights_joined == 2
        })
        .await;

        dropped.abort();
        assert!(ends(dropped).await.unwrap_err().is_cancelled());
        table.rows.release();

        assert_eq!(found(waiting).await, [(2, 0), (1, 0)]);
        let held = read_many(&node.cache, &table, &[1, 2]).await;
        assert!(
            held.iter()
                .all(|(_, hit)| hit.unwrap().outcome() == Outcome::LocalHit)
        );
        assert_eq!(table.calls(), [[1, 2]]);
    }
}

#[tokio::test]
async fn who_waits_for_a_dropped_batch_that_did_not_load_goes_on_itself() {
    for remote in Remote::both() {
        let (node, elsewhere) = (
            remote.quiet_node(1..=1).await,
            remote.quiet_node(1..=1).await,
        );
        let (table, store) = (Table::default(), CountingStore::new());
        let loading = held_read(&elsewhere, &store, 1).await;
        let dropped = spawn_many(&node.cache, &table, [1]);
        eventually("it leads", async || counters(&node).lease_waits == 1).await;
        let waiting = spawn_many(&node.cache, &table, [1]);
        eventually("another waits", async || {
            counters(&node).flights_joined == 1
        })
        .await;

        dropped.abort();
        eventually("the other one leads", async || {
            counters(&node).lease_waits == 2
        })
        .await;
        store.release();

        assert_eq!(loading.value().await, 0);
        assert_eq!(found(waiting).await, [(1, 0)]);
        assert!(table.calls().is_empty());
    }
}

/// A caller that went away while Redis was giving it leases would keep every other node waiting for three seconds.
#[tokio::test]
async fn a_caller_that_goes_away_gives_all_its_leases_back() {
    let wire = Wire::new().await;
    let (table, keys) = (Table::default(), (0..100).collect::<Vec<u64>>());
    let node = wire.node_that_knows_the_scripts(&keys).await;
    wire.hold_scripts();
    let (before, sent) = (wire.scripts_run(), wire.scripts_sent());
    let dropped = spawn_many(&node.cache, &table, keys.clone());
    eventually("the leases are asked for", async || {
        wire.scripts_sent() == sent + 100
    })
    .await;

    dropped.abort();
    assert!(ends(dropped).await.unwrap_err().is_cancelled());
    wire.let_scripts_go();
    eventually("all is asked for and given back", async || {
        wire.scripts_run() >= before + 200
    })
    .await;

    assert_eq!(wire.remote.server().command(&["KEYS", "tc1:*:s:*"]), "");
    assert!(table.calls().is_empty());
    let other = wire.remote.node().await;
    let batch = read_many(&other.cache, &table, &keys).await;
    assert_eq!((pairs(batch).len(), counters(&other).lease_waits), (100, 0));
}
