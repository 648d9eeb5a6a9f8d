//! Soft invalidations: past the TTL from here on, and served inside the windows.

use super::{MILLISECOND, Nodes, TTL, WINDOW, good, load, refreshed};
use crate::nodes::Remote;
use crate::reads::{Numbers, ends, numbers};
use std::{io, time::Duration};
use tricache::{Cached, Error, Loaded, Outcome, Policy, RemoteState};
use tricache_test_support::{CountingStore, LIMIT, eventually};

async fn tagged(cache: &Numbers, store: &CountingStore, key: u64) -> Result<Cached<u64>, Error> {
    let store = store.clone();
    let load = |_| async move {
        let value = store.load(&key).await;
        Ok::<_, io::Error>(Loaded::new(value).tag("red"))
    };
    ends(cache.get_or_load(&key, load)).await
}

/// A long life, so that nothing but the invalidation ends it; real time, both remotes.
fn long() -> Policy {
    Policy::ttl(Duration::from_secs(600))
        .stale_while_revalidate(WINDOW)
        .stale_if_error(WINDOW)
}

#[tokio::test]
async fn an_expired_value_is_served_while_one_node_loads_it() {
    for remote in Remote::both() {
        let (_tiers, one) = numbers(remote.builder(), long()).await;
        let (_other, other) = numbers(remote.builder(), long()).await;
        let store = CountingStore::new();
        for cache in [&one, &other] {
            good(cache, &store, 1).await;
        }
        store.commit(&1);
        store.hold();

        let receipt = ends(one.expire(&1)).await.unwrap();

        assert!(!receipt.is_pending());
        let stale = good(&one, &store, 1).await;
        assert_eq!((*stale, stale.outcome()), (0, Outcome::Stale));
        assert!(stale.is_stale() && stale.remaining().is_zero());
        eventually("the other node has heard", async || {
            good(&other, &store, 1).await.outcome() == Outcome::Stale
        })
        .await;
        // A node that holds nothing finds it in Redis.
        let (_third, third) = numbers(remote.builder(), long()).await;
        assert_eq!(good(&third, &store, 1).await.outcome(), Outcome::Stale);
        assert!(ends(third.get(&1)).await.unwrap().is_none());
        store.wait_for_waiting(1).await;
        store.release();
        for cache in [&one, &other, &third] {
            refreshed(cache, 1, 1).await;
        }
        assert_eq!(store.loads(), 2);
    }
}

#[tokio::test]
async fn an_expired_tag_does_the_same_to_whatever_carries_it() {
    for remote in Remote::both() {
        let (tiers, one) = numbers(remote.builder(), long()).await;
        let (_other, other) = numbers(remote.builder(), long()).await;
        let store = CountingStore::new();
        for cache in [&one, &other] {
            tagged(cache, &store, 1).await.unwrap();
            good(cache, &store, 2).await;
        }
        store.commit(&1);
        store.hold();

        ends(tiers.expire_tags(["red"])).await.unwrap();

        let stale = tagged(&one, &store, 1).await.unwrap();
        assert_eq!((*stale, stale.outcome()), (0, Outcome::Stale));
        eventually("the other node has heard", async || {
            tagged(&other, &store, 1).await.unwrap().is_stale()
        })
        .await;
        let (_third, third) = numbers(remote.builder(), long()).await;
        assert!(tagged(&third, &store, 1).await.unwrap().is_stale());
        assert!(!good(&one, &store, 2).await.is_stale());
        store.wait_for_waiting(1).await;
        store.release();
        for cache in [&one, &other, &third] {
            refreshed(cache, 1, 1).await;
        }
        assert_eq!(store.loads(), 3);
    }
}

#[tokio::test]
async fn a_hard_invalidation_before_or_after_a_soft_one_leaves_nothing() {
    for remote in Remote::both() {
        for soft_first in [true, false] {
            let (tiers, one) = numbers(remote.builder(), long()).await;
            let (_other, other) = numbers(remote.builder(), long()).await;
            let store = CountingStore::new();
            for key in [1, 2] {
                for cache in [&one, &other] {
                    tagged(cache, &store, key).await.unwrap();
                }
                store.commit(&key);
            }

            for soft in [soft_first, !soft_first] {
                if soft {
                    ends(one.expire(&1)).await.unwrap();
                    ends(tiers.expire_tags(["red"])).await.unwrap();
                } else {
                    ends(one.invalidate(&1)).await.unwrap();
                    ends(tiers.invalidate_tags(["red"])).await.unwrap();
                }
            }

            for key in [1, 2] {
                let own = load(&one, &store, key, true).await;
                assert!(own.is_err(), "neither while it is loaded nor in its place");
            }
            eventually("the other node has heard", async || {
                load(&other, &store, 1, true).await.is_err()
                    && load(&other, &store, 2, true).await.is_err()
            })
            .await;
            ends(tiers.clear()).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_load_that_began_before_is_not_joined_and_not_kept() {
    for remote in Remote::both() {
        let (_tiers, cache) = numbers(remote.builder(), long()).await;
        let store = CountingStore::new();
        store.hold();
        let early = tokio::spawn({
            let (cache, store) = (cache.clone(), store.clone());
            async move { *good(&cache, &store, 1).await }
        });
        store.wait_for_waiting(1).await;
        store.commit(&1);

        ends(cache.expire(&1)).await.unwrap();
        store.release();

        assert_eq!(ends(early).await.unwrap(), 0);
        let late = good(&cache, &store, 1).await;
        assert_eq!((*late, late.outcome()), (1, Outcome::Loaded));
    }
}

#[tokio::test]
async fn the_windows_count_from_the_soft_invalidation() {
    let nodes = Nodes::start::<2>(
        Policy::ttl(TTL * 100)
            .jitter(0.0)
            .stale_while_revalidate(TTL)
            .stale_if_error(TTL * 2),
    )
    .await;
    let store = CountingStore::new();
    for node in 0..2 {
        good(nodes.cache(node), &store, 1).await;
    }

    ends(nodes.cache(0).expire(&1)).await.unwrap();

    nodes.clock.advance(TTL - MILLISECOND);
    for node in 0..2 {
        eventually("both know", async || {
            load(nodes.cache(node), &store, 1, true)
                .await
                .unwrap()
                .outcome()
                == Outcome::Stale
        })
        .await;
    }
    nodes.clock.advance(TTL);
    for node in 0..2 {
        let stale = load(nodes.cache(node), &store, 1, true).await.unwrap();
        assert_eq!(stale.outcome(), Outcome::StaleIfError);
    }
    nodes.clock.advance(TTL);
    for node in 0..2 {
        assert!(load(nodes.cache(node), &store, 1, true).await.is_err());
    }
}

#[tokio::test]
async fn without_windows_a_soft_invalidation_is_as_good_as_a_hard_one() {
    for remote in Remote::both() {
        let policy = Policy::ttl(Duration::from_secs(600));
        let (_tiers, one) = numbers(remote.builder(), policy).await;
        let (_other, other) = numbers(remote.builder(), policy).await;
        let store = CountingStore::new();
        for cache in [&one, &other] {
            good(cache, &store, 1).await;
        }
        store.commit(&1);

        ends(one.expire_many(&[1, 2])).await.unwrap();

        let loaded = good(&one, &store, 1).await;
        assert_eq!((*loaded, loaded.outcome()), (1, Outcome::Loaded));
        eventually("the other node has heard", async || {
            *good(&other, &store, 1).await == 1
        })
        .await;
    }
}

#[tokio::test]
async fn what_shows_an_expired_entity_expires_with_it() {
    for remote in Remote::both() {
        let (tiers, inner) = numbers(remote.builder(), long()).await;
        let sums: Numbers = tiers.cache("sum", long()).unwrap();
        let store = CountingStore::new();
        let outer = async || {
            let (inner, store) = (inner.clone(), store.clone());
            let load = |_| async move { Ok::<_, Error>(*good(&inner, &store, 1).await * 10) };
            ends(sums.get_or_load(&7, load)).await.unwrap()
        };
        assert_eq!(*outer().await, 0);
        store.commit(&1);

        ends(inner.expire(&1)).await.unwrap();

        let stale = outer().await;
        assert_eq!((*stale, stale.outcome()), (0, Outcome::Stale));
        eventually("it is made anew", async || {
            let made = outer().await;
            *made == 10 && !made.is_stale()
        })
        .await;
    }
}

/// Redis was away. This node loads the key meanwhile; what is told later is as soft as it was meant.
#[tokio::test]
async fn a_pending_soft_invalidation_is_told_as_such() {
    let nodes = Nodes::start::<2>(long()).await;
    let store = CountingStore::new();
    for node in 0..2 {
        good(nodes.cache(node), &store, 1).await;
    }
    store.commit(&1);
    nodes.hub.refuse(true);
    for node in 0..2 {
        eventually("the node has noticed", async || {
            nodes.nodes[node].0.report().remote() == RemoteState::Away
        })
        .await;
    }

    let receipt = ends(nodes.cache(0).expire(&1)).await.unwrap();

    assert!(receipt.is_pending());
    assert_eq!(*good(nodes.cache(0), &store, 1).await, 1);
    nodes.hub.refuse(false);
    let settled = tokio::time::timeout(LIMIT, receipt.settled()).await;
    assert!(!settled.unwrap().is_pending());
    store.hold();
    eventually("the other node has heard, softly", async || {
        let cached = good(nodes.cache(1), &store, 1).await;
        *cached == 0 && cached.outcome() == Outcome::Stale
    })
    .await;
    store.release();
}

/// The pointer that said from where on values may be served was evicted.
#[tokio::test]
async fn below_a_pointer_that_was_made_anew_nothing_is_served() {
    let remote = Remote::around_redis();
    let (_tiers, one) = numbers(remote.builder(), long()).await;
    let store = CountingStore::new();
    good(&one, &store, 1).await;
    store.commit(&1);
    let pointer = remote.only_key("tc1:*:p:number/1");
    assert_eq!(remote.server().command(&["DEL", &pointer]), "1");

    ends(one.expire(&1)).await.unwrap();

    let (_other, other) = numbers(remote.builder(), long()).await;
    let loaded = good(&other, &store, 1).await;
    assert_eq!((*loaded, loaded.outcome()), (1, Outcome::Loaded));
}

/// A load that began before the second one has read what is old by now: its value is refused, so another one is to begin at once.
#[tokio::test]
async fn another_one_while_a_load_replaces_the_value_begins_another_load() {
    for remote in Remote::both() {
        let (tiers, cache) = numbers(remote.builder(), long()).await;
        let store = CountingStore::new();
        good(&cache, &store, 1).await;
        store.hold();
        ends(cache.expire(&1)).await.unwrap();
        for _ in 0..10 {
            assert!(good(&cache, &store, 1).await.is_stale());
        }
        store.wait_for_waiting(1).await;
        assert_eq!(tiers.report().counters().refreshes, 1);

        store.commit(&1);
        ends(cache.expire(&1)).await.unwrap();
        for _ in 0..10 {
            assert!(good(&cache, &store, 1).await.is_stale());
        }

        store.wait_for_waiting(2).await;
        assert_eq!(tiers.report().counters().refreshes, 2);
        store.release();
        refreshed(&cache, 1, 1).await;
    }
}
