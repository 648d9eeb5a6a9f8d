//! NOPERM: rights are taken away while nodes run.

use super::{does_without_redis, works_again};
use crate::nodes::{Node, Remote};
use crate::reads::{counters, read};
use std::time::Duration;
use tricache::{RemoteState, Tiers};
use tricache_test_support::{CountingStore, RedisServer, eventually};

#[tokio::test]
async fn scripts_that_are_forbidden_meanwhile_cost_the_shared_tier_and_nothing_else() {
    let remote = with_user();
    let (one, other) = (user_node(&remote).await, user_node(&remote).await);
    let store = CountingStore::new();
    read(&one.cache, &store, 0).await;

    set_rights(&remote, &["-evalsha", "-eval"]);
    does_without_redis(&one, &store, 0..5).await;
    assert_eq!(one.tiers.report().remote(), RemoteState::Up);
    assert!(counters(&one).remote_errors > 0);
    set_rights(&remote, &["+evalsha", "+eval"]);

    works_again([&one, &other], &store, 0..5).await;
}

#[tokio::test]
async fn a_redis_that_forbids_reading_counts_as_away() {
    let remote = with_user();
    let (one, other) = (user_node(&remote).await, user_node(&remote).await);
    let store = CountingStore::new();
    read(&one.cache, &store, 0).await;

    set_rights(&remote, &["-mget"]);
    eventually("it counts as away", async || {
        one.tiers.report().remote() == RemoteState::Away
    })
    .await;
    does_without_redis(&one, &store, 0..5).await;
    set_rights(&remote, &["+mget"]);

    works_again([&one, &other], &store, 0..5).await;
}

/// A server that also knows the user `app` with the password `right`, who may do everything.
fn with_user() -> Remote {
    let rules = ["--user", "app", "on", ">right", "~*", "&*", "+@all"];
    Remote::Redis(RedisServer::start_with(&rules))
}

async fn user_node(remote: &Remote) -> Node {
    let url = format!("redis://app:right@127.0.0.1:{}", remote.server().port());
    let builder = Tiers::builder("test")
        .redis(&url)
        .remote_timeout(Duration::from_secs(5));
    Node::start(builder.heartbeat(Duration::from_millis(50))).await
}

fn set_rights(remote: &Remote, rules: &[&str]) {
    let command = [&["ACL", "SETUSER", "app"], rules].concat();
    assert_eq!(remote.server().command(&command), "OK");
}
