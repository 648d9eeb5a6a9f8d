//! Loads are shared between batches, single reads and nodes, and two batches never wait for each other.

use crate::nodes::Remote;
use crate::reads::{counters, ends, held_read, spawn_read};
use crate::table::{Table, found, held_many, pairs, read_many, spawn_many};
use std::io;
use tricache_test_support::{CountingStore, eventually};

#[tokio::test]
async fn a_single_read_waits_for_the_batch_that_loads_its_key() {
    for remote in Remote::both() {
        let node = remote.quiet_node(1..=2).await;
        let (table, store) = (Table::default(), CountingStore::new());
        let batch = held_many(&node.cache, &table, &[1, 2]).await;

        let single = spawn_read(&node.cache, &store, 2);
        eventually("it waits", async || counters(&node).flights_joined == 1).await;
        table.rows.release();

        assert_eq!(single.value().await, 0);
        assert_eq!(found(batch).await, [(1, 0), (2, 0)]);
        assert_eq!((store.loads(), table.rows.loads()), (0, 2));
    }
}

#[tokio::test]
async fn a_batch_loads_the_rest_while_it_waits_for_a_single_read() {
    for remote in Remote::both() {
        let node = remote.quiet_node(1..=3).await;
        let (table, store) = (Table::default(), CountingStore::new());
        let single = held_read(&node, &store, 2).await;

        let batch = spawn_many(&node.cache, &table, [1, 2, 3]);
        eventually("it loads the rest", async || table.rows.loads() == 2).await;
        assert!(!batch.is_finished());
        store.release();

        assert_eq!(single.value().await, 0);
        assert_eq!(found(batch).await, [(1, 0), (2, 0), (3, 0)]);
        assert_eq!(table.calls(), [[1, 3]]);
        assert_eq!(counters(&node).flights_joined, 1);
    }
}

#[tokio::test]
async fn a_batch_waits_for_the_load_of_another_node() {
    for remote in Remote::both() {
        let (node, other) = (
            remote.quiet_node(1..=3).await,
            remote.quiet_node(1..=3).await,
        );
        let (table, store) = (Table::default(), CountingStore::new());
        store.commit(&2);
        let single = held_read(&other, &store, 2).await;

        let batch = spawn_many(&node.cache, &table, [1, 2, 3]);
        eventually("it waits for the lease", async || {
            counters(&node).lease_waits == 1 && table.rows.loads() == 2
        })
        .await;
        store.release();

        assert_eq!(single.value().await, 1);
        assert_eq!(found(batch).await, [(1, 0), (2, 1), (3, 0)]);
        assert_eq!(table.calls(), [[1, 3]]);
        assert_eq!(counters(&node).remote_hits, 1);
    }
}

#[tokio::test]
async fn batches_of_one_node_that_meet_in_opposite_order_load_each_key_once() {
    for remote in Remote::both() {
        let node = remote.node().await;
        let (table, keys) = (Table::default(), (0..200).collect::<Vec<u64>>());
        let backwards: Vec<_> = keys.iter().rev().copied().collect();

        let batches: Vec<_> = (0..20)
            .map(|number| {
                let keys = if number % 2 == 0 { &keys } else { &backwards };
                spawn_many(&node.cache, &table, keys.clone())
            })
            .collect();

        for batch in batches {
            assert_eq!(found(batch).await.len(), 200);
        }
        assert_eq!(table.rows.loads(), 200);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn batches_of_two_nodes_that_meet_in_opposite_order_load_each_key_once() {
    for remote in Remote::both() {
        let nodes = [remote.node().await, remote.node().await];
        for round in 0..10 {
            let table = Table::default();
            let keys: Vec<_> = (round * 1000..round * 1000 + 300).collect();
            let backwards: Vec<_> = keys.iter().rev().copied().collect();

            let one = spawn_many(&nodes[0].cache, &table, keys);
            let other = spawn_many(&nodes[1].cache, &table, backwards);

            assert_eq!(found(one).await.len(), 300);
            assert_eq!(found(other).await.len(), 300);
            assert_eq!(table.rows.loads(), 300);
        }
        let alone: u64 = nodes.iter().map(|node| counters(node).loaded_alone).sum();
        assert_eq!(alone, 0);
    }
}

#[tokio::test]
async fn what_another_node_failed_to_load_is_loaded_by_the_batch() {
    for remote in Remote::both() {
        let (node, failing) = (
            remote.quiet_node(1..=4).await,
            remote.quiet_node(1..=4).await,
        );
        let (table, gate) = (Table::default(), CountingStore::<u64>::new());
        gate.hold();
        let failure = tokio::spawn({
            let (cache, gate) = (failing.cache.clone(), gate.clone());
            async move {
                let load = |_| {
                    let gate = gate.clone();
                    async move {
                        gate.load(&0).await;
                        Err::<Vec<(u64, u64)>, _>(io::Error::other("disk"))
                    }
                };
                cache.get_or_load_many(&[2, 3, 4], load).await
            }
        });
        gate.wait_for_waiting(1).await;
        let batch = spawn_many(&node.cache, &table, [1, 2, 3, 4]);
        eventually("it waits for the leases", async || {
            counters(&node).lease_waits == 3 && table.calls().len() == 1
        })
        .await;

        gate.release();

        assert!(ends(failure).await.unwrap().unwrap().into_found().is_err());
        assert_eq!(found(batch).await, [(1, 0), (2, 0), (3, 0), (4, 0)]);
        // Nearly always in one more call; on a slow machine the news of one key may be late.
        assert_eq!(table.calls().concat().len(), 4);
    }
}

#[tokio::test]
async fn a_batch_takes_over_what_a_dropped_caller_did_not_load() {
    for remote in Remote::both() {
        let (node, elsewhere) = (
            remote.quiet_node(1..=2).await,
            remote.quiet_node(1..=2).await,
        );
        let (table, store) = (Table::default(), CountingStore::new());
        let loading = held_read(&elsewhere, &store, 2).await;
        // It leads in its process, and waits for the other node's lease.
        let dropped = spawn_read(&node.cache, &store, 2);
        eventually("it leads", async || counters(&node).lease_waits == 1).await;
        let batch = spawn_many(&node.cache, &table, [1, 2]);
        eventually("the batch waits for it", async || {
            counters(&node).flights_joined == 1
        })
        .await;

        dropped.drop_caller().await;
        eventually("the batch leads", async || counters(&node).lease_waits == 2).await;
        store.release();

        assert_eq!(loading.value().await, 0);
        assert_eq!(found(batch).await, [(1, 0), (2, 0)]);
        assert_eq!(table.calls(), [[1]]);
    }
}

#[tokio::test]
async fn a_thousand_batches_of_the_same_keys_are_one_load() {
    for remote in Remote::both() {
        let nodes = [remote.node().await, remote.node().await];
        let table = Table::default();

        let batches: Vec<_> = (0..1000)
            .map(|number| spawn_many(&nodes[number % 2].cache, &table, [1, 2, 3]))
            .collect();

        for batch in batches {
            assert_eq!(found(batch).await, [(1, 0), (2, 0), (3, 0)]);
        }
        assert_eq!(table.rows.loads(), 3);
    }
}

#[tokio::test]
async fn a_loader_may_read_another_batch() {
    for remote in Remote::both() {
        let (node, table) = (remote.node().await, Table::default());
        let (inner, rows) = (node.cache.clone(), table.clone());

        let outer = node.cache.get_or_load_many(&[1, 2], |cx| {
            let (inner, rows) = (inner.clone(), rows.clone());
            async move {
                let parts = pairs(read_many(&inner, &rows, &[3, 4]).await).len() as u64;
                Ok::<_, io::Error>(cx.into_keys().into_iter().map(move |key| (key, parts)))
            }
        });

        assert_eq!(pairs(ends(outer).await.unwrap()), [(1, 2), (2, 2)]);
        assert_eq!(table.calls(), [[3, 4]]);
    }
}
