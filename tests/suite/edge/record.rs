//! What a bump leaves to be purged, and when it is forgotten.

use super::fake::{FakeEdge, QUICK, until_recorded, until_recorded_by_one};
use crate::nodes::{Node, Remote};
use std::{sync::Arc, time::Duration};
use tricache::{InProcess, ManualClock, Protection};
use tricache_test_support::{RedisServer, eventually};

#[tokio::test]
async fn a_name_is_noted_until_its_purge_is_done_for_good() {
    for remote in Remote::both() {
        let edge = FakeEdge::with(0, 0);
        let node = remote.node_with(&edge).await;
        until_recorded(&node, 0).await;

        node.cache.invalidate(&1).await.unwrap();
        node.tiers.invalidate_tags(["red"]).await.unwrap();
        until_recorded(&node, 2).await;
        edge.let_take(2);
        let swept = node.tiers.report().counters().remote_errors;
        until_recorded(&node, 2).await;
        edge.let_end(2);

        until_recorded(&node, 0).await;
        assert_eq!(node.tiers.report().counters().remote_errors, swept);
        assert_eq!(edge.asked(), ["hard number/1", "hard tag red"]);
    }
}

/// The process ends between its bump and the purge: the note was written by the bump's own script.
#[tokio::test]
async fn what_a_dead_node_has_bumped_is_purged_by_another() {
    for remote in Remote::both() {
        let asked = after_a_death(&remote, remote.builder()).await;

        assert_eq!(asked, ["hard number/1", "hard number/2"]);
    }
}

#[tokio::test]
async fn without_the_record_the_purge_of_a_dead_node_is_lost() {
    for remote in Remote::both() {
        let builder = remote.builder().without(Protection::PurgeRecord);
        let asked = after_a_death(&remote, builder).await;

        assert_eq!(asked, ["hard number/2"]);
    }
}

/// A node bumps 1 and dies before its edge answers. What another one purges, until it has purged 2 of a third.
async fn after_a_death(remote: &Remote, builder: tricache::TiersBuilder) -> Vec<String> {
    let dead = FakeEdge::with(0, 0);
    let node = Node::start(builder.heartbeat(QUICK).edge(dead.clone())).await;
    node.cache.invalidate(&1).await.unwrap();
    assert_eq!(dead.asked(), ["hard number/1"]);
    drop(node);

    let edge = FakeEdge::expecting(usize::MAX, usize::MAX, Duration::from_millis(1));
    let other = remote.node_with(&edge).await;
    until_recorded(&other, 0).await;
    remote.job().await.cache.invalidate(&2).await.unwrap();
    eventually("the last is purged", async || {
        edge.asked()
            .last()
            .is_some_and(|last| last == "hard number/2")
    })
    .await;
    edge.asked()
}

#[tokio::test]
async fn what_is_bumped_again_while_it_is_purged_is_purged_again() {
    for remote in Remote::both() {
        let edge = FakeEdge::with(1, 0);
        let node = remote.node_with(&edge).await;
        let first = node.cache.invalidate(&1).await.unwrap();
        first.edge().await.unwrap();

        node.cache.invalidate(&1).await.unwrap();
        edge.let_end(1);
        until_recorded(&node, 1).await;
        assert_eq!(node.tiers.report().edge().unwrap().waiting(), 1);
        edge.let_end(2);

        until_recorded(&node, 0).await;
        assert_eq!(edge.asked(), ["hard number/1"; 2]);
    }
}

/// Another node bumps what this one purges: this one's end must not forget the other's note.
#[tokio::test]
async fn a_note_of_another_node_is_not_forgotten_with_ones_own() {
    for remote in Remote::both() {
        let (edge, other_edge) = (FakeEdge::with(1, 0), FakeEdge::with(0, 0));
        let node = remote.node_with(&edge).await;
        let other = remote.node_with(&other_edge).await;
        node.cache.invalidate(&1).await.unwrap();
        other.cache.invalidate(&1).await.unwrap();

        edge.let_end(1);
        eventually("its own purge is done", async || {
            node.tiers.report().edge().unwrap().waiting() == 0
        })
        .await;
        // Two stand there only if the first one has stayed.
        other.cache.invalidate(&2).await.unwrap();
        until_recorded_by_one([&node, &other], 2).await;

        other_edge.let_end(2);
        until_recorded_by_one([&node, &other], 0).await;
    }
}

/// The node whose purge was to be hard has died, and somebody expires the same key.
#[tokio::test]
async fn a_soft_wish_does_not_soften_a_hard_one_that_is_not_done() {
    for remote in Remote::both() {
        let hard = remote.node_with(&FakeEdge::with(0, 0)).await;
        hard.cache.invalidate(&1).await.unwrap();
        drop(hard);
        let soft = remote.node_with(&FakeEdge::with(0, 0)).await;
        soft.cache.expire(&1).await.unwrap();
        soft.cache.expire(&2).await.unwrap();
        drop(soft);

        let edge = FakeEdge::expecting(usize::MAX, usize::MAX, Duration::from_millis(1));
        let _node = remote.node_with(&edge).await;

        let mut asked = edge.until_asked(2).await;
        asked.sort();
        assert_eq!(asked, ["hard number/1", "soft number/2"]);
    }
}

#[tokio::test]
async fn the_record_of_a_bucket_has_a_ttl() {
    let redis = RedisServer::start();
    let remote = Remote::Redis(redis);
    let builder = remote.builder().record_purges(true);
    let node = Node::start(builder.purge_record_ttl(Duration::from_secs(100))).await;

    node.cache.invalidate(&1).await.unwrap();
    node.tiers.clear().await.unwrap();

    let Remote::Redis(redis) = &remote else {
        unreachable!("it is one")
    };
    let keys = redis.command(&["KEYS", "tc1:{test:*}:e"]);
    assert_eq!(keys.lines().count(), 2, "{keys}");
    for key in keys.lines() {
        let left: u64 = redis.command(&["PTTL", key]).parse().unwrap();
        assert!((90_000..=100_000).contains(&left), "{key}: {left}");
    }
}

#[tokio::test]
async fn what_nobody_comes_for_is_forgotten() {
    let clock = Arc::new(ManualClock::new());
    let remote = Remote::Hub(InProcess::with_clock(clock.clone()));
    let job = Node::start(
        remote
            .builder()
            .record_purges(true)
            .purge_record_ttl(Duration::from_secs(100)),
    )
    .await;
    job.cache.invalidate(&1).await.unwrap();
    clock.advance(Duration::from_secs(101));
    job.cache.invalidate(&2).await.unwrap();

    let edge = FakeEdge::new();
    let _node = remote.node_with(&edge).await;

    assert_eq!(edge.until_asked(1).await, ["hard number/2"]);
}

#[tokio::test]
async fn a_record_that_is_kept_for_too_short_or_too_long_is_refused() {
    for ttl in [Duration::from_millis(999), Duration::from_secs(31 * 86_400)] {
        let builder = Remote::Hub(InProcess::new()).builder();

        let error = builder.purge_record_ttl(ttl).build().await.unwrap_err();

        assert!(error.is_config(), "{error}");
        assert!(error.to_string().contains("purge_record_ttl"), "{error}");
    }
}
