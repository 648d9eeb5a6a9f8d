//! Who works off what others have left, and what is not worked off.

use super::fake::{FakeEdge, until_recorded, until_recorded_by_one};
use crate::nodes::Remote;
use std::time::Duration;
use tricache_test_support::{RedisServer, eventually};

#[tokio::test]
async fn one_node_looks_and_another_when_it_is_gone() {
    for remote in Remote::both() {
        let (edge, other_edge) = (FakeEdge::new(), FakeEdge::new());
        let node = remote.node_with(&edge).await;
        until_recorded(&node, 0).await;
        let other = remote.node_with(&other_edge).await;
        let job = remote.job().await;
        job.cache.invalidate(&1).await.unwrap();
        assert_eq!(edge.until_asked(1).await, ["hard number/1"]);
        until_recorded_by_one([&node, &other], 0).await;

        drop(node);
        job.cache.invalidate(&2).await.unwrap();

        assert_eq!(other_edge.until_asked(1).await, ["hard number/2"]);
        until_recorded(&other, 0).await;
        assert_eq!(edge.asked().len() + other_edge.asked().len(), 2);
        assert_eq!(other.tiers.report().counters().adopted_purges, 1);
    }
}

#[tokio::test]
async fn what_was_noted_while_nobody_was_there_is_purged_after_the_start() {
    for remote in Remote::both() {
        let job = remote.job().await;
        job.cache.invalidate_many(&[1, 2]).await.unwrap();
        job.cache.expire(&3).await.unwrap();
        job.tiers.invalidate_tags(["red"]).await.unwrap();
        drop(job);

        let edge = FakeEdge::new();
        let node = remote.node_with(&edge).await;

        let mut asked = edge.until_asked(4).await;
        asked.sort();
        assert_eq!(
            asked,
            [
                "hard number/1",
                "hard number/2",
                "hard tag red",
                "soft number/3"
            ]
        );
        until_recorded(&node, 0).await;
        assert_eq!(edge.asked().len(), 4);
    }
}

/// Its node lives, and its edge is slow: nobody else purges it before its time.
#[tokio::test]
async fn what_its_own_node_still_sees_to_is_left_alone() {
    for remote in Remote::both() {
        let (edge, slow) = (FakeEdge::new(), FakeEdge::with(0, 0));
        let node = remote.node_with(&edge).await;
        until_recorded(&node, 0).await;
        let busy = remote.node_with(&slow).await;
        busy.cache.invalidate(&1).await.unwrap();
        until_recorded(&node, 1).await;

        remote.job().await.cache.invalidate(&2).await.unwrap();

        assert_eq!(edge.until_asked(1).await, ["hard number/2"]);
        slow.let_end(1);
        until_recorded(&node, 0).await;
        assert_eq!((edge.asked().len(), slow.asked().len()), (1, 1));
    }
}

/// The node that looks is itself the one whose edge is away: it does not take over from itself.
#[tokio::test]
async fn what_waits_for_a_slow_edge_is_not_taken_over_from_oneself() {
    for remote in Remote::both() {
        let edge = FakeEdge::expecting(0, 0, Duration::from_millis(1));
        let node = remote.node_with(&edge).await;
        node.cache.invalidate(&1).await.unwrap();
        until_recorded(&node, 1).await;
        remote.job().await.cache.invalidate(&2).await.unwrap();
        edge.until_asked(2).await;
        remote.job().await.cache.invalidate(&3).await.unwrap();

        assert_eq!(edge.until_asked(3).await.len(), 3);
        edge.let_end(3);
        until_recorded(&node, 0).await;
        assert_eq!(edge.asked().len(), 3);
    }
}

#[tokio::test]
async fn what_is_no_note_is_removed_and_counted() {
    let redis = RedisServer::start();
    let (url, remote) = (redis.port(), Remote::Redis(redis));
    let Remote::Redis(redis) = &remote else {
        unreachable!("it is one, on port {url}")
    };
    let key = "tc1:{test:tags}:e";
    let bad: [&[&[u8]]; 4] = [
        &[b"HSET", key.as_bytes(), b"nonsense", b"1|5|H"],
        &[b"HSET", key.as_bytes(), b"e:number/1", b"5"],
        &[
            b"HSET",
            key.as_bytes(),
            b"e:number/2",
            b"1|99999999999999999999|H",
        ],
        &[b"HSET", key.as_bytes(), b"\xff\x00\r\n", b"\xff\xfe"],
    ];
    for command in bad {
        redis.reply(command).unwrap();
    }
    let edge = FakeEdge::new();

    let node = remote.node_with(&edge).await;
    eventually("they are gone", async || {
        redis.command(&["EXISTS", key]) == "0"
    })
    .await;

    assert_eq!(node.tiers.report().counters().bad_purge_notes, 4);
    assert!(edge.asked().is_empty());
}

/// Somebody else's value stands where the record would: the bump takes its place, and is not refused.
#[tokio::test]
async fn a_record_of_another_type_is_replaced() {
    let remote = Remote::Redis(RedisServer::start());
    let Remote::Redis(redis) = &remote else {
        unreachable!("it is one")
    };
    for bucket in 0..64 {
        redis.command(&["SET", &format!("tc1:{{test:{bucket}}}:e"), "foreign"]);
    }
    redis.command(&["SET", "tc1:{test:tags}:e", "foreign"]);
    let edge = FakeEdge::new();
    let _node = remote.node_with(&edge).await;
    let job = remote.job().await;

    assert!(!job.cache.invalidate(&1).await.unwrap().is_pending());
    assert!(
        !job.tiers
            .invalidate_tags(["red"])
            .await
            .unwrap()
            .is_pending()
    );

    let mut asked = edge.until_asked(2).await;
    asked.sort();
    assert_eq!(asked, ["hard number/1", "hard tag red"]);
}

#[tokio::test]
async fn a_shutdown_waits_for_purges_and_leaves_the_others_to_the_record() {
    for remote in Remote::both() {
        let edge = FakeEdge::with(1, 0);
        let node = remote.node_with(&edge).await;
        node.cache.invalidate(&1).await.unwrap();
        let (tiers, going) = (node.tiers.clone(), edge.clone());
        let shutdown = tokio::spawn(async move { tiers.shutdown(Duration::from_secs(60)).await });
        eventually("calls are refused", async || {
            node.cache.get(&9).await.is_err()
        })
        .await;
        assert!(!shutdown.is_finished());
        going.let_end(1);
        assert_eq!(shutdown.await.unwrap().purges(), 0);

        let leaving = remote.node_with(&FakeEdge::with(0, 0)).await;
        leaving.cache.invalidate(&2).await.unwrap();
        assert_eq!(leaving.tiers.shutdown(Duration::ZERO).await.purges(), 1);
        let edge = FakeEdge::expecting(usize::MAX, usize::MAX, Duration::from_millis(1));
        let _next = remote.node_with(&edge).await;

        assert_eq!(edge.until_asked(1).await, ["hard number/2"]);
    }
}
