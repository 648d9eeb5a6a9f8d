//! Loaders that fail, find nothing or panic: one load, its outcome shared, the cache as before.

use crate::nodes::{Node, Remote};
use crate::reads::{Numbers, counters, ends, read};
use std::{fmt, io};
use tokio::task::JoinHandle;
use tricache::{Cached, Error, Loaded};
use tricache_test_support::{CountingStore, eventually};

#[tokio::test]
async fn a_failure_is_shared_by_all_that_waited_for_it() {
    for remote in Remote::both() {
        let errors = shared_by_fifty_one(&remote, |_| Err(Refused(7))).await;

        for error in errors {
            assert_eq!(error.loader::<Refused>(), Some(&Refused(7)));
            assert!(error.loader::<io::Error>().is_none());
            assert!(!error.is_absent() && !error.is_panic());
        }
    }
}

#[tokio::test]
async fn that_nothing_was_found_is_shared_by_all_that_waited_for_it() {
    for remote in Remote::both() {
        let errors = shared_by_fifty_one(&remote, |_| Ok(Loaded::absent())).await;

        assert!(errors.iter().all(Error::is_absent));
    }
}

#[tokio::test]
async fn a_panic_is_shared_by_all_that_waited_for_it() {
    for remote in Remote::both() {
        let errors = shared_by_fifty_one(&remote, |_| panic!("no such {}", "table")).await;

        for error in errors {
            assert!(error.is_panic() && error.to_string().contains("no such table"));
        }
    }
}

#[tokio::test]
async fn a_cache_works_on_after_a_loader_failed() {
    for remote in Remote::both() {
        let (node, store) = (remote.node().await, CountingStore::new());
        let failed = node
            .cache
            .get_or_load(&1, |_| async { Err::<u64, _>(Refused(7)) });
        assert!(ends(failed).await.is_err());

        read_without_waiting(&node, &store).await;
    }
}

#[tokio::test]
async fn a_cache_works_on_after_a_loaders_future_panicked() {
    for remote in Remote::both() {
        let (node, store) = (remote.node().await, CountingStore::new());
        let panicked = node.cache.get_or_load(&1, |_| async {
            if true {
                panic!("in the future");
            }
            Ok::<u64, Refused>(1)
        });
        assert!(ends(panicked).await.unwrap_err().is_panic());

        read_without_waiting(&node, &store).await;
    }
}

#[tokio::test]
async fn a_cache_works_on_after_a_loaders_closure_panicked() {
    // The lease was taken before the closure ran; kept, it would hold up every reader for three seconds.
    for remote in Remote::both() {
        let (node, store) = (remote.node().await, CountingStore::new());
        let panicked = node.cache.get_or_load(&1, |_| {
            if true {
                panic!("in the closure");
            }
            async { Ok::<u64, Refused>(1) }
        });
        assert!(ends(panicked).await.unwrap_err().is_panic());

        read_without_waiting(&node, &store).await;
    }
}

/// The next read loads, and nothing is left that it must wait for.
async fn read_without_waiting(node: &Node, store: &CountingStore) {
    assert_eq!(*read(&node.cache, store, 1).await, 0);
    assert_eq!(store.loads(), 1);
    assert_eq!(counters(node).lease_waits, 0);
}

/// Fifty wait for the load of one, which then ends like this. Their errors; there was one load.
async fn shared_by_fifty_one(
    remote: &Remote,
    end: fn(u64) -> Result<Loaded<u64>, Refused>,
) -> Vec<Error> {
    let node = remote.quiet_node([1]).await;
    let gate = CountingStore::new();
    gate.hold();
    let callers: Vec<_> = (0..51).map(|_| spawn(&node.cache, &gate, end)).collect();
    eventually("fifty wait", async || {
        counters(&node).flights_joined == 50 && gate.waiting() == 1
    })
    .await;

    gate.release();

    let mut errors = Vec::new();
    for caller in callers {
        errors.push(ends(caller).await.unwrap().unwrap_err());
    }
    assert_eq!((gate.loads(), counters(&node).loads), (1, 1));
    assert_eq!(counters(&node).failed + counters(&node).loaded, 51);
    errors
}

fn spawn(
    cache: &Numbers,
    gate: &CountingStore,
    end: fn(u64) -> Result<Loaded<u64>, Refused>,
) -> JoinHandle<Result<Cached<u64>, Error>> {
    let (cache, gate) = (cache.clone(), gate.clone());
    tokio::spawn(async move {
        let load = |_| async move { end(gate.load(&1).await) };
        cache.get_or_load(&1, load).await
    })
}

/// An error of the store's own.
#[derive(Debug, PartialEq)]
struct Refused(u32);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "refused with {}", self.0)
    }
}

impl std::error::Error for Refused {}
