//! Single reads of a short window, as one call of the loader. Where the window matters, time stands still until nothing else is to do.

use super::{Loading, Rows, SECOND};
use crate::nodes::{Node, Remote};
use crate::reads::{counters, ends};
use futures_util::{FutureExt, future::join_all};
use std::time::Duration;
use tokio::{task::JoinHandle, time::Instant};
use tricache::{Cached, Collect, Error, InProcess, Outcome};
use tricache_test_support::eventually;

/// Reads under way, each in a task of its own.
fn reads(
    cache: &Loading,
    keys: impl IntoIterator<Item = u64>,
) -> Vec<JoinHandle<Result<Cached<u64>, Error>>> {
    let read = |key| {
        let cache = cache.clone();
        tokio::spawn(async move { cache.get(&key).await })
    };
    keys.into_iter().map(read).collect()
}

async fn hub() -> Node {
    Remote::Hub(InProcess::new()).node().await
}

fn window() -> Collect {
    Collect::within(Duration::from_millis(5))
}

#[tokio::test(start_paused = true)]
async fn reads_of_one_window_are_one_call() {
    let (node, rows) = (hub().await, Rows::default());
    let cache = rows.collected(&node, window());

    for result in join_all(reads(&cache, 0..50)).await {
        assert_eq!(result.unwrap().unwrap().outcome(), Outcome::Loaded);
    }
    assert_eq!(rows.calls(), [Vec::from_iter(0..50)]);

    for result in join_all(reads(&cache, 0..51)).await {
        result.unwrap().unwrap();
    }
    assert_eq!(rows.calls().len(), 2);
    assert_eq!(rows.calls()[1], [50]);
    assert_eq!(counters(&node).loads, 51);
}

#[tokio::test]
async fn a_full_call_goes_out_and_what_is_left_waits_for_the_next() {
    for remote in Remote::both() {
        let (node, rows) = (remote.node().await, Rows::default());
        let cache = rows.collected(&node, Collect::within(SECOND).at_most(10));

        for result in ends(join_all(reads(&cache, 0..30))).await {
            result.unwrap().unwrap();
        }

        let sizes: Vec<_> = rows.calls().iter().map(Vec::len).collect();
        assert_eq!(sizes, [10, 10, 10]);
        assert_eq!(rows.store.loads(), 30);
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_call_does_not_wait_for_its_window() {
    let (node, rows) = (hub().await, Rows::default());
    let cache = rows.collected(&node, Collect::within(SECOND).at_most(3));
    let start = Instant::now();

    for result in join_all(reads(&cache, 0..3)).await {
        result.unwrap().unwrap();
    }

    assert!(start.elapsed() < SECOND / 2);
}

#[tokio::test(start_paused = true)]
async fn a_key_is_in_a_call_once_however_many_read_it() {
    let (node, rows) = (hub().await, Rows::default());
    let cache = rows.collected(&node, window());

    let keys = (0..100).map(|number| number % 2);
    for result in join_all(reads(&cache, keys)).await {
        assert_eq!(result.unwrap().unwrap().outcome(), Outcome::Loaded);
    }

    assert_eq!(rows.calls(), [[0, 1]]);
    assert_eq!((counters(&node).loads, counters(&node).loaded), (2, 100));
}

#[tokio::test(start_paused = true)]
async fn a_hit_waits_for_no_window() {
    let hub = Remote::Hub(InProcess::new());
    let (one, other) = (hub.quiet_node([1]).await, hub.node().await);
    let rows = Rows::default();
    let (here, there) = (
        rows.collected(&one, Collect::within(SECOND)),
        rows.collected(&other, Collect::within(SECOND)),
    );
    here.get(&1).await.unwrap();
    let waiting = reads(&here, [2]);
    let there_waiting = reads(&there, [3]);
    while counters(&one).loads + counters(&other).loads < 3 {
        tokio::task::yield_now().await;
    }

    let hit = here.get(&1).now_or_never().expect("an answer at once");
    assert_eq!(hit.unwrap().outcome(), Outcome::LocalHit);
    assert_eq!(there.get(&1).await.unwrap().outcome(), Outcome::RemoteHit);
    assert_eq!(rows.calls(), [[1]], "the others still wait");

    for result in join_all(waiting.into_iter().chain(there_waiting)).await {
        result.unwrap().unwrap();
    }
    assert_eq!(rows.calls().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn callers_that_go_away_stop_nothing() {
    let (node, rows) = (hub().await, Rows::default());
    let cache = rows.collected(&node, window());
    let gone = reads(&cache, 0..20);
    while counters(&node).loads < 20 {
        tokio::task::yield_now().await;
    }

    gone.iter().for_each(JoinHandle::abort);
    drop(cache);

    let again = rows.collected(&node, window());
    eventually("the call went out", async || rows.calls().len() == 1).await;
    for key in 0..20 {
        again.get(&key).await.unwrap();
    }
    assert_eq!(rows.calls(), [Vec::from_iter(0..20)]);
}

/// The second load of the key begins after the invalidation, so it must not be given what the first one asked for.
#[tokio::test(start_paused = true)]
async fn a_key_that_is_invalidated_in_the_window_is_in_two_calls() {
    let (node, rows) = (hub().await, Rows::default());
    let cache = rows.collected(&node, window());
    let mut all = reads(&cache, [1, 2]);
    while counters(&node).loads < 2 {
        tokio::task::yield_now().await;
    }

    rows.store.commit(&1);
    cache.invalidate(&1).await.unwrap();
    all.extend(reads(&cache, [1]));

    for result in join_all(all).await {
        result.unwrap().unwrap();
    }
    assert_eq!(*cache.get(&1).await.unwrap(), 1);
    assert_eq!(rows.calls(), [vec![1, 2], vec![1]]);
}

#[tokio::test(start_paused = true)]
async fn many_keys_at_once_wait_for_no_window() {
    let (node, rows) = (hub().await, Rows::default());
    let cache = rows.collected(&node, Collect::within(SECOND));
    let waiting = reads(&cache, [1]);
    while counters(&node).loads < 1 {
        tokio::task::yield_now().await;
    }

    // What is collected already is waited for; the rest is loaded at once.
    let batch = cache.get_many(&[1, 2, 3]).await.unwrap();

    assert_eq!(batch.into_found().unwrap().len(), 3);
    assert_eq!(rows.calls(), [vec![2, 3], vec![1]]);
    join_all(waiting).await;
}

/// Calls end and begin at the same time as keys come: each key is let into one of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_key_is_lost_between_two_calls() {
    for window in [Duration::ZERO, Duration::from_micros(200)] {
        let (node, rows) = (hub().await, Rows::default());
        let cache = rows.collected(&node, Collect::within(window).at_most(7));

        for round in 0..20 {
            for result in ends(join_all(reads(&cache, round * 100..(round + 1) * 100))).await {
                result.unwrap().unwrap();
            }
        }

        assert_eq!(rows.store.loads(), 2_000);
        assert!(rows.calls().iter().all(|keys| keys.len() <= 7));
    }
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_waits_for_what_is_being_collected() {
    let (node, rows) = (hub().await, Rows::default());
    let cache = rows.collected(&node, Collect::within(SECOND));
    let waiting = reads(&cache, [1, 2]);
    while counters(&node).loads < 2 {
        tokio::task::yield_now().await;
    }

    assert!(node.tiers.shutdown(SECOND * 60).await.is_complete());

    for result in join_all(waiting).await {
        result.unwrap().unwrap();
    }
    assert_eq!(rows.calls(), [[1, 2]]);
}

/// Several runtimes may share a cache; the first may end while a call of it is open.
#[test]
fn a_call_that_ends_with_its_runtime_is_followed_by_another() {
    let (one, other) = (runtime(), runtime());
    let (node, rows) = (other.block_on(hub()), Rows::default());
    let cache = rows.collected(&node, Collect::within(SECOND));
    let lost = one.block_on(async {
        let lost = reads(&cache, [1]);
        while counters(&node).loads < 1 {
            tokio::task::yield_now().await;
        }
        lost
    });
    drop((one, lost));

    other.block_on(async {
        let cache = cache.clone();
        assert_eq!(*ends(cache.get(&2)).await.unwrap(), 0);
    });
    assert_eq!(rows.calls(), [[2]]);
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

#[tokio::test]
async fn settings_without_sense_are_refused() {
    let node = hub().await;
    let load = |_| async { Ok::<_, Error>(Vec::<(u64, u64)>::new()) };
    let refused = |collect| {
        let made = node.cache.with_collecting_loader(collect, load);
        made.is_err_and(|error| error.is_config())
    };

    assert!(refused(Collect::within(SECOND + Duration::from_nanos(1))));
    assert!(refused(window().at_most(0)));
    assert!(refused(window().at_most(10_001)));
    assert!(!refused(Collect::within(Duration::ZERO).at_most(1)));
}
