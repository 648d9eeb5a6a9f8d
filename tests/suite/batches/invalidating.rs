//! Invalidations of many keys that Redis does not take, and what the checks of fills and flights are good for.

use crate::nodes::{Node, Remote};
use crate::reads::{QUIET, counters, ends};
use crate::table::{Table, found, held_many, pairs, read_many, spawn_many};
use tricache::{InProcess, Protection};
use tricache_test_support::eventually;

#[tokio::test]
async fn each_of_many_that_redis_does_not_take_is_pending_until_it_does() {
    let hub = InProcess::new();
    let remote = Remote::Hub(hub.clone());
    let (node, other) = (remote.node().await, remote.node().await);
    let (table, keys) = (Table::default(), (0..100).collect::<Vec<u64>>());
    read_many(&node.cache, &table, &keys).await;
    for key in &keys {
        table.rows.commit(key);
    }

    hub.refuse(true);
    let receipt = ends(node.cache.invalidate_many(&keys)).await.unwrap();
    assert_eq!((receipt.pending(), receipt.stamps().len()), (100, 0));
    let bypassed = pairs(read_many(&node.cache, &table, &keys).await);
    assert!(bypassed.iter().all(|(_, number)| *number == 1));
    hub.refuse(false);

    eventually("redis took them", async || {
        node.tiers.report().pending() == 0
    })
    .await;
    let there = pairs(read_many(&other.cache, &table, &keys).await);
    assert!(there.iter().all(|(_, number)| *number == 1));
}

#[tokio::test]
async fn one_that_waits_is_not_overtaken_by_those_sent_with_it() {
    let hub = InProcess::new();
    let node = Node::start(Remote::Hub(hub.clone()).builder()).await;
    hub.refuse(true);
    ends(node.cache.invalidate(&1)).await.unwrap();

    let receipt = ends(node.cache.invalidate_many(&[1, 2])).await.unwrap();

    assert_eq!(receipt.pending(), 2);
    assert_eq!(node.tiers.report().pending(), 2);
}

#[tokio::test]
async fn without_the_check_of_fills_a_late_batch_shows_the_old_value_to_every_node() {
    for remote in Remote::both() {
        remote.use_buckets(1..=2).await;
        let builder = remote
            .builder()
            .heartbeat(QUIET)
            .without(Protection::StaleFill);
        let (reader, writer) = (Node::start(builder).await, remote.node().await);
        let table = Table::default();
        let batch = held_many(&reader.cache, &table, &[1, 2]).await;

        table.rows.commit(&1);
        ends(writer.cache.invalidate(&1)).await.unwrap();
        table.rows.release();
        found(batch).await;

        let shown = read_many(&writer.cache, &table, &[1, 2]).await;
        assert_eq!(pairs(shown), [(1, 0), (2, 0)]);
    }
}

#[tokio::test]
async fn without_the_check_of_flights_a_batch_joins_a_load_from_before_an_invalidation() {
    for remote in Remote::both() {
        remote.use_buckets(1..=2).await;
        let builder = remote
            .builder()
            .heartbeat(QUIET)
            .without(Protection::StaleFill);
        let (node, table) = (Node::start(builder).await, Table::default());
        let early = held_many(&node.cache, &table, &[1, 2]).await;

        table.rows.commit(&1);
        ends(node.cache.invalidate(&1)).await.unwrap();
        let late = spawn_many(&node.cache, &table, [1, 2]);
        eventually("it joins both", async || {
            counters(&node).flights_joined == 2
        })
        .await;
        table.rows.release();

        found(early).await;
        assert_eq!(found(late).await, [(1, 0), (2, 0)]);
    }
}
