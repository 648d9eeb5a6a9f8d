//! With replicas: an invalidation that they do not have is pending, and is sent again.

use super::scene::{KEY, Node, World, bounded, ends, eventual};
use tricache::Outcome;

#[tokio::test]
async fn an_invalidation_is_acknowledged_once_the_replicas_have_it() {
    let world = World::new();
    let builder = || world.builder().replicas(1);
    let (one, other) = (
        Node::start(builder(), eventual()).await,
        Node::start(builder(), eventual()).await,
    );
    world.held_by(&one).await;
    world.held_by(&other).await;
    assert!(!one.invalidate().await.is_pending());

    world.hub.hold_replica(true);
    world.store.commit(&KEY);
    let receipt = one.invalidate().await;
    assert!(receipt.is_pending() && receipt.stamps().is_empty());
    // Whoever may be told is told: it is not acknowledged, but it is true.
    assert_eq!(*world.read(&one).await, 1);

    world.hub.hold_replica(false);
    let settled = ends(receipt.settled()).await;
    assert_eq!(settled.stamps().len(), 1);
    one.sends_what_waits().await;
    other.catch_up().await;
    assert_eq!(*world.read(&other).await, 1);
}

#[tokio::test]
async fn tags_and_batches_wait_for_the_replicas_too() {
    let world = World::new();
    let one = Node::start(world.builder().replicas(1), eventual()).await;
    world.hub.hold_replica(true);

    let tags = ends(one.tiers.invalidate_tags(["lamps", "chairs"]))
        .await
        .unwrap();
    let many = ends(one.cache.invalidate_many(&[1, 2, 3])).await.unwrap();
    let all = ends(one.cache.clear()).await.unwrap();

    assert_eq!((tags.pending(), many.pending(), all.pending()), (2, 3, 1));
    world.hub.hold_replica(false);
    for receipt in [tags, many, all] {
        let wanted = receipt.pending();
        assert_eq!(ends(receipt.settled()).await.stamps().len(), wanted);
    }
}

/// Each sending was one more invalidation for everybody, twenty of them a second, until the replica was back.
#[tokio::test]
async fn what_waits_for_replicas_is_not_done_again_before_they_are_back() {
    let world = World::new();
    let (one, other) = (
        Node::start(world.builder().replicas(1), eventual()).await,
        Node::start(world.builder(), eventual()).await,
    );
    world.held_by(&other).await;
    world.hub.hold_replica(true);
    let receipt = one.invalidate().await;
    other.catch_up().await;
    let told = |node: &Node| node.tiers.report().counters().events;
    assert_eq!(told(&other), 1);

    // Longer than several attempts.
    let tried = one.tiers.report().counters().bumps;
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    assert_eq!(told(&other), 1);
    world.hub.hold_replica(false);
    ends(receipt.settled()).await;

    other.catch_up().await;
    assert_eq!(told(&other), 2);
    assert_eq!(one.tiers.report().counters().bumps, tried + 1);
}

/// What died with the old server would be back: it was never acknowledged, and is sent to the new one.
#[tokio::test]
async fn what_the_replica_did_not_have_is_sent_to_it_when_it_takes_over() {
    let world = World::new();
    let builder = || world.builder().replicas(1);
    let (one, other) = (
        Node::start(builder(), bounded(300_000)).await,
        Node::start(builder(), bounded(300_000)).await,
    );
    world.held_by(&one).await;
    world.held_by(&other).await;
    world.hub.hold_replica(true);
    world.store.commit(&KEY);
    let receipt = one.invalidate().await;
    assert!(receipt.is_pending());

    world.hub.fail_over();

    assert_eq!(ends(receipt.settled()).await.stamps().len(), 1);
    one.catch_up().await;
    other.catch_up().await;
    for node in [&one, &other] {
        assert_eq!(*world.read(node).await, 1);
    }
}

#[tokio::test]
async fn without_replicas_nothing_waits_for_any() {
    let world = World::new();
    let one = world.node(eventual()).await;
    world.held_by(&one).await;
    world.hub.hold_replica(true);

    assert!(!one.invalidate().await.is_pending());
    assert_eq!(world.answer(&one).await.1, Outcome::Loaded);
}
