//! A node that is killed after its bump, and another one that carries its purge out, at a real Varnish.

use std::{
    env,
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    time::Duration,
};

use tricache::{Policy, Protection, TieredCache, Tiers, TiersBuilder};
use tricache_middleware::purge::Purger;
use tricache_test_support::{RedisServer, VarnishServer, eventually, eventually_within};

use super::varnish::{Origin, nodes, read};

#[tokio::test]
async fn a_killed_nodes_purge_reaches_varnish_through_another_node() {
    let (redis, origin) = (RedisServer::start(), Origin::start().await);
    let varnish = origin.varnish();
    let (tiers, _products) = survivor(&redis, &varnish).await;
    assert_eq!(read(&varnish, "/lamp").await, "lamp 1");
    assert_eq!(read(&varnish, "/sofa").await, "sofa 1");

    killed_after_its_bump(&redis, "with the record");
    assert_eq!(read(&varnish, "/lamp").await, "lamp 1");

    eventually_within(LONG, "the page is purged", async || {
        read(&varnish, "/lamp").await != "lamp 1"
    })
    .await;
    eventually("the note is forgotten", async || {
        tiers.report().edge().unwrap().recorded() == Some(0)
    })
    .await;
    assert_eq!(read(&varnish, "/sofa").await, "sofa 1");
    let counters = tiers.report().counters().nonzero();
    assert!(counters.contains(&("adopted_purges", 1)), "{counters:?}");
}

/// What is waited for is the purge of another page, which was noted later by a process that lives.
#[tokio::test]
async fn without_the_record_a_killed_nodes_page_stays_in_varnish() {
    let (redis, origin) = (RedisServer::start(), Origin::start().await);
    let varnish = origin.varnish();
    let (_tiers, _products) = survivor(&redis, &varnish).await;
    assert_eq!(read(&varnish, "/lamp").await, "lamp 1");
    assert_eq!(read(&varnish, "/sofa").await, "sofa 1");

    killed_after_its_bump(&redis, "without the record");
    killed_after_its_bump(&redis, "another with the record");

    eventually_within(LONG, "the later page is purged", async || {
        read(&varnish, "/sofa").await != "sofa 1"
    })
    .await;
    assert_eq!(read(&varnish, "/lamp").await, "lamp 1");
}

/// Starts a process that invalidates, and kills it before its purge has left: its window is an hour long.
fn killed_after_its_bump(redis: &RedisServer, how: &str) {
    let mut victim = Command::new(env::current_exe().unwrap())
        .args(["--exact", VICTIM_TEST, "--nocapture"])
        .env(VICTIM, how)
        .env(REDIS, redis.url())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(victim.stdout.take().unwrap()).lines();
    let bumped = lines.any(|line| line.unwrap().ends_with(BUMPED));

    // SIGKILL: no destructor runs, no queue is sent.
    victim.kill().unwrap();
    victim.wait().unwrap();

    assert!(bumped, "the victim ended before its bump");
}

/// The other half: in a process of its own it invalidates and waits for its end. Among the other tests it does nothing.
#[tokio::test]
async fn a_victim_bumps_and_waits_for_its_end() {
    let Ok(how) = env::var(VICTIM) else { return };
    let nowhere = VarnishAddress("http://127.0.0.1:1");
    let purger = Purger::builder(SECOND)
        .vendors(nowhere.vendors())
        .window(Duration::from_secs(3600));
    let mut builder = builder(&env::var(REDIS).unwrap()).edge(purger.build().unwrap());
    if how == "without the record" {
        builder = builder.without(Protection::PurgeRecord);
    }
    let (_tiers, products) = node(builder).await;
    let key = if how.starts_with("another") {
        "sofa"
    } else {
        "lamp"
    };

    let receipt = products.invalidate(key).await.unwrap();
    assert!(!receipt.is_pending());
    println!("{BUMPED}");
    std::future::pending::<()>().await;
}

struct VarnishAddress(&'static str);

impl VarnishAddress {
    fn vendors(&self) -> Vec<tricache_middleware::purge::Varnish> {
        tricache_middleware::purge::Varnish::builder([self.0])
            .build()
            .unwrap()
    }
}

/// A node with this Varnish as its edge.
async fn survivor(
    redis: &RedisServer,
    varnish: &VarnishServer,
) -> (Tiers, TieredCache<String, u64>) {
    let purger = Purger::builder(SECOND).vendors(nodes([varnish]));
    node(builder(&redis.url()).edge(purger.build().unwrap())).await
}

fn builder(redis: &str) -> TiersBuilder {
    Tiers::builder("shop")
        .redis(redis)
        .remote_timeout(Duration::from_secs(5))
        .heartbeat(Duration::from_millis(100))
}

async fn node(builder: TiersBuilder) -> (Tiers, TieredCache<String, u64>) {
    let tiers = builder.build().await.unwrap();
    let policy = Policy::ttl(Duration::from_secs(600));
    let products = tiers.cache("product", policy).unwrap();
    (tiers, products)
}

const VICTIM_TEST: &str = "purge::killed::a_victim_bumps_and_waits_for_its_end";
const VICTIM: &str = "TRICACHE_TEST_VICTIM";
const REDIS: &str = "TRICACHE_TEST_REDIS";
const BUMPED: &str = "it has bumped";
/// Short, so that another node soon takes a purge for one whose node has died.
const SECOND: Duration = Duration::from_millis(100);
/// Longer than a purge usually takes, after which another node takes it over.
const LONG: Duration = Duration::from_secs(60);
