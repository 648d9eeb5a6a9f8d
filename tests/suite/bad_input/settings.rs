//! Settings: refused by name where they make no sense, and obeyed up to their limits.

use crate::nodes::{Node, Remote};
use crate::reads::{ends, numbers, read};
use std::time::Duration;
use tricache::{Error, Policy, Tiers, TiersBuilder};
use tricache_test_support::CountingStore;

#[tokio::test]
async fn zero_and_overflowing_durations_of_a_policy_are_refused_by_name() {
    let node = Remote::Hub(tricache::InProcess::new()).node().await;
    let hour = Duration::from_secs(3600);
    let refused = [
        ("ttl", Policy::ttl(Duration::ZERO)),
        ("ttl", Policy::ttl(Duration::from_nanos(999_999))),
        ("ttl", Policy::ttl(DECADE + Duration::from_nanos(1))),
        ("ttl", Policy::ttl(Duration::MAX)),
        ("local_ttl", Policy::ttl(hour).local_ttl(Duration::ZERO)),
        (
            "stale_while_revalidate",
            Policy::ttl(hour).stale_while_revalidate(Duration::MAX),
        ),
        (
            "stale_if_error",
            Policy::ttl(hour).stale_if_error(Duration::MAX),
        ),
        ("jitter", Policy::ttl(hour).jitter(-0.1)),
        ("jitter", Policy::ttl(hour).jitter(f64::INFINITY)),
        ("local_capacity", Policy::ttl(hour).local_capacity(0)),
    ];

    for (setting, policy) in refused {
        let error = node.tiers.cache::<u64, u64>("x", policy).unwrap_err();
        assert!(error.is_config(), "{setting}: {error}");
        assert!(error.to_string().contains(setting), "{setting}: {error}");
    }
}

#[tokio::test]
async fn a_cap_of_nothing_or_of_more_than_a_codec_takes_is_refused_by_name() {
    let node = Remote::Hub(tricache::InProcess::new()).node().await;
    let policy = Policy::ttl(Duration::from_secs(600));
    let built = |bytes| {
        let builder = node.tiers.cache_builder::<u64, u64>("x", policy);
        builder.max_value_bytes(bytes).build()
    };

    for bytes in [0, (16 << 20) + 1, usize::MAX] {
        let error = built(bytes).unwrap_err();
        assert!(error.is_config(), "{bytes}: {error}");
        assert!(error.to_string().contains("max_value_bytes"), "{error}");
    }
    assert!(built(1).is_ok() && built(16 << 20).is_ok());
}

#[tokio::test]
async fn the_shortest_and_the_longest_policies_work() {
    let shortest = Policy::ttl(Duration::from_millis(1));
    let longest = Policy::ttl(DECADE)
        .local_ttl(DECADE)
        .stale_while_revalidate(DECADE)
        .stale_if_error(DECADE);
    let boundless = Policy::ttl(DECADE)
        .local_ttl(Duration::MAX.min(DECADE))
        .local_capacity(u64::MAX);
    for remote in Remote::both() {
        for policy in [shortest, longest, boundless] {
            let (_tiers, cache) = numbers(remote.builder(), policy).await;
            let store = CountingStore::new();

            let answer = read(&cache, &store, 1).await;
            ends(cache.invalidate(&1)).await.unwrap();
            store.commit(&1);

            assert!(answer.remaining() <= DECADE);
            assert_eq!(*read(&cache, &store, 1).await, 1);
        }
    }
}

#[tokio::test]
async fn zero_and_overflowing_durations_of_tiers_are_refused_by_name() {
    let refused: [(&str, Setting); 6] = [
        ("remote_timeout", |tiers| {
            tiers.remote_timeout(Duration::ZERO)
        }),
        ("remote_timeout", |tiers| {
            tiers.remote_timeout(Duration::MAX)
        }),
        ("remote_timeout", |tiers| {
            tiers.remote_timeout(Duration::from_nanos(1))
        }),
        ("heartbeat", |tiers| tiers.heartbeat(Duration::ZERO)),
        ("heartbeat", |tiers| tiers.heartbeat(Duration::MAX)),
        ("heartbeat", |tiers| {
            tiers.heartbeat(Duration::from_nanos(1))
        }),
    ];

    for (setting, set) in refused {
        let error = build_error(set(Tiers::builder("test"))).await;
        assert!(error.is_config(), "{setting}: {error}");
        assert!(error.to_string().contains(setting), "{setting}: {error}");
    }
}

#[tokio::test]
async fn the_shortest_and_the_longest_durations_of_tiers_work() {
    for remote in Remote::both() {
        let longest = remote
            .builder()
            .remote_timeout(Duration::from_secs(60))
            .heartbeat(Duration::from_secs(60));
        let shortest = remote.builder().heartbeat(Duration::from_millis(10));
        for builder in [longest, shortest] {
            let node = Node::start(builder).await;
            assert_eq!(*read(&node.cache, &CountingStore::new(), 1).await, 0);
        }
    }
}

#[tokio::test]
async fn namespaces_and_names_that_would_break_a_key_are_refused() {
    let node = Remote::Hub(tricache::InProcess::new()).node().await;
    let long = "n".repeat(65);
    for name in ["", "a:b", "{a}", "a b", "a/b", "a\n", "ü", "\0", &long] {
        let error = build_error(Tiers::builder(name)).await;
        assert!(error.is_config(), "{name:?}: {error}");
        assert!(error.to_string().contains("namespace"), "{name:?}: {error}");

        let policy = Policy::ttl(Duration::from_secs(1));
        let error = node.tiers.cache::<u64, u64>(name, policy).unwrap_err();
        assert!(error.is_config(), "{name:?}: {error}");
    }
}

type Setting = fn(TiersBuilder) -> TiersBuilder;

async fn build_error(builder: TiersBuilder) -> Error {
    ends(builder.build()).await.map(|_| "tiers").unwrap_err()
}

/// The longest that a policy may ask for.
const DECADE: Duration = Duration::from_secs(3650 * 86_400);
