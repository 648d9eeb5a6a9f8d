//! The purger as the edge of a `Tiers`: which keys it purges for what was invalidated, and how often.

use std::{collections::BTreeMap, time::Duration};

use tricache::{InProcess, Policy, TieredCache, Tiers, TiersBuilder};
use tricache_middleware::{
    purge::{Answer, Failure, Limits, PurgeError, Purger},
    purge_keys, surrogate_key,
};
use tricache_test_support::{RedisServer, eventually};

use super::scripted::{Scripted, once};

#[tokio::test]
async fn what_is_invalidated_is_purged_by_the_keys_of_its_pages() {
    let edge = Scripted::new("edge", Limits::new(100).soft().everything());
    let purger = once(&edge).window(Duration::ZERO).build().unwrap();
    let (tiers, products) = node(in_memory(&InProcess::new()).edge(purger)).await;

    for receipt in [
        products.invalidate(&42).await,
        products.expire(&7).await,
        tiers.invalidate_tags(["Red"]).await,
        products.clear().await,
        tiers.clear().await,
    ] {
        receipt.unwrap().edge().await.unwrap();
    }

    assert_eq!(
        edge.calls(),
        [
            format!("hard {}", purge_keys("product/42").join(" ")),
            format!("soft {}", purge_keys("product/7").join(" ")),
            "hard _red".to_owned(),
            "everything".to_owned(),
            "everything".to_owned(),
        ]
    );
}

#[tokio::test]
async fn a_cleared_cache_is_purged_by_the_key_that_its_pages_share() {
    let edge = Scripted::edge();
    let shared = |cache: &str| (cache == "product").then(|| "products".to_owned());
    let purger = once(&edge).key_of_cache(shared).build().unwrap();
    let (tiers, products) = node(in_memory(&InProcess::new()).edge(purger)).await;

    let cleared = products.clear().await.unwrap();
    cleared.edge().await.unwrap();
    let error = tiers.clear().await.unwrap().edge().await.unwrap_err();

    assert_eq!(edge.calls(), ["hard products"]);
    let refusal = error.edge::<PurgeError>().unwrap();
    assert!(refusal.is_refused(), "{refusal}");
    assert_eq!(refusal.vendor(), Some("edge"));
}

/// The process ends soon: what the purger gives up then is still in the record.
#[tokio::test]
async fn what_a_purger_leaves_at_its_end_is_purged_by_another() {
    for remote in remotes() {
        let held = Scripted::held("held");
        let purger = once(&held).build().unwrap();
        let (tiers, products) = node(remote.builder().edge(purger.clone())).await;
        let receipt = products.invalidate(&42).await.unwrap();
        assert_eq!(purger.shutdown(Duration::ZERO).await, 4);
        let error = receipt.edge().await.unwrap_err();
        assert!(error.edge::<PurgeError>().unwrap().is_closed(), "{error}");
        assert!(tiers.shutdown(Duration::from_secs(60)).await.is_complete());

        let edge = Scripted::edge();
        let (_tiers, _products) = node(remote.builder().edge(once(&edge).build().unwrap())).await;

        let expected = format!("hard {}", purge_keys("product/42").join(" "));
        tricache_test_support::eventually_within(LONG, "another purges it", async || {
            edge.calls() == [expected.clone()]
        })
        .await;
    }
}

/// Each node notes, purges at once, purges again, and forgets; nobody does so for another that lives.
#[tokio::test]
async fn four_nodes_purge_each_of_a_hundred_names_twice_and_no_oftener() {
    for remote in remotes() {
        let edge = Scripted::new("edge", Limits::new(100).soft().everything());
        let mut nodes = Vec::new();
        for _ in 0..4 {
            let purger = Purger::builder(Duration::from_secs(2)).vendor(edge.clone());
            nodes.push(node(remote.builder().edge(purger.build().unwrap())).await);
        }

        for key in 0..100 {
            let (_, products) = &nodes[key as usize % 4];
            assert!(!products.invalidate(&key).await.unwrap().is_pending());
        }
        eventually("all is done, and forgotten", async || {
            let reports: Vec<_> = nodes.iter().map(|(tiers, _)| tiers.report()).collect();
            let edges: Vec<_> = reports.iter().filter_map(|report| report.edge()).collect();
            edges.iter().all(|edge| edge.waiting() == 0)
                && edges.iter().any(|edge| edge.recorded() == Some(0))
        })
        .await;

        let times = times_purged(&edge);
        let of_key = |key: u64| times[&surrogate_key(&format!("product/{key}"))];
        let twice = (0..100).filter(|key| of_key(*key) == 2).count();
        let once = (0..100).filter(|key| of_key(*key) == 1).count();
        // A first call that a slow machine sends later than the second was due is both.
        assert_eq!((twice + once, twice >= 90), (100, true), "{once} once");
        let adopted = nodes
            .iter()
            .map(|(tiers, _)| tiers.report().counters().adopted_purges);
        assert_eq!(adopted.sum::<u64>(), 0);
    }
}

/// Time is tokio's and moves by itself; the writer has no edge, so its note is nobody's from the start.
#[tokio::test(start_paused = true)]
async fn what_a_vendor_refuses_for_want_of_rights_stays_until_the_token_is_mended() {
    let hub = InProcess::new();
    let no_rights = || Answer::failed(Failure::locked_out("401"));
    let edge = Scripted::edge().answering([no_rights(), no_rights(), no_rights()]);
    let purger = once(&edge).build().unwrap();
    let (tiers, _) = node(in_memory(&hub).edge(purger)).await;
    let (_job, products) = node(in_memory(&hub).record_purges(true)).await;
    products.invalidate(&42).await.unwrap();

    tokio::time::sleep(Duration::from_secs(60)).await;
    let report = tiers.report();
    let standing = report.edge().unwrap();
    assert_eq!((standing.recorded(), standing.refused()), (Some(1), 1));
    assert!(
        standing.last_error().unwrap().contains("401"),
        "{standing:?}"
    );
    assert!(report.counters().failed_purges > 0);
    tokio::time::sleep(Duration::from_secs(3600)).await;

    assert_eq!(edge.calls().len(), 4, "{:?}", edge.calls());
    assert_eq!(tiers.report().edge().unwrap().recorded(), Some(0));
}

/// The vendor takes nothing for long. What waits is bounded, readers notice nothing, and when it is back it is purged once.
#[tokio::test]
async fn a_hundred_thousand_invalidations_while_the_vendor_is_away_end_in_a_purge_of_everything() {
    // Fewer are enough where each is a round trip.
    for (remote, names) in remotes().into_iter().zip([100_000, 15_000]) {
        let edge = Scripted::held_with("edge", Limits::new(100).soft().everything());
        let purger = once(&edge).build().unwrap();
        let builder = remote.builder().heartbeat(Duration::from_millis(500));
        let (tiers, products) = node(builder.edge(purger.clone())).await;
        let load = |_| async { Ok::<_, std::io::Error>(1) };
        let read = async || products.get_or_load(&1_000_000, load).await.unwrap();
        read().await;

        for some in (0..names).collect::<Vec<u64>>().chunks(1000) {
            let receipt = products.invalidate_many(some).await.unwrap();
            assert!(!receipt.is_pending());
            let outcome = read().await.outcome();
            assert!(outcome.as_str().starts_with("local"), "{outcome}");
        }

        let report = purger.report();
        let vendor = report.vendor("edge").unwrap();
        assert!(vendor.waiting() < 10_200, "{vendor:?}");
        assert!(vendor.coarsened() > 0, "{vendor:?}");
        // Everything is one more.
        assert!(tiers.report().edge().unwrap().waiting() <= 10_001);
        edge.let_go(1_000_000);
        eventually("all is done", async || {
            tiers.report().edge().unwrap().waiting() == 0
        })
        .await;
        assert!(edge.calls().contains(&"everything".to_owned()));
        assert!(edge.calls().len() < 300, "{} calls", edge.calls().len());
    }
}

fn times_purged(edge: &Scripted) -> BTreeMap<String, usize> {
    let mut times = BTreeMap::new();
    for call in edge.calls() {
        for key in call.split(' ').skip(1) {
            *times.entry(key.to_owned()).or_default() += 1;
        }
    }
    times
}

/// What the nodes share.
enum Remote {
    Redis(RedisServer),
    Hub(InProcess),
}

fn remotes() -> [Remote; 2] {
    [
        Remote::Hub(InProcess::new()),
        Remote::Redis(RedisServer::start()),
    ]
}

impl Remote {
    fn builder(&self) -> TiersBuilder {
        match self {
            Self::Hub(hub) => in_memory(hub),
            Self::Redis(redis) => patient().redis(&redis.url()),
        }
    }
}

fn in_memory(hub: &InProcess) -> TiersBuilder {
    patient().in_process(hub)
}

/// The machines of tests are slow at times: a timeout would be a different test.
fn patient() -> TiersBuilder {
    Tiers::builder("test")
        .remote_timeout(Duration::from_secs(5))
        .heartbeat(Duration::from_millis(100))
}

async fn node(builder: TiersBuilder) -> (Tiers, TieredCache<u64, u64>) {
    let tiers = builder.build().await.unwrap();
    let policy = Policy::ttl(Duration::from_secs(600)).hard_timeout(Duration::from_secs(600));
    let products = tiers.cache("product", policy).unwrap();
    (tiers, products)
}

/// Longer than a purge usually takes, after which another node takes it over.
const LONG: Duration = Duration::from_secs(40);
