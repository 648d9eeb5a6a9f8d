//! What the feature `metrics` hands to an exporter: counts that equal the calls made, and durations of what took long.

use metrics::set_default_local_recorder;
use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};
use std::{collections::BTreeMap, io, time::Duration};
use tricache::{BatchContext, InProcess, Policy, TieredCache, Tiers};

#[tokio::test]
async fn counts_equal_the_calls_made() {
    let recorder = DebuggingRecorder::new();
    let _installed = set_default_local_recorder(&recorder);
    let (tiers, prices, names) = start(&InProcess::new()).await;

    for _ in 0..10 {
        load(&prices, 1).await;
    }
    load_many(&prices, &[1, 2, 3]).await;
    assert!(prices.get(&9).await.unwrap().is_none());
    load(&names, 1).await;
    let fails = |_| async { Err::<u64, _>(io::Error::other("the store is down")) };
    assert!(names.get_or_load(&2, fails).await.is_err());
    prices.invalidate(&1).await.unwrap();
    tiers.until_caught_up().await.unwrap();

    tiers.publish_metrics();
    assert_eq!(
        counters(&recorder.snapshotter()),
        counted([
            ("tricache_reads_total{cache=price,outcome=loaded}", 3),
            ("tricache_reads_total{cache=price,outcome=local_hit}", 10),
            ("tricache_reads_total{cache=price,outcome=missed}", 1),
            ("tricache_reads_total{cache=name,outcome=loaded}", 1),
            ("tricache_reads_total{cache=name,outcome=failed}", 1),
            ("tricache_decisions_total{cache=price,decision=loads}", 3),
            ("tricache_decisions_total{cache=name,decision=loads}", 2),
            (
                "tricache_decisions_total{cache=name,decision=load_errors}",
                1
            ),
            ("tricache_decisions_total{cache=*,decision=bumps}", 1),
            ("tricache_decisions_total{cache=*,decision=events}", 1),
        ])
    );
}

#[tokio::test]
async fn each_call_of_a_loader_and_each_question_to_the_remote_tier_has_its_duration() {
    let recorder = DebuggingRecorder::new();
    let _installed = set_default_local_recorder(&recorder);
    let hub = InProcess::new();
    let (_tiers, prices, _) = start(&hub).await;
    recorder.snapshotter().snapshot();

    load(&prices, 1).await;
    load_many(&prices, &[2, 3]).await;
    let fails = |_| async { Err::<u64, _>(io::Error::other("the store is down")) };
    assert!(prices.get_or_load(&4, fails).await.is_err());
    hub.refuse(true);
    assert!(prices.get(&5).await.unwrap().is_none());

    assert_eq!(
        durations(&recorder.snapshotter()),
        counted([
            ("tricache_load_duration_seconds{cache=price,result=ok}", 2),
            (
                "tricache_load_duration_seconds{cache=price,result=failed}",
                1
            ),
            (
                "tricache_remote_duration_seconds{operation=read,result=ok}",
                2
            ),
            (
                "tricache_remote_duration_seconds{operation=read,result=failed}",
                1
            ),
            (
                "tricache_remote_duration_seconds{operation=open,result=ok}",
                2
            ),
            (
                "tricache_remote_duration_seconds{operation=fill,result=ok}",
                1
            ),
            (
                "tricache_remote_duration_seconds{operation=release,result=ok}",
                1
            ),
            (
                "tricache_remote_duration_seconds{operation=read_many,result=ok}",
                1
            ),
            (
                "tricache_remote_duration_seconds{operation=open_many,result=ok}",
                1
            ),
            (
                "tricache_remote_duration_seconds{operation=fill_many,result=ok}",
                1
            ),
        ])
    );
}

#[tokio::test(start_paused = true)]
async fn what_was_counted_is_handed_on_with_each_heartbeat() {
    let recorder = DebuggingRecorder::new();
    let _installed = set_default_local_recorder(&recorder);
    let (_tiers, prices, _) = start(&InProcess::new()).await;
    load(&prices, 1).await;

    tokio::time::sleep(QUIET + Duration::from_millis(1)).await;

    let counters = counters(&recorder.snapshotter());
    assert_eq!(
        counters["tricache_reads_total{cache=price,outcome=loaded}"],
        1
    );
}

#[tokio::test]
async fn nothing_is_lost_with_the_last_handle_nor_handed_on_twice() {
    let recorder = DebuggingRecorder::new();
    let _installed = set_default_local_recorder(&recorder);
    let hub = InProcess::new();
    let read = "tricache_reads_total{cache=price,outcome=loaded}";

    let (tiers, prices, names) = start(&hub).await;
    load(&prices, 1).await;
    tiers.publish_metrics();
    load(&prices, 2).await;
    drop((tiers, prices, names));
    // The tasks that share the counters end with the runtime's next turns.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(counters(&recorder.snapshotter())[read], 2);

    let (tiers, prices, _) = start(&hub).await;
    load(&prices, 3).await;
    tiers.shutdown(Duration::ZERO).await;
    assert_eq!(counters(&recorder.snapshotter())[read], 1);
}

#[tokio::test]
async fn no_label_holds_a_key() {
    let recorder = DebuggingRecorder::new();
    let _installed = set_default_local_recorder(&recorder);
    let (tiers, prices, _) = start(&InProcess::new()).await;
    for key in 700_000..700_100 {
        load(&prices, key).await;
        prices.invalidate(&key).await.unwrap();
    }
    tiers.publish_metrics();

    let snapshotter = recorder.snapshotter();
    let all = snapshotter.snapshot().into_vec();
    assert!(all.len() < 20, "{} series", all.len());
    assert!(!all.iter().any(|(key, ..)| name(key.key()).contains("7000")));
}

async fn start(hub: &InProcess) -> (Tiers, TieredCache<u64, u64>, TieredCache<u64, u64>) {
    let builder = Tiers::builder("metrics").in_process(hub).heartbeat(QUIET);
    let tiers = builder.build().await.unwrap();
    let policy = Policy::ttl(Duration::from_secs(600));
    let (prices, names) = (tiers.cache("price", policy), tiers.cache("name", policy));
    (tiers, prices.unwrap(), names.unwrap())
}

async fn load(cache: &TieredCache<u64, u64>, key: u64) {
    let load = |_| async move { Ok::<_, io::Error>(key) };
    cache.get_or_load(&key, load).await.unwrap();
}

async fn load_many(cache: &TieredCache<u64, u64>, keys: &[u64]) {
    let load = |cx: BatchContext<u64>| async move {
        let pairs: Vec<_> = cx.into_keys().into_iter().map(|key| (key, key)).collect();
        Ok::<_, io::Error>(pairs)
    };
    cache.get_or_load_many(keys, load).await.unwrap();
}

fn counters(snapshotter: &Snapshotter) -> BTreeMap<String, u64> {
    values(snapshotter, |value| match value {
        DebugValue::Counter(count) if *count > 0 => Some(*count),
        _ => None,
    })
}

/// How many of each were recorded, without those of heartbeats.
fn durations(snapshotter: &Snapshotter) -> BTreeMap<String, u64> {
    values(snapshotter, |value| match value {
        DebugValue::Histogram(took) if !took.is_empty() => {
            assert!(took.iter().all(|took| (0.0..10.0).contains(&took.0)));
            Some(took.len() as u64)
        }
        _ => None,
    })
}

fn values(
    snapshotter: &Snapshotter,
    count: impl Fn(&DebugValue) -> Option<u64>,
) -> BTreeMap<String, u64> {
    let all = snapshotter.snapshot().into_vec();
    let counted = all
        .iter()
        .filter_map(|(key, _, _, value)| Some((name(key.key()), count(value)?)));
    counted.collect()
}

fn name(key: &metrics::Key) -> String {
    let mut labels: Vec<_> = key
        .labels()
        .map(|label| format!("{}={}", label.key(), label.value()))
        .collect();
    labels.sort_unstable();
    format!("{}{{{}}}", key.name(), labels.join(","))
}

fn counted<const N: usize>(all: [(&str, u64); N]) -> BTreeMap<String, u64> {
    all.into_iter()
        .map(|(name, count)| (name.to_owned(), count))
        .collect()
}

/// No heartbeat comes in between.
const QUIET: Duration = Duration::from_secs(60);
