//! Loads of batches that would wait for themselves: an error, never a deadlock.

use crate::nodes::Remote;
use crate::reads::{Numbers, ends};
use crate::table::{Table, read_many};
use std::sync::Arc;
use tokio::sync::Barrier;
use tricache::{BatchContext, Error};

type Rows = Vec<(u64, u64)>;

#[tokio::test]
async fn a_loader_that_reads_a_key_of_its_own_batch_gets_an_error() {
    for remote in Remote::both() {
        let node = remote.quiet_node(1..=2).await;

        let error = circular(&node.cache, reads_one).await;

        assert!(error.is_circular(), "{error}");
        assert!(error.to_string().contains("number/2"));
        read_many(&node.cache, &Table::default(), &[1, 2]).await;
    }
}

#[tokio::test]
async fn a_loader_that_reads_a_batch_with_a_key_of_its_own_gets_an_error() {
    for remote in Remote::both() {
        let node = remote.quiet_node(1..=3).await;

        let error = circular(&node.cache, reads_many).await;

        assert!(error.is_circular(), "{error}");
        read_many(&node.cache, &Table::default(), &[1, 2, 3]).await;
    }
}

#[tokio::test]
async fn the_buckets_of_the_batch_may_be_new() {
    // The batch's own questions begin the epochs, and told of that its node detaches its flights.
    for remote in Remote::both() {
        let node = remote.node().await;

        let error = circular(&node.cache, reads_one).await;

        assert!(error.is_circular(), "{error}");
    }
}

#[tokio::test]
async fn batches_whose_loaders_read_each_others_keys_get_an_error() {
    for remote in Remote::both() {
        let node = remote.quiet_node(1..=4).await;
        let both_load = Arc::new(Barrier::new(2));

        let (one, other) = ends(async {
            tokio::join!(
                reads_the_other(&node.cache, [1, 2], 4, &both_load),
                reads_the_other(&node.cache, [3, 4], 1, &both_load),
            )
        })
        .await;

        assert!(
            [&one, &other].iter().any(|error| error.is_circular()),
            "{one} {other}"
        );
        read_many(&node.cache, &Table::default(), &[1, 2, 3, 4]).await;
    }
}

#[tokio::test]
async fn a_single_load_and_a_batch_that_read_each_others_keys_get_an_error() {
    for remote in Remote::both() {
        let node = remote.quiet_node(1..=3).await;
        let both_load = Arc::new(Barrier::new(2));
        let (inner, barrier) = (node.cache.clone(), Arc::clone(&both_load));
        let single = node.cache.get_or_load(&3, |_| async move {
            barrier.wait().await;
            let found = read_batch(&inner, &[1, 2]).await?;
            Ok::<_, Error>(found.len() as u64)
        });

        let (single, batch) = ends(async {
            tokio::join!(single, reads_the_other(&node.cache, [1, 2], 3, &both_load))
        })
        .await;

        let single = single.map(|value| *value);
        assert!(
            batch.is_circular() || single.as_ref().is_err_and(Error::is_circular),
            "{single:?} {batch}"
        );
    }
}

/// What keys 1 and 2 get when their loader does this.
async fn circular<Fut>(cache: &Numbers, inside: impl Fn(Numbers) -> Fut) -> Error
where
    Fut: Future<Output = Result<Rows, Error>> + Send + 'static,
{
    let batch = cache.get_or_load_many(&[1, 2], |_| inside(cache.clone()));
    ends(batch).await.unwrap().into_found().unwrap_err()
}

async fn reads_one(cache: Numbers) -> Result<Rows, Error> {
    let nested = cache.get_or_load(&2, |_| async { Ok::<u64, Error>(0) });
    nested.await.map(|value| vec![(1, *value)])
}

async fn reads_many(cache: Numbers) -> Result<Rows, Error> {
    read_batch(&cache, &[3, 2]).await
}

async fn read_batch(cache: &Numbers, keys: &[u64]) -> Result<Rows, Error> {
    let zeros = |cx: BatchContext<u64>| async move {
        Ok::<Rows, Error>(cx.into_keys().into_iter().map(|key| (key, 0)).collect())
    };
    let nested = cache.get_or_load_many(keys, zeros).await?.into_found()?;
    Ok(nested
        .into_iter()
        .map(|(key, value)| (key, *value))
        .collect())
}

/// The first error of a batch whose loader reads one key more, once both load; absent if there is none.
async fn reads_the_other(
    cache: &Numbers,
    keys: [u64; 2],
    other: u64,
    both_load: &Arc<Barrier>,
) -> Error {
    let batch = cache.get_or_load_many(&keys, |_| {
        let (inner, both_load) = (cache.clone(), Arc::clone(both_load));
        async move {
            both_load.wait().await;
            let nested = inner.get_or_load(&other, |_| async { Ok::<u64, Error>(0) });
            nested.await.map(|_| Rows::new())
        }
    });
    let (_, result) = batch.await.unwrap().into_iter().next().unwrap();
    result.unwrap_err()
}
