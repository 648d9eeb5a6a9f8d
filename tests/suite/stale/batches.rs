//! Many keys at once, some of them past their TTL.

use super::{Nodes, TTL, WINDOW, good, refreshed, windows};
use crate::table::{Table, read_many};
use std::time::Duration;
use tricache::{Batch, Outcome};
use tricache_test_support::eventually;

fn outcomes(batch: &Batch<u64, u64>) -> Vec<(u64, u64, Outcome)> {
    let found = batch.iter().map(|(key, result)| {
        let cached = result.unwrap();
        (*key, **cached, cached.outcome())
    });
    found.collect()
}

#[tokio::test]
async fn the_stale_of_a_batch_are_served_at_once_and_loaded_by_one_call() {
    let nodes = Nodes::start::<2>(windows(WINDOW, Duration::ZERO)).await;
    let table = Table::default();
    read_many(nodes.cache(0), &table, &[1, 2]).await;
    for key in 1..=3 {
        table.rows.commit(&key);
    }
    nodes.clock.advance(TTL);

    // The second node holds nothing: it finds them in Redis.
    for node in 0..2 {
        let batch = read_many(nodes.cache(node), &table, &[1, 2, 3]).await;
        let third = if node == 0 {
            Outcome::Loaded
        } else {
            Outcome::RemoteHit
        };
        let stale = Outcome::Stale;
        if node == 0 {
            assert_eq!(
                outcomes(&batch),
                [(1, 0, stale), (2, 0, stale), (3, 1, third)]
            );
        }
        for key in 1..=3 {
            refreshed(nodes.cache(node), key, 1).await;
        }
    }

    assert_eq!(
        table.calls().len(),
        3,
        "two loads at first, one in the background"
    );
    assert_eq!(table.rows.loads(), 5);
    assert_eq!(nodes.counters(0).foreign_keys, 0);
}

#[tokio::test]
async fn a_batch_whose_loader_fails_is_answered_with_the_values_of_before() {
    let nodes = Nodes::start::<1>(windows(Duration::ZERO, WINDOW)).await;
    let table = Table::default();
    read_many(nodes.cache(0), &table, &[1, 2]).await;
    nodes.clock.advance(TTL);
    table.fail();

    let batch = read_many(nodes.cache(0), &table, &[1, 2, 3]).await;

    let stands_in = |key: &u64| batch.get(key).unwrap().as_ref().unwrap().outcome();
    assert_eq!(stands_in(&1), Outcome::StaleIfError);
    assert_eq!(stands_in(&2), Outcome::StaleIfError);
    assert!(batch.get(&3).unwrap().is_err());
    let again = read_many(nodes.cache(0), &table, &[1, 2]).await;
    assert_eq!(again.len(), 2);
    assert_eq!(
        table.calls().len(),
        2,
        "the store is left alone for a while"
    );
}

#[tokio::test]
async fn a_batch_and_a_single_read_load_a_stale_value_once() {
    let nodes = Nodes::start::<1>(windows(WINDOW, Duration::ZERO)).await;
    let table = Table::default();
    read_many(nodes.cache(0), &table, &[1, 2]).await;
    nodes.clock.advance(TTL);
    table.rows.hold();

    good(nodes.cache(0), &table.rows, 1).await;
    table.rows.wait_for_waiting(1).await;
    read_many(nodes.cache(0), &table, &[1, 2]).await;
    eventually("the batch has begun to load", async || {
        nodes.counters(0).refreshes == 2
    })
    .await;
    table.rows.release();

    for key in 1..=2 {
        refreshed(nodes.cache(0), key, 0).await;
    }
    assert_eq!(table.rows.loads(), 4);
}
