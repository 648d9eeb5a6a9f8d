//! Two releases, or two settings, in one namespace: a node that does not agree with the others serves nothing unasked.

use crate::nodes::{Node, Remote};
use crate::reads::{counters, ends, read, served_locally};
use std::time::Duration;
use tricache::{Outcome, RemoteState};
use tricache_test_support::{CountingStore, eventually};

#[tokio::test]
async fn a_node_that_does_not_agree_refuses_to_start_and_says_why() {
    for remote in Remote::both() {
        let _first = remote.node().await;
        others_agree_on(&remote, FOREIGN);

        for by_choice in [false, true] {
            let builder = remote.builder().start_without_redis(by_choice);
            let error = ends(builder.build()).await.map(|_| "tiers").unwrap_err();
            assert!(error.is_config(), "{error}");
            for part in [FOREIGN, OURS, "namespace"] {
                assert!(error.to_string().contains(part), "{error}");
            }
        }
    }
}

#[tokio::test]
async fn a_node_that_finds_out_while_it_runs_asks_redis_at_every_read_until_all_agree() {
    for remote in Remote::both() {
        let node = quick_node(&remote).await;
        let store = CountingStore::new();
        served_locally(&node, &store, 1).await;
        assert!(node.tiers.report().agrees());

        others_agree_on(&remote, FOREIGN);
        agrees(&node, false).await;
        let hits = counters(&node).local_hits;
        for _ in 0..5 {
            let asked = read(&node.cache, &store, 1).await;
            assert_eq!((*asked, asked.outcome()), (0, Outcome::LocalRevalidated));
        }
        assert_eq!(
            read(&node.cache, &store, 2).await.outcome(),
            Outcome::Loaded
        );
        let again = read(&node.cache, &store, 2).await;
        assert_eq!(again.outcome(), Outcome::LocalRevalidated);
        assert_eq!(node.tiers.report().proven_buckets(), 0);
        assert_eq!(counters(&node).local_hits, hits);

        others_agree_on(&remote, OURS);
        agrees(&node, true).await;
        served_locally(&node, &store, 1).await;
    }
}

/// Without Redis nothing could confirm a local value, and what the others invalidate was not heard while it was there.
#[tokio::test]
async fn a_node_that_does_not_agree_serves_nothing_of_its_own_when_redis_is_away() {
    for remote in Remote::both() {
        let node = quick_node(&remote).await;
        let store = CountingStore::new();
        served_locally(&node, &store, 1).await;
        others_agree_on(&remote, FOREIGN);
        agrees(&node, false).await;

        match &remote {
            Remote::Redis(redis) => redis.kill(),
            Remote::Hub(hub) => hub.refuse(true),
        }
        eventually("Redis is away", async || {
            node.tiers.report().remote() == RemoteState::Away
        })
        .await;

        store.commit(&1);
        for _ in 0..2 {
            let loaded = read(&node.cache, &store, 1).await;
            assert_eq!((*loaded, loaded.outcome()), (1, Outcome::Loaded));
        }
    }
}

#[tokio::test]
async fn a_record_that_is_lost_is_written_again_and_then_all_agree() {
    for remote in Remote::both() {
        let node = quick_node(&remote).await;
        let store = CountingStore::new();
        others_agree_on(&remote, FOREIGN);
        agrees(&node, false).await;

        match &remote {
            Remote::Redis(redis) => assert_eq!(redis.command(&["FLUSHALL"]), "OK"),
            Remote::Hub(hub) => hub.wipe(),
        }

        agrees(&node, true).await;
        if let Remote::Redis(redis) = &remote {
            assert_eq!(redis.command(&["GET", RECORD]), OURS);
            assert_eq!(redis.command(&["TTL", RECORD]), "-1");
        }
        served_locally(&node, &store, 1).await;
        remote.node().await;
    }
}

async fn quick_node(remote: &Remote) -> Node {
    Node::start(remote.builder().heartbeat(Duration::from_millis(50))).await
}

async fn agrees(node: &Node, yes: bool) {
    eventually(&format!("agrees: {yes}"), async || {
        node.tiers.report().agrees() == yes
    })
    .await;
}

fn others_agree_on(remote: &Remote, text: &str) {
    match remote {
        Remote::Redis(redis) => assert_eq!(redis.command(&["SET", RECORD, text]), "OK"),
        Remote::Hub(hub) => hub.agree_on(text),
    }
}

const RECORD: &str = "tc1:{test:tags}:a";
const OURS: &str = "1|64|xxh3|1";
const FOREIGN: &str = "1|32|xxh3|1";
