//! A Redis that is not there, not Redis, or not for us: a clear error, or a start without it by choice.

use crate::nodes::{Node, Remote};
use crate::reads::{counters, ends, held_read, read};
use std::time::Duration;
use tokio::{net::TcpListener, time::timeout};
use tricache::{Error, Outcome, RemoteState, Tiers, TiersBuilder};
use tricache_test_support::{CountingStore, RedisServer, eventually};

#[tokio::test]
async fn an_address_that_is_none_is_refused_as_a_setting() {
    for url in [
        "",
        "not an address",
        "http://127.0.0.1",
        "redis://",
        "redis://127.0.0.1:port",
        "redis://127.0.0.1:99999",
        "redis://127.0.0.1/database",
        // With TLS or without: there must be no connection in its place that nobody has checked.
        "rediss://127.0.0.1/#insecure",
        "127.0.0.1:6379",
    ] {
        // By choice or not: a typing error is not an outage.
        for by_choice in [false, true] {
            let builder = Tiers::builder("test").redis(url);
            let error = build_error(builder.start_without_redis(by_choice)).await;
            assert!(error.is_config(), "{url:?}: {error}");
        }
    }
}

#[tokio::test]
async fn an_address_where_nobody_listens_is_an_error_that_says_so() {
    let error = build_error(Tiers::builder("test").redis(&deserted().await)).await;

    assert!(error.is_unavailable(), "{error}");
    assert!(error.to_string().contains("redis"), "{error}");
    assert!(std::error::Error::source(&error).is_some());
}

#[tokio::test]
async fn a_server_that_never_answers_is_an_error() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("redis://{}", listener.local_addr().unwrap());

    let error = build_error(Tiers::builder("test").redis(&url)).await;

    assert!(error.is_unavailable(), "{error}");
}

#[tokio::test]
async fn a_password_that_is_wrong_or_missing_is_an_error_and_is_not_shown() {
    let redis = with_user(&["~*", "&*", "+@all"]);
    let url = |user: &str| format!("redis://{user}@127.0.0.1:{}", redis.port());
    let wrong = url("app:hunter2");

    let error = build_error(Tiers::builder("test").redis(&wrong)).await;
    assert!(error.is_config(), "{error}");
    assert!(!format!("{error} {error:?}").contains("hunter2"));
    let builder = Tiers::builder("test").redis(&wrong);
    assert!(!format!("{builder:?}").contains("hunter2"));

    // Nor is it taken for a Redis that is away.
    let without = Tiers::builder("test")
        .redis(&wrong)
        .start_without_redis(true);
    assert!(build_error(without).await.is_config());

    let tiers = Tiers::builder("test").redis(&url("app:right")).build();
    assert_eq!(
        ends(tiers).await.unwrap().report().remote(),
        RemoteState::Up
    );
}

#[tokio::test]
async fn a_user_who_may_not_do_what_is_needed_is_told_at_the_start() {
    let redis = with_user(&["~other:*", "&*", "+@all"]);
    let url = format!("redis://app:right@127.0.0.1:{}", redis.port());

    let error = build_error(Tiers::builder("test").redis(&url)).await;

    assert!(error.is_config(), "{error}");
}

#[tokio::test]
async fn a_start_without_redis_by_choice_serves_from_the_store_until_it_comes() {
    let redis = RedisServer::start();
    redis.kill();
    let builder = Tiers::builder("test").redis(&redis.url());
    let start = Node::start(builder.start_without_redis(true));
    let node = timeout(GIVING_UP, start).await.expect("a start in time");
    let store = CountingStore::new();

    assert_eq!(node.tiers.report().remote(), RemoteState::Away);
    assert_eq!(*read(&node.cache, &store, 1).await, 0);
    store.commit(&1);
    let receipt = ends(node.cache.invalidate(&1)).await.unwrap();
    assert!(receipt.is_pending());
    assert_eq!(*read(&node.cache, &store, 1).await, 1);
    redis.restart_empty();

    eventually("Redis took what was pending", async || {
        let report = node.tiers.report();
        report.remote() == RemoteState::Up && report.pending() == 0
    })
    .await;
    let remote = Remote::Redis(redis);
    let other = remote.node().await;
    eventually("values go through Redis", async || {
        let key = 100 + store.loads();
        read(&node.cache, &store, key).await;
        read(&other.cache, &store, key).await.outcome() == Outcome::RemoteHit
    })
    .await;
}

#[tokio::test]
async fn a_redis_that_forgets_the_scripts_is_sent_them_again() {
    let remote = Remote::around_redis();
    let (node, other) = (remote.node().await, remote.node().await);
    let redis = remote.server();
    let forget = || assert_eq!(redis.command(&["SCRIPT", "FLUSH"]), "OK");
    let store = CountingStore::new();

    for key in 0..10 {
        forget();
        // Between taking the lease and filling, too.
        let loading = held_read(&node, &store, key).await;
        forget();
        store.release();
        assert_eq!(loading.value().await, 0);
        let there = read(&other.cache, &store, key).await;
        assert_eq!(there.outcome(), Outcome::RemoteHit);

        forget();
        store.commit(&key);
        assert!(!node.cache.invalidate(&key).await.unwrap().is_pending());
        forget();
        node.cache.insert(&key, 7).await.unwrap();
        assert_eq!(*read(&node.cache, &store, key).await, 7);
    }

    assert_eq!((counters(&node).remote_errors, store.loads()), (0, 10));
}

#[tokio::test]
async fn a_command_that_is_forbidden_is_named_with_the_line_that_allows_it() {
    let commands = [
        ("evalsha", "EVALSHA"),
        ("eval", "EVAL"),
        ("get", "GET"),
        ("set", "SET"),
        ("del", "DEL"),
        ("unlink", "UNLINK"),
        ("pttl", "PTTL"),
        ("pexpire", "PEXPIRE"),
        ("hget", "HGET"),
        ("hset", "HSET"),
        ("hlen", "HLEN"),
        ("hgetall", "HGETALL"),
        ("hscan", "HSCAN"),
        ("hdel", "HDEL"),
        ("xadd", "XADD"),
        ("xrange", "XRANGE"),
        ("spublish", "SPUBLISH"),
        ("ssubscribe", "SSUBSCRIBE"),
        ("multi", "MULTI"),
        ("exec", "EXEC"),
        ("time", "TIME"),
        ("mget", "MGET"),
    ];
    let redis = with_user(&["~*", "&*", "+@all"]);
    let url = format!("redis://app:right@127.0.0.1:{}", redis.port());

    for (command, name) in commands {
        redis.command(&["ACL", "SETUSER", "app", "+@all", &format!("-{command}")]);
        let error = build_error(Tiers::builder("test").redis(&url)).await;
        assert!(error.is_config(), "{command}: {error}");
        let told = error.to_string();
        assert!(
            told.contains(name) && told.contains("~tc1:{test:*"),
            "{told}"
        );
    }
    // Channels have rights of their own.
    redis.command(&["ACL", "SETUSER", "app", "+@all", "resetchannels"]);
    let error = build_error(Tiers::builder("test").redis(&url)).await;
    assert!(
        error.is_config() && error.to_string().contains("PUBLISH"),
        "{error}"
    );
}

/// A server that also knows the user `app` with the password `right`, who may do only this.
fn with_user(rules: &[&str]) -> RedisServer {
    RedisServer::start_with(&[&["--user", "app", "on", ">right"], rules].concat())
}

async fn build_error(builder: TiersBuilder) -> Error {
    ends(builder.build()).await.map(|_| "tiers").unwrap_err()
}

/// The address of a port that was just given back.
async fn deserted() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("redis://{}", listener.local_addr().unwrap())
}

/// A start by choice looks for Redis first, and longer than a call may take.
const GIVING_UP: Duration = Duration::from_secs(30);
