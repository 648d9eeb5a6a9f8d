//! What the edge is asked for by each kind of invalidation, and when.

use super::fake::FakeEdge;
use crate::nodes::{Node, Remote};
use futures_util::FutureExt;
use std::sync::{Arc, Mutex, OnceLock};
use tricache::{
    Cached, Edge, EdgePurge, EdgeSubject, InProcess, Loaded, Outcome, Strength, TieredCache,
};

#[tokio::test]
async fn each_invalidation_names_what_it_makes_old() {
    for remote in Remote::both() {
        let edge = FakeEdge::new();
        let node = remote.node_with(&edge).await;
        let (cache, tiers) = (&node.cache, &node.tiers);

        cache.invalidate(&1).await.unwrap();
        cache.expire(&2).await.unwrap();
        cache.invalidate_many(&[3, 4]).await.unwrap();
        cache.insert(&5, 0).await.unwrap();
        tiers.invalidate_tags(["Red"]).await.unwrap();
        tiers.expire_tags(["blue"]).await.unwrap();
        cache.clear().await.unwrap();
        tiers.clear().await.unwrap();

        assert_eq!(
            edge.asked(),
            [
                "hard number/1",
                "soft number/2",
                "hard number/3",
                "hard number/4",
                "hard number/5",
                "hard tag _red",
                "soft tag blue",
                "hard cache number",
                "hard everything",
            ]
        );
    }
}

#[tokio::test]
async fn what_comes_after_a_later_commit_purges_nothing() {
    for remote in Remote::both() {
        let edge = FakeEdge::new();
        let node = remote.node_with(&edge).await;
        let load = |_| async { Ok::<_, std::io::Error>(Loaded::new(0).at_version(1_u64)) };
        node.cache.get_or_load(&1, load).await.unwrap();
        node.cache.insert_at(&1, 9_u64, 9).await.unwrap();

        let late = node.cache.insert_at(&1, 5_u64, 5).await.unwrap();

        late.edge().await.unwrap();
        assert_eq!(edge.asked(), ["hard number/1"]);
    }
}

#[tokio::test]
async fn a_node_without_an_edge_notes_nothing() {
    for remote in Remote::both() {
        let edge = FakeEdge::new();
        let (node, other) = (remote.node_with(&edge).await, remote.node().await);

        other.cache.invalidate(&1).await.unwrap();
        remote.job().await.cache.invalidate(&2).await.unwrap();

        assert_eq!(edge.until_asked(1).await, ["hard number/2"]);
        super::fake::until_recorded(&node, 0).await;
        assert_eq!(edge.asked().len(), 1);
    }
}

/// Reads the very key that it is asked to purge, on the node that invalidates.
#[derive(Clone, Default)]
struct Reader(Arc<Read>);

#[derive(Default)]
struct Read {
    cache: OnceLock<TieredCache<u64, u64>>,
    found: Mutex<Vec<Option<u64>>>,
}

impl Edge for Reader {
    fn purge(&self, _: &EdgeSubject, _: Strength) -> EdgePurge {
        let cache = self.0.cache.get().unwrap();
        let found = cache.get(&1).now_or_never().unwrap().unwrap();
        self.0
            .found
            .lock()
            .unwrap()
            .push(found.as_ref().map(|found| **found));
        EdgePurge::new(async { Ok(()) }, async { Ok(()) })
    }
}

/// An edge that is purged before the tiers would refill itself with what is still in them.
#[tokio::test]
async fn the_edge_comes_last() {
    let (hub, edge) = (InProcess::new(), Reader::default());
    let remote = Remote::Hub(hub);
    let node = Node::start(remote.builder().edge(edge.clone())).await;
    edge.0.cache.set(node.cache.clone()).unwrap();
    let load = |_| async { Ok::<_, std::io::Error>(7) };
    node.cache.get_or_load(&1, load).await.unwrap();
    let held = node.cache.get(&1).await.unwrap();
    assert_eq!(held.as_ref().map(Cached::outcome), Some(Outcome::LocalHit));

    node.cache.invalidate(&1).await.unwrap();

    assert_eq!(*edge.0.found.lock().unwrap(), [None]);
}
