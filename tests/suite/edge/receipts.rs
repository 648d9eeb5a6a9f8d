//! What a receipt can wait for: Redis, the other nodes, the edge.

use super::fake::FakeEdge;
use crate::nodes::{Node, Remote};
use futures_util::FutureExt;
use std::{io, time::Duration};
use tokio::time::Instant;
use tricache::InProcess;
use tricache_test_support::eventually;

#[tokio::test]
async fn without_an_edge_a_receipt_says_so() {
    for remote in Remote::both() {
        for node in [remote.node().await, remote.job().await] {
            let receipt = node.cache.invalidate(&1).await.unwrap();

            let error = receipt.edge().await.unwrap_err();

            assert!(error.is_config(), "{error}");
            receipt.remote().await.unwrap();
        }
    }
}

#[tokio::test]
async fn the_edge_has_taken_a_purge_before_it_is_done_for_good() {
    for remote in Remote::both() {
        let edge = FakeEdge::with(0, 0);
        let node = remote.node_with(&edge).await;
        let receipt = node.cache.invalidate_many(&[1, 2]).await.unwrap();
        assert!(receipt.edge().now_or_never().is_none());

        edge.let_take(1);
        assert!(receipt.edge().now_or_never().is_none());
        edge.let_take(2);

        receipt.edge().await.unwrap();
        receipt.edge().await.unwrap();
        assert_eq!(node.tiers.report().edge().unwrap().waiting(), 2);
        edge.let_end(2);
        eventually("both are done", async || {
            node.tiers.report().edge().unwrap().waiting() == 0
        })
        .await;
    }
}

#[tokio::test]
async fn a_refusal_is_the_edges_own_error() {
    for remote in Remote::both() {
        let edge = FakeEdge::new();
        edge.refuse(true);
        let node = remote.node_with(&edge).await;

        let receipt = node.cache.invalidate(&1).await.unwrap();

        let error = receipt.edge().await.unwrap_err();
        assert!(error.is_edge() && !receipt.is_pending(), "{error}");
        assert_eq!(error.edge::<io::Error>().unwrap().to_string(), "no token");
    }
}

#[tokio::test]
async fn a_receipt_of_nothing_has_nothing_to_wait_for() {
    for remote in Remote::both() {
        let node = remote.node_with(&FakeEdge::new()).await;

        let receipt = node.tiers.invalidate_tags(None::<&str>).await.unwrap();

        receipt.remote().await.unwrap();
        receipt.peers().await.unwrap();
        receipt.edge().await.unwrap();
    }
}

/// Whoever waits for a key that is invalidated again and again is told when the first purge after its own is taken.
#[tokio::test]
async fn a_busy_key_keeps_nobody_waiting() {
    for remote in Remote::both() {
        let edge = FakeEdge::with(0, 0);
        let node = remote.node_with(&edge).await;
        let first = node.cache.invalidate(&1).await.unwrap();
        let second = node.cache.invalidate(&1).await.unwrap();
        for _ in 0..10 {
            node.cache.invalidate(&1).await.unwrap();
        }
        edge.let_take(1);

        first.edge().await.unwrap();
        assert!(second.edge().now_or_never().is_none());
        edge.let_take(12);

        second.edge().await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn the_others_know_after_two_heartbeats() {
    let remote = Remote::Hub(InProcess::new());
    let beat = Duration::from_secs(1);
    let node = Node::start(remote.builder().heartbeat(beat)).await;
    let receipt = node.cache.invalidate(&1).await.unwrap();
    let acknowledged = Instant::now();

    receipt.peers().await.unwrap();

    let waited = acknowledged.elapsed();
    assert!(
        waited >= beat * 2 && waited < beat * 2 + beat / 10,
        "{waited:?}"
    );
    // It counts from the acknowledgement, not from the question.
    assert!(receipt.peers().now_or_never().is_some());
}

#[tokio::test(start_paused = true)]
async fn what_is_pending_counts_from_when_redis_has_taken_it() {
    let hub = InProcess::new();
    let remote = Remote::Hub(hub.clone());
    let beat = Duration::from_secs(1);
    let node = Node::start(remote.builder().heartbeat(beat)).await;
    hub.refuse(true);
    let receipt = node.cache.invalidate(&1).await.unwrap();
    assert!(receipt.is_pending());
    assert!(receipt.remote().now_or_never().is_none());
    tokio::time::advance(beat * 10).await;
    assert!(receipt.peers().now_or_never().is_none());

    hub.refuse(false);
    let began = Instant::now();
    receipt.remote().await.unwrap();
    let taken = Instant::now();
    receipt.peers().await.unwrap();

    assert!(taken - began < beat && taken.elapsed() >= beat * 2);
    assert_eq!(receipt.settled().await.stamps().len(), 1);
}

#[tokio::test]
async fn what_a_shutdown_leaves_behind_is_told() {
    let hub = InProcess::new();
    let remote = Remote::Hub(hub.clone());
    let edge = FakeEdge::with(0, 0);
    let node = remote.node_with(&edge).await;
    let taken = node.cache.invalidate(&1).await.unwrap();
    hub.refuse(true);
    let pending = node.cache.invalidate(&2).await.unwrap();

    let drained = node.tiers.shutdown(Duration::ZERO).await;

    drop(node);
    assert_eq!((drained.pending(), drained.purges()), (1, 2));
    assert!(taken.edge().await.unwrap_err().is_closed());
    taken.remote().await.unwrap();
    assert!(pending.remote().await.unwrap_err().is_closed());
    assert!(pending.peers().await.unwrap_err().is_closed());
}
