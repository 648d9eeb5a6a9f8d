//! Loaders that a cache was given, and that panic, hang, are late or answer 50 MB: one key or many, alone or collected.

use crate::reads::ends;
use crate::stale::Nodes;
use std::{
    future::{Future, pending},
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};
use tokio::time::sleep;
use tricache::{BatchContext, Collect, Error, LoadContext, LoadingCache, Policy};
use tricache_test_support::eventually;

pub(super) type Texts = LoadingCache<u64, String>;

/// What a store does instead of answering in short.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Trouble {
    Panics,
    /// Before there is a future.
    PanicsAtOnce,
    Hangs,
    /// Longer than a call waits, and not as long as a load may take.
    Late,
    FiftyMegabytes,
}

/// A store that is in trouble until it is healed.
#[derive(Clone, Default)]
pub(super) struct Store {
    trouble: Arc<Mutex<Option<Trouble>>>,
    begun: Arc<AtomicUsize>,
    ended: Arc<AtomicUsize>,
}

impl Store {
    pub(super) fn is_in(trouble: Trouble) -> Self {
        let store = Self::default();
        store.gets_into(trouble);
        store
    }

    pub(super) fn gets_into(&self, trouble: Trouble) {
        *self.trouble.lock().unwrap() = Some(trouble);
    }

    pub(super) fn heal(&self) {
        *self.trouble.lock().unwrap() = None;
    }

    /// Loads that have begun.
    pub(super) fn begun(&self) -> usize {
        self.begun.load(SeqCst)
    }

    /// Of those, the ones that are still there, running or hanging.
    pub(super) fn running(&self) -> usize {
        self.begun() - self.ended.load(SeqCst)
    }

    fn answer(&self) -> impl Future<Output = io::Result<String>> + Send + use<> {
        let trouble = *self.trouble.lock().unwrap();
        assert!(trouble != Some(Trouble::PanicsAtOnce), "no pool");
        self.begun.fetch_add(1, SeqCst);
        let ended = Ended(Arc::clone(&self.ended));
        async move {
            let _ended = ended;
            match trouble {
                Some(Trouble::Panics) => panic!("no row"),
                Some(Trouble::Hangs) => pending().await,
                Some(Trouble::Late) => sleep(HARD * 3 / 2).await,
                Some(Trouble::FiftyMegabytes) => return Ok("x".repeat(50 << 20)),
                _ => {}
            }
            Ok("lamp".to_owned())
        }
    }

    /// A cache for each way to give it a loader. They have nothing in common.
    pub(super) fn caches(&self, nodes: &Nodes, policy: Policy) -> [Texts; 3] {
        let cache = |name| nodes.nodes[0].0.cache::<u64, String>(name, policy).unwrap();
        let store = self.clone();
        let one = move |_: LoadContext<u64, String>| store.answer();
        let store = self.clone();
        let many = move |cx: BatchContext<u64>| {
            let answer = store.answer();
            async move {
                let text = answer.await?;
                let rows = cx.into_keys().into_iter();
                Ok::<Vec<_>, io::Error>(rows.map(|key| (key, text.clone())).collect())
            }
        };
        let collect = Collect::within(Duration::from_millis(1));
        let collected = cache("collected").with_collecting_loader(collect, many.clone());
        [
            cache("one").with_loader(one),
            cache("many").with_batch_loader(many),
            collected.unwrap(),
        ]
    }
}

struct Ended(Arc<AtomicUsize>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.fetch_add(1, SeqCst);
    }
}

/// The answers for one key alone and for two together: their lengths.
pub(super) async fn answers(cache: &Texts) -> Vec<Result<usize, Error>> {
    let alone = ends(cache.get(&1)).await.map(|text| text.len());
    let batch = ends(cache.get_many(&[2, 3])).await.unwrap();
    let both = batch.iter();
    let both = both.map(|(_, text)| text.map(|text| text.len()).map_err(Clone::clone));
    std::iter::once(alone).chain(both).collect()
}

fn lengths(answers: Vec<Result<usize, Error>>) -> Vec<usize> {
    answers.into_iter().map(Result::unwrap).collect()
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_the_callers_error_and_the_next_read_loads() {
    for trouble in [Trouble::Panics, Trouble::PanicsAtOnce] {
        let nodes = Nodes::start::<1>(policy()).await;
        let store = Store::default();
        for cache in store.caches(&nodes, policy()) {
            store.gets_into(trouble);
            for failed in answers(&cache).await {
                assert!(failed.unwrap_err().is_panic(), "{cache:?}: {trouble:?}");
            }

            store.heal();
            assert_eq!(lengths(answers(&cache).await), [4, 4, 4]);
        }
        assert_eq!((store.running(), nodes.counters(0).lease_waits), (0, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_loader_that_hangs_is_stopped_and_the_next_read_loads() {
    let nodes = Nodes::start::<1>(policy()).await;
    let store = Store::default();
    for cache in store.caches(&nodes, policy()) {
        store.gets_into(Trouble::Hangs);
        for late in answers(&cache).await {
            assert!(late.unwrap_err().is_timeout(), "{cache:?}");
        }

        eventually("no loader hangs any more", async || store.running() == 0).await;
        store.heal();
        assert_eq!(lengths(answers(&cache).await), [4, 4, 4]);
        assert_eq!(nodes.nodes[0].0.report().loads().in_flight(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_after_the_deadline_is_found_by_the_next_read() {
    let nodes = Nodes::start::<1>(policy()).await;
    let store = Store::is_in(Trouble::Late);
    for cache in store.caches(&nodes, policy()) {
        for late in answers(&cache).await {
            assert!(late.unwrap_err().is_timeout(), "{cache:?}");
        }

        for key in 1..=3 {
            eventually("it was filled", async || {
                let found = ends(cache.cache().get(&key)).await.unwrap();
                found.is_some_and(|text| *text == "lamp")
            })
            .await;
        }
    }
    assert_eq!(store.begun(), 3 + 2 + 2);
}

#[tokio::test]
async fn fifty_megabytes_are_answered_and_kept_nowhere() {
    let nodes = Nodes::start::<1>(policy()).await;
    let store = Store::is_in(Trouble::FiftyMegabytes);
    for cache in store.caches(&nodes, policy()) {
        assert_eq!(lengths(answers(&cache).await), [50 << 20; 3]);

        let kept = ends(cache.cache().get_many(&[1, 2, 3])).await.unwrap();
        assert!(kept.is_empty());
        assert_eq!(cache.local_usage(), (0, 0));
    }
    assert_eq!(nodes.counters(0).too_large, 9);
    assert_eq!(store.running(), 0);
}

pub(super) fn policy() -> Policy {
    Policy::ttl(Duration::from_secs(600))
        .hard_timeout(HARD)
        .load_timeout(HARD * 2)
}

const HARD: Duration = Duration::from_secs(3);
