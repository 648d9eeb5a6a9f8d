//! Everything that works on one server works on a cluster.

use super::scene::{MANY, Scene, TAGS, builder, ends};
use std::{io, time::Duration};
use tricache::{Level, Loaded, Outcome, Policy, RemoteState, TieredCache};
use tricache_test_support::eventually;

#[tokio::test(flavor = "multi_thread")]
async fn values_of_all_slots_are_loaded_once_and_shared() {
    let scene = Scene::start().await;

    for key in 0..MANY {
        let loaded = scene.one.read(&scene.store, key).await;
        let found = scene.other.read(&scene.store, key).await;
        assert_eq!(
            (loaded.outcome(), found.outcome()),
            (Outcome::Loaded, Outcome::RemoteHit)
        );
    }

    assert_eq!(scene.store.loads(), MANY);
    let report = scene.one.tiers.report();
    assert_eq!(report.nodes().len(), 3);
    let buckets = report.nodes().iter().map(tricache::NodeReport::buckets);
    assert_eq!(buckets.sum::<usize>(), usize::from(TAGS) + 1);
    assert!(
        report
            .nodes()
            .iter()
            .all(|node| node.state() == RemoteState::Up)
    );
    scene
        .one
        .waits("all buckets are proven", |report| {
            report.proven_buckets() == report.buckets()
        })
        .await;
    eventually("they are served from memory", async || {
        scene.one.read(&scene.store, 7).await.outcome() == Outcome::LocalHit
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_reads_at_once_travel_together_and_each_finds_its_own() {
    let scene = Scene::start().await;
    for key in 0..MANY {
        scene.store.commit(&key);
        scene.one.read(&scene.store, key).await;
    }

    let read = |key| {
        let (node, store) = (scene.other.clone(), scene.store.clone());
        tokio::spawn(async move { (key, *node.read(&store, key).await) })
    };
    let reads: Vec<_> = (0..MANY).map(read).collect();

    for read in reads {
        let (_, value) = ends(read).await.unwrap();
        assert_eq!(value, 1);
    }
    assert_eq!(scene.store.loads(), MANY);
}

/// With one subscription to one master the events of two thirds of the buckets were never pushed.
#[tokio::test(flavor = "multi_thread")]
async fn each_invalidation_is_pushed_whichever_master_has_it() {
    let scene = Scene::start_with(|builder| builder.heartbeat(Duration::from_secs(60))).await;
    for key in 0..MANY {
        scene.one.read(&scene.store, key).await;
        scene.other.read(&scene.store, key).await;
    }
    scene.one.tiers.until_caught_up().await.unwrap();
    scene.other.tiers.until_caught_up().await.unwrap();
    let before = scene.other.counters().events;

    for key in 0..MANY {
        let receipt = ends(scene.one.cache.invalidate(&key)).await.unwrap();
        assert!(!receipt.is_pending());
    }

    eventually("all were pushed", async || {
        scene.other.counters().events == before + MANY
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_reach_all_masters_and_each_key_is_answered() {
    let scene = Scene::start().await;
    let keys: Vec<_> = (0..MANY).collect();
    for node in scene.nodes() {
        let store = scene.store.clone();
        let batch = node.cache.get_or_load_many(&keys, |cx| {
            let store = store.clone();
            async move {
                let mut rows = Vec::new();
                for key in cx.into_keys() {
                    rows.push((key, store.load(&key).await));
                }
                Ok::<_, io::Error>(rows)
            }
        });
        let batch = ends(batch).await.unwrap();
        assert!(keys.iter().all(|key| {
            batch
                .get(key)
                .is_some_and(|found| found.is_ok_and(|found| **found == 0))
        }));
    }
    assert_eq!(scene.store.loads(), MANY);

    for key in &keys {
        scene.store.commit(key);
    }
    let receipt = ends(scene.one.cache.invalidate_many(&keys)).await.unwrap();

    assert!(!receipt.is_pending());
    assert_eq!(receipt.stamps().len(), keys.len());
    eventually("the other node has heard of all", async || {
        let mut new = true;
        for key in &keys {
            new &= *scene.other.read(&scene.store, *key).await == 1;
        }
        new
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tags_and_clear_reach_values_of_all_slots() {
    let scene = Scene::start().await;
    let read = async |key: u64| {
        let store = scene.store.clone();
        let load = |_| async move {
            let value = store.load(&key).await;
            Ok::<_, io::Error>(Loaded::new(value).tag("even"))
        };
        *ends(scene.other.cache.get_or_load(&key, load))
            .await
            .unwrap()
    };
    for key in 0..MANY {
        read(key).await;
        scene.store.commit(&key);
    }

    let receipt = ends(scene.one.tiers.invalidate_tags(["even"]))
        .await
        .unwrap();

    assert!(!receipt.is_pending());
    eventually("all with the tag are loaded anew", async || {
        let mut new = true;
        for key in 0..MANY {
            new &= read(key).await == 1;
        }
        new
    })
    .await;
    for key in 0..MANY {
        scene.store.commit(&key);
    }
    ends(scene.one.cache.clear()).await.unwrap();
    eventually("all are loaded anew", async || {
        let mut new = true;
        for key in 0..MANY {
            new &= read(key).await == 2;
        }
        new
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_inserted_is_found_by_the_others() {
    let scene = Scene::start().await;

    for key in 0..MANY {
        let receipt = ends(scene.one.cache.insert(&key, key + 1)).await.unwrap();
        assert!(!receipt.is_pending());
    }

    for key in 0..MANY {
        assert_eq!(*scene.other.read(&scene.store, key).await, key + 1);
    }
    assert_eq!(scene.store.loads(), 0);
}

/// A replica is as good a seed as a master: it knows where all slots are.
#[tokio::test(flavor = "multi_thread")]
async fn any_node_leads_to_all_others() {
    let scene = Scene::start().await;
    let replica = scene.cluster.node(5).url();

    let third = super::scene::Node::start(builder(&scene.cluster).redis_cluster([replica])).await;

    scene.one.read(&scene.store, 1).await;
    assert_eq!(
        third.read(&scene.store, 1).await.outcome(),
        Outcome::RemoteHit
    );
    assert_eq!(third.tiers.report().nodes().len(), 3);
}

/// Whether a master is followed was asked of the master of the first bucket only: what another one had answered was never believed.
#[tokio::test(flavor = "multi_thread")]
async fn each_master_is_confirmed_by_its_own_replica() {
    let scene = Scene::start_with(|builder| builder.replicas(1)).await;
    let policy = Policy::ttl(Duration::from_secs(600)).level(Level::Strict);
    let strict = |node: &super::scene::Node| node.tiers.cache::<u64, u64>("strict", policy);
    let [one, other] = scene.nodes().map(|node| strict(node).unwrap());
    let read = async |cache: &TieredCache<u64, u64>, key: u64| {
        let store = scene.store.clone();
        let load = |_| async move { Ok::<_, io::Error>(store.load(&key).await) };
        ends(cache.get_or_load(&key, load)).await.unwrap()
    };

    for key in 0..MANY / 2 {
        assert_eq!(*read(&one, key).await, 0);
        assert_eq!(read(&other, key).await.outcome(), Outcome::RemoteHit);
        scene.store.commit(&key);
        let receipt = ends(one.invalidate(&key)).await.unwrap();
        assert!(!receipt.is_pending());
        assert_eq!(*read(&other, key).await, 1);
    }

    let asked = scene.store.loads();
    assert_eq!(asked, MANY);
}
