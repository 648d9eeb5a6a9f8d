//! Loaders of one key and of many.

use super::Rows;
use crate::nodes::Remote;
use crate::reads::{counters, ends, numbers};
use std::{io, sync::Arc, time::Duration};
use tricache::{Collect, InProcess, LoadContext, ManualClock, Outcome, Policy};
use tricache_test_support::{CountingStore, eventually};

#[tokio::test]
async fn a_get_loads_once_and_hits_on_every_node() {
    for remote in Remote::both() {
        let (one, other) = (remote.quiet_node([1]).await, remote.quiet_node([1]).await);
        let rows = Rows::default();
        let (here, there) = (rows.one_by_one(&one), rows.one_by_one(&other));

        assert_eq!(ends(here.get(&1)).await.unwrap().outcome(), Outcome::Loaded);
        assert_eq!(
            ends(here.get(&1)).await.unwrap().outcome(),
            Outcome::LocalHit
        );
        assert_eq!(
            ends(there.get(&1)).await.unwrap().outcome(),
            Outcome::RemoteHit
        );

        rows.store.commit(&1);
        ends(here.invalidate(&1)).await.unwrap();
        assert_eq!(*ends(here.get(&1)).await.unwrap(), 1);
        assert_eq!(rows.store.loads(), 2);
    }
}

#[tokio::test]
async fn a_batch_loader_is_called_with_one_key_or_with_all_that_is_missing() {
    for remote in Remote::both() {
        let (node, rows) = (remote.node().await, Rows::default());
        let cache = rows.in_batches(&node);

        assert_eq!(*ends(cache.get(&2)).await.unwrap(), 0);
        let batch = ends(cache.get_many(&[1, 2, 3, 1])).await.unwrap();

        assert_eq!(batch.len(), 3);
        assert_eq!(rows.calls(), [vec![2], vec![1, 3]]);
    }
}

#[tokio::test]
async fn many_keys_of_a_loader_of_one_have_each_their_result() {
    for remote in Remote::both() {
        let (node, store) = (remote.node().await, CountingStore::new());
        let asked = store.clone();
        let cache = node.cache.with_loader(move |cx: LoadContext<u64, u64>| {
            let store = asked.clone();
            async move {
                let number = store.load(cx.key()).await;
                match cx.into_key() {
                    2 => Err(io::Error::other("a broken row")),
                    3 => Ok(None),
                    _ => Ok(Some(number)),
                }
            }
        });

        let batch = ends(cache.get_many(&[1, 2, 3, 4, 1])).await.unwrap();

        let keys: Vec<_> = batch.iter().map(|(key, _)| *key).collect();
        assert_eq!(keys, [1, 2, 3, 4]);
        assert!(batch.get(&1).unwrap().is_ok() && batch.get(&4).unwrap().is_ok());
        assert!(
            batch
                .get(&2)
                .unwrap()
                .unwrap_err()
                .loader::<io::Error>()
                .is_some()
        );
        assert!(batch.get(&3).unwrap().unwrap_err().is_absent());
        assert_eq!(store.loads(), 4);
    }
}

#[tokio::test]
async fn the_cache_beneath_loads_nothing() {
    let remote = Remote::Hub(InProcess::new());
    let (node, rows) = (remote.node().await, Rows::default());
    let cache = rows.in_batches(&node);

    assert!(ends(cache.cache().get(&1)).await.unwrap().is_none());
    assert!(ends(cache.cache().get_many(&[1])).await.unwrap().is_empty());

    ends(cache.insert(&1, 7)).await.unwrap();
    assert_eq!(*ends(cache.get(&1)).await.unwrap(), 7);
    assert!(rows.calls().is_empty());
}

#[tokio::test]
async fn a_switched_off_cache_runs_its_loader_each_time() {
    let remote = Remote::Hub(InProcess::new());
    let policy = Policy::ttl(Duration::from_secs(600));
    let (tiers, cache) = numbers(remote.builder().enabled(false), policy).await;
    let node = crate::nodes::Node { tiers, cache };
    let rows = Rows::default();
    let now = Collect::within(Duration::ZERO);

    for cache in [
        rows.one_by_one(&node),
        rows.in_batches(&node),
        rows.collected(&node, now),
    ] {
        for _ in 0..2 {
            assert_eq!(
                ends(cache.get(&1)).await.unwrap().outcome(),
                Outcome::Bypassed
            );
            ends(cache.get_many(&[1, 2])).await.unwrap();
        }
    }

    assert_eq!(rows.store.loads(), 18);
}

#[tokio::test]
async fn a_stale_value_is_served_and_loaded_again_by_the_given_loader() {
    let clock = ManualClock::new();
    let remote = Remote::Hub(InProcess::with_clock(Arc::new(clock.clone())));
    let policy = Policy::ttl(TTL).jitter(0.0).stale_while_revalidate(TTL);
    let builder = remote.builder().clock(Arc::new(clock.clone()));
    let (tiers, cache) = numbers(builder.heartbeat(Duration::from_millis(20)), policy).await;
    let node = crate::nodes::Node { tiers, cache };
    let collect = Collect::within(Duration::from_millis(1));
    let rows = Rows::default();

    for (key, cache) in [
        (1, rows.one_by_one(&node)),
        (2, rows.in_batches(&node)),
        (3, rows.collected(&node, collect)),
    ] {
        ends(cache.get(&key)).await.unwrap();
        rows.store.commit(&key);
        clock.advance(TTL);

        let stale = ends(cache.get(&key)).await.unwrap();

        assert_eq!((*stale, stale.outcome()), (0, Outcome::Stale));
        eventually("it was loaded again", async || {
            *ends(cache.get(&key)).await.unwrap() == 1
        })
        .await;
        assert_eq!(rows.store.loads_of(&key), 2);
    }
    assert_eq!(counters(&node).refreshes, 3);
}

const TTL: Duration = Duration::from_secs(10);
