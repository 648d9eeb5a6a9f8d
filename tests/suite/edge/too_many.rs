//! An edge that is away for long: what waits is bounded, in this process and in Redis.

use super::fake::{FakeEdge, recorded, until_recorded};
use crate::nodes::{Node, Remote};
use std::time::Duration;
use tricache_test_support::eventually;

#[tokio::test]
async fn more_names_than_a_process_follows_become_everything() {
    for remote in Remote::both() {
        let edge = FakeEdge::expecting(0, 0, Duration::from_millis(1));
        let node = Node::start(remote.builder().edge(edge.clone())).await;
        let keys: Vec<u64> = (0..25_000).collect();

        let receipt = node.cache.invalidate_many(&keys).await.unwrap();

        assert!(!receipt.is_pending());
        assert!(receipt.edge().await.unwrap_err().is_edge());
        let report = node.tiers.report();
        assert!((10_000..=10_001).contains(&report.edge().unwrap().waiting()));
        edge.let_end(usize::MAX);
        until_recorded(&node, 0).await;
        let asked = edge.asked();
        let everything = asked.iter().filter(|asked| *asked == "hard everything");
        // One more than wanted where the node has looked while they were invalidated.
        assert!((1..=3).contains(&everything.count()));
        // What finds no place is not handed over again at each look.
        assert!(asked.len() <= 40_000, "{}", asked.len());
        assert!(node.tiers.report().counters().coarsened_purges > 0);
        assert_eq!(node.tiers.report().edge().unwrap().waiting(), 0);
    }
}

/// Nobody with an edge is there: the record of each bucket is bounded by itself.
#[tokio::test]
async fn a_record_that_nobody_works_off_is_bounded() {
    for remote in Remote::both() {
        let job = remote.job().await;
        let keys: Vec<u64> = (0..80_000).collect();
        job.cache.invalidate_many(&keys).await.unwrap();

        let edge = FakeEdge::with(0, 0);
        let node = Node::start(remote.builder().edge(edge.clone())).await;

        eventually("it has looked", async || recorded(&node).is_some()).await;
        let names = recorded(&node).unwrap();
        assert!((64..=64_000).contains(&names), "{names}");
        assert!(
            edge.until_asked(1)
                .await
                .contains(&"hard everything".to_owned())
        );
        edge.let_end(usize::MAX);
        until_recorded(&node, 0).await;
    }
}
