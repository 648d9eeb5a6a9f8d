//! What a batch sends to Redis: one command for all reads, one pipeline for all scripts.

use crate::reads::{ends, read};
use crate::table::{Table, found, held_many, pairs, read_many, spawn_many};
use crate::wire::Wire;
use std::{collections::HashSet, time::Duration};
use tricache::{Outcome, Policy};
use tricache_test_support::{CountingStore, eventually};

#[tokio::test]
async fn a_batch_of_redis_hits_is_one_command() {
    let wire = Wire::new().await;
    let (table, keys) = (Table::default(), (0..100).collect::<Vec<u64>>());
    let buckets = wire.buckets(&keys).await;
    read_many(&wire.remote.node().await.cache, &table, &keys).await;
    let node = wire.node().await;
    let (sent, looked_up) = (wire.commands(), wire.lookups());

    let batch = read_many(&node.cache, &table, &keys).await;

    assert!(
        batch
            .iter()
            .all(|(_, hit)| hit.unwrap().outcome() == Outcome::RemoteHit)
    );
    assert_eq!(wire.commands() - sent, 1);
    // The control record of each bucket once, then pointer and value of each key.
    assert_eq!(wire.lookups() - looked_up, buckets + 200);
    let again = read_many(&node.cache, &table, &keys).await;
    assert!(
        again
            .iter()
            .all(|(_, hit)| hit.unwrap().outcome() == Outcome::LocalHit)
    );
    assert_eq!(wire.commands() - sent, 1);
}

#[tokio::test]
async fn a_batch_that_does_not_load_is_one_command_too() {
    let wire = Wire::new().await;
    let node = wire.node().await;
    let sent = wire.commands();

    assert!(
        ends(node.cache.get_many(&[1, 2, 3]))
            .await
            .unwrap()
            .is_empty()
    );

    assert_eq!(wire.commands() - sent, 1);
}

#[tokio::test]
async fn a_batch_of_nothing_sends_nothing() {
    let wire = Wire::new().await;
    let node = wire.node().await;
    let sent = wire.commands();

    read_many(&node.cache, &Table::default(), &[]).await;
    ends(node.cache.get_many::<u64>(&[])).await.unwrap();
    let receipt = ends(node.cache.invalidate_many::<u64>(&[])).await.unwrap();

    assert!(receipt.stamps().is_empty());
    assert_eq!(wire.commands(), sent);
}

#[tokio::test]
async fn what_is_in_doubt_costs_a_pointer_each_and_no_value() {
    let wire = Wire::new().await;
    let keys: Vec<_> = (0..100).collect();
    let buckets = wire.buckets(&keys[..99]).await;
    // That of the last key, too: the first use of a bucket puts what is held of it in doubt at once, whatever its age.
    wire.buckets(&keys[99..]).await;
    // A local TTL of a moment: whatever is held here is in doubt.
    let tiers = wire.builder().build().await.unwrap();
    let life = Policy::ttl(Duration::from_secs(600)).local_ttl(Duration::from_millis(1));
    // With the key that is put last all others are in doubt.
    let policy = life.jitter(0.0);
    let cache = tiers.cache::<u64, u64>("number", policy).unwrap();
    let table = Table::default();
    read_many(&cache, &table, &keys).await;
    eventually("all of it is in doubt", async || {
        read(&cache, &CountingStore::new(), 99).await.outcome() == Outcome::LocalRevalidated
    })
    .await;
    let (sent, looked_up) = (wire.commands(), wire.lookups());

    let batch = read_many(&cache, &table, &keys[..99]).await;

    for (key, hit) in batch.iter() {
        assert_eq!(hit.unwrap().outcome(), Outcome::LocalRevalidated, "{key}");
    }
    assert_eq!(wire.commands() - sent, 1);
    assert_eq!(wire.lookups() - looked_up, buckets + 99);
}

#[tokio::test]
async fn a_thousand_keys_are_one_command_and_one_more_is_another() {
    let wire = Wire::new().await;
    let (node, keys) = (wire.node().await, (0..1001).collect::<Vec<u64>>());

    let sent = wire.commands();
    ends(node.cache.get_many(&keys[..1000])).await.unwrap();
    assert_eq!(wire.commands() - sent, 1);
    ends(node.cache.get_many(&keys)).await.unwrap();
    assert_eq!(wire.commands() - sent, 3);
}

/// While scripts are held back, a call that waits for the answer to each could send one only.
#[tokio::test]
async fn all_leases_are_asked_for_in_one_round_trip() {
    let wire = Wire::new().await;
    let (table, keys) = (Table::default(), (0..100).collect::<Vec<u64>>());
    let node = wire.node_that_knows_the_scripts(&keys).await;
    let sent = wire.scripts_sent();

    wire.hold_scripts();
    let batch = spawn_many(&node.cache, &table, keys);
    eventually("all are asked for", async || {
        wire.scripts_sent() == sent + 100
    })
    .await;
    assert!(table.calls().is_empty());
    wire.let_scripts_go();

    assert_eq!(found(batch).await.len(), 100);
    assert_eq!(wire.scripts_sent(), sent + 200);
    assert_eq!(table.calls().len(), 1);
}

#[tokio::test]
async fn all_values_are_stored_in_one_round_trip() {
    let wire = Wire::new().await;
    let (table, keys) = (Table::default(), (0..100).collect::<Vec<u64>>());
    let node = wire.node_that_knows_the_scripts(&keys).await;
    let batch = held_many(&node.cache, &table, &keys).await;
    let sent = wire.scripts_sent();

    wire.hold_scripts();
    table.rows.release();
    eventually("all are sent", async || wire.scripts_sent() == sent + 100).await;
    assert!(!batch.is_finished());
    wire.let_scripts_go();

    assert_eq!(found(batch).await.len(), 100);
    let there = ends(wire.remote.node().await.cache.get_many(&keys))
        .await
        .unwrap();
    assert_eq!(pairs(there).len(), 100);
}

#[tokio::test]
async fn all_leases_are_kept_while_the_batch_loads() {
    let wire = Wire::new().await;
    let (table, keys) = (Table::default(), (0..100).collect::<Vec<u64>>());
    let node = wire.node_that_knows_the_scripts(&keys).await;
    let batch = held_many(&node.cache, &table, &keys).await;
    let run = wire.scripts_run();

    eventually("each is renewed", async || wire.scripts_run() >= run + 100).await;

    let other = wire.remote.node().await;
    let waiting = spawn_many(&other.cache, &table, [7]);
    eventually("another node waits", async || {
        other.tiers.report().counters().lease_waits == 1
    })
    .await;
    table.rows.release();
    assert_eq!(found(waiting).await, [(7, 0)]);
    assert_eq!(found(batch).await.len(), 100);
    assert_eq!(table.calls().len(), 1);
}

#[tokio::test]
async fn many_invalidations_are_one_round_trip() {
    let wire = Wire::new().await;
    let keys: Vec<_> = (0..64).collect();
    let node = wire.node_that_knows_the_scripts(&keys).await;
    let sent = wire.scripts_sent();

    wire.hold_scripts();
    let (cache, invalidated) = (node.cache.clone(), keys.clone());
    let receipt = tokio::spawn(async move { cache.invalidate_many(&invalidated).await });
    eventually("all are sent", async || wire.scripts_sent() == sent + 64).await;
    wire.let_scripts_go();

    let receipt = ends(receipt).await.unwrap().unwrap();
    let versions: HashSet<_> = receipt
        .stamps()
        .iter()
        .map(|stamp| (stamp.bucket(), stamp.n()))
        .collect();
    assert_eq!((versions.len(), receipt.is_pending()), (64, false));
}

#[tokio::test]
async fn a_server_that_forgot_the_scripts_is_taught_them_once() {
    let wire = Wire::new().await;
    let (table, keys) = (Table::default(), (0..100).collect::<Vec<u64>>());
    let node = wire.node_that_knows_the_scripts(&keys).await;
    wire.remote.server().command(&["SCRIPT", "FLUSH"]);
    let taught = wire.proxy.commands("EVAL");

    let batch = read_many(&node.cache, &table, &keys).await;

    assert_eq!(pairs(batch).len(), 100);
    assert_eq!(table.calls().len(), 1);
    // One for the leases, one for the values.
    assert_eq!(wire.proxy.commands("EVAL") - taught, 2);
    let there = ends(wire.remote.node().await.cache.get_many(&keys))
        .await
        .unwrap();
    assert_eq!(there.len(), 100);
}
