//! A key that two nodes have read, and its invalidation after the last moment that survives.

use super::twins::Twins;
use crate::nodes::Node;
use crate::reads::{counters, ends, read, served_locally};
use tricache::{Outcome, TiersBuilder};
use tricache_test_support::{CountingStore, eventually};

/// A key that was invalidated after the last moment that survives.
pub(super) const KEY: u64 = 1;

/// Two nodes that have read a key, and a store that has a newer row.
pub(super) struct Scene {
    pub(super) writer: Node,
    pub(super) other: Node,
    pub(super) store: CountingStore,
}

impl Scene {
    pub(super) async fn start(
        builder: &impl Fn() -> TiersBuilder,
        settings: impl Fn(TiersBuilder) -> TiersBuilder,
    ) -> Self {
        let writer = Node::start(settings(builder())).await;
        let other = Node::start(settings(builder())).await;
        let store = CountingStore::new();
        served_locally(&writer, &store, KEY).await;
        served_locally(&other, &store, KEY).await;
        Self {
            writer,
            other,
            store,
        }
    }

    /// The invalidation is acknowledged, and the replica has not heard of it.
    pub(super) async fn before_failover(
        twins: &Twins,
        settings: impl Fn(TiersBuilder) -> TiersBuilder,
    ) -> Self {
        let scene = Self::start(&|| twins.builder(), settings).await;
        twins.cut_replica().await;
        scene.invalidate().await;
        scene
    }

    pub(super) async fn invalidate(&self) {
        self.store.commit(&KEY);
        let receipt = ends(self.writer.cache.invalidate(&KEY)).await.unwrap();
        assert!(!receipt.is_pending());
        eventually("the other node was told", async || {
            counters(&self.other).events + counters(&self.other).replays > 0
        })
        .await;
    }

    /// Reads until both nodes have noticed, and longer.
    pub(super) async fn nothing_old_is_read(&self) {
        for node in [&self.writer, &self.other] {
            eventually("the node has noticed", async || {
                assert_eq!(*read(&node.cache, &self.store, KEY).await, 1);
                counters(node).new_epochs > 0
            })
            .await;
        }
        for node in [&self.other, &self.writer] {
            assert_eq!(*read(&node.cache, &self.store, KEY).await, 1);
        }
    }

    pub(super) async fn values_are_shared_again(&self) {
        eventually("values reach the other node", async || {
            let key = self.store.loads() + 100;
            read(&self.writer.cache, &self.store, key).await;
            read(&self.other.cache, &self.store, key).await.outcome() == Outcome::RemoteHit
        })
        .await;
    }
}

pub(super) async fn noticed(node: &Node) {
    eventually("the node has noticed", async || {
        counters(node).new_epochs > 0
    })
    .await;
}
