//! Redis away: the edge is purged at once, and once more when Redis has taken the invalidation.

use super::fake::{FakeEdge, until_recorded};
use crate::nodes::{Node, Remote};
use futures_util::FutureExt;
use std::time::Duration;
use tricache_test_support::eventually;

impl Remote {
    fn away(&self, yes: bool) {
        match (self, yes) {
            (Self::Hub(hub), _) => hub.refuse(yes),
            (Self::Redis(redis), true) => redis.kill(),
            (Self::Redis(redis), false) => redis.restart_empty(),
        }
    }
}

#[tokio::test]
async fn what_is_pending_is_purged_at_once_and_again_when_redis_has_it() {
    for remote in Remote::both() {
        let edge = FakeEdge::with(usize::MAX, 3);
        let builder = remote.builder().heartbeat(super::fake::QUICK);
        let node = Node::start(
            builder
                .remote_timeout(Duration::from_millis(500))
                .edge(edge.clone()),
        )
        .await;
        remote.away(true);

        let receipt = node.cache.invalidate(&1).await.unwrap();
        let tag = node.tiers.invalidate_tags(["red"]).await.unwrap();
        assert!(receipt.is_pending() && tag.is_pending());
        receipt.edge().await.unwrap();
        tag.edge().await.unwrap();
        assert_eq!(edge.asked(), ["hard number/1", "hard tag red"]);
        assert!(receipt.remote().now_or_never().is_none());
        remote.away(false);

        receipt.remote().await.unwrap();
        tag.remote().await.unwrap();
        let mut asked = edge.until_asked(4).await.split_off(2);
        asked.sort();
        assert_eq!(asked, ["hard number/1", "hard tag red"]);
        until_recorded(&node, 1).await;
        edge.let_end(4);
        until_recorded(&node, 0).await;
        assert_eq!(edge.asked().len(), 4);
    }
}

/// The journal was full, and the whole cache waits in the place of its entities: that is what the edge is told, too.
#[tokio::test]
async fn a_cache_that_waits_in_place_of_its_entities_is_purged_as_a_whole() {
    let remote = Remote::Hub(tricache::InProcess::new());
    let edge = FakeEdge::new();
    let node = remote.node_with(&edge).await;
    remote.away(true);
    let keys: Vec<u64> = (0..65_537).collect();
    node.cache.invalidate_many(&keys).await.unwrap();
    assert_eq!(node.tiers.report().pending(), 1);

    remote.away(false);

    eventually("the cache is purged", async || {
        edge.asked()
            .last()
            .is_some_and(|last| last == "hard cache number")
    })
    .await;
}
