//! Loaders that read other values: what is collected inherits from them, and never waits for itself.

use super::{Loading, SECOND};
use crate::nodes::{Node, Remote};
use crate::reads::{Numbers, ends};
use futures_util::future::join_all;
use std::{io, time::Duration};
use tricache::{BatchContext, Collect, Error, Loaded, Policy};
use tricache_test_support::CountingStore;

/// Ten times the inner value of key 1 and some more, for two keys at a time.
fn sums(node: &Node, store: &CountingStore) -> Loading {
    let policy = Policy::ttl(Duration::from_secs(600));
    let sums: Numbers = node.tiers.cache("sum", policy).unwrap();
    let (inner, store) = (node.cache.clone(), store.clone());
    let load = move |cx: BatchContext<u64>| {
        let (inner, store) = (inner.clone(), store.clone());
        async move {
            let load = |_| async move {
                let number = store.load(&1).await;
                Ok::<_, io::Error>(Loaded::new(number).tag("red"))
            };
            let shown = *inner.get_or_load(&1, load).await?;
            let sum = |key| (key, shown * 10 + key);
            Ok::<Vec<_>, Error>(cx.into_keys().into_iter().map(sum).collect())
        }
    };
    let collect = Collect::within(SECOND).at_most(2);
    sums.with_collecting_loader(collect, load).unwrap()
}

async fn both(sums: &Loading) -> Vec<u64> {
    let both = ends(join_all([sums.get(&5), sums.get(&6)])).await;
    both.into_iter().map(|sum| *sum.unwrap()).collect()
}

#[tokio::test]
async fn invalidating_what_a_call_has_read_makes_all_that_it_answered_old() {
    for remote in Remote::both() {
        let (node, store) = (remote.node().await, CountingStore::new());
        let sums = sums(&node, &store);
        assert_eq!(both(&sums).await, [5, 6]);
        assert_eq!(sums.get(&5).await.unwrap().tags().len(), 1);

        store.commit(&1);
        ends(node.cache.invalidate(&1)).await.unwrap();
        assert_eq!(both(&sums).await, [15, 16]);

        store.commit(&1);
        ends(node.tiers.invalidate_tags(["red"])).await.unwrap();
        assert_eq!(both(&sums).await, [25, 26]);
        assert_eq!(store.loads(), 3);
    }
}

#[tokio::test]
async fn a_call_that_reads_one_of_its_own_keys_gets_an_error() {
    for remote in Remote::both() {
        let node = remote.node().await;
        let inner = node.cache.clone();
        let load = move |cx: BatchContext<u64>| {
            let inner = inner.clone();
            async move {
                let never = |_| async { Ok::<_, io::Error>(0) };
                inner.get_or_load(&2, never).await?;
                Ok::<Vec<_>, Error>(cx.into_keys().into_iter().map(|key| (key, key)).collect())
            }
        };
        let collect = Collect::within(SECOND).at_most(2);
        let cache = node.cache.with_collecting_loader(collect, load).unwrap();

        let both = ends(join_all([cache.get(&1), cache.get(&2)])).await;

        for result in both {
            assert!(result.unwrap_err().is_circular());
        }
    }
}
