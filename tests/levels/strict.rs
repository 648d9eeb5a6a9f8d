//! `Strict`: nothing that was acknowledged as invalidated before the read began.

use super::scene::{KEY, Node, World, ends, eventual, strict};
use std::{io, time::Duration};
use tricache::{Outcome, Policy};

#[tokio::test]
async fn an_invalidation_that_nobody_heard_of_is_not_missed() {
    let world = World::new();
    let (one, other) = (world.node(strict()).await, world.node(strict()).await);
    world.held_by(&other).await;
    assert_eq!(world.answer(&other).await, (0, Outcome::LocalRevalidated));

    for number in 1..10 {
        world.invalidate_unheard(&one).await;
        assert_eq!(world.answer(&other).await, (number, Outcome::Loaded));
        assert_eq!(
            world.answer(&other).await,
            (number, Outcome::LocalRevalidated)
        );
    }
}

/// The twin: what `Eventual` does with the same steps.
#[tokio::test]
async fn eventual_misses_an_invalidation_that_it_did_not_hear_of() {
    let world = World::new();
    let (one, other) = (world.node(eventual()).await, world.node(eventual()).await);
    world.held_by(&other).await;

    world.invalidate_unheard(&one).await;

    assert_eq!(world.answer(&other).await, (0, Outcome::LocalHit));
}

#[tokio::test]
async fn a_tag_that_nobody_heard_of_is_not_missed() {
    let world = World::new();
    let (one, other) = (world.node(strict()).await, world.node(strict()).await);
    other.read_tagged(&world.store).await;
    world.hub.lose_pushes(true);

    for number in 1..10 {
        world.store.commit(&KEY);
        let receipt = ends(one.tiers.invalidate_tags(["lamps"])).await.unwrap();
        assert!(!receipt.is_pending());
        assert_eq!(*other.read_tagged(&world.store).await, number);
        assert_eq!(*other.read_tagged(&world.store).await, number);
    }
    world.store.commit(&KEY);
    ends(one.cache.clear()).await.unwrap();
    assert_eq!(*other.read_tagged(&world.store).await, 10);
}

/// A load that began before the invalidation answered a read that began after it: the node had not heard, and the read joined it.
#[tokio::test]
async fn a_load_that_began_before_the_invalidation_answers_nobody_who_came_after_it() {
    for (policy, late_sees) in [(strict(), 1), (eventual(), 0)] {
        let world = World::new();
        let (one, other) = (world.node(policy).await, world.node(policy).await);
        let slow = other.held_read(&world.store).await;
        world.invalidate_unheard(&one).await;

        let late = tokio::spawn({
            let (cache, store) = (other.cache.clone(), world.store.clone());
            async move {
                let load = cache.get_or_load(&KEY, |_| async move {
                    Ok::<_, io::Error>(store.load(&KEY).await)
                });
                *load.await.unwrap()
            }
        });
        // It waits for the load under way.
        while other.tiers.report().counters().flights_joined == 0 {
            tokio::task::yield_now().await;
        }
        world.store.release();

        assert_eq!(*ends(slow).await.unwrap().unwrap(), 0);
        assert_eq!(ends(late).await.unwrap(), late_sees);
    }
}

#[tokio::test]
async fn a_thousand_reads_of_one_key_load_it_once() {
    let world = World::new();
    let node = world.node(strict()).await;
    let slow = node.held_read(&world.store).await;
    let reads: Vec<_> = (0..1000)
        .map(|_| {
            let (cache, store) = (node.cache.clone(), world.store.clone());
            tokio::spawn(async move {
                let load = cache.get_or_load(&KEY, |_| async move {
                    Ok::<_, io::Error>(store.load(&KEY).await)
                });
                *load.await.unwrap()
            })
        })
        .collect();
    while node.tiers.report().counters().flights_joined < 1000 {
        tokio::task::yield_now().await;
    }
    world.store.release();

    for read in reads {
        assert_eq!(ends(read).await.unwrap(), 0);
    }
    ends(slow).await.unwrap().unwrap();
    assert_eq!(world.store.loads(), 1);
}

#[tokio::test]
async fn many_keys_are_as_strict_as_one() {
    let world = World::new();
    let (one, other) = (world.node(strict()).await, world.node(strict()).await);
    let keys: Vec<u64> = (0..300).collect();
    let read = async || {
        let store = world.store.clone();
        let batch = other.cache.get_or_load_many(&keys, |cx| {
            let store = store.clone();
            async move {
                let mut found = Vec::new();
                for key in cx.into_keys() {
                    found.push((key, store.load(&key).await));
                }
                Ok::<_, io::Error>(found)
            }
        });
        let found = ends(batch).await.unwrap().into_found().unwrap();
        found
            .into_iter()
            .map(|(key, value)| (key, *value))
            .collect::<Vec<_>>()
    };
    assert!(read().await.iter().all(|(_, value)| *value == 0));
    assert_eq!(world.store.loads(), 300);

    world.hub.lose_pushes(true);
    keys.iter().filter(|key| **key % 3 == 0).for_each(|key| {
        world.store.commit(key);
    });
    let third: Vec<_> = keys.iter().filter(|key| **key % 3 == 0).collect();
    let receipt = ends(one.cache.invalidate_many(third.iter().copied()))
        .await
        .unwrap();
    assert!(!receipt.is_pending());

    for (key, value) in read().await {
        assert_eq!(value, u64::from(key % 3 == 0), "{key}");
    }
    assert_eq!(world.store.loads(), 400);
}

#[tokio::test]
async fn while_redis_is_away_each_read_asks_the_store() {
    let world = World::new();
    let node = world.node(strict()).await;
    world.held_by(&node).await;
    world.hub.refuse(true);

    for number in 1..5 {
        world.store.commit(&KEY);
        assert_eq!(world.answer(&node).await, (number, Outcome::Loaded));
    }
    assert_eq!(
        node.cache.get(&KEY).await.unwrap().map(|value| *value),
        None
    );
}

#[tokio::test]
async fn where_no_replica_follows_each_read_asks_the_store() {
    let world = World::new();
    let node = Node::start(world.builder().replicas(1), strict()).await;
    world.held_by(&node).await;
    assert_eq!(world.answer(&node).await, (0, Outcome::LocalRevalidated));

    world.hub.hold_replica(true);
    assert_eq!(world.answer(&node).await, (0, Outcome::Loaded));
    assert!(node.tiers.report().counters().unconfirmed > 0);

    world.hub.hold_replica(false);
    world.read(&node).await;
    assert_eq!(world.answer(&node).await, (0, Outcome::LocalRevalidated));
}

/// Nobody could tell it from a value that was invalidated.
#[tokio::test]
async fn a_stale_window_serves_what_is_past_its_ttl_and_nothing_that_was_invalidated() {
    let world = World::new();
    let policy = Policy::ttl(Duration::from_secs(10))
        .jitter(0.0)
        .early_refresh(0.0)
        .stale_while_revalidate(Duration::from_secs(1000))
        .hard_timeout(Duration::from_secs(600))
        .level(tricache::Level::Strict);
    let (one, other) = (world.node(policy).await, world.node(policy).await);
    world.held_by(&other).await;
    world.wait(20_000);
    world.store.hold();
    assert_eq!(world.answer(&other).await, (0, Outcome::Stale));
    world.store.release();

    world.invalidate_unheard(&one).await;

    assert_eq!(*world.read(&other).await, 1);
}
