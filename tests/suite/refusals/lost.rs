//! F15, F18 and a black hole: Redis did what it was asked, or was never asked, and nobody can tell.

use super::{quick_node, works_again};
use crate::nodes::{Node, Remote};
use crate::reads::{QUIET, counters, ends, hold_locally, read};
use std::time::Duration;
use tricache::{RemoteState, Tiers};
use tricache_test_support::{CountingStore, Proxy, eventually};

#[tokio::test]
async fn f15_an_invalidation_that_was_executed_and_not_answered_is_sent_again_without_harm() {
    let remote = Remote::around_redis();
    let proxy = Proxy::before(remote.server()).await;
    let (near, far) = (quick_node(&remote).await, impatient_node(&proxy).await);
    let store = CountingStore::new();
    read(&far.cache, &store, 1).await;
    let first = near.cache.invalidate(&1).await.unwrap().stamps()[0];
    let log = format!("tc1:{{test:{}}}:l", first.bucket());
    let length = || {
        remote
            .server()
            .command(&["XLEN", &log])
            .parse::<u64>()
            .unwrap()
    };
    let before = length();

    proxy.delay(Duration::from_millis(300));
    store.commit(&1);
    assert!(ends(far.cache.invalidate(&1)).await.unwrap().is_pending());
    eventually("it was executed all the same", async || length() > before).await;
    assert_eq!(*read(&far.cache, &store, 1).await, 1);
    proxy.delay(Duration::ZERO);

    eventually("it was sent again", async || {
        far.tiers.report().pending() == 0 && length() >= before + 2
    })
    .await;
    works_again([&far, &near], &store, 1..2).await;
}

#[tokio::test]
async fn f18_a_subscriber_that_is_cut_off_by_its_buffer_limit_replays_what_it_missed() {
    let remote = Remote::around_redis();
    let (node, writer) = (remote.quiet_node([1]).await, remote.node().await);
    let store = CountingStore::new();
    hold_locally(&node, &store, 1).await;
    let before = subscribers(&remote);
    assert_eq!(before.len(), 2);
    let bucket = writer.cache.invalidate(&1).await.unwrap().stamps()[0].bucket();
    eventually("the push arrives", async || counters(&node).events == 1).await;
    hold_locally(&node, &store, 1).await;

    let limits = ["CONFIG", "SET", "client-output-buffer-limit"];
    let redis = remote.server();
    let set = [&limits[..], &["pubsub 65536 65536 1"]].concat();
    assert_eq!(redis.command(&set), "OK");
    // A burst that nobody can read at once: more than the limit, and than the sockets take.
    let channel = format!("tc1:{{test:{bucket}}}:f");
    redis.command(&["SPUBLISH", &channel, &"x".repeat(64 << 20)]);
    store.commit(&1);
    assert!(!writer.cache.invalidate(&1).await.unwrap().is_pending());

    eventually("the node shows what is new", async || {
        *read(&node.cache, &store, 1).await == 1
    })
    .await;
    let after = subscribers(&remote);
    assert!(
        after.iter().all(|id| !before.contains(id)),
        "{before:?} {after:?}"
    );
    // Replayed, but where the subscription stood again before the invalidation.
    let counted = counters(&node);
    assert_eq!((counted.replays + counted.events, counted.gaps), (2, 0));
}

/// Anchor: with the socket open and nothing answered, a request that read ten keys waited ten times.
#[tokio::test]
async fn a_redis_that_swallows_everything_is_asked_once() {
    let remote = Remote::around_redis();
    let proxy = Proxy::before(remote.server()).await;
    let builder = Tiers::builder("test").remote_timeout(Duration::from_millis(250));
    let node = Node::start(builder.redis(&proxy.url()).heartbeat(QUIET)).await;
    let store = CountingStore::new();
    read(&node.cache, &store, 1).await;
    // A probe sends TIME and MGET, a read MGET only.
    let reads = || proxy.commands("MGET") - proxy.commands("TIME");
    let scripts = || proxy.commands("EVALSHA");
    let before = (reads(), scripts());

    proxy.cut();
    for key in 10..20 {
        assert_eq!(*read(&node.cache, &store, key).await, 0);
    }
    for key in 10..20 {
        assert!(
            ends(node.cache.invalidate(&key))
                .await
                .unwrap()
                .is_pending()
        );
    }

    assert_eq!((reads(), scripts()), (before.0 + 1, before.1));
    assert_ne!(node.tiers.report().remote(), RemoteState::Up);
    assert!(node.tiers.report().outage().unwrap().failures() > 0);
    proxy.heal();
    let other = quick_node(&remote).await;
    works_again([&node, &other], &store, 10..20).await;
}

async fn impatient_node(proxy: &Proxy) -> Node {
    let builder = Tiers::builder("test")
        .redis(&proxy.url())
        .remote_timeout(Duration::from_millis(250));
    Node::start(builder.heartbeat(Duration::from_millis(50))).await
}

/// The numbers that the server gave to the connections that subscribe.
fn subscribers(remote: &Remote) -> Vec<String> {
    let list = remote
        .server()
        .command(&["CLIENT", "LIST", "TYPE", "PUBSUB"]);
    let id = |line: &str| line.split_whitespace().next().map(str::to_owned);
    list.lines().filter_map(id).collect()
}
