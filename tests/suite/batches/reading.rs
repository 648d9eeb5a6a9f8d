//! What a batch finds where, and in which order it answers.

use crate::nodes::Remote;
use crate::reads::{Numbers, counters, ends, read};
use crate::table::{Table, pairs, read_many};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tricache::{InProcess, ManualClock, Outcome, Policy, RequestScope, Tiers};
use tricache_test_support::CountingStore;

#[tokio::test]
async fn each_key_comes_from_the_first_tier_that_holds_it() {
    for remote in Remote::both() {
        let (node, other) = (remote.quiet_node(1..=3).await, remote.node().await);
        let (store, table) = (CountingStore::new(), Table::default());
        read(&node.cache, &store, 1).await;
        read(&other.cache, &store, 2).await;

        let batch = read_many(&node.cache, &table, &[3, 2, 1]).await;

        let outcomes: Vec<_> = batch
            .iter()
            .map(|(key, result)| (*key, result.unwrap().outcome()))
            .collect();
        let expected = [
            (3, Outcome::Loaded),
            (2, Outcome::RemoteHit),
            (1, Outcome::LocalHit),
        ];
        assert_eq!(outcomes, expected);
        assert_eq!(table.calls(), [[3]]);
        let again = read_many(&node.cache, &table, &[1, 2, 3]).await;
        assert!(
            again
                .iter()
                .all(|(_, hit)| hit.unwrap().outcome() == Outcome::LocalHit)
        );
    }
}

#[tokio::test]
async fn what_a_batch_loads_is_in_redis_for_every_node() {
    for remote in Remote::both() {
        let (node, other) = (remote.node().await, remote.node().await);
        let table = Table::default();
        read_many(&node.cache, &table, &[1, 2, 3]).await;

        let there = read_many(&other.cache, &table, &[1, 2, 3]).await;

        assert!(
            there
                .iter()
                .all(|(_, hit)| hit.unwrap().outcome() == Outcome::RemoteHit)
        );
        assert_eq!(table.calls(), [[1, 2, 3]]);
        let counted = counters(&other);
        assert_eq!((counted.remote_hits, counted.loads), (3, 0));
        assert_eq!(counters(&node).loads, 3);
    }
}

#[tokio::test]
async fn a_batch_that_does_not_load_has_only_what_some_tier_holds() {
    for remote in Remote::both() {
        let (node, other) = (remote.node().await, remote.node().await);
        let store = CountingStore::new();
        read(&node.cache, &store, 1).await;
        read(&other.cache, &store, 2).await;

        let batch = ends(node.cache.get_many(&[3, 2, 1])).await.unwrap();

        assert!(batch.get(&3).is_none());
        assert_eq!(**batch.get(&2).unwrap().unwrap(), 0);
        assert_eq!(batch.len(), 2);
        let keys: Vec<_> = batch.into_iter().map(|(key, _)| key).collect();
        assert_eq!(keys, [2, 1]);
        assert_eq!(store.loads(), 2);
    }
}

#[tokio::test]
async fn a_key_that_is_asked_for_twice_has_one_result() {
    for remote in Remote::both() {
        let (node, table) = (remote.node().await, Table::default());

        let batch = read_many(&node.cache, &table, &[2, 1, 2, 2, 1]).await;

        assert_eq!(table.calls(), [[2, 1]]);
        assert_eq!(batch.len(), 2);
        assert_eq!(pairs(batch), [(2, 0), (1, 0)]);
        let held = ends(node.cache.get_many(&[1, 1, 2])).await.unwrap();
        assert_eq!(pairs(held), [(1, 0), (2, 0)]);
    }
}

#[tokio::test]
async fn a_batch_of_nothing_is_empty() {
    for remote in Remote::both() {
        let (node, table) = (remote.node().await, Table::default());

        let loaded = read_many(&node.cache, &table, &[]).await;
        let held = ends(node.cache.get_many::<u64>(&[])).await.unwrap();

        assert!(loaded.is_empty() && held.is_empty());
        assert!(table.calls().is_empty());
    }
}

#[tokio::test]
async fn keys_need_not_be_owned_to_be_looked_for() {
    for remote in Remote::both() {
        let node = remote.node().await;
        let names = node
            .tiers
            .cache::<String, u64>("name", *node.cache.policy())
            .unwrap();
        let lamp = ["lamp".to_owned()];
        let loaded = names.get_or_load_many(&lamp, |cx| async move {
            Ok::<_, std::io::Error>(cx.into_keys().into_iter().map(|key| (key, 7)))
        });
        ends(loaded).await.unwrap();

        let batch = ends(names.get_many(["desk", "lamp"])).await.unwrap();

        assert_eq!(**batch.get("lamp").unwrap().unwrap(), 7);
        assert!(batch.get("desk").is_none());
    }
}

#[tokio::test]
async fn what_is_only_in_doubt_is_confirmed_and_what_is_old_is_read_anew() {
    let (clock, [(_one, node), (_two, other)]) = two_nodes().await;
    let (store, table) = (CountingStore::new(), Table::default());
    read(&node, &store, 1).await;
    read(&node, &store, 2).await;
    clock.advance(LOCAL_TTL);
    store.commit(&2);
    ends(other.insert(&2, 1)).await.unwrap();

    let batch = read_many(&node, &table, &[1, 2]).await;

    let first = batch.get(&1).unwrap().unwrap();
    assert_eq!(first.outcome(), Outcome::LocalRevalidated);
    let second = batch.get(&2).unwrap().unwrap();
    assert_eq!((**second, second.outcome()), (1, Outcome::RemoteHit));
    assert!(table.calls().is_empty());
}

#[tokio::test]
async fn a_scope_records_each_key_of_a_batch_absent_ones_too() {
    for remote in Remote::both() {
        let (node, scope) = (remote.node().await, RequestScope::new());
        read(&node.cache, &CountingStore::new(), 1).await;

        let batch = node
            .cache
            .get_or_load_many(&[1, 2, 3], |_| async { Ok::<_, std::io::Error>([(2, 20)]) });
        ends(scope.run(batch)).await.unwrap();

        let summary = scope.summary();
        let mut names: Vec<_> = summary
            .entities()
            .iter()
            .map(|name| name.as_str())
            .collect();
        names.sort_unstable();
        assert_eq!(names, ["number/1", "number/2", "number/3"]);
        // The absences are remembered for the shortest time of all.
        let remaining = summary.remaining().unwrap();
        assert!(!remaining.is_zero() && remaining <= Duration::from_secs(10));
    }
}

#[tokio::test]
async fn a_hundred_thousand_keys_are_one_batch() {
    for remote in Remote::both() {
        let (node, other) = (remote.node().await, remote.node().await);
        let (calls, keys) = (AtomicUsize::new(0), (0..100_000).collect::<Vec<u64>>());

        let loaded = node.cache.get_or_load_many(&keys, |cx| {
            calls.fetch_add(1, Ordering::SeqCst);
            async { Ok::<_, std::io::Error>(cx.into_keys().into_iter().map(|key| (key, key))) }
        });
        let loaded = pairs(ends(loaded).await.unwrap());
        let copied = pairs(ends(other.cache.get_many(&keys)).await.unwrap());

        let wanted = (0..100_000).map(|key| (key, key));
        assert!(loaded.into_iter().eq(wanted.clone()) && copied.into_iter().eq(wanted));
        assert_eq!(calls.into_inner(), 1);
        let counted = [&node, &other].map(|node| counters(node).remote_errors);
        assert_eq!(counted, [0, 0]);
    }
}

/// Two nodes whose clock is at the test's command, as is their hub's.
async fn two_nodes() -> (ManualClock, [(Tiers, Numbers); 2]) {
    let clock = ManualClock::new();
    let hub = InProcess::with_clock(Arc::new(clock.clone()));
    let policy = Policy::ttl(LOCAL_TTL * 100)
        .jitter(0.0)
        .local_ttl(LOCAL_TTL);
    let node = || async {
        let builder = Remote::Hub(hub.clone()).builder();
        crate::reads::numbers(builder.clock(Arc::new(clock.clone())), policy).await
    };
    let nodes = [node().await, node().await];
    (clock, nodes)
}

const LOCAL_TTL: Duration = Duration::from_secs(30);
