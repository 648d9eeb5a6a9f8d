//! Filling a cache before it is asked: bounded, counted, and ended with its future.

use crate::loaders::{Loading, Rows};
use crate::nodes::{Node, Remote};
use crate::reads::{ends, numbers};
use std::{
    io,
    sync::{Arc, Mutex},
    time::Duration,
};
use tricache::{InProcess, LoadContext, Outcome, Policy, WarmUp};
use tricache_test_support::eventually;

#[tokio::test]
async fn what_no_tier_holds_is_loaded_a_few_at_a_time() {
    for remote in Remote::both() {
        let (node, rows) = (remote.quiet_node(0..50).await, Rows::default());
        let cache = rows.one_by_one(&node);
        for key in 0..10 {
            ends(cache.get(&key)).await.unwrap();
        }
        rows.store.hold();

        let warming = warm_in_a_task(&cache, 0..50, WarmUp::concurrency(4));
        rows.store.wait_for_waiting(4).await;
        rows.store.release();
        let warmed = ends(warming).await.unwrap();

        assert_eq!((warmed.held, warmed.loaded, warmed.failed), (10, 40, 0));
        assert_eq!((rows.store.loads(), rows.store.peak()), (50, 4));
        for key in 0..50 {
            let hit = ends(cache.get(&key)).await.unwrap();
            assert_eq!(hit.outcome(), Outcome::LocalHit);
        }
    }
}

#[tokio::test]
async fn a_batch_loader_is_called_for_pieces() {
    for remote in Remote::both() {
        let (one, other) = (remote.node().await, remote.quiet_node([7]).await);
        let rows = Rows::default();
        let cache = rows.in_batches(&one);
        let told = Arc::new(Mutex::new(Vec::new()));
        let tell = Arc::clone(&told);
        let how = WarmUp::concurrency(1)
            .keys_per_call(20)
            .progress(move |so_far| tell.lock().unwrap().push(so_far.keys()));

        let warmed = ends(cache.warm(0..50, how)).await.unwrap();

        assert_eq!((warmed.loaded, warmed.keys()), (50, 50));
        let sizes: Vec<_> = rows.calls().iter().map(Vec::len).collect();
        assert_eq!(sizes, [20, 20, 10]);
        assert_eq!(*told.lock().unwrap(), [20, 40, 50]);
        let there = rows.in_batches(&other);
        let warmed = ends(there.warm(0..50, WarmUp::concurrency(2)))
            .await
            .unwrap();
        assert_eq!((warmed.loaded, warmed.held), (0, 50));
        assert_eq!(
            ends(there.get(&7)).await.unwrap().outcome(),
            Outcome::LocalHit
        );
    }
}

#[tokio::test]
async fn keys_that_fail_are_counted_and_the_others_go_on() {
    for remote in Remote::both() {
        let node = remote.node().await;
        let cache = node
            .cache
            .with_loader(|cx: LoadContext<u64, u64>| async move {
                match cx.into_key() % 3 {
                    0 => Err(io::Error::other("a broken row")),
                    1 => Ok(None),
                    _ => Ok(Some(7)),
                }
            });

        let warmed = ends(cache.warm(0..30, WarmUp::concurrency(8)))
            .await
            .unwrap();

        assert_eq!((warmed.failed, warmed.absent, warmed.loaded), (10, 10, 10));
        assert!(warmed.error.unwrap().loader::<io::Error>().is_some());
    }
}

#[tokio::test]
async fn a_warm_up_that_is_dropped_begins_no_other_load() {
    for remote in Remote::both() {
        let (node, rows) = (remote.node().await, Rows::default());
        let cache = rows.one_by_one(&node);
        rows.store.hold();
        let warming = warm_in_a_task(&cache, 0..1_000_000, WarmUp::concurrency(3));
        rows.store.wait_for_waiting(3).await;

        warming.abort();
        assert!(ends(warming).await.is_err());
        rows.store.release();

        eventually("what had begun has filled", async || {
            let held = ends(cache.cache().get_many(&[0, 1, 2])).await.unwrap();
            held.len() == 3
        })
        .await;
        assert_eq!(rows.store.loads(), 3);
    }
}

#[tokio::test]
async fn a_shutdown_ends_a_warm_up() {
    for remote in Remote::both() {
        let (node, rows) = (remote.node().await, Rows::default());
        let cache = rows.one_by_one(&node);
        rows.store.hold();
        let tell = |cache: Loading| async move {
            let how = WarmUp::concurrency(3);
            cache.warm(0..1_000_000, how).await
        };
        let warming = tokio::spawn(tell(cache.clone()));
        rows.store.wait_for_waiting(3).await;

        let drained = ends(node.tiers.shutdown(Duration::ZERO)).await;

        assert_eq!(drained.pending(), 0);
        assert!(ends(warming).await.unwrap().unwrap_err().is_closed());
        assert_eq!(rows.store.loads(), 3);
    }
}

#[tokio::test]
async fn a_switched_off_cache_is_left_alone_and_settings_without_sense_are_refused() {
    let remote = Remote::Hub(InProcess::new());
    let policy = Policy::ttl(Duration::from_secs(600));
    let (tiers, cache) = numbers(remote.builder().enabled(false), policy).await;
    let rows = Rows::default();
    let off = rows.one_by_one(&Node { tiers, cache });

    let warmed = ends(off.warm(0..9, WarmUp::concurrency(1))).await.unwrap();

    assert_eq!((warmed.keys(), rows.store.loads()), (0, 0));
    for refused in [
        WarmUp::concurrency(0),
        WarmUp::concurrency(1_001),
        WarmUp::concurrency(1).keys_per_call(0),
    ] {
        assert!(ends(off.warm(0..9, refused)).await.unwrap_err().is_config());
    }
}

fn warm_in_a_task(
    cache: &Loading,
    keys: std::ops::Range<u64>,
    how: WarmUp,
) -> tokio::task::JoinHandle<tricache::Warmed> {
    let cache = cache.clone();
    tokio::spawn(async move { cache.warm(keys, how).await.unwrap() })
}
