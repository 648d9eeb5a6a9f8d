//! What a batch's loader may answer: too little, too much, nothing at all.

use crate::nodes::{Node, Remote};
use crate::reads::{counters, ends};
use crate::table::{Table, pairs, read_many};
use std::{collections::HashMap, io};
use tricache::{Batch, BatchContext, Error, Loaded, Tiers};
use tricache_test_support::{RedisServer, eventually};

#[tokio::test]
async fn what_the_loader_leaves_out_is_absent() {
    for remote in Remote::both() {
        let node = remote.node().await;

        let batch = load(&node, &[1, 2, 3], |_| Ok(vec![(2, Loaded::new(20))])).await;

        assert!(batch.get(&1).unwrap().unwrap_err().is_absent());
        assert!(batch.get(&3).unwrap().unwrap_err().is_absent());
        assert_eq!(counters(&node).absences, 2);
        assert_eq!(pairs(batch), [(2, 20)]);
        no_lease_is_left(&remote, &node).await;
    }
}

#[tokio::test]
async fn a_record_may_say_that_there_is_nothing() {
    for remote in Remote::both() {
        let node = remote.node().await;

        let rows = || HashMap::from([(1, Some(10)), (2, None)]);
        let batch = node
            .cache
            .get_or_load_many(&[1, 2], |_| async move { Ok::<_, io::Error>(rows()) });
        let batch = ends(batch).await.unwrap();

        assert!(batch.get(&2).unwrap().unwrap_err().is_absent());
        assert_eq!(pairs(batch), [(1, 10)]);
    }
}

#[tokio::test]
async fn keys_that_nobody_asked_for_are_ignored_and_counted() {
    for remote in Remote::both() {
        let (node, table) = (remote.node().await, Table::default());

        let rows = |_| {
            Ok(vec![
                (7, Loaded::new(70)),
                (1, Loaded::new(10)),
                (8, Loaded::absent()),
            ])
        };
        let batch = load(&node, &[1], rows).await;

        assert_eq!(pairs(batch), [(1, 10)]);
        assert_eq!(counters(&node).foreign_keys, 2);
        assert_eq!(pairs(read_many(&node.cache, &table, &[7]).await), [(7, 0)]);
        assert_eq!(table.calls(), [[7]]);
    }
}

#[tokio::test]
async fn of_two_answers_for_a_key_the_first_counts() {
    for remote in Remote::both() {
        let node = remote.node().await;

        let rows = |_| {
            Ok(vec![
                (1, Loaded::new(10)),
                (1, Loaded::new(11)),
                (1, Loaded::absent()),
            ])
        };
        let batch = load(&node, &[1], rows).await;

        assert_eq!(pairs(batch), [(1, 10)]);
        assert_eq!(counters(&node).duplicate_keys, 2);
    }
}

#[tokio::test]
async fn a_failure_is_the_result_of_every_key_of_the_call() {
    for remote in Remote::both() {
        let node = remote.node().await;

        let batch = load(&node, &[1, 2], |_| Err(io::Error::other("disk"))).await;

        for key in [1, 2] {
            let error = batch.get(&key).unwrap().unwrap_err();
            assert_eq!(error.loader::<io::Error>().unwrap().to_string(), "disk");
        }
        assert!(batch.into_found().is_err());
        let counted = counters(&node);
        assert_eq!((counted.load_errors, counted.failed), (2, 2));
        no_lease_is_left(&remote, &node).await;
    }
}

#[tokio::test]
async fn a_panic_is_the_result_of_every_key_of_the_call() {
    for remote in Remote::both() {
        let node = remote.node().await;

        let batch = load(&node, &[1, 2], |_| panic!("no such {}", "table")).await;

        assert!(
            batch
                .iter()
                .all(|(_, result)| is_panic(result.unwrap_err()))
        );
        no_lease_is_left(&remote, &node).await;
    }
}

#[tokio::test]
async fn a_panic_before_the_future_is_the_result_of_every_key_too() {
    for remote in Remote::both() {
        let node = remote.node().await;
        let closure = |_: BatchContext<u64>| -> std::future::Ready<io::Result<Vec<(u64, u64)>>> {
            panic!("no such {}", "table")
        };

        let batch = ends(node.cache.get_or_load_many(&[1, 2], closure))
            .await
            .unwrap();

        assert!(
            batch
                .iter()
                .all(|(_, result)| is_panic(result.unwrap_err()))
        );
        no_lease_is_left(&remote, &node).await;
    }
}

#[tokio::test]
async fn a_panic_of_the_records_is_the_result_of_every_key_too() {
    for remote in Remote::both() {
        let node = remote.node().await;
        let rows = || {
            (1..3).map(|key: u64| {
                if key == 2 {
                    panic!("no such table")
                } else {
                    (key, key)
                }
            })
        };

        let batch = node
            .cache
            .get_or_load_many(&[1, 2], |_| async move { Ok::<_, io::Error>(rows()) });
        let batch = ends(batch).await.unwrap();

        assert!(
            batch
                .iter()
                .all(|(_, result)| is_panic(result.unwrap_err()))
        );
        no_lease_is_left(&remote, &node).await;
    }
}

#[tokio::test]
async fn without_redis_a_batch_is_loaded_all_the_same() {
    let redis = RedisServer::start();
    redis.kill();
    let builder = Tiers::builder("test")
        .redis(&redis.url())
        .start_without_redis(true);
    let (node, table) = (Node::start(builder).await, Table::default());

    let batch = read_many(&node.cache, &table, &[1, 2, 3]).await;

    assert_eq!(pairs(batch), [(1, 0), (2, 0), (3, 0)]);
    assert_eq!(table.calls(), [[1, 2, 3]]);
}

async fn load(
    node: &Node,
    keys: &[u64],
    rows: impl Fn(Vec<u64>) -> io::Result<Vec<(u64, Loaded<u64>)>> + Copy + Send + 'static,
) -> Batch<u64, u64> {
    let batch = node
        .cache
        .get_or_load_many(keys, |cx| async move { rows(cx.into_keys()) });
    ends(batch).await.unwrap()
}

fn is_panic(error: &Error) -> bool {
    error.is_panic() && error.to_string().contains("no such table")
}

/// Whoever asks next loads at once, on any node: a lease that was left behind would keep it waiting.
async fn no_lease_is_left(remote: &Remote, node: &Node) {
    if let Remote::Redis(redis) = remote {
        eventually("no lease is left", async || {
            redis.command(&["KEYS", "tc1:*:s:*"]).is_empty()
        })
        .await;
    }
    let other = remote.node().await;
    for reader in [node, &other] {
        read_many(&reader.cache, &Table::default(), &[1, 2, 3]).await;
        assert_eq!(counters(reader).lease_waits, 0);
    }
}
