//! The deadline of a batch: one for all its keys.

use super::{HARD, SOFT, filled, policy, reading};
use crate::reads::ends;
use crate::stale::{Nodes, TTL, WINDOW, good, windows};
use crate::table::{Table, spawn_many};
use std::time::Duration;
use tokio::time::timeout;
use tricache::{Batch, Outcome};
use tricache_test_support::CountingStore;

fn outcome(batch: &Batch<u64, u64>, key: u64) -> Option<Outcome> {
    let result = batch.get(&key).unwrap();
    result.map(|cached| cached.outcome()).ok()
}

#[tokio::test(start_paused = true)]
async fn keys_that_others_load_too_late_are_late_and_the_rest_has_values() {
    let nodes = Nodes::start::<2>(policy()).await;
    let (slow, quick) = (CountingStore::new(), Table::default());
    good(nodes.cache(0), &quick.rows, 1).await;
    slow.hold();
    // One by this process, one by another.
    let _here = reading(nodes.cache(0), &slow, 2);
    let _there = reading(nodes.cache(1), &slow, 3);
    slow.wait_for_waiting(2).await;

    let batch = ends(spawn_many(nodes.cache(0), &quick, [1, 2, 3, 4])).await;

    let batch = batch.unwrap().unwrap();
    assert!(outcome(&batch, 1).is_some());
    assert_eq!(outcome(&batch, 4), Some(Outcome::Loaded));
    // The single reads began before the batch, so their loads were late for themselves, too.
    for key in [2, 3] {
        assert!(batch.get(&key).unwrap().unwrap_err().is_timeout());
    }
    slow.release();
    filled(nodes.cache(0), 2, 0).await;
    filled(nodes.cache(0), 3, 0).await;
    assert_eq!((slow.loads(), quick.rows.loads()), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn a_batchs_own_load_goes_on_and_fills() {
    let nodes = Nodes::start::<1>(policy()).await;
    let table = Table::default();
    good(nodes.cache(0), &table.rows, 1).await;
    table.rows.hold();

    let late = ends(spawn_many(nodes.cache(0), &table, [1, 2, 3])).await;

    let late = late.unwrap().unwrap();
    assert!(outcome(&late, 1).is_some() && outcome(&late, 2).is_none());
    let counters = nodes.counters(0);
    assert_eq!((counters.timeouts, counters.failed), (2, 2));
    table.rows.release();
    filled(nodes.cache(0), 2, 0).await;
    filled(nodes.cache(0), 3, 0).await;
    assert_eq!(table.rows.loads(), 3);
}

#[tokio::test(start_paused = true)]
async fn without_a_near_deadline_the_batch_waits_on() {
    let nodes = Nodes::start::<1>(policy().hard_timeout(HARD * 100)).await;
    let table = Table::default();
    table.rows.hold();
    let mut waiting = spawn_many(nodes.cache(0), &table, [1, 2]);

    assert!(timeout(HARD * 10, &mut waiting).await.is_err());

    table.rows.release();
    let batch = ends(waiting).await.unwrap().unwrap();
    assert_eq!(batch.into_found().unwrap().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn past_the_soft_timeout_a_batch_of_stale_values_is_the_answer() {
    let policy = windows(Duration::ZERO, WINDOW).hard_timeout(HARD);
    let nodes = Nodes::start::<1>(policy.soft_timeout(SOFT)).await;
    let table = Table::default();
    for key in [1, 2] {
        good(nodes.cache(0), &table.rows, key).await;
    }
    nodes.clock.advance(TTL);
    good(nodes.cache(0), &table.rows, 3).await;
    table.rows.hold();

    let all = timeout(HARD - SOFT, spawn_many(nodes.cache(0), &table, [1, 2, 3])).await;

    let all = all.unwrap().unwrap().unwrap();
    assert_eq!(outcome(&all, 1), Some(Outcome::StaleIfError));
    assert_eq!(outcome(&all, 2), Some(Outcome::StaleIfError));
    assert!(!all.get(&3).unwrap().unwrap().is_stale());
    assert_eq!(nodes.counters(0).stale_if_error, 2);
    table.rows.release();
    filled(nodes.cache(0), 1, 0).await;
}

/// The batch has to wait for the new key anyway, so the others may still get their loaded values.
#[tokio::test(start_paused = true)]
async fn a_batch_with_a_new_key_waits_until_its_deadline_and_no_longer() {
    let policy = windows(Duration::ZERO, WINDOW).hard_timeout(HARD);
    let nodes = Nodes::start::<1>(policy.soft_timeout(SOFT)).await;
    let table = Table::default();
    good(nodes.cache(0), &table.rows, 1).await;
    nodes.clock.advance(TTL);
    table.rows.hold();
    let mut waiting = spawn_many(nodes.cache(0), &table, [1, 2]);

    assert!(timeout(HARD - SOFT, &mut waiting).await.is_err());
    let mixed = ends(waiting).await.unwrap().unwrap();

    assert_eq!(outcome(&mixed, 1), Some(Outcome::StaleIfError));
    assert!(mixed.get(&2).unwrap().unwrap_err().is_timeout());
    let counters = nodes.counters(0);
    assert_eq!((counters.stale_if_error, counters.timeouts), (1, 1));
}
