//! Nodes around sentinels, and values of which some were invalidated.

use crate::node::{Node, builder, ends, until, works};
use std::{ops::Range, time::Duration};
use tokio::task::spawn_blocking;
use tricache::{Outcome, TiersBuilder};
use tricache_test_support::{CountingStore, RedisServer, SentinelGroup};

/// Two nodes that have read some keys, of which the first was invalidated since.
pub(super) struct Scene {
    pub(super) group: SentinelGroup,
    pub(super) one: Node,
    pub(super) other: Node,
    pub(super) store: CountingStore,
}

/// What both nodes have read.
pub(super) const KEYS: Range<u64> = 0..5;

impl Scene {
    pub(super) async fn start() -> Self {
        let group = start_group().await;
        let urls = group.urls();
        Self::with(group, &urls, |builder| builder).await
    }

    /// With nodes that know these sentinels.
    pub(super) async fn with(
        group: SentinelGroup,
        urls: &[String],
        settings: impl Fn(TiersBuilder) -> TiersBuilder,
    ) -> Self {
        let scene = Self {
            one: Node::start(settings(following(urls))).await,
            other: Node::start(settings(following(urls))).await,
            group,
            store: CountingStore::new(),
        };
        works([&scene.one, &scene.other], &scene.store, KEYS).await;
        for node in [&scene.one, &scene.other] {
            until("the values are served from this process", async || {
                node.read(&scene.store, 0).await.outcome() == Outcome::LocalHit
            })
            .await;
        }
        assert!(!scene.one.write(&scene.store, 0).await);
        until("the other node was told", async || {
            *scene.other.read(&scene.store, 0).await == 1
        })
        .await;
        scene
    }

    /// The master, of which a failover is awaited.
    pub(super) fn master(&self) -> &RedisServer {
        let master = self.group.master();
        assert_eq!(self.one.tiers.report().master(), Some(&*address(master)));
        master
    }

    /// Reads until both nodes have followed the sentinels to another server, and are in a new epoch. Nothing that was invalidated is
    /// shown meanwhile.
    pub(super) async fn moved_from(&self, old: &RedisServer) {
        until("the sentinels name another", async || {
            self.nothing_old_is_read().await;
            self.group.has_replaced(old)
        })
        .await;
        let new = address(self.group.master());
        for node in [&self.one, &self.other] {
            until("the node has followed", async || {
                self.nothing_old_is_read().await;
                node.tiers.report().master() == Some(&*new) && node.counters().new_epochs > 0
            })
            .await;
        }
    }

    async fn nothing_old_is_read(&self) {
        for node in [&self.one, &self.other] {
            for key in KEYS {
                let value = *node.read(&self.store, key).await;
                assert_eq!(value, self.store.committed(&key), "key {key}");
            }
        }
    }

    /// All of it: nothing waits, values and invalidations go from node to node.
    pub(super) async fn works(&self) {
        works([&self.one, &self.other], &self.store, KEYS).await;
    }
}

/// Settings of a node that asks these sentinels.
pub(super) fn following(urls: &[String]) -> TiersBuilder {
    let quick = Duration::from_secs(1);
    builder()
        .redis_sentinel(urls, &master_url())
        .remote_timeout(quick)
}

fn master_url() -> String {
    format!("redis://{}@{}", SentinelGroup::USER, SentinelGroup::MASTER)
}

/// Beside the runtime, since it takes seconds.
pub(super) async fn start_group() -> SentinelGroup {
    ends(spawn_blocking(SentinelGroup::start)).await.unwrap()
}

pub(super) fn address(server: &RedisServer) -> String {
    format!("127.0.0.1:{}", server.port())
}
