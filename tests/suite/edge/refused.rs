//! An edge that refuses: what it refused stays in the record, and is tried again with pauses.

use super::fake::{FakeEdge, recorded, until_recorded};
use crate::nodes::{Node, Remote};
use std::time::Duration;
use tokio::time::{Instant, sleep};
use tricache::{Edge, EdgePurge, EdgeSubject, InProcess, Strength};
use tricache_test_support::eventually;

/// Time is tokio's, and moves by itself; the hub's stands still, so nothing is too young.
#[tokio::test(start_paused = true)]
async fn f34_what_was_refused_stays_and_is_tried_again_with_growing_pauses() {
    let remote = Remote::Hub(InProcess::new());
    let edge = FakeEdge::new();
    edge.refuse(true);
    let node = Node::start(remote.builder().edge(edge.clone())).await;
    until_recorded(&node, 0).await;
    let began = Instant::now();
    let job = Node::start(remote.builder().record_purges(true)).await;
    job.cache.invalidate(&1).await.unwrap();

    let mut tried = Vec::new();
    while began.elapsed() < Duration::from_secs(3600) {
        let so_many = edge.asked().len();
        if so_many > tried.len() {
            tried.push(began.elapsed());
        }
        sleep(Duration::from_millis(100)).await;
    }

    assert!((8..=24).contains(&tried.len()), "{tried:?}");
    assert!(tried[1] - tried[0] >= Duration::from_secs(5), "{tried:?}");
    let report = node.tiers.report();
    let standing = report.edge().unwrap();
    assert_eq!((standing.refused(), standing.recorded()), (1, Some(1)));
    assert!(standing.last_error().unwrap().contains("no token"));
    assert_eq!(report.counters().failed_purges, tried.len() as u64);

    edge.refuse(false);
    tokio::time::timeout(Duration::from_secs(700), until_gone(&node))
        .await
        .unwrap();
    assert_eq!(edge.asked().len(), tried.len() + 1);
}

async fn until_gone(node: &Node) {
    while recorded(node) != Some(0) {
        sleep(Duration::from_millis(100)).await;
    }
}

/// Without the mending of the token: a new bump of the name is a new wish, and is not made to wait.
#[tokio::test(start_paused = true)]
async fn a_name_that_is_invalidated_again_is_tried_at_once() {
    let remote = Remote::Hub(InProcess::new());
    let edge = FakeEdge::new();
    edge.refuse(true);
    let node = remote.node_with(&edge).await;
    until_recorded(&node, 0).await;
    let job = remote.job().await;
    job.cache.invalidate(&1).await.unwrap();
    edge.until_asked(1).await;
    edge.refuse(false);

    job.cache.invalidate(&1).await.unwrap();

    edge.until_asked(2).await;
    until_recorded(&node, 0).await;
}

/// Panics instead of purging: once in the call, and once in what it answers.
struct Panicking;

impl Edge for Panicking {
    fn purge(&self, subject: &EdgeSubject, _: Strength) -> EdgePurge {
        assert_ne!(*subject, EdgeSubject::Everything, "not everything");
        EdgePurge::new(async { panic!("in the call") }, async { Ok(()) })
    }
}

#[tokio::test]
async fn an_edge_that_panics_refuses() {
    for remote in Remote::both() {
        let builder = remote.builder().edge(Panicking);
        let node = Node::start(builder).await;

        let one = node.cache.invalidate(&1).await.unwrap();
        let all = node.tiers.clear().await.unwrap();

        let error = one.edge().await.unwrap_err().to_string();
        assert!(error.contains("it panicked: in the call"), "{error}");
        let error = all.edge().await.unwrap_err().to_string();
        assert!(error.contains("not everything"), "{error}");
        eventually("both are counted", async || {
            node.tiers.report().counters().failed_purges == 2
        })
        .await;
    }
}
