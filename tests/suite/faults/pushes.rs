//! F16, F17 and F19: pushes are lost. The feed's chain, its log and its heartbeats make up for them.

use crate::nodes::{Node, Remote};
use crate::reads::{QUIET, counters, held_read, hold_locally, numbers, read, served_locally};
use std::{sync::Arc, time::Duration};
use tricache::{ManualClock, Outcome, Policy, Tiers, TiersBuilder};
use tricache_test_support::{CountingStore, Proxy, RedisServer, eventually};

#[tokio::test]
async fn f16_what_was_pushed_while_nobody_listened_is_replayed() {
    let Network { remote, proxy } = Network::start([1, 2]).await;
    let node = Node::start(behind(&proxy).heartbeat(QUIET)).await;
    let writer = remote.node().await;
    let store = CountingStore::new();
    hold_locally(&node, &store, 1).await;
    hold_locally(&node, &store, 2).await;

    proxy.cut_subscribers();
    for key in [1, 2] {
        store.commit(&key);
        assert!(!writer.cache.invalidate(&key).await.unwrap().is_pending());
    }
    // Lost indeed: no heartbeat comes for a minute, and within that bound this may be served.
    let lost = read(&node.cache, &store, 1).await;
    assert_eq!((*lost, lost.outcome()), (0, Outcome::LocalHit));
    proxy.heal();

    eventually("the node shows what is new", async || {
        *read(&node.cache, &store, 1).await == 1 && *read(&node.cache, &store, 2).await == 1
    })
    .await;
    let counted = counters(&node);
    assert_eq!((counted.replays, counted.gaps), (2, 0));
}

#[tokio::test]
async fn f16_a_feed_that_was_replayed_goes_on() {
    let Network { remote, proxy } = Network::start([1]).await;
    let node = Node::start(behind(&proxy).heartbeat(QUIET)).await;
    let writer = remote.node().await;
    let store = CountingStore::new();
    hold_locally(&node, &store, 1).await;

    proxy.cut_subscribers();
    writer.cache.invalidate(&1).await.unwrap();
    proxy.heal();
    eventually("the loss is replayed", async || {
        counters(&node).replays == 1
    })
    .await;
    hold_locally(&node, &store, 1).await;
    store.commit(&1);
    writer.cache.invalidate(&1).await.unwrap();

    eventually("the push arrives", async || counters(&node).events == 1).await;
    assert_eq!(*read(&node.cache, &store, 1).await, 1);
    assert_eq!(counters(&node).gaps, 0);
}

#[tokio::test]
async fn f17_where_the_log_was_trimmed_everything_local_must_prove_itself() {
    let Network { remote, proxy } = Network::start([1]).await;
    let node = Node::start(behind(&proxy).heartbeat(QUIET)).await;
    let writer = remote.node().await;
    let store = CountingStore::new();
    hold_locally(&node, &store, 1).await;

    proxy.cut_subscribers();
    store.commit(&1);
    let receipt = writer.cache.invalidate(&1).await.unwrap();
    trim(&remote, receipt.stamps()[0].bucket());
    proxy.heal();

    eventually("the gap is noticed", async || counters(&node).gaps == 1).await;
    let next = read(&node.cache, &store, 1).await;
    assert_eq!((*next, next.outcome()), (1, Outcome::Loaded));
    assert_eq!(counters(&node).replays, 0);
}

#[tokio::test]
async fn f17_a_load_that_began_before_a_gap_is_neither_joined_nor_kept() {
    let Network { remote, proxy } = Network::start([1]).await;
    let node = Node::start(behind(&proxy).heartbeat(QUIET)).await;
    let writer = remote.node().await;
    let (old, store) = <(CountingStore, CountingStore)>::default();
    let slow = held_read(&node, &old, 1).await;

    proxy.cut_subscribers();
    store.commit(&1);
    let receipt = writer.cache.invalidate(&1).await.unwrap();
    trim(&remote, receipt.stamps()[0].bucket());
    proxy.heal();
    eventually("the gap is noticed", async || counters(&node).gaps == 1).await;

    assert_eq!(*read(&node.cache, &store, 1).await, 1);
    old.release();
    assert_eq!(slow.value().await, 0);
    assert_eq!(*read(&node.cache, &store, 1).await, 1);
    assert_eq!((old.loads(), store.loads()), (1, 1));
    assert_eq!(counters(&node).stale_fills, 1);
}

#[tokio::test]
async fn f19_a_half_open_subscription_ends_stale_hits_and_is_left() {
    let Network { remote, proxy } = Network::start([1]).await;
    let clock = ManualClock::new();
    let builder = behind(&proxy).heartbeat(QUIET);
    let node = Node::start_patient(builder.clock(Arc::new(clock.clone()))).await;
    let writer = remote.node().await;
    let store = CountingStore::new();
    hold_locally(&node, &store, 1).await;

    proxy.cut_subscribers();
    let connections = proxy.connections();
    store.commit(&1);
    writer.cache.invalidate(&1).await.unwrap();
    let unproven_yet = read(&node.cache, &store, 1).await;
    assert_eq!(unproven_yet.outcome(), Outcome::LocalHit);
    clock.advance(2 * QUIET);

    // No event and no heartbeat came, so nothing local is believed any more.
    let next = read(&node.cache, &store, 1).await;
    assert_eq!((*next, next.outcome()), (1, Outcome::Loaded));
    eventually("the node leaves the connection by itself", async || {
        proxy.connections() > connections
    })
    .await;
    proxy.heal();
    eventually("the subscription stands again", async || {
        proxy.subscribers() == 1
    })
    .await;
    eventually("pushes arrive again", async || {
        writer.cache.invalidate(&1).await.unwrap();
        counters(&node).events > 0
    })
    .await;
}

#[tokio::test]
async fn f19_heartbeats_find_what_a_half_open_subscription_lost() {
    let Network { remote, proxy } = Network::start([1]).await;
    let node = Node::start(behind(&proxy).heartbeat(Duration::from_millis(50))).await;
    let writer = remote.node().await;
    let store = CountingStore::new();
    served_locally(&node, &store, 1).await;

    proxy.cut_subscribers();
    store.commit(&1);
    writer.cache.invalidate(&1).await.unwrap();

    eventually("the node shows what is new", async || {
        *read(&node.cache, &store, 1).await == 1
    })
    .await;
    eventually("the loss is replayed", async || {
        counters(&node).replays == 1
    })
    .await;
    assert_eq!((counters(&node).events, counters(&node).gaps), (0, 0));
}

#[tokio::test]
async fn f19_a_node_that_is_cut_off_says_so_and_stops_at_its_local_ttl() {
    let Network { remote, proxy } = Network::start([1]).await;
    let clock = ManualClock::new();
    let builder = behind(&proxy)
        .heartbeat(Duration::from_millis(50))
        .remote_timeout(Duration::from_secs(1))
        .clock(Arc::new(clock.clone()));
    let local_ttl = Duration::from_secs(30);
    let policy = Policy::ttl(Duration::from_secs(600)).local_ttl(local_ttl);
    let (_tiers, cache) = numbers(builder, policy).await;
    let writer = remote.node().await;
    let store = CountingStore::new();
    read(&cache, &store, 1).await;

    proxy.cut();
    store.commit(&1);
    writer.cache.invalidate(&1).await.unwrap();
    clock.advance(local_ttl / 2);
    let deaf = read(&cache, &store, 1).await;
    clock.advance(local_ttl / 2);
    let later = read(&cache, &store, 1).await;

    assert_eq!((*deaf, deaf.outcome()), (0, Outcome::LocalUnproven));
    assert_eq!((*later, later.outcome()), (1, Outcome::Loaded));
}

/// A Redis whose network fails on demand.
struct Network {
    remote: Remote,
    proxy: Proxy,
}

impl Network {
    /// The buckets of these keys are in use already, so that a first heartbeat proves them.
    async fn start(keys: impl IntoIterator<Item = u64>) -> Self {
        let redis = RedisServer::start();
        let proxy = Proxy::before(&redis).await;
        let remote = Remote::Redis(redis);
        remote.use_buckets(keys).await;
        Self { remote, proxy }
    }
}

fn behind(proxy: &Proxy) -> TiersBuilder {
    Tiers::builder("test")
        .remote_timeout(Duration::from_secs(5))
        .redis(&proxy.url())
}

impl Node {
    /// A node that keeps values for ten minutes before it asks again.
    async fn start_patient(builder: TiersBuilder) -> Self {
        let ttl = Duration::from_secs(600);
        let (tiers, cache) = numbers(builder, Policy::ttl(ttl).local_ttl(ttl)).await;
        Self { tiers, cache }
    }
}

fn trim(remote: &Remote, bucket: u16) {
    let Remote::Redis(redis) = remote else {
        panic!("a hub has no log of that name")
    };
    let log = format!("tc1:{{test:{bucket}}}:l");
    assert_ne!(redis.command(&["XTRIM", &log, "MAXLEN", "0"]), "0");
}
