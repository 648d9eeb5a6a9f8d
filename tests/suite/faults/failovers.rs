//! F8 and F10: another server takes over. Whatever was invalidated before stays invalid, whether it has heard of it or not.

use super::scene::{KEY, Scene, noticed};
use super::twins::{SOON, Servers, Twins};
use crate::nodes::{Node, Remote};
use crate::reads::{Numbers, QUIET, counters, ends, held_read, read, served_locally};
use std::{collections::HashSet, io};
use tricache::{Cached, Fencing, Loaded, Outcome, Protection, TiersBuilder};
use tricache_test_support::{CountingStore, RedisServer, eventually};

#[tokio::test]
async fn f8_what_the_promoted_replica_has_not_heard_of_stays_invalid() {
    for twins in Twins::both().await {
        let scene = Scene::before_failover(&twins, |builder| builder).await;

        twins.fail_over();

        scene.nothing_old_is_read().await;
        let late = twins.node().await;
        assert_eq!(*read(&late.cache, &scene.store, KEY).await, 1);
        scene.values_are_shared_again().await;
    }
}

#[tokio::test]
async fn f8_without_the_fence_the_promoted_replica_brings_the_old_value_back() {
    for twins in Twins::both().await {
        let off = |builder: TiersBuilder| builder.without(Protection::Fence);
        let scene = Scene::before_failover(&twins, off).await;

        twins.fail_over();

        let late = Node::start(off(twins.builder())).await;
        let back = read(&late.cache, &scene.store, KEY).await;
        assert_eq!((*back, back.outcome()), (0, Outcome::RemoteHit));
        eventually("the node that was told shows it, too", async || {
            *read(&scene.other.cache, &scene.store, KEY).await == 0
        })
        .await;
        assert_eq!(scene.writer.tiers.report().fencing(), Fencing::Off);
    }
}

#[tokio::test]
async fn f8_a_tag_that_the_promoted_replica_has_not_heard_of_stays_invalid() {
    for twins in Twins::both().await {
        let (late, store) = tagged_and_lost(&twins, |builder| builder).await;

        assert_eq!(*tagged(&late.cache, &store).await, 1);
    }
}

#[tokio::test]
async fn f8_without_the_fence_a_lost_tag_is_forgotten() {
    for twins in Twins::both().await {
        let off = |builder: TiersBuilder| builder.without(Protection::Fence);
        let (late, store) = tagged_and_lost(&twins, off).await;

        assert_eq!(*tagged(&late.cache, &store).await, 0);
    }
}

#[tokio::test]
async fn f8_a_load_that_began_before_the_failover_is_not_stored() {
    for twins in Twins::both().await {
        let (one, other) = (twins.node().await, twins.node().await);
        let (old, store) = <(CountingStore, CountingStore)>::default();
        served_locally(&one, &store, KEY + 1).await;
        twins.cut_replica().await;
        let slow = held_read(&one, &old, KEY).await;

        store.commit(&KEY);
        let told = ends(other.cache.invalidate(&KEY)).await.unwrap();
        assert!(!told.is_pending());
        twins.fail_over();
        noticed(&one).await;
        old.release();

        assert_eq!(slow.value().await, 0);
        for node in [&one, &other] {
            assert_eq!(*read(&node.cache, &store, KEY).await, 1);
        }
    }
}

#[tokio::test]
async fn f10_however_many_notice_a_promotion_each_bucket_begins_one_epoch() {
    let servers = Servers::start(&[]).await;
    let twins = Twins::Redis(Box::new(servers));
    let nodes = [twins.node().await, twins.node().await, twins.node().await];
    let store = CountingStore::new();
    for key in 0..50 {
        for node in &nodes {
            read(&node.cache, &store, key).await;
        }
    }
    let Twins::Redis(servers) = &twins else {
        unreachable!("they were made above")
    };
    for node in &nodes {
        ends(node.tiers.until_caught_up()).await.unwrap();
    }
    let before = epochs(&servers.master);
    let loads = store.loads();
    servers.cut_replica().await;

    servers.fail_over();
    for node in &nodes {
        eventually("each bucket is in a new epoch", async || {
            counters(node).new_epochs >= before.len() as u64
        })
        .await;
    }
    for key in 0..50 {
        for node in &nodes {
            assert_eq!(*read(&node.cache, &store, key).await, 0);
        }
    }

    let after = epochs(&servers.replica);
    assert_eq!(before.len(), after.len());
    assert!(before.is_disjoint(&after), "{before:?} {after:?}");
    for node in &nodes {
        // Had two of them begun one each, some node would have met both.
        assert_eq!(counters(node).new_epochs, before.len() as u64);
        assert_eq!(node.tiers.report().fencing(), Fencing::Connections);
        assert_eq!(counters(node).failed, 0);
    }
    // Each value was loaded once more by the fleet, or twice where a node did not reach Redis meanwhile.
    assert!(store.loads() >= loads + 50, "{} {loads}", store.loads());
}

/// A first replica changes the id of its master, whose data are whole. That is one epoch too many, and nothing worse: also
/// for a node whose connections stand, and that no heartbeat tells.
#[tokio::test]
async fn f10_a_server_that_changes_its_id_behind_standing_connections_is_asked_again() {
    let remote = Remote::around_redis();
    let node = Node::start(remote.builder().heartbeat(SOON)).await;
    let quiet = Node::start(remote.builder().heartbeat(QUIET)).await;
    let store = CountingStore::new();
    read(&node.cache, &store, KEY).await;
    read(&quiet.cache, &store, KEY).await;
    let port = remote.server().port().to_string();

    let replica = RedisServer::start_with(&["--replicaof", "127.0.0.1", &port]);
    noticed(&node).await;
    // Nothing that was stored before counts for either of them.
    store.commit(&KEY);
    assert_eq!(*read(&node.cache, &store, KEY).await, 1);
    eventually("the quiet node has heard of the new epoch", async || {
        counters(&quiet).new_epochs > 0
    })
    .await;
    assert_eq!(*read(&quiet.cache, &store, KEY).await, 1);

    let receipt = ends(quiet.cache.invalidate(&KEY)).await.unwrap();
    assert!(!receipt.is_pending());
    assert_eq!(quiet.tiers.report().fencing(), Fencing::Connections);
    drop(replica);
}

/// The epochs of all buckets in use.
fn epochs(redis: &RedisServer) -> HashSet<String> {
    let keys = redis.command(&["KEYS", "tc1:{test:*}:c"]);
    let epoch = |key: &str| {
        let record = redis.command(&["GET", key]);
        record.split('|').nth(1).unwrap().to_owned()
    };
    keys.lines().map(epoch).collect()
}

/// A value with a tag, the tag invalidated after the replica was cut off, and a node that starts after the failover.
async fn tagged_and_lost(
    twins: &Twins,
    settings: impl Fn(TiersBuilder) -> TiersBuilder,
) -> (Node, CountingStore) {
    let writer = Node::start(settings(twins.builder())).await;
    let store = CountingStore::new();
    assert_eq!(*tagged(&writer.cache, &store).await, 0);
    twins.cut_replica().await;
    store.commit(&KEY);
    let told = ends(writer.tiers.invalidate_tags(["lamps"])).await.unwrap();
    assert!(!told.is_pending());

    twins.fail_over();

    // Its table is what Redis says.
    (Node::start(settings(twins.builder())).await, store)
}

async fn tagged(cache: &Numbers, store: &CountingStore) -> Cached<u64> {
    let store = store.clone();
    let load = cache.get_or_load(&KEY, |_| async move {
        let value = store.load(&KEY).await;
        Ok::<_, io::Error>(Loaded::new(value).tag("lamps"))
    });
    ends(load).await.unwrap()
}
