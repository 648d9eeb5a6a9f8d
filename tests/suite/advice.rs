//! What a node says of its server: an error where a promise would break, advice where it may surprise.

use crate::nodes::{Node, Remote};
use crate::reads::ends;
use std::time::Duration;
use tricache::{InProcess, Tiers};
use tricache_test_support::{RedisServer, eventually};

#[tokio::test]
async fn a_server_as_it_should_be_and_a_hub_need_no_advice() {
    for remote in Remote::both() {
        assert_eq!(subjects(&remote.node().await), [] as [&str; 0]);
    }
}

#[tokio::test]
async fn settings_that_may_surprise_are_told_with_what_to_set() {
    for (arguments, subject, remedy) in [
        (
            &["--maxmemory-policy", "allkeys-lru"][..],
            "maxmemory",
            "volatile-lfu",
        ),
        (&["--maxmemory", "100mb"], "maxmemory", "volatile-lfu"),
        (&["--appendonly", "yes"], "persistence", "appendonly no"),
        (&["--save", "3600 1"], "persistence", "save"),
        (
            &["--client-output-buffer-limit", "pubsub 1mb 1mb 60"],
            "pubsub_buffer",
            "pubsub 32mb 8mb 60",
        ),
    ] {
        let remote = Remote::Redis(RedisServer::start_with(arguments));

        let report = remote.node().await.tiers.report();

        let [advice] = report.advice() else {
            panic!("{arguments:?}: {:?}", report.advice())
        };
        assert_eq!(advice.subject(), subject);
        assert!(advice.message().contains(remedy), "{advice}");
        let told = serde_json::to_value(&report).unwrap();
        assert_eq!(told["advice"][0]["subject"], subject);
    }
}

#[tokio::test]
async fn a_replica_is_refused_and_its_master_is_advised() {
    let (master, replica) = (RedisServer::start(), RedisServer::start());
    let port = master.port().to_string();
    replica.command(&["REPLICAOF", "127.0.0.1", &port]);
    eventually("it is a replica in step", async || {
        let connected = "connected_slaves:1";
        master.command(&["INFO", "replication"]).contains(connected)
            && replica
                .command(&["INFO", "replication"])
                .contains("master_link_status:up")
    })
    .await;

    for by_choice in [false, true] {
        let builder = Tiers::builder("test").redis(&replica.url());
        let start = ends(builder.start_without_redis(by_choice).build()).await;
        let error = start.map(|_| "tiers").unwrap_err();
        assert!(error.is_config(), "{error}");
        assert!(error.to_string().contains(&port), "{error}");
    }
    let node = Remote::Redis(master).node().await;
    assert_eq!(subjects(&node), ["replicas"]);
}

#[tokio::test]
async fn a_node_of_a_cluster_is_refused() {
    let redis = RedisServer::start_with(&["--cluster-enabled", "yes"]);
    let start = ends(Tiers::builder("test").redis(&redis.url()).build()).await;

    let error = start.map(|_| "tiers").unwrap_err();
    assert!(
        error.is_config() && error.to_string().contains("cluster"),
        "{error}"
    );
}

#[tokio::test]
async fn what_may_not_be_asked_is_advice_and_no_error() {
    // The very line of docs/redis-layout.md, without the two that only serve this check.
    let rights = "~tc1:{test:* &tc1:{test:* -@all +mget +get +set +del +unlink +pttl +pexpire +hget +hset +hlen +hgetall +hscan +hdel +xadd +xrange +spublish \
        +ssubscribe +time +ping +multi +exec +eval +evalsha +select";
    let rules = ["--user", "app", "on", ">right"].into_iter();
    let rules: Vec<_> = rules.chain(rights.split_whitespace()).collect();
    let redis = RedisServer::start_with(&rules);
    let url = format!("redis://app:right@127.0.0.1:{}", redis.port());

    let node = Node::start(Tiers::builder("test").redis(&url)).await;

    assert_eq!(subjects(&node), ["info", "config"]);
    redis.command(&["ACL", "SETUSER", "app", "+info", "+config|get"]);
    let node = Node::start(Tiers::builder("test").redis(&url)).await;
    assert_eq!(subjects(&node), [] as [&str; 0]);
}

#[tokio::test]
async fn a_server_that_comes_back_with_other_settings_is_looked_at_again() {
    let remote = Remote::around_redis();
    let node = Node::start(remote.builder().heartbeat(Duration::from_millis(50))).await;
    assert_eq!(subjects(&node), [] as [&str; 0]);

    let redis = remote.server();
    redis.kill();
    eventually("the outage is noticed", async || {
        node.tiers.report().outage().is_some()
    })
    .await;
    redis.restart_empty();
    redis.command(&["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"]);
    // It may have been looked at between the two.
    redis.command(&["CLIENT", "KILL", "TYPE", "NORMAL"]);

    eventually("the advice is of the server as it is", async || {
        redis.command(&["CLIENT", "KILL", "TYPE", "NORMAL"]);
        subjects(&node) == ["maxmemory"]
    })
    .await;
}

#[tokio::test]
async fn a_far_server_is_told_of() {
    let redis = RedisServer::start();
    let proxy = tricache_test_support::Proxy::before(&redis).await;
    proxy.delay(Duration::from_millis(60));
    let builder = Tiers::builder("test").redis(&proxy.url());

    let node = Node::start(builder.remote_timeout(Duration::from_millis(220))).await;

    assert_eq!(subjects(&node), ["latency"]);
}

#[tokio::test]
async fn a_hub_that_is_shared_gives_no_advice_either() {
    let hub = InProcess::new();
    let one = Remote::Hub(hub.clone()).node().await;
    let other = Remote::Hub(hub).node().await;

    assert!(one.tiers.report().advice().is_empty() && other.tiers.report().advice().is_empty());
}

fn subjects(node: &Node) -> Vec<&'static str> {
    let report = node.tiers.report();
    report
        .advice()
        .iter()
        .map(|advice| advice.subject())
        .collect()
}
