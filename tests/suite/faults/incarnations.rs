//! F7, F8 and F10: the data in Redis come back as they were before, or on another server. Whatever was invalidated stays so.

use super::twins::{SOON, Servers, Twins};
use crate::nodes::{Node, Remote};
use crate::reads::{Numbers, QUIET, counters, ends, read, served_locally};
use std::{collections::HashSet, io, time::Duration};
use tricache::{Fencing, InProcess, Loaded, Outcome, Protection, Tiers, TiersBuilder};
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
        let slow = crate::reads::held_read(&one, &old, KEY).await;

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

#[tokio::test]
async fn f7_a_restart_from_an_older_file_brings_nothing_back() {
    for restarted in Restarted::both() {
        let (scene, late) = restarted.scene(|builder| builder).await;

        assert_eq!(*read(&late.cache, &scene.store, KEY).await, 1);
        scene.nothing_old_is_read().await;
        scene.values_are_shared_again().await;
    }
}

#[tokio::test]
async fn f7_without_the_fence_a_restart_from_an_older_file_brings_the_old_value_back() {
    for restarted in Restarted::both() {
        let off = |builder: TiersBuilder| builder.without(Protection::Fence);
        let (scene, late) = restarted.scene(off).await;

        let back = read(&late.cache, &scene.store, KEY).await;
        assert_eq!((*back, back.outcome()), (0, Outcome::RemoteHit));
    }
}

/// The server is the same and has the same id: that its feeds are behind what was heard of them tells.
#[tokio::test]
async fn f7_data_that_go_back_on_the_same_server_are_noticed_by_who_has_heard_more() {
    for restarted in Restarted::both() {
        let scene = Scene::start(&|| restarted.builder(), |builder| builder).await;
        restarted.save();
        scene.invalidate().await;

        restarted.roll_back();
        noticed(&scene.other).await;

        scene.nothing_old_is_read().await;
    }
}

#[tokio::test]
async fn f7_without_the_fence_nobody_notices_that_data_went_back() {
    for restarted in Restarted::both() {
        let off = |builder: TiersBuilder| builder.without(Protection::Fence);
        let scene = Scene::start(&|| restarted.builder(), off).await;
        restarted.save();
        scene.invalidate().await;

        restarted.roll_back();
        ends(scene.other.tiers.until_caught_up()).await.unwrap();

        assert_eq!(counters(&scene.other).new_epochs, 0);
        let back = read(&scene.other.cache, &scene.store, KEY).await;
        assert_eq!((*back, back.outcome()), (0, Outcome::RemoteHit));
    }
}

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

/// A key that was invalidated after the last moment that survives.
const KEY: u64 = 1;

/// Two nodes that have read a key, and a store that has a newer row.
struct Scene {
    writer: Node,
    other: Node,
    store: CountingStore,
}

impl Scene {
    async fn start(
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
    async fn before_failover(
        twins: &Twins,
        settings: impl Fn(TiersBuilder) -> TiersBuilder,
    ) -> Self {
        let scene = Self::start(&|| twins.builder(), settings).await;
        twins.cut_replica().await;
        scene.invalidate().await;
        scene
    }

    async fn invalidate(&self) {
        self.store.commit(&KEY);
        let receipt = ends(self.writer.cache.invalidate(&KEY)).await.unwrap();
        assert!(!receipt.is_pending());
        eventually("the other node was told", async || {
            counters(&self.other).events + counters(&self.other).replays > 0
        })
        .await;
    }

    /// Reads until both nodes have noticed, and longer.
    async fn nothing_old_is_read(&self) {
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

    async fn values_are_shared_again(&self) {
        eventually("values reach the other node", async || {
            let key = self.store.loads() + 100;
            read(&self.writer.cache, &self.store, key).await;
            read(&self.other.cache, &self.store, key).await.outcome() == Outcome::RemoteHit
        })
        .await;
    }
}

/// A remote tier that can come back as it was when it was saved.
enum Restarted {
    Hub(InProcess),
    Redis(RedisServer),
}

impl Restarted {
    fn both() -> Vec<Self> {
        let debugging = ["--enable-debug-command", "yes"];
        vec![
            Self::Hub(InProcess::new()),
            Self::Redis(RedisServer::start_with(&debugging)),
        ]
    }

    fn builder(&self) -> TiersBuilder {
        let builder = Tiers::builder("test").remote_timeout(Duration::from_secs(5));
        let builder = match self {
            Self::Hub(hub) => builder.in_process(hub),
            Self::Redis(redis) => builder.redis(&redis.url()),
        };
        builder.heartbeat(SOON)
    }

    /// What was invalidated after the moment that is saved, and a node that starts after the restart.
    async fn scene(&self, settings: impl Fn(TiersBuilder) -> TiersBuilder) -> (Scene, Node) {
        let scene = Scene::start(&|| self.builder(), &settings).await;
        self.save();
        scene.invalidate().await;
        match self {
            Self::Hub(hub) => hub.fail_over(),
            Self::Redis(redis) => redis.restart_from_file(),
        }
        let late = Node::start(settings(self.builder())).await;
        (scene, late)
    }

    fn save(&self) {
        match self {
            Self::Hub(hub) => hub.hold_replica(true),
            Self::Redis(redis) => redis.save(),
        }
    }

    /// The data, and not the server.
    fn roll_back(&self) {
        match self {
            Self::Hub(hub) => hub.roll_back(),
            Self::Redis(redis) => assert_eq!(redis.command(&["DEBUG", "RELOAD", "NOSAVE"]), "OK"),
        }
    }
}

async fn noticed(node: &Node) {
    eventually("the node has noticed", async || {
        counters(node).new_epochs > 0
    })
    .await;
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

async fn tagged(cache: &Numbers, store: &CountingStore) -> tricache::Cached<u64> {
    let store = store.clone();
    let load = cache.get_or_load(&KEY, |_| async move {
        let value = store.load(&KEY).await;
        Ok::<_, io::Error>(Loaded::new(value).tag("lamps"))
    });
    ends(load).await.unwrap()
}
