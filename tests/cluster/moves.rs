//! Slots that move to another master while they are read and written.

use super::scene::{LIMIT, MANY, Scene, TAGS, ends, tag_of};
use super::traffic::Traffic;
use std::time::Duration;
use tricache_test_support::{eventually, eventually_within};

/// While a slot is on its way its keys are in two places, and whatever needs more than one of them is refused.
#[tokio::test(flavor = "multi_thread")]
async fn f22_a_slot_on_its_way_is_no_error_and_right_afterwards() {
    let scene = Scene::start().await;
    let bucket = 5;
    let traffic = Traffic::start(&scene, MANY);
    traffic.goes_on(MANY * 4).await;
    let key = scene.key_in(bucket, 0).unwrap();
    let (slot, from) = (
        scene.cluster.slot(0, &tag_of(bucket)),
        scene.cluster.owner(0, &tag_of(bucket)),
    );
    let to = (from + 1) % 3;

    scene.cluster.begin_move(slot, from, to);
    traffic.goes_on(MANY).await;
    scene.cluster.move_keys(slot, from, to, 3);
    traffic.goes_on(MANY).await;
    scene.store.commit(&key);
    let pending = ends(scene.one.cache.invalidate(&key)).await.unwrap();
    assert!(pending.is_pending());
    while scene.cluster.move_keys(slot, from, to, 100) > 0 {}
    traffic.goes_on(MANY).await;
    scene.cluster.end_move(slot, from, to);

    ends(pending.settled()).await;
    traffic.goes_on(MANY * 2).await;
    traffic.stop().await;
    scene.is_whole().await;
    assert_eq!(
        *scene.one.read(&scene.store, key).await,
        scene.store.committed(&key)
    );
    scene.values_are_shared(0..MANY).await;
    scene.invalidations_are_heard(0..MANY / 4).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_slot_of_the_tags_moves_and_everything_goes_on() {
    let scene = Scene::start().await;
    let traffic = Traffic::start(&scene, MANY);
    traffic.goes_on(MANY * 2).await;
    let (slot, from) = (
        scene.cluster.slot(0, &tag_of(TAGS)),
        scene.cluster.owner(0, &tag_of(TAGS)),
    );

    scene.cluster.move_slot(slot, from, (from + 1) % 3);

    traffic.goes_on(MANY * 2).await;
    traffic.stop().await;
    scene.is_whole().await;
    scene.values_are_shared(0..MANY).await;
    let receipt = ends(scene.one.tiers.invalidate_tags(["any"]))
        .await
        .unwrap();
    assert!(!receipt.is_pending());
    scene.invalidations_are_heard(0..MANY / 4).await;
}

/// The subscription stayed at the old master, which pushes nothing any more: only the heartbeat told.
#[tokio::test(flavor = "multi_thread")]
async fn pushes_follow_a_slot_to_its_new_master() {
    let scene = Scene::start_with(|builder| builder.heartbeat(Duration::from_secs(60))).await;
    let bucket = 9;
    for key in 0..MANY {
        scene.one.read(&scene.store, key).await;
        scene.other.read(&scene.store, key).await;
    }
    let key = scene.key_in(bucket, 0).unwrap();
    let (slot, from) = (
        scene.cluster.slot(0, &tag_of(bucket)),
        scene.cluster.owner(0, &tag_of(bucket)),
    );
    let to = (from + 1) % 3;

    scene.cluster.move_slot(slot, from, to);

    // Whoever asks is told where it is now; the other has to hear of it by itself.
    eventually_within(
        LIMIT,
        "an invalidation is pushed from the new master",
        async || {
            scene.other.read(&scene.store, key).await;
            let before = scene.other.counters().events;
            ends(scene.one.cache.invalidate(&key)).await.unwrap();
            let pushed = tokio::time::timeout(Duration::from_secs(1), async {
                eventually("an event", async || scene.other.counters().events > before).await;
            });
            pushed.await.is_ok()
        },
    )
    .await;
    scene.is_whole().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_that_is_added_gets_its_share() {
    let mut scene = Scene::start().await;
    let traffic = Traffic::start(&scene, MANY);
    traffic.goes_on(MANY * 2).await;
    let added = scene.cluster.add();

    for bucket in 0..4 {
        let (slot, from) = (
            scene.cluster.slot(0, &tag_of(bucket)),
            scene.cluster.owner(0, &tag_of(bucket)),
        );
        scene.cluster.move_slot(slot, from, added);
        traffic.goes_on(MANY / 4).await;
    }

    let port = scene.cluster.node(added).port();
    for node in scene.nodes() {
        eventually_within(LIMIT, "the new master is asked", async || {
            node.speaks_to(port)
        })
        .await;
    }
    traffic.goes_on(MANY * 2).await;
    traffic.stop().await;
    scene.is_whole().await;
    let report = scene.one.tiers.report();
    let share = report
        .nodes()
        .iter()
        .find(|node| node.address().ends_with(&port.to_string()));
    assert_eq!(share.unwrap().buckets(), 4);
    scene.values_are_shared(0..MANY).await;
    scene.invalidations_are_heard(0..MANY / 4).await;
}
