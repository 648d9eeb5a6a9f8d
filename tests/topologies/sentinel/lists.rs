//! Sentinels that are away, hang, or know nothing: what a start says, and what a running node does.

use super::scene::{Scene, address, following, start_group};
use crate::node::{Node, builder, does_without_redis, refusal, until, works};
use tricache::{RemoteState, TiersBuilder};
use tricache_test_support::{CountingStore, RedisServer, Sentinel, SentinelGroup, free_port};

#[tokio::test]
async fn a_dead_and_a_hanging_sentinel_keep_nobody_from_following() {
    let group = start_group().await;
    let mut urls = vec![nobody()];
    urls.extend(group.urls());
    let scene = Scene::with(group, &urls, |builder| builder).await;
    let old = scene.master();

    // Two are left to agree on another master; of the list that the nodes have, half is gone.
    scene.group.sentinels()[0].freeze();
    old.kill();

    scene.moved_from(old).await;
    scene.works().await;
}

#[tokio::test]
async fn sentinels_that_go_away_take_nothing_from_a_running_node() {
    let scene = Scene::start().await;
    let master = address(scene.master());

    for sentinel in scene.group.sentinels() {
        sentinel.kill();
    }
    scene.works().await;
    // A connection that breaks is made again to whom they named last.
    let servers = scene.group.servers();
    for server in servers {
        server.command(&["CLIENT", "KILL", "TYPE", "normal"]);
        server.command(&["CLIENT", "KILL", "TYPE", "pubsub"]);
    }

    scene.works().await;
    assert_eq!(scene.one.tiers.report().master(), Some(&*master));
}

#[tokio::test]
async fn sentinels_that_are_away_at_the_start_are_an_error_or_waited_for() {
    let urls = [nobody(), nobody()];

    let error = refusal(following(&urls)).await;
    assert!(error.is_unavailable(), "{error}");
    assert!(error.to_string().contains("no sentinel answers"), "{error}");

    let group = start_group().await;
    let sentinels = group.sentinels();
    sentinels.iter().for_each(Sentinel::freeze);
    let by_choice = || following(&group.urls()).start_without_redis(true);
    let nodes = [
        Node::start(by_choice()).await,
        Node::start(by_choice()).await,
    ];
    let store = CountingStore::new();
    for node in &nodes {
        assert_eq!(node.remote(), RemoteState::Away);
        assert_eq!(node.tiers.report().master(), None);
    }
    does_without_redis(&nodes[0], &store, 0..3).await;
    sentinels.iter().for_each(Sentinel::thaw);

    works([&nodes[0], &nodes[1]], &store, 0..3).await;
}

#[tokio::test]
async fn a_name_that_no_sentinel_knows_is_an_error_that_names_those_they_know() {
    let group = start_group().await;
    let wrong = |builder: TiersBuilder| builder.redis_sentinel(group.urls(), "shop-mastre");

    for builder in [wrong(builder()), wrong(builder()).start_without_redis(true)] {
        let error = refusal(builder).await;

        assert!(error.is_config(), "{error}");
        let told = error.to_string();
        assert!(
            told.contains("shop-mastre") && told.contains(SentinelGroup::MASTER),
            "{told}"
        );
    }
}

#[tokio::test]
async fn a_server_that_is_no_sentinel_is_an_error() {
    let redis = RedisServer::start();

    let error = refusal(following(&[redis.url()])).await;

    assert!(
        error.is_config() && error.to_string().contains("sentinel"),
        "{error}"
    );
}

#[tokio::test]
async fn settings_that_name_nobody_are_refused() {
    let sentinel = nobody();
    for (sentinels, master) in [
        (vec![], "shop"),
        (vec!["not an address"], "shop"),
        (vec!["redis://127.0.0.1:26379/2"], "shop"),
        (vec![&*sentinel], ""),
        (vec![&*sentinel], "two words"),
        (vec![&*sentinel], "redis+unix:///tmp/shop"),
    ] {
        let error = refusal(builder().redis_sentinel(sentinels.clone(), master)).await;

        assert!(error.is_config(), "{sentinels:?} {master:?}: {error}");
    }
}

#[tokio::test]
async fn a_replica_that_is_given_as_the_master_is_an_error() {
    let group = start_group().await;
    let replica = group.replicas()[0].url();

    let error = refusal(builder().redis(&replica)).await;

    assert!(
        error.is_config() && error.to_string().contains("replica"),
        "{error}"
    );
}

/// The sentinels' own credentials stand in their URLs, the master's beside its name.
#[tokio::test]
async fn credentials_and_a_database_stand_beside_the_name() {
    let group = start_group().await;
    let master = group.master();
    let rules = ["ACL", "SETUSER", "app", "on", ">right", "~*", "&*", "+@all"];
    assert_eq!(master.command(&rules), "OK");
    for sentinel in group.sentinels() {
        let user = ["ACL", "SETUSER", "asks", "on", ">why", "-@all"];
        // As in `docs/topologies.md`.
        let rights = ["+sentinel|master", "+sentinel|get-master-addr-by-name"];
        let rules = [&user[..], &rights].concat();
        assert_eq!(sentinel.command(&rules), "OK");
    }
    let urls = |user: &str| -> Vec<_> {
        let with = |url: &String| url.replace("redis://", &format!("redis://{user}@"));
        group.urls().iter().map(with).collect()
    };
    let named = |user: &str| format!("redis://{user}@{}/3", SentinelGroup::MASTER);
    let settings = |asks: &str, user: &str| builder().redis_sentinel(urls(asks), &named(user));

    let nodes = [
        Node::start(settings("asks:why", "app:right")).await,
        Node::start(settings("asks:why", "app:right")).await,
    ];
    works([&nodes[0], &nodes[1]], &CountingStore::new(), 0..3).await;
    until("the keys lie in that database", async || {
        master.command(&["INFO", "keyspace"]).contains("db3:")
    })
    .await;
    assert!(!master.command(&["INFO", "keyspace"]).contains("db0:"));

    for wrong in [
        settings("asks:hunter2", "app:right"),
        settings("asks:why", "app:hunter2"),
    ] {
        let error = refusal(wrong).await;
        assert!(error.is_config(), "{error}");
        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }
}

/// Of a port where nobody listens.
fn nobody() -> String {
    format!("redis://127.0.0.1:{}", free_port())
}
