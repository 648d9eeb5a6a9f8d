//! Reads and writes that go on while the cluster changes, and an oracle that knows what may be answered.
//!
//! A read that begins longer than the bound after an invalidation was acknowledged must not answer what was before it, unless it
//! says that nobody could prove it. No call answers an error.

use super::scene::{Node, Scene};
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::task::JoinHandle;
use tricache::Outcome;
use tricache_test_support::CountingStore;

/// Tasks that read and write until they are stopped.
pub(crate) struct Traffic {
    tasks: Vec<JoinHandle<()>>,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    ended: AtomicBool,
    reads: AtomicU64,
    /// When which commit of a key was acknowledged as told.
    acknowledged: Mutex<HashMap<u64, Vec<(Instant, u64)>>>,
    wrong: Mutex<Vec<String>>,
}

impl Traffic {
    /// Begins to read and write `keys` keys.
    pub(crate) fn start(scene: &Scene, keys: u64) -> Self {
        let shared = Arc::new(Shared::default());
        let mut tasks = Vec::new();
        for node in scene.nodes() {
            for of in [reading, writing] {
                let (node, store) = (node.clone(), scene.store.clone());
                tasks.push(of(node, store, keys, Arc::clone(&shared)));
            }
        }
        Self { tasks, shared }
    }

    /// Waits until so many more reads were answered, so that whatever has changed was met.
    pub(crate) async fn goes_on(&self, reads: u64) {
        let before = self.shared.reads.load(Ordering::SeqCst);
        let more = async || self.shared.reads.load(Ordering::SeqCst) >= before + reads;
        tricache_test_support::eventually_within(super::scene::LIMIT, "reads go on", more).await;
        self.is_right();
    }

    /// Ends it.
    ///
    /// # Panics
    /// If any answer was wrong.
    pub(crate) async fn stop(self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        for task in self.tasks {
            task.await.unwrap();
        }
        self.shared.is_right();
    }

    fn is_right(&self) {
        self.shared.is_right();
    }
}

impl Shared {
    fn is_right(&self) {
        let wrong = self.wrong.lock().unwrap();
        assert!(
            wrong.is_empty(),
            "{} wrong answers: {:?}",
            wrong.len(),
            &wrong[..wrong.len().min(5)]
        );
    }

    fn acknowledge(&self, key: u64, committed: u64) {
        let mut acknowledged = self.acknowledged.lock().unwrap();
        let told = acknowledged.entry(key).or_default();
        told.push((Instant::now(), committed));
    }

    /// The newest commit that a read which begins now must know of.
    fn least(&self, key: u64, now: Instant) -> u64 {
        let acknowledged = self.acknowledged.lock().unwrap();
        let told = acknowledged.get(&key).into_iter().flatten();
        let due = told.filter(|(at, _)| *at + BOUND < now);
        due.map(|(_, committed)| *committed).max().unwrap_or(0)
    }

    fn note_wrong(&self, what: String) {
        self.wrong.lock().unwrap().push(what);
    }
}

fn reading(node: Node, store: CountingStore, keys: u64, shared: Arc<Shared>) -> JoinHandle<()> {
    tokio::spawn(async move {
        while !shared.ended.load(Ordering::SeqCst) {
            let key = fastrand::u64(0..keys);
            let least = shared.least(key, Instant::now());
            match node.load(&store, key).await {
                Ok(found) => {
                    let unproven = found.outcome() == Outcome::LocalUnproven;
                    if *found < least && !unproven {
                        let outcome = found.outcome();
                        shared.note_wrong(format!("{key}: {} for {least}, {outcome:?}", *found));
                    }
                }
                Err(error) => shared.note_wrong(format!("{key}: {error}")),
            }
            shared.reads.fetch_add(1, Ordering::SeqCst);
            // Hits answer without waiting, and the machine is not theirs alone.
            tokio::time::sleep(PACE).await;
        }
    })
}

fn writing(node: Node, store: CountingStore, keys: u64, shared: Arc<Shared>) -> JoinHandle<()> {
    tokio::spawn(async move {
        while !shared.ended.load(Ordering::SeqCst) {
            let key = fastrand::u64(0..keys);
            let committed = store.commit(&key);
            match node.cache.invalidate(&key).await {
                // What waits to be sent is not acknowledged.
                Ok(receipt) if receipt.is_pending() => {}
                Ok(_) => shared.acknowledge(key, committed),
                Err(error) => shared.note_wrong(format!("{key}, invalidated: {error}")),
            }
            tokio::time::sleep(PACE * 4).await;
        }
    })
}

/// Two heartbeats, and as much again for a machine that is busy.
const BOUND: Duration = Duration::from_secs(2);
const PACE: Duration = Duration::from_millis(1);
