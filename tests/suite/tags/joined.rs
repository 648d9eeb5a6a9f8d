//! Readers that join a load after something that it has read was invalidated: they get nothing of that.

use super::labelled::{load, plain};
use crate::nodes::{Node, Remote};
use crate::reads::{Numbers, ends};
use std::future::Future;
use tokio::task::JoinHandle;
use tricache::{Error, Loaded, Receipt, Tiers};
use tricache_test_support::{CountingStore, eventually};

/// What the load had read is kept nowhere, so its pointer bore no mark of the load and no tag told of the invalidation. Whoever
/// joined the load afterwards got what it had read before.
#[tokio::test]
async fn a_late_reader_gets_nothing_made_of_an_unkept_value_that_was_invalidated() {
    for remote in Remote::both() {
        let made = Made::on(&remote.node().await).await;

        let written = made.numbers.invalidate(&1);

        assert_eq!(made.joined(Made::tenfold_of_unkept, written).await, (0, 10));
    }
}

/// The load did not take over the cache of what is kept nowhere, either.
#[tokio::test]
async fn a_late_reader_gets_nothing_made_of_an_unkept_value_whose_cache_was_cleared() {
    for remote in Remote::both() {
        let made = Made::on(&remote.node().await).await;

        let written = made.numbers.clear();

        assert_eq!(made.joined(Made::tenfold_of_unkept, written).await, (0, 10));
    }
}

/// The inner load knew that it shows something old: nobody kept its answer, and nobody joined it. The outer load knew nothing
/// of that, and was joined.
#[tokio::test]
async fn a_late_reader_gets_nothing_made_of_a_load_that_nobody_may_join() {
    for remote in Remote::both() {
        let made = Made::on(&remote.node().await).await;

        let written = made.numbers.invalidate(&1);

        assert_eq!(made.joined(Made::successor, written).await, (1, 11));
    }
}

/// A number, its tenfold, and the successor of that, each in a cache of its own.
#[derive(Clone)]
struct Made {
    tiers: Tiers,
    numbers: Numbers,
    tenfolds: Numbers,
    successors: Numbers,
    store: CountingStore,
    /// Holds loads of tenfolds when they have read their number.
    gate: CountingStore,
}

impl Made {
    async fn on(node: &Node) -> Self {
        let cache = |name| node.tiers.cache(name, *node.cache.policy()).unwrap();
        let made = Self {
            tiers: node.tiers.clone(),
            numbers: node.cache.clone(),
            tenfolds: cache("tenfold"),
            successors: cache("successor"),
            store: CountingStore::new(),
            gate: CountingStore::new(),
        };
        // Their buckets are in use from here on: no fence detaches a load.
        for cache in [&made.numbers, &made.tenfolds, &made.successors] {
            ends(cache.invalidate(&1)).await.unwrap();
        }
        made
    }

    async fn tenfold(self, dress: fn(u64) -> Loaded<u64>) -> Result<u64, Error> {
        let made = self.clone();
        let loader = |_| async move {
            let number = *load(&made.numbers, &made.store, 1, dress).await?;
            made.gate.load(&0).await;
            Ok::<_, Error>(number * 10)
        };
        self.tenfolds.get_or_load(&1, loader).await.map(|it| *it)
    }

    async fn tenfold_of_unkept(self) -> Result<u64, Error> {
        self.tenfold(|number| Loaded::new(number).do_not_store())
            .await
    }

    async fn successor(self) -> Result<u64, Error> {
        let made = self.clone();
        let loader = |_| async move { made.tenfold(plain).await.map(|tenfold| tenfold + 1) };
        self.successors.get_or_load(&1, loader).await.map(|it| *it)
    }

    /// A read begins, its number is committed and `written`, and another read joins the first one's load. What both get.
    async fn joined<F>(
        &self,
        read: impl Fn(Self) -> F,
        written: impl Future<Output = Result<Receipt, Error>>,
    ) -> (u64, u64)
    where
        F: Future<Output = Result<u64, Error>> + Send + 'static,
    {
        self.gate.hold();
        let early = tokio::spawn(read(self.clone()));
        self.gate.wait_for_waiting(1).await;

        self.store.commit(&1);
        assert!(!ends(written).await.unwrap().is_pending());
        let late = tokio::spawn(read(self.clone()));
        eventually("the late reader joins", async || {
            self.tiers.report().counters().flights_joined == 1
        })
        .await;
        self.gate.release();

        let value = async |read: JoinHandle<Result<u64, Error>>| ends(read).await.unwrap().unwrap();
        (value(early).await, value(late).await)
    }
}
