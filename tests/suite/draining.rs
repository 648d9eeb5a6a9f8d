//! A shutdown waits for what is under way, ends the rest, and leaves no task behind.

use crate::loaders::Rows;
use crate::nodes::{Node, Remote};
use crate::reads::{counters, ends, held_read, numbers, spawn_read};
use std::{io, time::Duration};
use tokio::runtime::Handle;
use tricache::{Outcome, Policy};
use tricache_test_support::{CountingStore, eventually};

#[tokio::test]
async fn a_load_under_way_is_waited_for_and_fills() {
    for remote in Remote::both() {
        let (node, other) = (remote.node().await, remote.node().await);
        let store = CountingStore::new();
        let reading = held_read(&node, &store, 1).await;

        let tiers = node.tiers.clone();
        let ending = tokio::spawn(async move { tiers.shutdown(LONG).await });
        eventually("further calls are refused", async || {
            node.cache.get(&1).await.is_err()
        })
        .await;
        store.release();

        assert!(ends(ending).await.unwrap().is_complete());
        assert_eq!(reading.value().await, 0);
        let there = ends(other.cache.get(&1)).await.unwrap().unwrap();
        assert_eq!(there.outcome(), Outcome::RemoteHit);
    }
}

#[tokio::test]
async fn a_load_that_is_waited_for_may_read_other_values() {
    for remote in Remote::both() {
        let (node, gate) = (remote.node().await, CountingStore::new());
        let (inner, waits) = (node.cache.clone(), gate.clone());
        let policy = Policy::ttl(LONG);
        let outer = node.tiers.cache::<u64, u64>("outer", policy).unwrap();
        gate.hold();
        let reading = tokio::spawn(async move {
            let load = |_| async move {
                waits.load(&0).await;
                let load = |_| async { Ok::<_, io::Error>(7) };
                inner.get_or_load(&1, load).await.map(|shown| *shown)
            };
            outer.get_or_load(&1, load).await
        });
        gate.wait_for_waiting(1).await;

        let tiers = node.tiers.clone();
        let ending = tokio::spawn(async move { tiers.shutdown(LONG).await });
        eventually("further calls are refused", async || {
            node.cache.get(&1).await.is_err()
        })
        .await;
        gate.release();

        assert!(ends(ending).await.unwrap().is_complete());
        assert_eq!(*ends(reading).await.unwrap().unwrap(), 7);
    }
}

#[tokio::test]
async fn what_is_not_done_in_time_is_ended_and_its_callers_are_told() {
    for remote in Remote::both() {
        let (node, store) = (remote.quiet_node([1]).await, CountingStore::new());
        let leads = held_read(&node, &store, 1).await;
        let follows = spawn_read(&node.cache, &store, 1);
        eventually("it follows", async || counters(&node).flights_joined == 1).await;

        let drained = ends(node.tiers.shutdown(Duration::ZERO)).await;

        assert!(!drained.is_complete() && drained.unfinished() > 0);
        assert!(leads.result().await.unwrap_err().is_closed());
        assert!(follows.result().await.unwrap_err().is_closed());
        assert_eq!(store.loads(), 1);
    }
}

#[tokio::test]
async fn a_batch_that_is_not_done_in_time_is_ended() {
    for remote in Remote::both() {
        let (node, rows) = (remote.quiet_node([1, 2]).await, Rows::default());
        let (leads, follows) = (rows.in_batches(&node), rows.in_batches(&node));
        rows.store.hold();
        let leads = tokio::spawn(async move { leads.get_many(&[1, 2]).await });
        rows.store.wait_for_waiting(1).await;
        let follows = tokio::spawn(async move { follows.get_many(&[2]).await });
        eventually("it follows", async || counters(&node).flights_joined == 1).await;

        ends(node.tiers.shutdown(Duration::ZERO)).await;

        for batch in [leads, follows] {
            for (_, result) in ends(batch).await.unwrap().unwrap() {
                assert!(result.unwrap_err().is_closed());
            }
        }
        assert_eq!(rows.calls().len(), 1);
    }
}

#[tokio::test]
async fn a_load_that_a_shutdown_ends_is_taken_over_when_its_lease_ends() {
    for remote in Remote::both() {
        let (leaving, other) = (remote.node().await, remote.node().await);
        let (lost, store) = (CountingStore::new(), CountingStore::new());
        let leads = held_read(&leaving, &lost, 1).await;
        let waiting = spawn_read(&other.cache, &store, 1);
        eventually("the other node waits", async || {
            counters(&other).lease_waits == 1
        })
        .await;

        ends(leaving.tiers.shutdown(Duration::ZERO)).await;

        assert!(leads.result().await.unwrap_err().is_closed());
        assert_eq!(waiting.value().await, 0);
        assert_eq!((lost.loads(), store.loads()), (1, 1));
    }
}

/// Loads that go on, refreshes in the background, collected keys, leases that are kept, connections: nothing is left.
#[tokio::test]
async fn a_shutdown_leaves_no_task_behind() {
    for remote in Remote::both() {
        let tasks = || Handle::current().metrics().num_alive_tasks();
        let before = tasks();
        let ttl = Duration::from_millis(50);
        let policy = Policy::ttl(ttl).jitter(0.0).stale_while_revalidate(LONG);
        let (tiers, cache) = numbers(remote.builder(), policy).await;
        let node = Node { tiers, cache };
        let rows = Rows::default();
        let cache = rows.one_by_one(&node);
        ends(cache.get_many(&[1, 2, 3])).await.unwrap();
        rows.store.hold();
        eventually("refreshes are under way", async || {
            for key in 1..=3 {
                ends(cache.get(&key)).await.unwrap();
            }
            rows.store.waiting() == 3
        })
        .await;
        let reading = spawn_read(&node.cache, &rows.store, 4);
        rows.store.wait_for_waiting(4).await;
        assert!(tasks() > before + 4);

        let drained = ends(node.tiers.shutdown(Duration::ZERO)).await;

        assert!(drained.unfinished() >= 4);
        assert!(reading.result().await.unwrap_err().is_closed());
        // A task that was ended is counted until the runtime has taken note; a connection says farewell.
        eventually("no task is left", async || tasks() == before).await;
    }
}

#[tokio::test]
async fn a_shutdown_waits_for_refreshes_in_the_background() {
    for remote in Remote::both() {
        let policy = Policy::ttl(Duration::from_millis(50))
            .jitter(0.0)
            .stale_while_revalidate(LONG);
        let (tiers, cache) = numbers(remote.builder(), policy).await;
        let node = Node { tiers, cache };
        let rows = Rows::default();
        let cache = rows.one_by_one(&node);
        ends(cache.get(&1)).await.unwrap();
        rows.store.hold();
        eventually("a refresh is under way", async || {
            ends(cache.get(&1)).await.unwrap();
            rows.store.waiting() == 1
        })
        .await;

        let tiers = node.tiers.clone();
        let ending = tokio::spawn(async move { tiers.shutdown(LONG).await });
        eventually("further calls are refused", async || {
            node.cache.get(&1).await.is_err()
        })
        .await;
        rows.store.release();

        assert!(ends(ending).await.unwrap().is_complete());
        assert_eq!(rows.store.loads(), 2);
    }
}

const LONG: Duration = Duration::from_secs(60);
