//! Many nodes and one load: who has the lease loads, and who loses it is replaced.

use crate::nodes::{Node, Remote};
use crate::reads::{counters, ends, held_read, read, spawn_read};
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tricache::Outcome;
use tricache_test_support::{CountingStore, eventually};

#[tokio::test]
async fn a_cold_key_is_loaded_once_for_a_thousand_callers_on_each_of_four_nodes() {
    for remote in Remote::both() {
        let nodes = [
            remote.node().await,
            remote.node().await,
            remote.node().await,
            remote.node().await,
        ];
        let store = CountingStore::new();
        store.hold();

        let readings: Vec<_> = (0..4000)
            .map(|caller| spawn_read(&nodes[caller % 4].cache, &store, 1))
            .collect();
        eventually("all wait for one load", async || {
            let waits = |node| counters(node).flights_joined + counters(node).lease_waits;
            nodes.iter().map(waits).sum::<u64>() == 3999
        })
        .await;
        store.release();

        for reading in readings {
            assert_eq!(reading.value().await, 0);
        }
        assert_eq!(store.loads(), 1);
    }
}

#[tokio::test]
async fn another_node_takes_over_when_the_one_that_loads_dies() {
    for remote in Remote::both() {
        let (dying, survivor) = (Island::new(&remote).await, remote.node().await);
        let (lost, store) = <(CountingStore, CountingStore)>::default();
        dying.begin_read(&lost, 1).await;
        let waiting = spawn_read(&survivor.cache, &store, 1);
        eventually("the survivor waits for the lease", async || {
            counters(&survivor).lease_waits == 1
        })
        .await;
        assert_eq!(store.loads(), 0);

        dying.sink();

        assert_eq!(waiting.value().await, 0);
        assert_eq!((lost.loads(), store.loads()), (1, 1));
    }
}

#[tokio::test]
async fn a_shutdown_waits_for_the_load_that_another_node_waits_for() {
    for remote in Remote::both() {
        let (leaving, other) = (remote.node().await, remote.node().await);
        let store = CountingStore::new();
        let loading = held_read(&leaving, &store, 1).await;
        let waiting = spawn_read(&other.cache, &store, 1);
        eventually("the other node waits", async || {
            counters(&other).lease_waits == 1
        })
        .await;

        let tiers = leaving.tiers.clone();
        let ending = tokio::spawn(async move { tiers.shutdown(Duration::from_secs(60)).await });
        eventually("further calls are refused", async || {
            leaving.cache.get(&1).await.is_err()
        })
        .await;
        store.release();

        assert!(ends(ending).await.unwrap().is_complete());
        assert_eq!((loading.value().await, waiting.value().await), (0, 0));
        assert_eq!(store.loads(), 1);
    }
}

#[tokio::test]
async fn a_load_outlives_every_handle_on_its_node() {
    for remote in Remote::both() {
        let (leaving, other) = (remote.node().await, remote.node().await);
        let store = CountingStore::new();
        let loading = held_read(&leaving, &store, 1).await;

        drop(leaving);
        loading.drop_caller().await;
        let waiting = spawn_read(&other.cache, &store, 1);
        eventually("the other node waits", async || {
            counters(&other).lease_waits == 1
        })
        .await;
        store.release();

        assert_eq!(waiting.value().await, 0);
        assert_eq!(store.loads(), 1);
    }
}

#[tokio::test]
async fn a_failed_load_is_taken_over_at_once() {
    for remote in Remote::both() {
        let (failing, other) = (remote.node().await, remote.node().await);
        let (gate, store) = <(CountingStore, CountingStore)>::default();
        gate.hold();
        let failure = tokio::spawn({
            let (cache, gate) = (failing.cache.clone(), gate.clone());
            async move {
                let load = |_| async move {
                    gate.load(&1).await;
                    Err::<u64, _>(std::io::Error::other("disk"))
                };
                cache.get_or_load(&1, load).await.map(|value| *value)
            }
        });
        gate.wait_for_waiting(1).await;
        let waiting = spawn_read(&other.cache, &store, 1);
        eventually("the other node waits", async || {
            counters(&other).lease_waits == 1
        })
        .await;

        gate.release();

        assert!(ends(failure).await.unwrap().is_err());
        let answer = waiting.result().await.unwrap();
        assert_eq!((*answer, answer.outcome()), (0, Outcome::Loaded));
        assert_eq!(*read(&failing.cache, &store, 1).await, 0);
        assert_eq!(store.loads(), 1);
    }
}

/// A node on a runtime of its own, which can end without a word, as a process does.
struct Island {
    runtime: Runtime,
    node: Node,
}

impl Island {
    async fn new(remote: &Remote) -> Self {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let node = runtime.spawn(Node::start(remote.builder())).await.unwrap();
        Self { runtime, node }
    }

    async fn begin_read(&self, store: &CountingStore, key: u64) {
        store.hold();
        let (cache, here) = (self.node.cache.clone(), store.clone());
        self.runtime
            .spawn(async move { spawn_read(&cache, &here, key).result().await });
        store.wait_for_waiting(1).await;
    }

    fn sink(self) {
        self.runtime.shutdown_background();
    }
}
