//! F9: two masters at once. A replica was promoted, and a node still speaks to the old master, which does not know.

use super::scene::{KEY, Node, bounded, ends, eventual, strict};
use std::time::{Duration, Instant};
use tricache::{Outcome, Policy, Tiers};
use tricache_test_support::{CountingStore, Proxy, RedisServer, eventually};

/// A master with two replicas. One is promoted, and followed by the other and by a server that takes the old master's place.
struct Servers {
    old: RedisServer,
    new: RedisServer,
    third: RedisServer,
    fourth: RedisServer,
    /// From the old master to its replicas.
    link: Proxy,
}

impl Servers {
    async fn start() -> Self {
        let at_once = ["--repl-diskless-sync-delay", "0"];
        let old = RedisServer::start_with(&at_once);
        let link = Proxy::before(&old).await;
        let (new, third) = (RedisServer::start_with(&at_once), RedisServer::start());
        let fourth = RedisServer::start();
        let servers = Self {
            old,
            new,
            third,
            fourth,
            link,
        };
        let port = servers.link.port().to_string();
        for replica in [&servers.new, &servers.third] {
            assert_eq!(replica.command(&["REPLICAOF", "127.0.0.1", &port]), "OK");
        }
        for replica in [&servers.new, &servers.third] {
            follows(replica).await;
        }
        servers
    }

    /// The old master is cut off from both, and two servers follow the new one.
    async fn split(&self) {
        self.link.cut();
        assert_eq!(self.new.command(&["REPLICAOF", "NO", "ONE"]), "OK");
        let port = self.new.port().to_string();
        for replica in [&self.third, &self.fourth] {
            let answer = replica.command(&["REPLICAOF", "127.0.0.1", &port]);
            assert_eq!(answer, "OK");
        }
        for replica in [&self.third, &self.fourth] {
            follows(replica).await;
        }
    }

    /// A node that speaks to this one of them.
    async fn node(&self, server: &RedisServer, replicas: usize, policy: Policy) -> Node {
        let builder = Tiers::builder("test")
            .redis(&server.url())
            .remote_timeout(Duration::from_millis(200))
            .replicas(replicas);
        Node::start(builder, policy).await
    }
}

/// The replicas of a master.
const ALL: usize = 2;

async fn follows(replica: &RedisServer) {
    eventually("the replica is in step", async || {
        let info = replica.command(&["INFO", "replication"]);
        info.contains("master_link_status:up")
    })
    .await;
}

async fn holds(node: &Node, store: &CountingStore) {
    eventually("the node can prove what it holds", async || {
        let outcome = node.read(store).await.outcome();
        matches!(outcome, Outcome::LocalHit | Outcome::LocalRevalidated)
    })
    .await;
}

/// The node of the new master invalidates, and both that follow confirm it.
async fn invalidated(servers: &Servers, store: &CountingStore) -> Instant {
    let writer = servers.node(&servers.new, ALL, eventual()).await;
    store.commit(&KEY);
    let receipt = ends(writer.invalidate().await.settled()).await;
    assert_eq!(receipt.stamps().len(), 1);
    Instant::now()
}

#[tokio::test]
async fn f9_a_strict_read_never_believes_a_master_that_nobody_follows() {
    let (servers, store) = (Servers::start().await, CountingStore::new());
    let node = servers.node(&servers.old, ALL, strict()).await;
    holds(&node, &store).await;

    servers.split().await;
    invalidated(&servers, &store).await;

    for _ in 0..20 {
        assert_eq!(*node.read(&store).await, 1);
    }
    let before = store.loads();
    node.read(&store).await;
    assert_eq!(store.loads(), before + 1, "each read asks the store");
    // Its own invalidations are not acknowledged either.
    assert!(node.invalidate().await.is_pending());
}

#[tokio::test]
async fn f9_a_bounded_read_is_within_its_bound_on_a_master_that_nobody_follows() {
    let (servers, store) = (Servers::start().await, CountingStore::new());
    let bound = Duration::from_millis(600);
    let node = servers.node(&servers.old, ALL, bounded(600)).await;
    // What it would do without a bound, on the same server.
    let twin = servers.node(&servers.old, ALL, eventual()).await;
    holds(&node, &store).await;
    holds(&twin, &store).await;

    servers.split().await;
    let acknowledged = invalidated(&servers, &store).await;

    eventually("the node goes to the store", async || {
        let began = Instant::now();
        let value = *node.read(&store).await;
        assert!(value == 1 || began < acknowledged + bound);
        value == 1
    })
    .await;
    for _ in 0..20 {
        assert_eq!(*node.read(&store).await, 1);
    }
    // The old master answers all that it is asked, and proves its feed with each heartbeat.
    assert_eq!(*twin.read(&store).await, 0);
}

/// The twin: what is wrong with a bound whose replicas nobody has told of.
#[tokio::test]
async fn f9_without_replicas_the_old_master_is_believed() {
    let (servers, store) = (Servers::start().await, CountingStore::new());
    let node = servers.node(&servers.old, 0, strict()).await;
    holds(&node, &store).await;

    servers.split().await;
    invalidated(&servers, &store).await;

    assert_eq!(*node.read(&store).await, 0);
    assert!(!node.invalidate().await.is_pending());
}

/// The link comes back, and the old master follows the new one: what it held does not count any more.
#[tokio::test]
async fn f9_after_the_split_is_over_everybody_is_on_one_side() {
    let (servers, store) = (Servers::start().await, CountingStore::new());
    let node = servers.node(&servers.old, ALL, bounded(600)).await;
    holds(&node, &store).await;
    servers.split().await;
    invalidated(&servers, &store).await;
    store.commit(&KEY);
    let pending = node.invalidate().await;
    assert!(pending.is_pending());

    // As a Sentinel would: the old master becomes a replica, and is promoted again later.
    let port = servers.new.port().to_string();
    let answer = servers.old.command(&["REPLICAOF", "127.0.0.1", &port]);
    assert_eq!(answer, "OK");
    follows(&servers.old).await;
    assert_eq!(*node.read(&store).await, 2);
    assert_eq!(servers.old.command(&["REPLICAOF", "NO", "ONE"]), "OK");
    let port = servers.old.port().to_string();
    for replica in [&servers.new, &servers.third] {
        assert_eq!(replica.command(&["REPLICAOF", "127.0.0.1", &port]), "OK");
        follows(replica).await;
    }

    assert_eq!(ends(pending.settled()).await.stamps().len(), 1);
    eventually("values are kept and proven again", async || {
        let cached = node.read(&store).await;
        assert_eq!(*cached, 2);
        cached.outcome() == Outcome::LocalHit
    })
    .await;
}
