//! A user who is taken away, locked out or robbed of rights while nodes run: they do without Redis, say so, and heal.

use crate::node::{Node, builder, does_without_redis, until, works};
use tricache::RemoteState;
use tricache_test_support::{CountingStore, RedisServer};

#[tokio::test]
async fn a_user_who_is_deleted_costs_the_shared_tier_until_he_is_back() {
    let (redis, [one, other], store) = running().await;

    assert_eq!(redis.command(&["ACL", "DELUSER", "app"]), "1");
    locked_out(&one, &store).await;
    allow(&redis, &["on", ">right", "~*", "&*", "+@all"]);

    works([&one, &other], &store, 0..3).await;
    assert_eq!(one.tiers.report().pending(), 0);
    assert!(one.tiers.report().outage().is_none());
}

#[tokio::test]
async fn a_user_who_is_switched_off_and_cut_off_costs_the_shared_tier_until_he_is_back() {
    let (redis, [one, other], store) = running().await;

    allow(&redis, &["off"]);
    redis.command(&["CLIENT", "KILL", "USER", "app"]);
    locked_out(&one, &store).await;
    allow(&redis, &["on"]);

    works([&one, &other], &store, 0..3).await;
}

#[tokio::test]
async fn a_password_that_is_changed_costs_the_shared_tier_until_it_is_right_again() {
    let (redis, [one, other], store) = running().await;

    allow(&redis, &["resetpass", ">other"]);
    redis.command(&["CLIENT", "KILL", "USER", "app"]);
    locked_out(&one, &store).await;
    allow(&redis, &[">right"]);

    works([&one, &other], &store, 0..3).await;
}

/// What an outage of the feed alone means: heads are compared once in a heartbeat, and what was missed is read from the log.
#[tokio::test]
async fn a_user_who_may_not_subscribe_any_more_hears_of_invalidations_by_heartbeats() {
    let (redis, [one, other], store) = running().await;
    let writer = Node::start(builder().redis(&redis.url())).await;

    allow(&redis, &["resetchannels"]);
    for key in 0..3 {
        one.read(&store, key).await;
        let before = one.counters().replays;
        assert!(!writer.write(&store, key).await);
        until("the log was read", async || one.counters().replays > before).await;
        until("the new value is shown", async || {
            *one.read(&store, key).await == store.committed(&key)
        })
        .await;
    }
    assert_eq!(one.remote(), RemoteState::Up);
    allow(&redis, &["&*"]);

    works([&one, &other], &store, 0..3).await;
}

#[tokio::test]
async fn a_user_who_may_not_change_anything_any_more_still_reads() {
    let (redis, [one, other], store) = running().await;
    let reader = Node::start(builder().redis(&redis.url())).await;

    allow(&redis, &["-xadd", "-set"]);
    assert!(one.write(&store, 0).await);
    assert_eq!(*one.read(&store, 0).await, store.committed(&0));
    assert_eq!(one.tiers.report().pending(), 1);
    assert_eq!(one.remote(), RemoteState::Up);
    allow(&redis, &["+xadd", "+set"]);

    works([&one, &other], &store, 0..3).await;
    until("who has his rights all the time is told", async || {
        *reader.read(&store, 0).await == store.committed(&0)
    })
    .await;
}

/// The report says it, reads come from the store, and invalidations wait.
async fn locked_out(node: &Node, store: &CountingStore) {
    node.is_away().await;
    does_without_redis(node, store, 0..3).await;
    let report = node.tiers.report();
    assert_eq!(report.pending(), 3);
    assert!(report.outage().is_some_and(|outage| outage.failures() > 0));
}

/// A server, two nodes of its user `app` who may do everything, and values that both have.
async fn running() -> (RedisServer, [Node; 2], CountingStore) {
    let rules = ["--user", "app", "on", ">right", "~*", "&*", "+@all"];
    let redis = RedisServer::start_with(&rules);
    let url = format!("redis://app:right@127.0.0.1:{}", redis.port());
    let nodes = [
        Node::start(builder().redis(&url)).await,
        Node::start(builder().redis(&url)).await,
    ];
    let store = CountingStore::new();
    works([&nodes[0], &nodes[1]], &store, 0..3).await;
    (redis, nodes, store)
}

fn allow(redis: &RedisServer, rules: &[&str]) {
    let command = [&["ACL", "SETUSER", "app"], rules].concat();
    assert_eq!(redis.command(&command), "OK");
}
