//! Every read ends in one outcome, or is counted as failed, missed or dropped: the counts equal the calls.

mod late;

use crate::reads::ends;
use std::{
    future::{Future, pending, ready},
    io,
    pin::pin,
    sync::Arc,
    task::Poll,
    time::Duration,
};
use tricache::{
    Counters, Error, InProcess, ManualClock, OptionalExt, Policy, StoreVersion, TieredCache, Tiers,
};

#[tokio::test]
async fn single_reads() {
    let node = Node::start(policy()).await;
    node.load(1).await.unwrap();
    node.load(1).await.unwrap();
    assert!(node.cache.get(&1).await.unwrap().is_some());
    assert!(node.cache.get(&2).await.unwrap().is_none());

    node.counted(
        4,
        &[
            ("local_hits", 2),
            ("loaded", 1),
            ("missed", 1),
            ("loads", 1),
        ],
    );
}

#[tokio::test]
async fn reads_of_another_node_s_value() {
    let node = Node::start(policy()).await;
    let other = node.neighbour().await;
    node.load(1).await.unwrap();
    other.load(1).await.unwrap();
    assert!(other.cache.get(&1).await.unwrap().is_some());

    other.counted(2, &[("local_hits", 1), ("remote_hits", 1)]);
}

#[tokio::test]
async fn a_batch_counts_each_of_its_distinct_keys() {
    let node = Node::start(policy()).await;
    node.load(1).await.unwrap();
    let batch = node.load_many(&[1, 2, 3, 2]).await;
    assert_eq!(batch, 3);
    let held = ends(node.cache.get_many(&[1, 2, 9, 9])).await.unwrap();
    assert_eq!(held.len(), 2);

    node.counted(
        7,
        &[
            ("local_hits", 3),
            ("loaded", 3),
            ("missed", 1),
            ("loads", 3),
        ],
    );
}

#[tokio::test]
async fn those_who_wait_for_one_load_count_each() {
    let node = Node::start(policy()).await;
    let reads = (0..10).map(|_| node.load(1));
    for read in futures_util::future::join_all(reads).await {
        read.unwrap();
    }

    node.counted(10, &[("loaded", 10), ("loads", 1), ("flights_joined", 9)]);
}

#[tokio::test]
async fn errors_and_panics_count_as_failed_for_each_who_waits() {
    let node = Node::start(policy()).await;
    let fails = |_| ready(Err::<u64, _>(io::Error::other("the store is down")));
    let reads = (0..3).map(|_| node.cache.get_or_load(&1, fails));
    for read in futures_util::future::join_all(reads).await {
        assert!(read.is_err());
    }
    let panics = |_| async {
        if true {
            panic!("in the future")
        } else {
            Ok::<u64, io::Error>(1)
        }
    };
    assert!(node.cache.get_or_load(&1, panics).await.is_err());
    let panics = |_| -> std::future::Ready<io::Result<u64>> { panic!("in the closure") };
    assert!(node.cache.get_or_load(&1, panics).await.is_err());
    let batch = node.cache.get_or_load_many(&[1, 2], |_| {
        ready(Err::<Vec<(u64, u64)>, _>(io::Error::other(
            "the store is down",
        )))
    });
    assert!(batch.await.unwrap().into_found().is_err());

    node.counted(
        7,
        &[
            ("failed", 7),
            ("loads", 5),
            ("load_errors", 5),
            ("flights_joined", 2),
        ],
    );
}

#[tokio::test]
async fn a_circle_counts_as_failed_in_each_call_that_it_fails() {
    let node = Node::start(policy()).await;
    let inner = node.cache.clone();
    let circle = node.cache.get_or_load(&1, move |_| async move {
        inner
            .get_or_load(&1, |_| ready(Ok::<_, io::Error>(1)))
            .await
            .map(|value| *value)
    });
    assert!(ends(circle).await.is_err());

    node.counted(2, &[("failed", 2), ("loads", 1), ("load_errors", 1)]);
}

#[tokio::test]
async fn an_absence_counts_as_the_hit_it_is() {
    let node = Node::start(policy()).await;
    for _ in 0..2 {
        let none = |_| ready(Ok::<_, io::Error>(None::<u64>));
        assert!(
            node.cache
                .get_or_load(&1, none)
                .await
                .optional()
                .unwrap()
                .is_none()
        );
    }
    assert!(node.cache.get(&1).await.unwrap_err().is_absent());

    node.counted(
        3,
        &[
            ("local_hits", 2),
            ("loaded", 1),
            ("loads", 1),
            ("absences", 1),
        ],
    );
}

#[tokio::test]
async fn stale_answers() {
    let policy = policy().stale_while_revalidate(TTL);
    let node = Node::start(policy).await;
    node.load(1).await.unwrap();
    node.outlive().await;
    node.load(1).await.unwrap();
    node.load_many(&[1]).await;
    node.tiers.until_idle().await;
    node.load(1).await.unwrap();

    node.counted(
        4,
        &[
            ("local_hits", 1),
            ("stale", 2),
            ("loaded", 1),
            ("loads", 2),
            ("refreshes", 1),
        ],
    );
}

#[tokio::test]
async fn answers_in_place_of_an_error() {
    let node = Node::start(policy().stale_if_error(TTL)).await;
    node.load(1).await.unwrap();
    node.outlive().await;
    for _ in 0..2 {
        let fails = |_| ready(Err::<u64, _>(io::Error::other("the store is down")));
        node.cache.get_or_load(&1, fails).await.unwrap();
    }

    // The second does not ask the store: it has just failed.
    node.counted(
        3,
        &[
            ("stale_if_error", 2),
            ("loaded", 1),
            ("loads", 2),
            ("load_errors", 1),
        ],
    );
}

#[tokio::test]
async fn a_switched_off_cache_counts_what_it_lets_pass() {
    let node = Node::build(policy(), false).await;
    node.load(1).await.unwrap();
    assert!(node.cache.get(&1).await.unwrap().is_none());
    node.load_many(&[1, 2, 1]).await;
    assert!(node.cache.get_many(&[1, 2, 1]).await.unwrap().is_empty());
    let fails = |_| ready(Err::<u64, _>(io::Error::other("the store is down")));
    assert!(node.cache.get_or_load(&1, fails).await.is_err());

    node.counted(
        7,
        &[
            ("bypassed", 3),
            ("failed", 1),
            ("missed", 3),
            ("loads", 4),
            ("load_errors", 1),
        ],
    );
}

#[tokio::test]
async fn without_the_remote_tier() {
    let node = Node::start(policy()).await;
    node.load(1).await.unwrap();
    node.hub.refuse(true);
    for key in [1, 2, 2] {
        node.load(key).await.unwrap();
    }

    node.counted(
        4,
        &[
            ("local_hits", 1),
            ("local_unproven", 1),
            ("loaded", 2),
            ("loads", 2),
            ("remote_errors", 1),
        ],
    );
}

#[tokio::test]
async fn callers_that_go_away_are_counted_and_their_loads_go_on() {
    let node = Node::start(policy()).await;
    drop_early(node.cache.get_or_load(&1, |_| pending::<io::Result<u64>>())).await;
    drop_early(node.cache.get_or_load(&1, |_| ready(Ok::<_, io::Error>(1)))).await;
    let batch = [1, 2, 3, 3];
    let many = |_| pending::<io::Result<Vec<(u64, u64)>>>();
    drop_early(node.cache.get_or_load_many(&batch, many)).await;
    node.hub.hold(true);
    drop_early(node.cache.get(&4)).await;
    drop_early(node.cache.get_many(&[4, 5])).await;
    node.hub.hold(false);

    // Never polled: that is no call.
    drop(node.cache.get(&1));
    node.counted(8, &[("dropped", 8), ("loads", 3), ("flights_joined", 2)]);
}

#[tokio::test]
async fn a_caller_of_a_switched_off_cache_that_goes_away_is_counted_too() {
    let node = Node::build(policy(), false).await;
    drop_early(node.cache.get_or_load(&1, |_| pending::<io::Result<u64>>())).await;
    let many = |_| pending::<io::Result<Vec<(u64, u64)>>>();
    drop_early(node.cache.get_or_load_many(&[1, 2, 2], many)).await;

    node.counted(3, &[("dropped", 3), ("loads", 3)]);
}

#[tokio::test]
async fn pinned_reads_count_like_others() {
    let node = Node::start(policy()).await;
    let pinned = node.cache.pinned(StoreVersion::from(9_u64));
    assert!(pinned.get(&1).await.unwrap().is_none());
    let load = |_| {
        ready(Ok::<_, io::Error>(
            tricache::Loaded::new(1_u64).at_version(9_u64),
        ))
    };
    pinned.get_or_load(&1, load).await.unwrap();
    pinned.get_or_load(&1, load).await.unwrap();

    node.counted(
        3,
        &[
            ("local_hits", 1),
            ("loaded", 1),
            ("missed", 1),
            ("loads", 1),
        ],
    );
}

#[tokio::test]
async fn what_is_refused_after_a_shutdown_counts_as_nothing() {
    let node = Node::start(policy()).await;
    node.tiers.shutdown(Duration::ZERO).await;
    assert!(node.cache.get(&1).await.unwrap_err().is_closed());
    assert!(node.load(1).await.unwrap_err().is_closed());

    node.counted(0, &[]);
}

/// Whatever a read ends in, it ends in one of these.
fn reads(counters: &Counters) -> u64 {
    let answered = counters.local_hits
        + counters.local_revalidated
        + counters.local_unproven
        + counters.remote_hits
        + counters.stale
        + counters.stale_if_error
        + counters.loaded
        + counters.bypassed;
    answered + counters.failed + counters.missed + counters.dropped
}

/// Polls until nothing more happens by itself, and drops.
async fn drop_early<F: Future>(call: F) {
    let mut call = pin!(call);
    for _ in 0..20 {
        let polled = std::future::poll_fn(|context| Poll::Ready(call.as_mut().poll(context)));
        assert!(polled.await.is_pending());
        tokio::task::yield_now().await;
    }
}

struct Node {
    clock: ManualClock,
    hub: InProcess,
    tiers: Tiers,
    cache: TieredCache<u64, u64>,
    policy: Policy,
}

impl Node {
    async fn start(policy: Policy) -> Self {
        Self::build(policy, true).await
    }

    async fn build(policy: Policy, enabled: bool) -> Self {
        let clock = ManualClock::new();
        let hub = InProcess::with_clock(Arc::new(clock.clone()));
        Self::around(hub, clock, policy, enabled).await
    }

    async fn neighbour(&self) -> Self {
        Self::around(self.hub.clone(), self.clock.clone(), self.policy, true).await
    }

    async fn around(hub: InProcess, clock: ManualClock, policy: Policy, enabled: bool) -> Self {
        let builder = Tiers::builder("counts").in_process(&hub).enabled(enabled);
        // Patient, and without a heartbeat that would count something of its own.
        let minute = Duration::from_secs(60);
        let builder = builder.heartbeat(minute).remote_timeout(minute);
        let tiers = builder
            .clock(Arc::new(clock.clone()))
            .build()
            .await
            .unwrap();
        let cache = tiers.cache("number", policy).unwrap();
        Self {
            clock,
            hub,
            tiers,
            cache,
            policy,
        }
    }

    /// Until what is held is past its TTL, and known to be current otherwise.
    async fn outlive(&self) {
        self.clock.advance(TTL);
        self.tiers.until_caught_up().await.unwrap();
    }

    async fn load(&self, key: u64) -> Result<u64, Error> {
        let load = |_| async move { Ok::<_, io::Error>(key) };
        Ok(*ends(self.cache.get_or_load(&key, load)).await?)
    }

    async fn load_many(&self, keys: &[u64]) -> usize {
        let load = |cx: tricache::BatchContext<u64>| async move {
            let pairs: Vec<_> = cx.into_keys().into_iter().map(|key| (key, key)).collect();
            Ok::<_, io::Error>(pairs)
        };
        let batch = ends(self.cache.get_or_load_many(keys, load)).await.unwrap();
        batch.into_found().unwrap().len()
    }

    fn counters(&self) -> Counters {
        *self.tiers.report().counters()
    }

    /// So many reads, and all that was counted for them.
    #[track_caller]
    fn counted(&self, calls: u64, all: &[(&str, u64)]) {
        let counters = self.counters();
        assert_eq!(counters.nonzero(), all);
        assert_eq!(reads(&counters), calls);
    }
}

fn policy() -> Policy {
    Policy::ttl(TTL).jitter(0.0)
}

const TTL: Duration = Duration::from_secs(60);
