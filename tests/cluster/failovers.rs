//! Masters that are gone, or silent, or step back: their replicas take over, and the nodes follow.

use super::scene::{LIMIT, MANY, Scene, TAGS, tag_of};
use super::traffic::Traffic;
use tricache_test_support::eventually_within;

/// Until another node of the cluster says that the slots of the bucket have another owner.
async fn promoted(scene: &Scene, bucket: u16, before: usize) {
    let asked = (before + 1) % 3;
    eventually_within(LIMIT, "a replica has taken over", async || {
        scene.cluster.owner(asked, &tag_of(bucket)) != before
    })
    .await;
}

async fn left(scene: &Scene, before: usize) {
    let port = scene.cluster.node(before).port();
    for node in scene.nodes() {
        eventually_within(LIMIT, "the old master is left", async || {
            !node.speaks_to(port)
        })
        .await;
    }
    scene.is_whole().await;
}

async fn is_followed(bucket: u16, fault: impl Fn(&Scene, usize), after: impl Fn(&Scene, usize)) {
    let scene = Scene::that_fails_over().await;
    let before = scene.cluster.owner(0, &tag_of(bucket));
    let traffic = Traffic::start(&scene, MANY);
    traffic.goes_on(MANY * 2).await;

    fault(&scene, before);
    promoted(&scene, bucket, before).await;
    left(&scene, before).await;

    traffic.goes_on(MANY * 2).await;
    after(&scene, before);
    traffic.goes_on(MANY * 2).await;
    traffic.stop().await;
    scene.is_whole().await;
    scene.values_are_shared(0..MANY).await;
    scene.invalidations_are_heard(0..MANY / 4).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_replica_of_a_killed_master_is_followed() {
    let kill = |scene: &Scene, master: usize| scene.cluster.node(master).kill();

    is_followed(1, kill, |_, _| ()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_replica_of_the_killed_master_of_the_tags_is_followed() {
    let kill = |scene: &Scene, master: usize| scene.cluster.node(master).kill();
    let back = |scene: &Scene, master: usize| scene.cluster.node(master).restart_empty();

    is_followed(TAGS, kill, back).await;
}

/// A master that is frozen says nothing of the replica in its place, and its connections stay open.
#[tokio::test(flavor = "multi_thread")]
async fn f21_a_frozen_master_is_left_when_its_replica_takes_over() {
    let freeze = |scene: &Scene, master: usize| scene.cluster.node(master).freeze();
    let thaw = |scene: &Scene, master: usize| scene.cluster.node(master).thaw();

    is_followed(2, freeze, thaw).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f21_the_frozen_master_of_the_tags_is_left() {
    let freeze = |scene: &Scene, master: usize| scene.cluster.node(master).freeze();
    let thaw = |scene: &Scene, master: usize| scene.cluster.node(master).thaw();

    is_followed(TAGS, freeze, thaw).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_that_steps_back_is_left() {
    let step_back = |scene: &Scene, master: usize| scene.cluster.fail_over_to(master + 3);

    is_followed(4, step_back, |_, _| ()).await;
}

/// While one master is away, the buckets of the others are proven and served as ever.
#[tokio::test(flavor = "multi_thread")]
async fn a_master_that_is_away_takes_only_its_own_buckets_with_it() {
    let scene = Scene::that_fails_over().await;
    let tags = scene.cluster.owner(0, &tag_of(TAGS));
    let away = (0..64)
        .map(|bucket| scene.cluster.owner(0, &tag_of(bucket)))
        .find(|owner| *owner != tags)
        .unwrap();
    // Nobody takes its place.
    scene.cluster.node(away + 3).kill();
    for key in 0..MANY {
        scene.store.commit(&key);
    }
    scene.values_are_shared(0..MANY).await;
    scene
        .one
        .waits("all buckets are proven", |report| {
            report.proven_buckets() == report.buckets()
        })
        .await;

    scene.cluster.node(away).freeze();

    let own = |report: &tricache::Report| {
        let port = scene.cluster.node(away).port().to_string();
        let mut nodes = report.nodes().iter();
        nodes
            .find(|node| node.address().ends_with(&port))
            .unwrap()
            .buckets()
    };
    scene
        .one
        .waits("its buckets alone are not proven", |report| {
            report.proven_buckets() == report.buckets() - own(report)
        })
        .await;
    // What is proven is proven anew: each value is served from memory, or its bucket is away.
    let began = tokio::time::Instant::now();
    scene
        .one
        .waits("longer than a proof holds", |_| {
            began.elapsed() > std::time::Duration::from_secs(2)
        })
        .await;
    scene
        .one
        .waits("the others are proven still", |report| {
            report.proven_buckets() == report.buckets() - own(report)
        })
        .await;
    scene.cluster.node(away).thaw();
    scene.is_whole().await;
}
