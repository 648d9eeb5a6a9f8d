//! What nobody can tell, and what is told only to tests that switch the question off.

use super::*;
use crate::nodes::Remote;
use tricache::{InProcess, Outcome, Protection, Tiers};
use tricache_test_support::RedisServer;

#[tokio::test]
async fn without_the_remote_tier_nothing_is_known() {
    let hub = InProcess::new();
    let node = Remote::Hub(hub.clone()).node().await;
    let scope = scope_of(&node, 1).await;

    hub.refuse(true);
    assert_eq!(confirmed(&scope).await, Confirmation::Unknown);

    hub.refuse(false);
    assert!(is_current(confirmed(&scope).await));
}

#[tokio::test]
async fn a_question_that_is_not_answered_in_time_is_given_up() {
    let redis = RedisServer::start();
    let builder = Tiers::builder("test").redis(&redis.url());
    // Beyond every limit but that of the question: it is the question's that ends the wait.
    let node = Node::start(builder.remote_timeout(Duration::from_secs(50))).await;
    let scope = scope_of(&node, 1).await;
    redis.freeze();

    let late = ends(scope.confirm(Duration::from_millis(20))).await;

    assert_eq!(late, Confirmation::Unknown);
    redis.thaw();
}

#[tokio::test]
async fn what_was_loaded_without_the_remote_tier_stays_unknown() {
    let hub = InProcess::new();
    let node = Remote::Hub(hub.clone()).node().await;
    hub.refuse(true);
    let scope = scope_of(&node, 1).await;
    assert_ne!(scope.summary().outcomes()[0].0, Outcome::LocalHit);

    hub.refuse(false);

    assert_eq!(confirmed(&scope).await, Confirmation::Unknown);
}

#[tokio::test]
async fn what_a_cache_that_is_off_has_loaded_is_unknown() {
    let node = Node::start(Tiers::builder("test").enabled(false)).await;

    let scope = scope_of(&node, 1).await;

    assert_eq!(confirmed(&scope).await, Confirmation::Unknown);
}

#[tokio::test]
async fn what_the_remote_tier_has_lost_is_not_current() {
    let remote = Remote::around_redis();
    let node = remote.node().await;
    let scope = scope_of(&node, 1).await;
    let pointer = remote.only_key("*:p:number/1");

    assert_eq!(remote.server().command(&["DEL", &pointer]), "1");
    assert_eq!(confirmed(&scope).await, Confirmation::Unknown);

    remote.server().command(&["FLUSHALL"]);
    assert!(!is_current(confirmed(&scope).await));
}

/// Redis did not take it: only this node knows.
#[tokio::test]
async fn an_invalidation_that_waits_to_be_sent_has_moved_what_it_names() {
    let hub = InProcess::new();
    let node = Remote::Hub(hub.clone()).node().await;
    let (key, tag) = (scope_of(&node, 1).await, scope_of(&node, 2).await);
    let other = scope_of(&node, 3).await;

    hub.refuse(true);
    assert!(node.cache.invalidate(&1).await.unwrap().is_pending());
    let receipt = node.tiers.invalidate_tags(["number-2"]).await.unwrap();
    assert!(receipt.is_pending());

    assert_eq!(confirmed(&key).await, Confirmation::Moved);
    assert_eq!(confirmed(&tag).await, Confirmation::Moved);
    assert_eq!(confirmed(&other).await, Confirmation::Unknown);
}

#[tokio::test]
async fn without_the_guard_whatever_was_read_counts_as_current() {
    for remote in Remote::both() {
        let node = Node::start(remote.builder().without(Protection::Guard)).await;
        let scope = scope_of(&node, 1).await;

        node.cache.invalidate(&1).await.unwrap();

        assert!(is_current(confirmed(&scope).await));
    }
}
