//! Calls for collected keys that fail, find nothing or panic: each caller has its own answer.

use super::{Loading, SECOND};
use crate::nodes::Remote;
use crate::reads::ends;
use futures_util::future::join_all;
use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
};
use tricache::{BatchContext, BoxError, Collect, Error};

/// Two reads of one call, and then the same once more.
async fn two_rounds(cache: &Loading) -> Vec<Result<u64, Error>> {
    let mut results = Vec::new();
    for _ in 0..2 {
        let both = join_all([cache.get(&1), cache.get(&2)]);
        results.extend(
            ends(both)
                .await
                .into_iter()
                .map(|found| found.map(|value| *value)),
        );
    }
    results
}

async fn failing<F>(load: F) -> Vec<(Vec<Result<u64, Error>>, u64)>
where
    F: Fn(u64, Vec<u64>) -> Result<Vec<(u64, u64)>, BoxError> + Copy + Send + Sync + 'static,
{
    let mut all = Vec::new();
    for remote in Remote::both() {
        let (node, calls) = (remote.node().await, Arc::new(AtomicU64::new(0)));
        let counted = Arc::clone(&calls);
        let cache = node
            .cache
            .with_collecting_loader(
                Collect::within(SECOND).at_most(2),
                move |cx: BatchContext<u64>| {
                    let call = counted.fetch_add(1, SeqCst);
                    async move { load(call, cx.into_keys()) }
                },
            )
            .unwrap();
        let results = two_rounds(&cache).await;
        all.push((results, calls.load(SeqCst)));
    }
    all
}

fn found(keys: Vec<u64>) -> Vec<(u64, u64)> {
    keys.into_iter().map(|key| (key, key * 10)).collect()
}

#[tokio::test]
async fn an_error_is_that_of_every_key_of_the_call_and_of_no_other() {
    let load = |call, keys| match call {
        0 => Err(io::Error::other("the store is down").into()),
        _ => Ok(found(keys)),
    };
    for (results, calls) in failing(load).await {
        let [one, other, again, too] = &results[..] else {
            panic!("{results:?}")
        };

        for failed in [one, other] {
            assert!(failed.as_ref().unwrap_err().loader::<io::Error>().is_some());
        }
        assert_eq!((*again.as_ref().unwrap(), *too.as_ref().unwrap()), (10, 20));
        assert_eq!(calls, 2);
    }
}

#[tokio::test]
async fn a_panic_is_an_error_of_every_caller() {
    let load = |call, keys| {
        assert!(call > 0, "no such table");
        Ok(found(keys))
    };
    for (results, calls) in failing(load).await {
        for failed in &results[..2] {
            let error = failed.as_ref().unwrap_err();
            assert!(error.is_panic() && error.to_string().contains("no such table"));
        }
        assert!(results[2..].iter().all(Result::is_ok));
        assert_eq!(calls, 2);
    }
}

#[tokio::test]
async fn a_key_that_is_left_out_is_absent_and_the_other_is_not() {
    let load = |_, mut keys: Vec<u64>| {
        keys.retain(|key| *key != 2);
        keys.push(7);
        Ok(found(keys))
    };
    for (results, calls) in failing(load).await {
        for round in results.chunks(2) {
            assert_eq!(*round[0].as_ref().unwrap(), 10);
            assert!(round[1].as_ref().unwrap_err().is_absent());
        }
        assert_eq!(calls, 1, "the absence is remembered");
    }
}

#[tokio::test]
async fn a_closure_that_panics_is_an_error_of_every_caller() {
    for remote in Remote::both() {
        let node = remote.node().await;
        let load = |_| -> std::future::Ready<io::Result<Vec<(u64, u64)>>> { panic!("no loader") };
        let collect = Collect::within(SECOND).at_most(2);
        let cache = node.cache.with_collecting_loader(collect, load).unwrap();

        for result in two_rounds(&cache).await {
            assert!(result.unwrap_err().is_panic());
        }
    }
}
