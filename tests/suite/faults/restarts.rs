//! F7: the data in Redis come back as they were before. Whatever was invalidated since stays so.

use super::scene::{KEY, Scene, noticed};
use super::twins::SOON;
use crate::nodes::Node;
use crate::reads::{counters, ends, read};
use std::time::Duration;
use tricache::{InProcess, Outcome, Protection, Tiers, TiersBuilder};
use tricache_test_support::RedisServer;

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
