//! A server that is loading its data: it answers `LOADING` to everything, for as long as that takes.

use crate::scene::{Node, SOON, at, ends, work_again};
use tricache::{Outcome, RemoteState};
use tricache_test_support::{CountingStore, RedisServer, Reply, eventually};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_a_server_loads_its_data_reads_come_from_the_store_and_nothing_old_comes_back() {
    let redis = RedisServer::start_with(&SLOWLY);
    let node = Node::start(at(&redis.url()).heartbeat(SOON)).await;
    let other = Node::start(at(&redis.url()).heartbeat(SOON)).await;
    let store = CountingStore::new();
    for key in [1, 2] {
        node.read(&store, key).await;
    }
    fill_and_save(&redis, "600");
    // Nobody who reads the file knows of it.
    node.change(&store, 1).await;

    std::thread::scope(|scope| {
        let restart = scope.spawn(|| redis.restart_from_file());
        tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current().block_on(async {
                eventually("it loads", async || is_loading(&redis)).await;
                assert_eq!(*node.read(&store, 1).await, 1);
                assert_ne!(node.tiers.report().remote(), RemoteState::Up);
                store.commit(&2);
                let told = ends(node.cache.invalidate(&2)).await.unwrap();
                assert!(told.is_pending());
                assert_eq!(*node.read(&store, 2).await, 1);
                assert!(is_loading(&redis), "it was quicker than the test");
            });
        });
        restart.join().unwrap();
    });

    work_again([&node, &other], &store, &[1, 2]).await;
}

/// It is waited for at the start, for as long as one that does not answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_waits_for_a_server_that_loads() {
    let redis = RedisServer::start_with(&SLOWLY);
    fill_and_save(&redis, "200");

    std::thread::scope(|scope| {
        let restart = scope.spawn(|| redis.restart_from_file());
        tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current().block_on(async {
                eventually("it loads", async || is_loading(&redis)).await;
                let node = Node::start(at(&redis.url()).heartbeat(SOON)).await;
                assert_eq!(node.tiers.report().remote(), RemoteState::Up);
                assert!(!is_loading(&redis));
            });
        });
        restart.join().unwrap();
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_by_choice_does_not_wait_for_a_server_that_loads() {
    let redis = RedisServer::start_with(&SLOWLY);
    fill_and_save(&redis, "600");

    std::thread::scope(|scope| {
        let restart = scope.spawn(|| redis.restart_from_file());
        tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current().block_on(async {
                eventually("it loads", async || is_loading(&redis)).await;
                let builder = at(&redis.url()).heartbeat(SOON);
                let node = Node::start(builder.start_without_redis(true)).await;
                let store = CountingStore::new();
                assert_eq!(node.answer(&store, 1).await, (0, Outcome::Loaded));
                eventually("it is taken up when it has its data", async || {
                    node.tiers.report().remote() == RemoteState::Up
                })
                .await;
            });
        });
        restart.join().unwrap();
    });
}

/// So many keys that loading them takes a second or more, at the pace of [`SLOWLY`].
fn fill_and_save(redis: &RedisServer, keys: &str) {
    let populate = ["DEBUG", "POPULATE", keys, "other", "300"];
    assert_eq!(redis.command(&populate), "OK");
    redis.save();
}

fn is_loading(redis: &RedisServer) -> bool {
    redis
        .reply(&["PING"])
        .is_ok_and(|reply| matches!(reply, Reply::Error(text) if text.starts_with("LOADING")))
}

/// A key takes five milliseconds, and in between clients are answered.
const SLOWLY: [&str; 6] = [
    "--key-load-delay",
    "5000",
    "--loading-process-events-interval-bytes",
    "1024",
    "--enable-debug-command",
    "yes",
];
