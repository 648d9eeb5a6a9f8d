//! A tag makes all its values old, on every node, and nothing else.

use super::labelled::{held, invalidate, load, pair, plain, red};
use crate::nodes::Remote;
use crate::reads::{counters, ends, numbers, read};
use std::time::Duration;
use tricache::{Loaded, Outcome, Policy, Tag, Visibility};
use tricache_test_support::{CountingStore, eventually};

#[tokio::test]
async fn a_tag_makes_its_values_old_on_every_node_and_leaves_others_alone() {
    for remote in Remote::both() {
        let (one, other) = pair(&remote).await;
        let store = CountingStore::new();
        for key in 0..10 {
            let dress = if key < 5 { red } else { plain };
            load(&one.cache, &store, key, dress).await.unwrap();
            load(&other.cache, &store, key, dress).await.unwrap();
            store.commit(&key);
        }
        assert_eq!(store.loads(), 10);

        invalidate(&one, "red").await;

        for key in 0..10 {
            let shown = *read(&one.cache, &store, key).await;
            assert_eq!(shown, u64::from(key < 5), "key {key}");
        }
        eventually("the other node has heard", async || {
            *load(&other.cache, &store, 0, red).await.unwrap() == 1
        })
        .await;
        for key in 0..10 {
            let shown = *read(&other.cache, &store, key).await;
            assert_eq!(shown, u64::from(key < 5), "key {key}");
        }
    }
}

#[tokio::test]
async fn a_reload_after_the_invalidation_stays() {
    // Each value would be refused for ever if its place were not moved on by the bump.
    for remote in Remote::both() {
        let (one, other) = pair(&remote).await;
        let store = CountingStore::new();
        for round in 1..=20 {
            load(&one.cache, &store, 1, red).await.unwrap();
            store.commit(&1);
            invalidate(&one, "red").await;

            let loaded = load(&one.cache, &store, 1, red).await.unwrap();
            let again = load(&one.cache, &store, 1, red).await.unwrap();

            assert_eq!((*loaded, *again), (round, round));
            assert_ne!(again.outcome(), Outcome::Loaded);
            eventually("the other node reads the new value", async || {
                *load(&other.cache, &store, 1, red).await.unwrap() == round
            })
            .await;
        }
        assert!(store.loads() <= 41, "{} loads", store.loads());
    }
}

#[tokio::test]
async fn a_load_that_began_before_the_invalidation_is_not_served_after_it() {
    for remote in Remote::both() {
        let (one, other) = pair(&remote).await;
        let store = CountingStore::new();
        let slow = held(&one, &store, 1, red).await;

        store.commit(&1);
        invalidate(&other, "red").await;
        store.release();

        // It answers those who waited, and nobody else.
        assert_eq!(*ends(slow).await.unwrap().unwrap(), 0);
        assert_eq!(*load(&other.cache, &store, 1, red).await.unwrap(), 1);
        eventually("the node that loaded has heard", async || {
            *load(&one.cache, &store, 1, red).await.unwrap() == 1
        })
        .await;
    }
}

#[tokio::test]
async fn a_reader_that_begins_after_the_invalidation_does_not_take_the_answer_of_an_earlier_load() {
    for remote in Remote::both() {
        let node = remote.quiet_node([1]).await;
        let store = CountingStore::new();
        let slow = held(&node, &store, 1, red).await;

        store.commit(&1);
        invalidate(&node, "red").await;
        let (cache, calls) = (node.cache.clone(), store.clone());
        let late = tokio::spawn(async move { load(&cache, &calls, 1, red).await });
        eventually("the late reader follows the load", async || {
            counters(&node).flights_joined == 1
        })
        .await;
        store.release();

        assert_eq!(*ends(slow).await.unwrap().unwrap(), 0);
        assert_eq!(*ends(late).await.unwrap().unwrap(), 1);
    }
}

#[tokio::test]
async fn a_reader_still_shares_a_load_whose_tags_were_not_invalidated() {
    for remote in Remote::both() {
        let node = remote.quiet_node([1]).await;
        let store = CountingStore::new();
        let slow = held(&node, &store, 1, red).await;

        invalidate(&node, "blue").await;
        let (cache, calls) = (node.cache.clone(), store.clone());
        let late = tokio::spawn(async move { load(&cache, &calls, 1, red).await });
        eventually("the late reader follows the load", async || {
            counters(&node).flights_joined == 1
        })
        .await;
        store.release();

        ends(slow).await.unwrap().unwrap();
        ends(late).await.unwrap().unwrap();
        assert_eq!(store.loads(), 1);
    }
}

#[tokio::test]
async fn clearing_a_cache_makes_all_of_it_old_and_no_other_cache() {
    for remote in Remote::both() {
        let (one, other) = pair(&remote).await;
        let store = CountingStore::new();
        let policy = Policy::ttl(Duration::from_secs(600));
        let neighbour = one.tiers.cache("neighbour", policy).unwrap();
        for key in 0..5 {
            load(&one.cache, &store, key, plain).await.unwrap();
            load(&other.cache, &store, key, plain).await.unwrap();
            load(&neighbour, &store, key, plain).await.unwrap();
            store.commit(&key);
        }

        let receipt = ends(one.cache.clear()).await.unwrap();

        assert!(!receipt.is_pending());
        for key in 0..5 {
            assert_eq!(*load(&one.cache, &store, key, plain).await.unwrap(), 1);
            assert_eq!(*load(&neighbour, &store, key, plain).await.unwrap(), 0);
        }
        eventually("the other node has heard", async || {
            *load(&other.cache, &store, 4, plain).await.unwrap() == 1
        })
        .await;
    }
}

#[tokio::test]
async fn clearing_everything_reaches_every_cache() {
    for remote in Remote::both() {
        let node = remote.node().await;
        let store = CountingStore::new();
        let policy = Policy::ttl(Duration::from_secs(600));
        let neighbour = node.tiers.cache("neighbour", policy).unwrap();
        for cache in [&node.cache, &neighbour] {
            load(cache, &store, 1, red).await.unwrap();
        }
        store.commit(&1);

        ends(node.tiers.clear()).await.unwrap();

        for cache in [&node.cache, &neighbour] {
            assert_eq!(*load(cache, &store, 1, red).await.unwrap(), 1);
        }
    }
}

#[tokio::test]
async fn no_tag_at_all_and_the_same_tag_twice_are_fine() {
    for remote in Remote::both() {
        let node = remote.node().await;

        let none = ends(node.tiers.invalidate_tags::<Tag>([])).await.unwrap();
        let twice = ends(node.tiers.invalidate_tags(["red", "red"]))
            .await
            .unwrap();

        assert!(none.stamps().is_empty() && !none.is_pending());
        assert_eq!(twice.stamps().len(), 1);
    }
}

#[tokio::test]
async fn what_a_loader_says_of_its_value_is_read_with_it_from_every_tier() {
    fn dressed(value: u64) -> Loaded<u64> {
        Loaded::new(value)
            .tags(["b", "Ä, {x}\r\n", "a", "b"])
            .ttl_at_most(Duration::from_secs(5))
            .visibility(Visibility::User)
    }
    for remote in Remote::both() {
        let (one, other) = pair(&remote).await;
        let store = CountingStore::new();

        let loaded = load(&one.cache, &store, 1, dressed).await.unwrap();
        let copied = load(&other.cache, &store, 1, dressed).await.unwrap();
        let held = load(&other.cache, &store, 1, dressed).await.unwrap();

        assert_eq!(copied.outcome(), Outcome::RemoteHit);
        for cached in [loaded, copied, held] {
            let mut tags: Vec<_> = cached.tags().iter().map(Tag::as_str).collect();
            tags.sort_unstable();
            assert_eq!(tags, ["_-c3_-84_-2c_-20_-7bx_-7d_-0d_-0a", "a", "b"]);
            assert_eq!(cached.visibility(), Visibility::User);
            assert!(cached.remaining() < Duration::from_secs(6));
        }
        assert_eq!(store.loads(), 1);
    }
}

#[tokio::test]
async fn what_is_not_to_be_stored_answers_those_who_wait_and_nobody_else() {
    fn secret(value: u64) -> Loaded<u64> {
        Loaded::new(value).do_not_store()
    }
    for remote in Remote::both() {
        let (one, other) = (remote.quiet_node([1]).await, remote.node().await);
        let store = CountingStore::new();
        let slow = held(&one, &store, 1, secret).await;
        let (cache, calls) = (one.cache.clone(), store.clone());
        let joined = tokio::spawn(async move { load(&cache, &calls, 1, secret).await });
        eventually("one waits", async || counters(&one).flights_joined == 1).await;

        store.release();

        let first = ends(slow).await.unwrap().unwrap();
        assert_eq!(first.remaining(), Duration::ZERO);
        ends(joined).await.unwrap().unwrap();
        assert_eq!(store.loads(), 1);
        // The lease was given back: nobody waits for it.
        load(&one.cache, &store, 1, secret).await.unwrap();
        load(&other.cache, &store, 1, secret).await.unwrap();
        assert_eq!(store.loads(), 3);
        assert_eq!(counters(&other).lease_waits, 0);
    }
}

#[tokio::test]
async fn a_node_that_starts_later_knows_what_was_invalidated_before() {
    for remote in Remote::both() {
        let node = remote.node().await;
        let store = CountingStore::new();
        load(&node.cache, &store, 1, red).await.unwrap();
        load(&node.cache, &store, 2, plain).await.unwrap();
        invalidate(&node, "red").await;
        store.commit(&1);
        store.commit(&2);

        let (late, cache) = numbers(remote.builder(), *node.cache.policy()).await;

        assert_eq!(*load(&cache, &store, 1, red).await.unwrap(), 1);
        assert_eq!(*load(&cache, &store, 2, plain).await.unwrap(), 0);
        assert_eq!(late.report().counters().tag_lookups, 0);
        assert_eq!(late.report().bumped_tags(), 1);
    }
}
