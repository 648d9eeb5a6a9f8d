//! Loaders that read the cache: fine, unless they would wait for themselves.

use crate::nodes::Remote;
use crate::reads::{Numbers, counters, ends, read};
use std::sync::Arc;
use tokio::sync::Barrier;
use tricache::{Error, Outcome};
use tricache_test_support::{CountingStore, eventually};

#[tokio::test]
async fn a_loader_may_read_another_key() {
    for remote in Remote::both() {
        let node = remote.node().await;
        let inner = node.cache.clone();

        let outer = node.cache.get_or_load(&1, |_| async move {
            let found = inner
                .get_or_load(&2, |_| async { Ok::<_, Error>(20) })
                .await?;
            Ok::<_, Error>(*found + 1)
        });

        assert_eq!(*ends(outer).await.unwrap(), 21);
        assert_eq!(counters(&node).loads, 2);
        assert_eq!(*read(&node.cache, &CountingStore::new(), 2).await, 20);
    }
}

#[tokio::test]
async fn a_loader_that_reads_its_own_key_gets_an_error() {
    for remote in Remote::both() {
        let node = remote.quiet_node([1]).await;

        let error = ends(reads_itself(&node.cache)).await.unwrap_err();

        assert!(error.is_circular(), "{error}");
        assert!(error.to_string().contains("number/1"));
        read(&node.cache, &CountingStore::new(), 1).await;
    }
}

#[tokio::test]
async fn a_loader_that_reads_its_own_key_gets_an_error_in_a_new_bucket_too() {
    // The load itself began the bucket's epoch. Told of that, its node detached the load, and the nested read did
    // not find what it must not wait for: it waited for its own lease, ten seconds long, and then loaded.
    for remote in Remote::both() {
        let node = remote.node().await;

        let error = ends(reads_itself(&node.cache)).await.unwrap_err();

        assert!(error.is_circular(), "{error}");
        assert_eq!(counters(&node).lease_waits, 0);
    }
}

#[tokio::test]
async fn a_loader_that_reads_its_own_key_through_another_handle_gets_an_error() {
    for remote in Remote::both() {
        let node = remote.quiet_node([1]).await;
        let policy = *node.cache.policy();
        let other: Numbers = node.tiers.cache("number", policy).unwrap();

        let outer = node.cache.get_or_load(&1, |_| async move {
            let nested = other.get_or_load(&1, |_| async { Ok::<u64, Error>(0) });
            nested.await.map(|value| *value)
        });
        let error = ends(outer).await.unwrap_err();

        assert!(error.is_circular(), "{error}");
    }
}

#[tokio::test]
async fn loaders_that_read_each_others_keys_get_an_error() {
    for remote in Remote::both() {
        let node = remote.quiet_node([1, 2]).await;
        let both_load = Arc::new(Barrier::new(2));

        let (one, other) = ends(async {
            tokio::join!(
                reads_the_other(&node.cache, 1, 2, &both_load),
                reads_the_other(&node.cache, 2, 1, &both_load),
            )
        })
        .await;

        let circular = [&one, &other]
            .iter()
            .filter(|answer| answer.as_ref().is_err_and(Error::is_circular))
            .count();
        assert!(circular > 0, "{one:?} {other:?}");
        read(&node.cache, &CountingStore::new(), 1).await;
        read(&node.cache, &CountingStore::new(), 2).await;
    }
}

#[tokio::test]
async fn who_waits_for_a_circular_load_is_answered() {
    for remote in Remote::both() {
        let node = remote.quiet_node([1]).await;
        let gate = CountingStore::<u64>::new();
        gate.hold();
        let circular = tokio::spawn({
            let (cache, gate) = (node.cache.clone(), gate.clone());
            async move {
                let inner = cache.clone();
                let load = |_| async move {
                    gate.load(&1).await;
                    reads_itself(&inner).await
                };
                cache.get_or_load(&1, load).await.map(|value| *value)
            }
        });
        gate.wait_for_waiting(1).await;
        let cache = node.cache.clone();
        let waiting = tokio::spawn(async move { reads_itself(&cache).await });
        eventually("one waits", async || counters(&node).flights_joined == 1).await;

        gate.release();

        assert!(ends(circular).await.unwrap().unwrap_err().is_circular());
        assert!(ends(waiting).await.unwrap().unwrap_err().is_circular());
    }
}

#[tokio::test]
async fn a_read_within_a_loader_finds_what_is_cached() {
    for remote in Remote::both() {
        let node = remote.node().await;
        let store = CountingStore::new();
        read(&node.cache, &store, 2).await;
        let inner = node.cache.clone();

        let outer = node.cache.get_or_load(&1, |_| async move {
            let found = inner.get(&2).await?.map(|found| found.outcome());
            assert!(found.is_some_and(|outcome| outcome != Outcome::Loaded));
            Ok::<u64, Error>(7)
        });

        assert_eq!(*ends(outer).await.unwrap(), 7);
        assert_eq!(store.loads(), 1);
    }
}

/// A load of key 1 that reads key 1.
async fn reads_itself(cache: &Numbers) -> Result<u64, Error> {
    let inner = cache.clone();
    let answer = cache
        .get_or_load(&1, |_| async move {
            let nested = inner.get_or_load(&1, |_| async { Ok::<u64, Error>(0) });
            nested.await.map(|value| *value)
        })
        .await;
    answer.map(|value| *value)
}

async fn reads_the_other(
    cache: &Numbers,
    key: u64,
    other: u64,
    both_load: &Arc<Barrier>,
) -> Result<u64, Error> {
    let (inner, both_load) = (cache.clone(), Arc::clone(both_load));
    let answer = cache
        .get_or_load(&key, |_| async move {
            both_load.wait().await;
            let nested = inner.get_or_load(&other, |_| async { Ok::<u64, Error>(0) });
            nested.await.map(|value| *value)
        })
        .await;
    answer.map(|value| *value)
}
