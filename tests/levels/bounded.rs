//! `Bounded`: nothing that was acknowledged as invalidated longer ago than the bound.

use super::scene::{KEY, Node, World, bounded, ends, eventual, strict};
use std::time::Duration;
use tricache::{Level, Outcome, Policy, Tiers, WhenDeaf};
use tricache_test_support::eventually;

/// Far apart, so that no heartbeat comes in between by itself: a third of it is above the interval of the heartbeats.
const BOUND: u64 = 300_000;

#[tokio::test]
async fn a_lost_invalidation_is_served_up_to_the_bound_and_no_longer() {
    let world = World::new();
    let (one, other) = (
        world.node(bounded(BOUND)).await,
        world.node(bounded(BOUND)).await,
    );
    world.held_by(&other).await;
    one.catch_up().await;
    other.catch_up().await;
    world.invalidate_unheard(&one).await;

    world.wait(BOUND - 1);
    assert_eq!(world.answer(&other).await, (0, Outcome::LocalHit));

    world.wait(1);
    assert_eq!(world.answer(&other).await, (1, Outcome::Loaded));
}

/// The same with the default level, whose heartbeats prove for two of their intervals, whatever somebody else would need.
#[tokio::test]
async fn what_eventual_serves_does_not_depend_on_the_bounds_of_other_caches() {
    let world = World::new();
    let (one, other) = (
        world.node(bounded(BOUND)).await,
        world.node(eventual()).await,
    );
    world.held_by(&other).await;
    other.catch_up().await;
    world.invalidate_unheard(&one).await;

    world.wait(119_999);
    assert_eq!(world.answer(&other).await, (0, Outcome::LocalHit));
    world.wait(1);
    assert_eq!(*world.read(&other).await, 1);
}

#[tokio::test]
async fn a_lost_tag_is_served_up_to_the_bound_and_no_longer() {
    let world = World::new();
    let (one, other) = (
        world.node(bounded(BOUND)).await,
        world.node(bounded(BOUND)).await,
    );
    other.read_tagged(&world.store).await;
    other.catch_up().await;
    assert_eq!(*other.read_tagged(&world.store).await, 0);
    world.hub.lose_pushes(true);
    world.store.commit(&KEY);
    let receipt = ends(one.tiers.invalidate_tags(["lamps"])).await.unwrap();
    assert!(!receipt.is_pending());
    world.hub.lose_pushes(false);

    world.wait(BOUND - 1);
    assert_eq!(*other.read_tagged(&world.store).await, 0);
    world.wait(1);
    assert_eq!(*other.read_tagged(&world.store).await, 1);
}

#[tokio::test]
async fn a_node_that_is_deaf_asks_for_the_version_or_drops_or_serves_as_it_was_told() {
    for (choice, outcome) in [
        (WhenDeaf::Ask, Outcome::LocalRevalidated),
        (WhenDeaf::Drop, Outcome::RemoteHit),
        (WhenDeaf::Serve, Outcome::LocalUnproven),
    ] {
        let world = World::new();
        let node = world.node(bounded(BOUND).when_deaf(choice)).await;
        world.held_by(&node).await;
        node.catch_up().await;
        assert_eq!(world.answer(&node).await, (0, Outcome::LocalHit));

        world.wait(BOUND);

        assert_eq!(world.answer(&node).await, (0, outcome), "{choice:?}");
    }
}

#[tokio::test]
async fn while_redis_is_away_the_store_is_asked_once_within_the_bound() {
    for choice in [WhenDeaf::Ask, WhenDeaf::Drop] {
        let world = World::new();
        let node = world.node(bounded(400).when_deaf(choice)).await;
        world.held_by(&node).await;
        node.catch_up().await;
        world.hub.refuse(true);
        world.store.commit(&KEY);

        // Nothing was acknowledged, and the proof is young.
        assert_eq!(world.answer(&node).await, (0, Outcome::LocalHit));
        world.wait(400);
        assert_eq!(world.answer(&node).await, (1, Outcome::Loaded));

        // What was loaded is within the bound for as long as its load began within it.
        world.store.commit(&KEY);
        world.wait(399);
        assert_eq!(world.answer(&node).await, (1, Outcome::LocalUnproven));
        world.wait(1);
        assert_eq!(world.answer(&node).await, (2, Outcome::Loaded));
    }
}

#[tokio::test]
async fn who_chose_to_be_served_is_served_while_redis_is_away() {
    let world = World::new();
    let node = world.node(bounded(400).when_deaf(WhenDeaf::Serve)).await;
    world.held_by(&node).await;
    world.hub.refuse(true);
    world.store.commit(&KEY);

    world.wait(100_000);

    assert_eq!(world.answer(&node).await, (0, Outcome::LocalUnproven));
    assert_eq!(node.cache.level(), Level::Eventual);
    world.hub.refuse(false);
    eventually("the feed is live again", async || {
        node.cache.level() == Level::Bounded(Duration::from_millis(400))
    })
    .await;
}

/// A load that began before the invalidation, whose event was lost, was joined by readers up to two heartbeats later.
#[tokio::test]
async fn a_load_is_joined_only_as_long_as_both_are_within_the_bound() {
    let world = World::new();
    let (one, other) = (
        world.node(bounded(BOUND)).await,
        world.node(bounded(BOUND)).await,
    );
    let slow = other.held_read(&world.store).await;
    world.invalidate_unheard(&one).await;

    world.wait(BOUND);
    let late = tokio::spawn({
        let (cache, store) = (other.cache.clone(), world.store.clone());
        async move {
            cache
                .get_or_load(&KEY, |_| async move {
                    Ok::<_, std::io::Error>(store.load(&KEY).await)
                })
                .await
        }
    });
    world.store.wait_for_waiting(2).await;
    world.store.release();

    assert_eq!(*ends(slow).await.unwrap().unwrap(), 0);
    assert_eq!(*ends(late).await.unwrap().unwrap(), 1);
}

#[tokio::test]
async fn where_no_replica_follows_nothing_is_proven_and_the_store_is_asked() {
    let world = World::new();
    let builder = || world.builder().replicas(1);
    let node = Node::start(builder(), bounded(BOUND)).await;
    world.held_by(&node).await;
    node.catch_up().await;
    assert_eq!(world.answer(&node).await, (0, Outcome::LocalHit));

    world.hub.hold_replica(true);
    node.catch_up().await;
    // The last heartbeat that was confirmed proves for as long as it may.
    world.wait(BOUND - 1);
    assert_eq!(world.answer(&node).await, (0, Outcome::LocalHit));
    world.wait(1);
    assert_eq!(world.answer(&node).await, (0, Outcome::Loaded));
    assert!(node.tiers.report().counters().unconfirmed > 0);

    world.hub.hold_replica(false);
    // What the store was asked for is served for a second.
    world.wait(1000);
    node.catch_up().await;
    assert_eq!(world.answer(&node).await, (0, Outcome::RemoteHit));
    assert_eq!(world.answer(&node).await, (0, Outcome::LocalHit));
}

#[tokio::test]
async fn heartbeats_come_as_often_as_the_shortest_bound_needs() {
    let hub = tricache::InProcess::new();
    let tiers = Tiers::builder("test")
        .in_process(&hub)
        .heartbeat(Duration::from_secs(60))
        .build()
        .await
        .unwrap();
    let policy =
        Policy::ttl(Duration::from_secs(600)).level(Level::Bounded(Duration::from_millis(300)));
    let cache = tiers.cache::<u64, u64>("number", policy).unwrap();
    let read = async || {
        let load = cache.get_or_load(&KEY, |_| async { Ok::<_, std::io::Error>(7) });
        ends(load).await.unwrap().outcome()
    };
    read().await;

    // With the heartbeats of the setting it would be revalidated each time from the first bound on.
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(400)).await;
        eventually("served from this process", async || {
            read().await == Outcome::LocalHit
        })
        .await;
    }
}

#[tokio::test]
async fn settings_that_make_no_sense_are_refused_by_name() {
    let world = World::new();
    let tiers = world.builder().build().await.unwrap();
    for (policy, name) in [
        (bounded(99), "Bounded"),
        (bounded(3_600_001), "Bounded"),
        (strict().when_deaf(WhenDeaf::Serve), "when_deaf"),
        (eventual().when_deaf(WhenDeaf::Drop), "when_deaf"),
    ] {
        let error = tiers.cache::<u64, u64>("number", policy).unwrap_err();
        assert!(
            error.is_config() && error.to_string().contains(name),
            "{error}"
        );
    }
    let error = world.builder().replicas(17).build().await.unwrap_err();
    assert!(
        error.is_config() && error.to_string().contains("replicas"),
        "{error}"
    );
}
