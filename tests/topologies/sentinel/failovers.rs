//! A master that is killed, frozen, cut off or relieved: the nodes follow the sentinels to the next one.

use super::scene::{KEYS, Scene, address, following, start_group};
use crate::node::{Node, builder, until, works};
use tricache::{Outcome, Protection, RemoteState, TiersBuilder};
use tricache_test_support::{Proxy, RedisServer, SentinelGroup};

#[tokio::test]
async fn a_master_that_is_killed_is_followed_by_its_successor() {
    let scene = Scene::start().await;
    let old = scene.master();

    old.kill();
    scene.one.is_away().await;
    let pending = scene.one.write(&scene.store, 1).await;
    until("the sentinels name another", async || {
        scene.group.has_replaced(old)
    })
    .await;

    assert!(pending);
    scene.works().await;
    assert!(scene.one.counters().new_epochs > 0);
}

#[tokio::test]
async fn nothing_invalidated_comes_back_with_the_successor_of_a_killed_master() {
    let scene = Scene::start().await;
    let old = scene.master();

    old.kill();

    scene.moved_from(old).await;
    scene.works().await;
}

#[tokio::test]
async fn a_master_that_hangs_is_left() {
    let scene = Scene::start().await;
    let old = scene.master();

    old.freeze();

    scene.moved_from(old).await;
    scene.works().await;
    old.thaw();
    scene.works().await;
}

/// It answers whoever reaches it, and takes invalidations that nobody else hears of: only the sentinels tell.
#[tokio::test]
async fn a_master_that_is_cut_off_is_left_although_it_answers() {
    let scene = Scene::start().await;
    let old = scene.master();
    // What becomes of a node that asks nobody.
    let fixed = Node::start(builder().redis(&as_node(old))).await;
    for key in KEYS {
        assert_eq!(
            *fixed.read(&scene.store, key).await,
            scene.store.committed(&key)
        );
    }

    scene.group.isolate(old);
    scene.moved_from(old).await;
    let late = Node::start(following(&scene.group.urls())).await;
    assert!(!late.write(&scene.store, 2).await);
    for node in [&scene.one, &scene.other] {
        until("the node is told by the new master", async || {
            *node.read(&scene.store, 2).await == 1
        })
        .await;
    }

    assert!(old.command(&["ROLE"]).starts_with("master"));
    assert_eq!(fixed.remote(), RemoteState::Up);
    assert_eq!(*fixed.read(&scene.store, 2).await, 0);
    scene.group.rejoin(old);
    scene.works().await;
}

/// The promoted replica has the old value, and the pointer that says it is current.
#[tokio::test]
async fn what_only_the_old_master_has_heard_of_stays_invalid() {
    let scene = Scene::start().await;
    let old = scene.master();

    scene.group.isolate(old);
    assert!(!scene.one.write(&scene.store, 3).await);
    until("the other node was told", async || {
        *scene.other.read(&scene.store, 3).await == 1
    })
    .await;

    scene.moved_from(old).await;
    let late = Node::start(following(&scene.group.urls())).await;
    assert_eq!(*late.read(&scene.store, 3).await, 1);
    scene.works().await;
}

#[tokio::test]
async fn without_the_fence_it_comes_back() {
    let off = |builder: TiersBuilder| builder.without(Protection::Fence);
    let group = start_group().await;
    let urls = group.urls();
    let scene = Scene::with(group, &urls, off).await;
    let old = scene.master();

    scene.group.isolate(old);
    assert!(!scene.one.write(&scene.store, 3).await);
    until("the sentinels name another", async || {
        scene.group.has_replaced(old)
    })
    .await;

    let late = Node::start(off(following(&scene.group.urls()))).await;
    let back = late.read(&scene.store, 3).await;
    assert_eq!((*back, back.outcome()), (0, Outcome::RemoteHit));
}

/// It reaches the old master and nobody else, so its word is of before the failover; to a node that asks it alone it is as good as any.
#[tokio::test]
async fn a_sentinel_that_is_cut_off_pulls_nobody_back() {
    let scene = Scene::start().await;
    let old = scene.master();
    scene.group.isolate(old);
    scene.moved_from(old).await;
    let new = address(scene.group.master());
    let lonely = SentinelGroup::lonely_sentinel(old);
    let way = Proxy::start(([127, 0, 0, 1], lonely.port()).into()).await;

    let misled = Node::start(following(&[way.url()])).await;
    assert_eq!(misled.tiers.report().master(), Some(&*address(old)));
    let urls = [vec![way.url()], scene.group.urls()].concat();
    let nodes = [
        Node::start(following(&urls)).await,
        Node::start(following(&urls)).await,
    ];
    works([&nodes[0], &nodes[1]], &scene.store, KEYS).await;
    // There and back would be a gap of each bucket.
    let gaps = || nodes.each_ref().map(|node| node.counters().gaps);
    let (before, asked) = (gaps(), way.commands("SENTINEL"));
    until("it was asked again and again", async || {
        for node in &nodes {
            assert_eq!(node.tiers.report().master(), Some(&*new));
        }
        way.commands("SENTINEL") > asked + 100
    })
    .await;

    assert_eq!(gaps(), before);
    works([&nodes[0], &nodes[1]], &scene.store, KEYS).await;
}

#[tokio::test]
async fn a_master_that_hands_over_is_left() {
    let scene = Scene::start().await;
    let old = scene.master();

    scene.group.hand_over();

    scene.moved_from(old).await;
    scene.works().await;
}

fn as_node(server: &RedisServer) -> String {
    let user = SentinelGroup::USER;
    format!("redis://{user}@127.0.0.1:{}", server.port())
}
