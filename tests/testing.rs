//! What the feature `test-util` offers to the tests of a service: no server, no sleeping, no polling.

use std::{future::Future, io, sync::Arc, time::Duration};
use tricache::{
    Cached, Error, InProcess, Loaded, ManualClock, Outcome, Policy, RemoteState, TieredCache, Tiers,
};

#[tokio::test]
async fn a_value_is_a_hit_as_soon_as_it_is_loaded() {
    let fleet = Fleet::start(Policy::ttl(TTL)).await;
    let before = *fleet.one.tiers.report().counters();

    fleet.one.read(1).await.assert_outcome(Outcome::Loaded);
    fleet.one.read(2).await.assert_outcome(Outcome::LocalHit);

    let counted = fleet.one.tiers.report().counters().since(&before);
    assert_eq!(
        counted.nonzero(),
        [("local_hits", 1), ("loaded", 1), ("loads", 1)]
    );
}

#[tokio::test]
async fn a_moved_clock_ends_proofs_and_values() {
    let fleet = Fleet::start(Policy::ttl(3 * PROVEN).local_ttl(3 * PROVEN).jitter(0.0)).await;
    fleet.one.read(1).await;

    fleet.clock.advance(PROVEN);
    let unproven = fleet.one.read(2).await;
    unproven.assert_outcome(Outcome::LocalRevalidated);
    fleet.one.tiers.until_caught_up().await.unwrap();
    fleet.one.read(2).await.assert_outcome(Outcome::LocalHit);

    fleet.clock.advance(2 * PROVEN);
    fleet.one.read(2).await.assert_outcome(Outcome::Loaded);
}

#[tokio::test]
async fn a_refresh_in_the_background_is_waited_for() {
    let policy = Policy::ttl(TTL).jitter(0.0).stale_while_revalidate(TTL);
    let fleet = Fleet::start(policy).await;
    fleet.one.read(1).await.assert_fresh();
    fleet.clock.advance(TTL);

    let stale = fleet.one.read(2).await;
    stale.assert_stale().assert_outcome(Outcome::Stale);
    assert_eq!(*stale, 1);
    fleet.one.tiers.until_idle().await;

    assert_eq!(**fleet.one.read(3).await.assert_fresh(), 2);
}

#[tokio::test]
async fn a_batch_in_the_background_is_waited_for() {
    let policy = Policy::ttl(TTL).jitter(0.0).stale_while_revalidate(TTL);
    let fleet = Fleet::start(policy).await;
    let cache = &fleet.one.cache;
    let read = |value: u64| async move {
        let batch = cache.get_or_load_many(&[1, 2], |cx| async move {
            let answers: Vec<_> = cx.into_keys().into_iter().map(|key| (key, value)).collect();
            Ok::<_, io::Error>(answers)
        });
        batch.await.unwrap().into_found().unwrap()
    };
    read(1).await;
    fleet.clock.advance(TTL);

    for (_, stale) in read(2).await {
        stale.assert_stale();
    }
    fleet.one.tiers.until_idle().await;

    for (_, fresh) in read(3).await {
        assert_eq!(**fresh.assert_fresh(), 2);
    }
}

#[tokio::test]
async fn a_failing_store_is_stood_in_for() {
    let policy = Policy::ttl(TTL).jitter(0.0).stale_if_error(TTL);
    let fleet = Fleet::start(policy).await;
    fleet.one.read(1).await;
    fleet.clock.advance(TTL);

    let stood_in = fleet.one.cache.get_or_load(&KEY, |_| async {
        Err::<u64, _>(io::Error::other("the store is down"))
    });

    let stood_in = stood_in.await.unwrap();
    stood_in.assert_outcome(Outcome::StaleIfError);
}

#[tokio::test]
async fn without_the_remote_tier_loads_go_on_and_invalidations_are_pending() {
    let fleet = Fleet::start(Policy::ttl(TTL)).await;

    fleet.hub.refuse(true);
    fleet.one.read(1).await.assert_outcome(Outcome::Loaded);
    let receipt = fleet.one.cache.invalidate(&KEY).await.unwrap();
    assert!(receipt.is_pending());
    let unavailable = fleet.one.tiers.until_caught_up().await.unwrap_err();
    assert!(unavailable.is_unavailable());
    fleet.hub.refuse(false);

    assert!(!receipt.settled().await.is_pending());
    fleet.other.read(2).await.assert_outcome(Outcome::Loaded);
}

#[tokio::test(start_paused = true)]
async fn a_slow_remote_tier_is_given_up_after_its_limit_and_once() {
    let fleet = Fleet::start(Policy::ttl(TTL)).await;
    fleet.other.read(1).await;
    fleet.hub.delay(Duration::from_secs(3));
    let began = tokio::time::Instant::now();

    fleet.one.read(2).await.assert_outcome(Outcome::Loaded);

    assert_eq!(began.elapsed().as_millis() / 10, 5, "{:?}", began.elapsed());
    assert_ne!(fleet.one.tiers.report().remote(), RemoteState::Up);
    fleet.hub.delay(Duration::ZERO);
    fleet.one.tiers.until_caught_up().await.unwrap();
    assert_eq!(fleet.one.tiers.report().remote(), RemoteState::Up);
}

#[tokio::test(start_paused = true)]
async fn a_delay_within_the_limit_delays_and_nothing_else() {
    let fleet = Fleet::start(Policy::ttl(TTL)).await;
    fleet.other.read(1).await;
    fleet.hub.delay(Duration::from_millis(20));
    let began = tokio::time::Instant::now();

    fleet.one.read(2).await.assert_outcome(Outcome::RemoteHit);

    assert!(began.elapsed() >= Duration::from_millis(20));
}

#[tokio::test]
async fn a_held_call_goes_on_when_it_is_released() {
    let fleet = Fleet::start(Policy::ttl(TTL)).await;
    fleet.other.read(1).await;
    fleet.hub.hold(true);

    let reading = tokio::spawn({
        let one = fleet.one.clone();
        async move { one.read(2).await }
    });
    fleet.hub.until_held(1).await;
    assert!(!reading.is_finished());
    fleet.hub.hold(false);

    reading.await.unwrap().assert_outcome(Outcome::RemoteHit);
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "0 of 1 calls are held after 10s")]
async fn waiting_for_a_call_that_never_comes_panics() {
    InProcess::new().until_held(1).await;
}

#[tokio::test]
async fn a_lost_push_is_made_up_for_by_a_heartbeat() {
    let fleet = Fleet::start(Policy::ttl(TTL)).await;
    fleet.one.read(1).await;
    fleet.other.read(1).await;
    fleet.hub.lose_pushes(true);

    fleet.one.cache.invalidate(&KEY).await.unwrap();

    assert_eq!(*fleet.other.held().await.unwrap(), 1);
    fleet.other.tiers.until_caught_up().await.unwrap();
    assert!(fleet.other.held().await.is_none());
}

#[tokio::test]
async fn held_pushes_arrive_when_they_are_released() {
    let fleet = Fleet::start(Policy::ttl(TTL)).await;
    fleet.one.read(1).await;
    fleet.other.read(1).await;
    fleet.hub.hold_pushes(true);

    fleet.one.cache.invalidate(&KEY).await.unwrap();
    fleet.one.tiers.invalidate_tags(["red"]).await.unwrap();
    assert_eq!(*fleet.other.held().await.unwrap(), 1);
    let before = *fleet.other.tiers.report().counters();
    fleet.hub.hold_pushes(false);
    fleet.other.tiers.until_caught_up().await.unwrap();

    assert!(fleet.other.held().await.is_none());
    let counted = fleet.other.tiers.report().counters().since(&before);
    assert_eq!(
        (counted.events, counted.tag_events, counted.replays),
        (1, 1, 0)
    );
}

#[tokio::test]
async fn a_wiped_remote_tier_ends_what_it_spoke_for() {
    let fleet = Fleet::start(Policy::ttl(TTL)).await;
    fleet.one.read(1).await;

    fleet.hub.wipe();
    fleet.one.tiers.until_caught_up().await.unwrap();

    fleet.one.read(2).await.assert_outcome(Outcome::Loaded);
}

#[tokio::test]
async fn tags_are_compared_as_a_set() {
    let fleet = Fleet::start(Policy::ttl(TTL)).await;
    let tagged = fleet.one.cache.get_or_load(&KEY, |_| async {
        Ok::<_, io::Error>(Loaded::new(1).tag("red").tag("blue"))
    });

    tagged.await.unwrap().assert_tags(["red", "blue", "red"]);
    let none: [&str; 0] = [];
    fleet.other.load(2, 3).await.unwrap().assert_tags(none);
}

#[tokio::test]
async fn what_is_not_as_expected_is_told_with_all_that_is_known() {
    let fleet = Fleet::start(Policy::ttl(TTL).jitter(0.0)).await;
    let tagged = fleet.one.cache.get_or_load(&KEY, |_| async {
        Ok::<_, io::Error>(Loaded::new(1).tag("red"))
    });
    let tagged = tagged.await.unwrap();
    let found = "found loaded with an age of 0ns, 60s remaining, and the tags [red]";

    let outcome = panics(|| _ = tagged.assert_outcome(Outcome::LocalHit));
    let stale = panics(|| _ = tagged.assert_stale());
    let tags = panics(|| _ = tagged.assert_tags(["blue", "red"]));

    assert_eq!(outcome, format!("expected the outcome local_hit, {found}"));
    assert_eq!(stale, format!("expected a stale value, {found}"));
    assert_eq!(tags, format!("expected the tags [blue, red], {found}"));
}

fn panics(assertion: impl FnOnce()) -> String {
    let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(assertion)).unwrap_err();
    *panic.downcast::<String>().unwrap()
}

/// Two nodes around a hub, with one clock for all, and no heartbeat after the start but those that are awaited.
struct Fleet {
    clock: ManualClock,
    hub: InProcess,
    one: Node,
    other: Node,
}

#[derive(Clone)]
struct Node {
    tiers: Tiers,
    cache: TieredCache<u64, u64>,
}

impl Fleet {
    async fn start(policy: Policy) -> Self {
        let clock = ManualClock::new();
        let hub = InProcess::with_clock(Arc::new(clock.clone()));
        let node = || async {
            let builder = Tiers::builder("shop").in_process(&hub);
            let builder = builder.clock(Arc::new(clock.clone()));
            let tiers = builder.heartbeat(QUIET).build().await.unwrap();
            let cache = tiers.cache("number", policy).unwrap();
            Node { tiers, cache }
        };
        let (one, other) = (node().await, node().await);
        Self {
            clock,
            hub,
            one,
            other,
        }
    }
}

impl Node {
    async fn read(&self, value: u64) -> Cached<u64> {
        self.load(KEY, value).await.unwrap()
    }

    fn load(&self, key: u64, value: u64) -> impl Future<Output = Result<Cached<u64>, Error>> {
        let cache = self.cache.clone();
        async move {
            let load = |_| async move { Ok::<_, io::Error>(value) };
            cache.get_or_load(&key, load).await
        }
    }

    async fn held(&self) -> Option<Cached<u64>> {
        self.cache.get(&KEY).await.unwrap()
    }
}

const KEY: u64 = 42;
const TTL: Duration = Duration::from_secs(60);
const QUIET: Duration = Duration::from_secs(60);
/// What a heartbeat proves.
const PROVEN: Duration = Duration::from_secs(2 * QUIET.as_secs());
