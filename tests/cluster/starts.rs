//! What a start says of a cluster that is not as it must be.

use super::scene::{MANY, Node, TAGS, builder, ends, tag_of};
use std::time::Duration;
use tricache::{Error, Outcome, Tiers, TiersBuilder};
use tricache_test_support::{CountingStore, RedisCluster, RedisServer, eventually};

async fn refusal(builder: TiersBuilder) -> Error {
    ends(builder.build()).await.map(|_| "tiers").unwrap_err()
}

fn cluster_of<const N: usize>(urls: [String; N]) -> TiersBuilder {
    Tiers::builder("test").redis_cluster(urls)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_single_server_is_refused_and_what_to_do_is_said() {
    let redis = RedisServer::start();

    let error = refusal(cluster_of([redis.url()])).await;

    assert!(error.is_config(), "{error}");
    let text = error.to_string();
    assert!(
        text.contains("not a node of a cluster") && text.contains("TiersBuilder::redis"),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_nobody_is_refused_and_one_of_the_dead_is_unavailable() {
    let dead = RedisServer::start();
    dead.kill();

    assert!(refusal(cluster_of::<0>([])).await.is_config());
    let error = refusal(cluster_of([dead.url()])).await;
    assert!(error.is_unavailable(), "{error}");
    let late = cluster_of([dead.url()]).start_without_redis(true);
    let node = Node::start(late).await;
    let store = CountingStore::new();
    assert_eq!(node.read(&store, 1).await.outcome(), Outcome::Loaded);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_seed_that_answers_is_enough() {
    let cluster = RedisCluster::start();
    let dead = RedisServer::start();
    dead.kill();

    let node = Node::start(cluster_of([dead.url(), cluster.node(1).url()])).await;

    assert_eq!(node.tiers.report().nodes().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_credentials_are_said_at_once() {
    let cluster = RedisCluster::start_with(&["--user", "app", "on", ">right", "~*", "&*", "+@all"]);
    let port = cluster.node(0).port();
    let wrong = format!("redis://app:wrong@127.0.0.1:{port}");
    let right = format!("redis://app:right@127.0.0.1:{port}");

    let error = refusal(cluster_of([wrong])).await;
    assert!(error.is_config(), "{error}");
    let node = Node::start(cluster_of([right])).await;
    assert_eq!(node.tiers.report().nodes().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_right_that_is_missing_on_one_node_is_named() {
    let rules = ["--user", "app", "on", ">right", "~*", "&*", "+@all"];
    let cluster = RedisCluster::start_with(&rules);
    cluster
        .node(2)
        .command(&["ACL", "SETUSER", "app", "-hscan"]);
    let url = format!("redis://app:right@127.0.0.1:{}", cluster.node(0).port());

    let error = refusal(cluster_of([url])).await;

    assert!(
        error.is_config() && error.to_string().contains("HSCAN"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_that_take_all_slots_down_with_one_are_advised_against() {
    let arguments = [
        "--cluster-require-full-coverage",
        "yes",
        "--cluster-allow-reads-when-down",
        "yes",
    ];
    let cluster = RedisCluster::start_with(&arguments);
    let subjects = |node: &Node| -> Vec<_> {
        let report = node.tiers.report();
        report
            .advice()
            .iter()
            .map(tricache::Advice::subject)
            .collect()
    };

    let node = Node::start(builder(&cluster)).await;
    assert!(
        subjects(&node).contains(&"cluster_coverage"),
        "{:?}",
        subjects(&node)
    );
    for number in 0..3 {
        let server = cluster.node(number);
        server.command(&["CONFIG", "SET", "cluster-require-full-coverage", "no"]);
    }
    let node = Node::start(builder(&cluster)).await;
    assert!(
        subjects(&node).contains(&"cluster_reads"),
        "{:?}",
        subjects(&node)
    );
    for number in 0..3 {
        let server = cluster.node(number);
        server.command(&["CONFIG", "SET", "cluster-allow-reads-when-down", "no"]);
    }
    let node = Node::start(builder(&cluster)).await;
    assert!(
        !subjects(&node)
            .iter()
            .any(|subject| subject.starts_with("cluster"))
    );
}

/// A slot that nobody has takes its own bucket with it, and no other.
#[tokio::test(flavor = "multi_thread")]
async fn slots_that_nobody_has_are_counted_and_the_others_are_cached() {
    let cluster = RedisCluster::start();
    let (bucket, store) = (3, CountingStore::new());
    let (slot, owner) = (
        cluster.slot(0, &tag_of(bucket)),
        cluster.owner(0, &tag_of(bucket)),
    );
    for number in 0..6 {
        let deleted = cluster
            .node(number)
            .command(&["CLUSTER", "DELSLOTS", &slot.to_string()]);
        assert!(deleted == "OK" || number >= 3, "{deleted}");
    }
    let nodes = [
        Node::start(builder(&cluster)).await,
        Node::start(builder(&cluster)).await,
    ];
    assert_eq!(nodes[0].tiers.report().uncovered_buckets(), 1);

    let mut cached = 0;
    for key in 0..MANY {
        nodes[0].read(&store, key).await;
        let found = nodes[1].read(&store, key).await;
        cached += u64::from(found.outcome() == Outcome::RemoteHit);
    }
    assert!(cached < MANY && cached > MANY / 2, "{cached}");
    let mut pending = 0;
    for key in 0..MANY {
        let receipt = ends(nodes[0].cache.invalidate(&key)).await.unwrap();
        pending += u64::from(receipt.is_pending());
    }
    assert!(pending >= MANY - cached && pending < MANY / 2, "{pending}");

    let added = cluster
        .node(owner)
        .command(&["CLUSTER", "ADDSLOTS", &slot.to_string()]);
    assert_eq!(added, "OK");
    nodes[0]
        .waits("the slot is served", |report| {
            report.uncovered_buckets() == 0 && report.pending() == 0
        })
        .await;
    eventually("all is cached", async || {
        let mut shared = true;
        let round = store.loads() * 1000;
        for key in round..round + MANY {
            nodes[0].read(&store, key).await;
            shared &= nodes[1].read(&store, key).await.outcome() == Outcome::RemoteHit;
        }
        shared
    })
    .await;
}

/// Without the place of the tags nothing could be cached at all: that is said, and nothing hangs.
#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_without_the_slot_of_the_tags_is_unavailable() {
    let cluster = RedisCluster::start();
    let slot = cluster.slot(0, &tag_of(TAGS)).to_string();
    for number in 0..6 {
        cluster
            .node(number)
            .command(&["CLUSTER", "DELSLOTS", &slot]);
    }

    let error = refusal(builder(&cluster)).await;
    assert!(error.is_unavailable(), "{error}");

    let node = Node::start(builder(&cluster).start_without_redis(true)).await;
    let store = CountingStore::new();
    assert_eq!(node.read(&store, 1).await.outcome(), Outcome::Loaded);
    let receipt = ends(node.cache.invalidate(&1)).await.unwrap();
    assert!(receipt.is_pending() || receipt.stamps().len() == 1);
    node.tiers.shutdown(Duration::ZERO).await;
}
