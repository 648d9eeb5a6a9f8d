//! The cache is off: every read runs its loader, nothing is kept, and other nodes hear of invalidations all the same.

use crate::nodes::{Node, Remote};
use crate::reads::{counters, ends, held_read, read, spawn_read};
use std::{io, process::Command, time::Duration};
use tricache::{Outcome, Tiers};
use tricache_test_support::{CountingStore, RedisServer, eventually};

#[tokio::test]
async fn a_cache_that_is_off_runs_every_loader_and_keeps_nothing() {
    for remote in Remote::both() {
        let off = Node::start(remote.builder().enabled(false)).await;
        let on = remote.node().await;
        let store = CountingStore::new();
        read(&on.cache, &store, 1).await;

        for _ in 0..2 {
            let loaded = read(&off.cache, &store, 1).await;
            assert_eq!((*loaded, loaded.outcome()), (0, Outcome::Bypassed));
            assert_eq!(loaded.outcome().as_str(), "bypassed");
        }
        off.cache.insert(&2, 7).await.unwrap();
        assert!(off.cache.get(&1).await.unwrap().is_none());
        assert!(off.cache.get(&2).await.unwrap().is_none());
        assert!(on.cache.get(&2).await.unwrap().is_none());

        assert!(!off.tiers.report().enabled() && on.tiers.report().enabled());
        let counted = counters(&off);
        assert_eq!((counted.bypassed, counted.loads, store.loads()), (2, 2, 3));
        assert_eq!(off.cache.local_usage(), (0, 0));
    }
}

#[tokio::test]
async fn nobody_joins_the_load_of_another_while_the_cache_is_off() {
    let remote = Remote::Hub(tricache::InProcess::new());
    let off = Node::start(remote.builder().enabled(false)).await;
    let store = CountingStore::new();

    let first = held_read(&off, &store, 1).await;
    let second = spawn_read(&off.cache, &store, 1);
    store.wait_for_waiting(2).await;
    // Nor does it end with its caller.
    first.drop_caller().await;
    store.release();

    assert_eq!(second.value().await, 0);
    assert_eq!((store.loads(), counters(&off).flights_joined), (2, 0));
}

#[tokio::test]
async fn nodes_that_are_on_hear_what_a_node_that_is_off_invalidates() {
    for remote in Remote::both() {
        let off = Node::start(remote.builder().enabled(false)).await;
        let on = remote.node().await;
        let store = CountingStore::new();
        for (key, insert) in [(1, false), (2, true)] {
            read(&on.cache, &store, key).await;
            store.commit(&key);
            let receipt = if insert {
                off.cache.insert(&key, 1).await.unwrap()
            } else {
                off.cache.invalidate(&key).await.unwrap()
            };

            assert!(!receipt.is_pending());
            eventually("the other node shows what is new", async || {
                *read(&on.cache, &store, key).await == 1
            })
            .await;
        }
    }
}

#[tokio::test]
async fn errors_absences_and_panics_are_those_of_a_cache_that_is_on() {
    let off = Node::start(Tiers::builder("test").enabled(false)).await;

    let failed = off
        .cache
        .get_or_load(&1, |_| async { Err::<u64, _>(io::Error::other("disk")) });
    assert!(failed.await.unwrap_err().loader::<io::Error>().is_some());
    let absent = off
        .cache
        .get_or_load(&1, |_| async { Ok::<Option<u64>, io::Error>(None) });
    assert!(absent.await.unwrap_err().is_absent());
    let panicked = off.cache.get_or_load(&1, |_| async {
        panic!("of the loader");
        #[expect(unreachable_code)]
        Ok::<u64, io::Error>(1)
    });
    assert!(panicked.await.unwrap_err().is_panic());

    let counted = counters(&off);
    assert_eq!((counted.loads, counted.failed), (3, 2));
    assert_eq!((counted.load_errors, counted.absences), (2, 1));
}

#[tokio::test]
async fn a_cache_that_is_off_starts_without_redis_and_sends_its_invalidations_later() {
    let redis = RedisServer::start();
    redis.kill();
    let builder = Tiers::builder("test").redis(&redis.url()).enabled(false);
    let off = Node::start(builder.heartbeat(Duration::from_millis(50))).await;
    let store = CountingStore::new();

    assert_eq!(
        read(&off.cache, &store, 1).await.outcome(),
        Outcome::Bypassed
    );
    assert!(ends(off.cache.invalidate(&1)).await.unwrap().is_pending());
    redis.restart_empty();

    eventually("Redis took it", async || off.tiers.report().pending() == 0).await;
    assert!(counters(&off).bumps > 0);
}

/// In processes of their own: the environment of this one belongs to all its tests.
#[test]
fn the_environment_has_the_last_word_when_it_says_off() {
    for value in ["off", "0", "false", "on", "1", "true", "maybe", ""] {
        let ended = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "switches::a_node_is_as_the_environment_says"])
            .env("TRICACHE", value)
            .output()
            .unwrap();

        let told = String::from_utf8_lossy(&ended.stdout);
        assert!(
            ended.status.success() && told.contains("1 passed"),
            "{value:?}: {told}"
        );
    }
}

#[tokio::test]
async fn a_node_is_as_the_environment_says() {
    let said = std::env::var("TRICACHE");

    for setting in [true, false] {
        let start = Tiers::builder("test").enabled(setting).build().await;
        match said.as_deref() {
            Ok("off" | "0" | "false") => assert!(!start.unwrap().report().enabled()),
            Ok("on" | "1" | "true") | Err(_) => {
                assert_eq!(start.unwrap().report().enabled(), setting);
            }
            Ok(_) => {
                let error = start.map(|_| "tiers").unwrap_err();
                assert!(error.is_config(), "{error}");
                assert!(error.to_string().contains("TRICACHE"), "{error}");
            }
        }
    }
}

#[tokio::test]
async fn a_batch_of_a_cache_that_is_off_is_loaded_in_one_call_each_time() {
    let off = Node::start(Tiers::builder("test").enabled(false)).await;
    let mut calls = 0;

    for _ in 0..2 {
        let load = |cx: tricache::BatchContext<u64>| {
            calls += 1;
            let known = cx.into_keys().into_iter().filter(|key| *key < 3);
            let rows: Vec<_> = known.map(|key| (key, key * 10)).collect();
            async move { Ok::<_, io::Error>(rows) }
        };
        let batch = off
            .cache
            .get_or_load_many(&[1, 2, 2, 3], load)
            .await
            .unwrap();

        assert_eq!(batch.len(), 3);
        let two = batch.get(&2).unwrap().unwrap();
        assert_eq!((**two, two.outcome()), (20, Outcome::Bypassed));
        assert!(batch.get(&3).unwrap().unwrap_err().is_absent());
    }

    assert_eq!(calls, 2);
    assert!(off.cache.get_many(&[1, 2]).await.unwrap().is_empty());
}
