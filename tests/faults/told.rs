//! F11, F12, F14, F23, F27 and F28: what the cache is told late, wrongly or not at all, as it is today.
//!
//! Only the caller knows of a commit, of its own last write, and of the snapshot that a load has read.

use crate::scene::{Node, QUIET, at, ends, in_process};
use std::{io, sync::Arc, time::Duration};
use tricache::{InProcess, Level, Loaded, ManualClock, Outcome, Policy, StoreVersion};
use tricache_test_support::{CountingStore, RedisServer};

#[tokio::test]
async fn f11_what_a_dead_writer_has_not_invalidated_is_served_until_its_ttl_and_no_longer() {
    let told = Told::start().await;
    told.one.read(&told.store, 1).await;

    told.store.commit(&1);
    told.pass(TTL - TICK).await;
    for node in [&told.one, &told.other] {
        assert_eq!(*node.read(&told.store, 1).await, 0);
    }
    told.pass(TICK).await;

    for node in [&told.one, &told.other] {
        assert_eq!(*node.read(&told.store, 1).await, 1);
    }
}

#[tokio::test]
async fn f12_what_another_writer_has_invalidated_before_does_not_help() {
    let told = Told::start().await;
    told.one.change(&told.store, 1).await;
    told.other.read(&told.store, 1).await;

    told.store.commit(&1);
    assert_eq!(*told.other.read(&told.store, 1).await, 1);
    told.pass(TTL).await;

    assert_eq!(*told.other.read(&told.store, 1).await, 2);
}

#[tokio::test]
async fn f14_an_invalidation_of_what_was_rolled_back_costs_a_load() {
    let told = Told::start().await;
    told.one.read(&told.store, 1).await;

    ends(told.one.cache.invalidate(&1)).await.unwrap();

    assert_eq!(
        told.other.answer(&told.store, 1).await,
        (0, Outcome::Loaded)
    );
    assert_eq!(told.store.loads(), 2);
}

#[tokio::test]
async fn f23_a_node_that_has_not_heard_yet_shows_the_old_value_and_a_strict_one_does_not() {
    let told = Told::start().await;
    let policy = Policy::ttl(TTL).level(Level::Strict);
    let strict = told.other.tiers.cache("strict", policy).unwrap();
    let writer = told.one.tiers.cache("strict", Policy::ttl(TTL)).unwrap();
    let (eventual, strict) = (&told.other, Node::of(&told.other, strict));
    let writer = Node::of(&told.one, writer);
    for node in [eventual, &strict] {
        node.read(&told.store, 1).await;
    }

    told.hub.hold_pushes(true);
    told.one.change(&told.store, 1).await;
    ends(writer.cache.invalidate(&1)).await.unwrap();

    assert_eq!(
        eventual.answer(&told.store, 1).await,
        (0, Outcome::LocalHit)
    );
    assert_eq!(*strict.read(&told.store, 1).await, 1);
    assert_eq!(*told.one.read(&told.store, 1).await, 1);
}

/// The pointer knew of the newest version, and a loader asks a replica of the store that has not heard of it.
#[tokio::test]
async fn f27_where_the_pointer_was_evicted_a_load_that_lags_is_kept() {
    for (evicted, kept) in [(false, None), (true, Some(1))] {
        let redis = RedisServer::start();
        let node = Node::start(at(&redis.url())).await;
        let load = async |row: u64| {
            let loaded = Loaded::new(row).at_version(row);
            let read = node
                .cache
                .get_or_load(&1, |_| async move { Ok::<_, io::Error>(loaded) });
            *ends(read).await.unwrap()
        };
        load(1).await;
        let newer = Loaded::new(2).at_version(2_u64).do_not_store();
        ends(node.cache.insert_at(&1, 2_u64, newer)).await.unwrap();

        if evicted {
            let pointer = redis.command(&["KEYS", "tc1:*:p:number/1"]);
            assert_eq!(redis.command(&["DEL", &pointer]), "1");
        }
        assert_eq!(load(1).await, 1);

        let found = ends(node.cache.get(&1)).await.unwrap();
        assert_eq!(found.map(|found| *found), kept);
    }
}

/// A load inside a snapshot that is older than what its key was invalidated for.
#[tokio::test]
async fn f28_a_load_of_an_older_snapshot_is_kept_only_where_it_does_not_say_so() {
    for (says, kept) in [(true, None), (false, Some(1))] {
        let told = Told::start().await;
        let load = async |row: u64| {
            let loaded = Loaded::new(row);
            let loaded = match says {
                true => loaded.at_version(StoreVersion::from(row)),
                false => loaded,
            };
            let read = told
                .one
                .cache
                .get_or_load(&1, |_| async move { Ok::<_, io::Error>(loaded) });
            *ends(read).await.unwrap()
        };
        load(1).await;
        let newer = Loaded::new(2).at_version(2_u64).do_not_store();
        ends(told.one.cache.insert_at(&1, 2_u64, newer))
            .await
            .unwrap();

        assert_eq!(load(1).await, 1);

        let found = ends(told.other.cache.get(&1)).await.unwrap();
        assert_eq!(found.map(|found| *found), kept);
    }
}

/// Two nodes around a hub, and one clock for all.
struct Told {
    one: Node,
    other: Node,
    store: CountingStore,
    hub: InProcess,
    clock: ManualClock,
}

impl Told {
    async fn start() -> Self {
        let clock = ManualClock::new();
        clock.advance(Duration::from_secs(1000));
        let hub = InProcess::with_clock(Arc::new(clock.clone()));
        let builder = || {
            in_process(&hub)
                .heartbeat(QUIET)
                .clock(Arc::new(clock.clone()))
        };
        let policy = Policy::ttl(TTL).jitter(0.0);
        Self {
            one: Node::with(builder(), policy).await,
            other: Node::with(builder(), policy).await,
            store: CountingStore::new(),
            hub,
            clock,
        }
    }

    async fn pass(&self, time: Duration) {
        self.clock.advance(time);
        for node in [&self.one, &self.other] {
            ends(node.tiers.until_caught_up()).await.unwrap();
        }
    }
}

const TTL: Duration = Duration::from_secs(60);
const TICK: Duration = Duration::from_millis(100);
