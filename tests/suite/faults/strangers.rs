//! F8 and F26: servers that do not say who they are, and one that is a replica.

use super::scene::{KEY, Scene, noticed};
use super::twins::{SOON, Servers};
use crate::nodes::{Node, Remote};
use crate::reads::{counters, ends, read};
use std::time::Duration;
use tricache::{Fencing, Outcome, Protection, Tiers, TiersBuilder};
use tricache_test_support::{CountingStore, RedisServer, eventually};

/// Where the server may not be asked who it is, what was heard is compared with each heartbeat, and the report says so.
#[tokio::test]
async fn f8_where_info_is_forbidden_the_heartbeats_notice_what_was_lost() {
    let rules = [
        "--user", "app", "on", ">right", "~*", "&*", "+@all", "-info",
    ];
    let servers = Servers::start(&rules).await;
    let builder = || servers.builder("app:right@");
    let scene = Scene::start(&builder, |builder| builder).await;
    let told = scene.other.tiers.report();
    assert_eq!(told.fencing(), Fencing::Heartbeats);
    assert_eq!(told.advice()[0].subject(), "info");
    servers.cut_replica().await;
    scene.invalidate().await;

    servers.fail_over();
    noticed(&scene.other).await;

    scene.nothing_old_is_read().await;
}

/// A node that may ask joins those that may not: the epochs that they began are nobody's.
#[tokio::test]
async fn an_epoch_of_nobody_counts_for_none_who_can_ask() {
    let rules = [
        "--user", "app", "on", ">right", "~*", "&*", "+@all", "-info",
    ];
    let redis = RedisServer::start_with(&rules);
    let url = format!("redis://app:right@127.0.0.1:{}", redis.port());
    let silent = Node::start(Tiers::builder("test").redis(&url).heartbeat(SOON)).await;
    let store = CountingStore::new();
    read(&silent.cache, &store, KEY).await;

    let remote = Remote::Redis(redis);
    let node = remote.node().await;
    let first = read(&node.cache, &store, KEY).await;

    assert_eq!(first.outcome(), Outcome::Loaded);
    noticed(&silent).await;
    eventually("both share what is stored", async || {
        read(&silent.cache, &store, KEY + 1).await;
        read(&node.cache, &store, KEY + 1).await;
        counters(&node).remote_hits + counters(&silent).remote_hits > 0
    })
    .await;
}

/// The address of a node leads to a replica that is still one.
#[tokio::test]
async fn f26_a_replica_that_lags_is_not_believed() {
    let (reader, store, _servers) = led_to_a_lagging_replica(|builder| builder).await;

    eventually("the node knows that it is a replica", async || {
        assert_eq!(*read(&reader.cache, &store, KEY).await, 1);
        reader.tiers.report().fencing() == Fencing::Unknown
    })
    .await;
    assert_eq!(*read(&reader.cache, &store, KEY).await, 1);
}

#[tokio::test]
async fn f26_without_the_fence_a_replica_is_believed() {
    let off = |builder: TiersBuilder| builder.without(Protection::Fence);
    let (reader, store, _servers) = led_to_a_lagging_replica(off).await;

    eventually("the old value is back", async || {
        *read(&reader.cache, &store, KEY).await == 0
    })
    .await;
}

/// The key was invalidated on the master since; the replica, and whoever must reach it instead, has not heard of it.
async fn led_to_a_lagging_replica(
    settings: impl Fn(TiersBuilder) -> TiersBuilder,
) -> (Node, CountingStore, Servers) {
    let servers = Servers::start(&[]).await;
    let reader = Node::start(settings(servers.builder(""))).await;
    let master = Tiers::builder("test").redis(&servers.master.url());
    let writer = Node::start(settings(master.remote_timeout(Duration::from_secs(5)))).await;
    let store = CountingStore::new();
    read(&reader.cache, &store, KEY).await;
    servers.cut_replica().await;
    store.commit(&KEY);
    let told = ends(writer.cache.invalidate(&KEY)).await.unwrap();
    assert!(!told.is_pending());
    eventually("the node was told", async || {
        counters(&reader).events + counters(&reader).replays > 0
    })
    .await;
    servers.front.lead_to(&servers.replica);
    (reader, store, servers)
}
