//! Environments that share a server: what stands behind one prefix is not there behind another.

use crate::nodes::{Node, Remote};
use crate::reads::{ends, read};
use tricache::{Outcome, Tiers};
use tricache_test_support::{CountingStore, eventually};

#[tokio::test]
async fn two_environments_share_nothing_and_two_nodes_of_one_share_everything() {
    for remote in Remote::both() {
        let live = Node::start(remote.builder().key_prefix("live")).await;
        let staging = Node::start(remote.builder().key_prefix("staging")).await;
        let neighbour = Node::start(remote.builder().key_prefix("staging")).await;
        let bare = remote.node().await;
        let store = CountingStore::new();
        for node in [&live, &staging, &bare] {
            assert_eq!(
                read(&node.cache, &store, 1).await.outcome(),
                Outcome::Loaded
            );
        }
        let shared = read(&neighbour.cache, &store, 1).await;
        assert_eq!(shared.outcome(), Outcome::RemoteHit);

        store.commit(&1);
        staging.cache.invalidate(&1).await.unwrap();

        assert_eq!(*read(&staging.cache, &store, 1).await, 1);
        eventually("its neighbour hears of it", async || {
            *read(&neighbour.cache, &store, 1).await == 1
        })
        .await;
        for node in [&live, &bare] {
            assert_eq!(**node.cache.get(&1).await.unwrap().as_ref().unwrap(), 0);
        }
    }
}

#[tokio::test]
async fn a_prefix_stands_in_front_of_every_key_and_channel() {
    let remote = Remote::around_redis();
    let node = Node::start(remote.builder().key_prefix("staging")).await;
    read(&node.cache, &CountingStore::new(), 1).await;
    node.cache.invalidate(&1).await.unwrap();
    node.cache.insert(&1, 1).await.unwrap();

    let redis = remote.server();
    let keys = redis.command(&["KEYS", "*"]);
    let channels = redis.command(&["PUBSUB", "SHARDCHANNELS"]);

    assert!(keys.lines().count() >= 5, "{keys}");
    assert_eq!(channels.lines().count(), 65);
    for name in keys.lines().chain(channels.lines()) {
        assert!(name.starts_with("staging:tc1:{test:"), "{name}");
    }
}

#[tokio::test]
async fn a_prefix_that_would_break_a_key_is_refused_by_name() {
    for prefix in ["", "a:b", "{a}", "a b", "a*", &"p".repeat(65)] {
        let start = ends(Tiers::builder("test").key_prefix(prefix).build()).await;

        let error = start.map(|_| "tiers").unwrap_err();
        assert!(error.is_config(), "{prefix:?}: {error}");
        assert!(
            error.to_string().contains("key_prefix"),
            "{prefix:?}: {error}"
        );
    }
}
