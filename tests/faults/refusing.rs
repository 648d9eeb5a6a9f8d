//! Servers that take nothing: a replica that was given as the server, and a master that has too few replicas.

use crate::scene::{Node, SOON, at, ends, set, work_again};
use tricache::{Fencing, Outcome};
use tricache_test_support::{CountingStore, RedisServer, eventually};

/// Started by choice without Redis, a node takes up whatever is there; what a replica holds is not believed for all that.
#[tokio::test]
async fn a_node_that_was_given_a_replica_says_so_and_shows_nothing_stale() {
    let master = RedisServer::start_with(&["--repl-diskless-sync-delay", "0"]);
    let replica = following(&master).await;
    let writer = Node::start(at(&master.url()).heartbeat(SOON)).await;
    let store = CountingStore::new();
    writer.read(&store, 1).await;

    let refused = ends(at(&replica.url()).build())
        .await
        .map(drop)
        .unwrap_err();
    assert!(refused.is_config(), "{refused}");
    assert!(refused.to_string().contains("replica"), "{refused}");
    replica.kill();
    let node = Node::start(at(&replica.url()).start_without_redis(true).heartbeat(SOON)).await;
    replica.restart_empty();
    follow(&replica, &master).await;

    eventually("it says what is there", async || {
        let report = node.tiers.report();
        let told = report
            .advice()
            .iter()
            .any(|advice| advice.message().contains("replica"));
        told && report.fencing() == Fencing::Unknown
    })
    .await;
    for row in 1..4 {
        writer.change(&store, 1).await;
        let pending = ends(node.cache.invalidate(&1)).await.unwrap();
        assert!(pending.is_pending());
        assert_eq!(*node.read(&store, 1).await, row);
    }
}

#[tokio::test]
async fn what_a_master_without_enough_replicas_does_not_take_is_pending() {
    let redis = RedisServer::start_with(&["--repl-diskless-sync-delay", "0"]);
    let one = Node::start(at(&redis.url()).heartbeat(SOON)).await;
    let other = Node::start(at(&redis.url()).heartbeat(SOON)).await;
    let store = CountingStore::new();
    one.read(&store, 1).await;
    one.read(&store, 2).await;

    set(&redis, "min-replicas-to-write", "1");
    // What stands there is read.
    assert_eq!(other.answer(&store, 2).await, (0, Outcome::RemoteHit));
    store.commit(&1);
    let receipt = ends(one.cache.invalidate(&1)).await.unwrap();
    assert!(receipt.is_pending());
    let tagged = ends(one.tiers.invalidate_tags(["lamps"])).await.unwrap();
    assert!(tagged.is_pending());
    assert_eq!(*one.read(&store, 1).await, 1);
    assert_eq!(one.tiers.report().pending(), 2);
    assert_eq!(one.counters().failed, 0);
    let _replica = following(&redis).await;

    work_again([&one, &other], &store, &[1, 2]).await;
}

/// The same at the start: reads load, invalidations wait, and nothing hangs.
#[tokio::test]
async fn a_node_starts_at_a_master_without_enough_replicas() {
    let few = [
        "--min-replicas-to-write",
        "1",
        "--repl-diskless-sync-delay",
        "0",
    ];
    let redis = RedisServer::start_with(&few);
    let one = Node::start(at(&redis.url()).heartbeat(SOON)).await;
    let other = Node::start(at(&redis.url()).heartbeat(SOON)).await;
    let store = CountingStore::new();

    for key in [1, 2] {
        assert_eq!(*one.read(&store, key).await, 0);
        store.commit(&key);
        assert!(ends(one.cache.invalidate(&key)).await.unwrap().is_pending());
        assert_eq!(*one.read(&store, key).await, 1);
    }
    let _replica = following(&redis).await;

    work_again([&one, &other], &store, &[1, 2]).await;
}

async fn following(master: &RedisServer) -> RedisServer {
    let replica = RedisServer::start();
    follow(&replica, master).await;
    replica
}

async fn follow(replica: &RedisServer, master: &RedisServer) {
    let port = master.port().to_string();
    assert_eq!(replica.command(&["REPLICAOF", "127.0.0.1", &port]), "OK");
    eventually("it has what its master has", async || {
        let info = replica.command(&["INFO", "replication"]);
        info.contains("master_link_status:up")
    })
    .await;
}
