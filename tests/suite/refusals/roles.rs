//! READONLY and LOADING: the server is there, and is not the one it was.

use super::impostor::Impostor;
use super::{does_without_redis, quick_node, works_again};
use crate::nodes::Remote;
use crate::reads::{counters, read};
use tricache::{Fencing, RemoteState};
use tricache_test_support::{CountingStore, RedisServer, eventually};

#[tokio::test]
async fn a_server_that_is_made_a_replica_takes_nothing_until_it_is_a_master_again() {
    let remote = Remote::around_redis();
    let (one, other) = (quick_node(&remote).await, quick_node(&remote).await);
    let master = RedisServer::start();
    let store = CountingStore::new();
    read(&one.cache, &store, 0).await;

    let port = master.port().to_string();
    let redis = remote.server();
    assert_eq!(redis.command(&["REPLICAOF", "127.0.0.1", &port]), "OK");
    eventually("it is in step with its master", async || {
        redis
            .command(&["INFO", "replication"])
            .contains("master_link_status:up")
    })
    .await;
    eventually("it is asked", async || {
        one.tiers.report().remote() == RemoteState::Up
    })
    .await;
    eventually("nothing that it holds is used", async || {
        one.tiers.report().fencing() == Fencing::Unknown
    })
    .await;
    let before = counters(&one).remote_errors;
    does_without_redis(&one, &store, 0..5).await;
    assert!(counters(&one).remote_errors > before);
    assert_eq!(redis.command(&["REPLICAOF", "NO", "ONE"]), "OK");

    works_again([&one, &other], &store, 0..5).await;
}

#[tokio::test]
async fn a_server_that_loads_its_data_counts_as_away_until_it_has_them() {
    let remote = Remote::around_redis();
    let (one, other) = (quick_node(&remote).await, quick_node(&remote).await);
    let store = CountingStore::new();
    read(&one.cache, &store, 0).await;

    remote.server().kill();
    let loading = Impostor::at(
        remote.server().port(),
        b"-LOADING Redis is loading the dataset in memory\r\n",
    )
    .await;
    does_without_redis(&one, &store, 0..5).await;
    eventually("it is asked, and counts as away", async || {
        loading.asked() > 0 && one.tiers.report().remote() == RemoteState::Away
    })
    .await;
    assert!(one.tiers.report().outage().unwrap().failures() > 0);
    loading.end().await;
    remote.server().restart_empty();

    works_again([&one, &other], &store, 0..5).await;
    assert!(one.tiers.report().outage().is_none());
}
