//! What ends at a deadline, or finds no place for its load, ends in one count as well.

use super::{Node, TTL, drop_early, policy};
use crate::reads::ends;
use std::{
    future::{pending, ready},
    io,
    time::Duration,
};
use tricache::{BatchContext, Error, Outcome, Policy};

#[tokio::test(start_paused = true)]
async fn reads_that_are_late() {
    let node = Node::start(policy().hard_timeout(HARD)).await;
    node.load(1).await.unwrap();
    assert!(hang(&node, 2).await.unwrap_err().is_timeout());
    let many = |_| pending::<io::Result<Vec<(u64, u64)>>>();
    let batch = node.cache.get_or_load_many(&[1, 3, 4, 3], many).await;
    assert_eq!(
        batch
            .unwrap()
            .into_iter()
            .filter(|(_, it)| it.is_err())
            .count(),
        2
    );

    node.counted(
        5,
        &[
            ("local_hits", 1),
            ("loaded", 1),
            ("failed", 3),
            ("timeouts", 3),
            ("loads", 4),
        ],
    );
}

#[tokio::test(start_paused = true)]
async fn reads_that_do_not_load_and_are_late() {
    let node = Node::start(policy().hard_timeout(HARD)).await;
    node.hub.hold(true);
    assert!(node.cache.get(&1).await.unwrap().is_none());
    assert!(node.cache.get_many(&[1, 2]).await.unwrap().is_empty());
    node.hub.hold(false);

    node.counted(3, &[("missed", 3), ("remote_errors", 1)]);
}

#[tokio::test(start_paused = true)]
async fn reads_of_a_switched_off_cache_that_are_late() {
    let node = Node::build(policy().hard_timeout(HARD), false).await;
    assert!(hang(&node, 1).await.unwrap_err().is_timeout());
    let many = |_| pending::<io::Result<Vec<(u64, u64)>>>();
    let batch = node.cache.get_or_load_many(&[1, 2], many).await;
    assert!(batch.unwrap().into_found().unwrap_err().is_timeout());

    node.counted(
        3,
        &[
            ("failed", 3),
            ("timeouts", 3),
            ("loads", 3),
            ("load_errors", 3),
        ],
    );
}

#[tokio::test(start_paused = true)]
async fn stale_answers_past_the_soft_timeout() {
    let node = Node::start(standing().soft_timeout(SOFT)).await;
    node.load_many(&[1, 2]).await;
    node.outlive().await;
    let single = hang(&node, 1).await.unwrap();
    assert_eq!(single, Outcome::StaleIfError);
    let many = |_| pending::<io::Result<Vec<(u64, u64)>>>();
    let batch = node.cache.get_or_load_many(&[2], many).await.unwrap();
    batch.into_found().unwrap();

    node.counted(4, &[("stale_if_error", 2), ("loaded", 2), ("loads", 4)]);
}

/// A batch's load failed. The value from before stood in for one key, and was counted; for another Redis was still asked when the
/// deadline came. Then all of the batch was without a result, and the first key was answered, and counted, once more.
#[tokio::test(start_paused = true)]
async fn a_key_that_is_answered_before_the_deadline_is_counted_once() {
    let node = Node::start(standing()).await;
    node.load(1).await.unwrap();
    node.outlive().await;
    let hub = node.hub.clone();
    // Slow from here on: the lease is given back in time, and what is asked then is not.
    let fails = move |_: BatchContext<u64>| {
        hub.delay(HARD * 2 / 3);
        ready(Err::<Vec<(u64, u64)>, _>(io::Error::other(
            "the store is down",
        )))
    };
    let batch = ends(node.cache.get_or_load_many(&[1, 2], fails))
        .await
        .unwrap();
    node.hub.delay(Duration::ZERO);

    let first = batch.get(&1).unwrap().unwrap();
    assert_eq!(first.outcome(), Outcome::StaleIfError);
    assert!(batch.get(&2).unwrap().unwrap_err().is_timeout());
    node.counted(
        3,
        &[
            ("stale_if_error", 1),
            ("loaded", 1),
            ("failed", 1),
            ("timeouts", 1),
            ("loads", 3),
            ("load_errors", 2),
        ],
    );
}

#[tokio::test(start_paused = true)]
async fn loads_that_are_stopped() {
    let node = Node::start(policy().load_timeout(SOFT)).await;
    assert!(hang(&node, 1).await.is_err());

    node.counted(
        1,
        &[
            ("failed", 1),
            ("loads", 1),
            ("load_errors", 1),
            ("load_timeouts", 1),
        ],
    );
}

#[tokio::test(start_paused = true)]
async fn reads_whose_load_finds_no_place() {
    let node = Node::start(standing().max_loads(1).max_queued_loads(0)).await;
    node.load(1).await.unwrap();
    node.outlive().await;
    drop_early(node.cache.get_or_load(&9, |_| pending::<io::Result<u64>>())).await;
    assert!(node.load(2).await.unwrap_err().is_overloaded());
    assert_eq!(node.load_many(&[1]).await, 1);
    let both = ends(
        node.cache
            .get_or_load_many(&[1, 3], |_| pending::<io::Result<Vec<(u64, u64)>>>()),
    );
    assert!(
        both.await
            .unwrap()
            .get(&3)
            .unwrap()
            .unwrap_err()
            .is_overloaded()
    );

    node.counted(
        6,
        &[
            ("stale_if_error", 2),
            ("loaded", 1),
            ("failed", 2),
            ("dropped", 1),
            ("loads", 2),
            ("queued_loads", 3),
            ("shed_loads", 3),
        ],
    );
}

#[tokio::test(start_paused = true)]
async fn a_refresh_that_finds_no_place_is_nobody_s_read() {
    let policy = policy().stale_while_revalidate(TTL).max_loads(1);
    let node = Node::start(policy).await;
    node.load(1).await.unwrap();
    node.outlive().await;
    drop_early(node.cache.get_or_load(&9, |_| pending::<io::Result<u64>>())).await;
    node.load(1).await.unwrap();
    node.load_many(&[1]).await;

    node.counted(
        4,
        &[
            ("stale", 2),
            ("loaded", 1),
            ("dropped", 1),
            ("loads", 2),
            ("dropped_refreshes", 2),
        ],
    );
}

#[tokio::test(start_paused = true)]
async fn reads_that_a_shutdown_ends() {
    let node = Node::start(policy()).await;
    let (cache, tiers) = (node.cache.clone(), node.tiers.clone());
    let single = tokio::spawn(async move {
        let hang = |_| pending::<io::Result<u64>>();
        cache.get_or_load(&1, hang).await.map(drop)
    });
    let cache = node.cache.clone();
    let follows = tokio::spawn(async move {
        let hang = |_| pending::<io::Result<u64>>();
        cache.get_or_load(&1, hang).await.map(drop)
    });
    let cache = node.cache.clone();
    let batch = tokio::spawn(async move {
        let many = |_| pending::<io::Result<Vec<(u64, u64)>>>();
        let batch = cache.get_or_load_many(&[1, 2, 3], many).await.unwrap();
        batch.into_found().map(drop)
    });
    tokio::task::yield_now().await;
    tricache_test_support::eventually("two loads run", async || {
        node.counters().loads == 3 && node.counters().flights_joined == 2
    })
    .await;

    tiers.shutdown(SOFT).await;

    for read in [single, follows, batch] {
        assert!(read.await.unwrap().unwrap_err().is_closed());
    }
    node.counted(5, &[("failed", 5), ("loads", 3), ("flights_joined", 2)]);
}

/// A read whose loader never answers.
async fn hang(node: &Node, key: u64) -> Result<Outcome, Error> {
    let load = |_| pending::<io::Result<u64>>();
    let read = node.cache.get_or_load(&key, load).await?;
    Ok(read.outcome())
}

fn standing() -> Policy {
    policy().stale_if_error(TTL).hard_timeout(HARD)
}

const SOFT: Duration = Duration::from_secs(1);
const HARD: Duration = Duration::from_secs(5);
