//! A read asks this process, then Redis, and otherwise loads, once; a write reaches every node.

use crate::nodes::Remote;
use std::io;
use tricache::{OptionalExt, Outcome};
use tricache_test_support::{CountingStore, eventually};

#[tokio::test]
async fn a_value_is_loaded_once_and_then_found_in_redis_and_here() {
    for remote in Remote::both() {
        let (one, other) = (remote.node().await, remote.node().await);
        let store = CountingStore::<u64>::new();
        let load = || {
            let store = store.clone();
            async move { Ok::<_, io::Error>(store.load(&1).await) }
        };

        let first = one.cache.get_or_load(&1, |_| load()).await.unwrap();
        let again = one.cache.get_or_load(&1, |_| load()).await.unwrap();
        let there = other.cache.get_or_load(&1, |_| load()).await.unwrap();

        assert_eq!(first.outcome(), Outcome::Loaded);
        assert!(matches!(
            again.outcome(),
            Outcome::LocalHit | Outcome::LocalRevalidated
        ));
        assert_eq!(there.outcome(), Outcome::RemoteHit);
        assert_eq!(store.loads(), 1);
    }
}

#[tokio::test]
async fn an_invalidation_reaches_every_node() {
    for remote in Remote::both() {
        let (one, other) = (remote.node().await, remote.node().await);
        let store = CountingStore::<u64>::new();
        let read = |node: &crate::nodes::Node| {
            let (cache, store) = (node.cache.clone(), store.clone());
            async move {
                *cache
                    .get_or_load(
                        &1,
                        |_| async move { Ok::<_, io::Error>(store.load(&1).await) },
                    )
                    .await
                    .unwrap()
            }
        };
        assert_eq!((read(&one).await, read(&other).await), (0, 0));

        store.commit(&1);
        let receipt = one.cache.invalidate(&1).await.unwrap();

        assert!(!receipt.is_pending());
        assert_eq!(receipt.stamps().len(), 1);
        assert_eq!(read(&one).await, 1);
        eventually("the other node reads the new value", async || {
            read(&other).await == 1
        })
        .await;
        assert_eq!(store.loads(), 2);
    }
}

#[tokio::test]
async fn an_absent_value_is_an_error_that_becomes_none() {
    for remote in Remote::both() {
        let node = remote.node().await;

        let answer = node
            .cache
            .get_or_load(&1, |_| async { Ok::<Option<u64>, io::Error>(None) })
            .await;

        assert_eq!(answer.optional().unwrap().map(|value| *value), None);
    }
}
