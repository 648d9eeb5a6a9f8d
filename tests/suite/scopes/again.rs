//! What a request has read, to be read again: only if this process would answer each read at once, as it was.

use super::*;
use crate::nodes::Remote;
use tricache::{Outcome, ReadSet, Tag};

#[tokio::test]
async fn what_is_still_here_is_read_again_and_can_be_asked_about() {
    for remote in Remote::both() {
        let node = remote.node().await;
        let reads = reads_of(&node, 7).await;

        let again = read_again(&node, &reads).await;

        assert_eq!(reads.entities(), 1);
        assert!(reads.are_those_of(&again));
        let summary = again.summary();
        assert_eq!(summary.outcomes(), [(Outcome::LocalHit, 1)]);
        assert_eq!(summary.tags(), [Tag::new("number-7")]);
        assert!(is_current(confirmed(&again).await));
    }
}

#[tokio::test]
async fn whatever_ends_a_hit_ends_it() {
    for remote in Remote::both() {
        for end in 0..5 {
            let node = remote.node().await;
            let reads = reads_of(&node, 7).await;
            read_again(&node, &reads).await;

            match end {
                0 => drop(node.cache.invalidate(&7).await.unwrap()),
                1 => drop(node.cache.expire(&7).await.unwrap()),
                2 => drop(node.tiers.invalidate_tags(["number-7"]).await.unwrap()),
                3 => drop(node.cache.clear().await.unwrap()),
                _ => drop(node.tiers.shutdown(LONG).await),
            }

            assert!(reads.again().is_none(), "{end}");
        }
    }
}

#[tokio::test]
async fn what_another_node_ends_is_ended() {
    for remote in Remote::both() {
        let (node, other) = (remote.node().await, remote.node().await);
        let reads = reads_of(&node, 7).await;

        other.cache.invalidate(&7).await.unwrap();

        // Once gone it does not come back: the next value is another one, though it is equal.
        while reads.again().is_some() {
            tokio::task::yield_now().await;
        }
        reads_of(&node, 7).await;
        assert!(reads.again().is_none());
    }
}

#[tokio::test]
async fn a_scope_that_was_not_answered_by_this_process_alone_has_no_such_reads() {
    let node = Remote::both().remove(0).node().await;
    let (nothing, loaded, missed) = (
        RequestScope::new(),
        scope_of(&node, 7).await,
        RequestScope::new(),
    );
    reads_of(&node, 8).await;

    missed
        .run(async {
            read_tagged(&node.cache, 8).await;
            assert!(node.cache.get(&404).await.unwrap().is_none());
        })
        .await;

    for scope in [nothing, loaded, missed] {
        assert!(scope.reads().is_none());
    }
}

/// The reads of a scope in which `key` was a hit of this process.
async fn reads_of(node: &Node, key: u64) -> ReadSet {
    for _ in 0..ROUNDS {
        if let Some(reads) = scope_of(node, key).await.reads() {
            return reads;
        }
        tokio::task::yield_now().await;
    }
    panic!("the key does not come to be a hit");
}

/// A proof may have ended in between, on a machine that is slow; a read renews it.
async fn read_again(node: &Node, reads: &ReadSet) -> RequestScope {
    for _ in 0..ROUNDS {
        if let Some(again) = reads.again() {
            return again;
        }
        scope_of(node, 7).await;
    }
    panic!("what is here cannot be read again");
}

const ROUNDS: u32 = 10_000;
