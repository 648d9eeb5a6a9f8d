//! A lease that its caller left behind keeps nobody waiting.

use crate::nodes::{Node, Remote};
use std::{io, time::Duration};
use tokio::time::timeout;
use tricache::{Counters, Tiers};
use tricache_test_support::{CountingStore, LIMIT, Proxy, RedisServer, eventually};

/// A caller went away after Redis had given it the lease and before its load began. The lease stayed for its three
/// seconds, and every other reader of the key waited for a load that nobody ran.
#[tokio::test]
async fn a_caller_that_goes_away_with_the_lease_keeps_nobody_waiting() {
    let redis = RedisServer::start();
    let proxy = Proxy::before(&redis).await;
    let builder = || Tiers::builder("test").remote_timeout(LIMIT);
    let far = Node::start(builder().redis(&proxy.url())).await;
    let near = Node::start(builder().redis(&redis.url())).await;
    let load = |_| async { Ok::<u64, io::Error>(1) };
    proxy.delay(Duration::from_millis(100));

    let caller = tokio::spawn({
        let cache = far.cache.clone();
        async move { cache.get_or_load(&1, load).await }
    });
    eventually("the lease is given, and nobody knows", async || {
        !redis.command(&["KEYS", "tc1:*:s:*"]).is_empty()
    })
    .await;
    caller.abort();

    let answer = timeout(Duration::from_secs(2), near.cache.get_or_load(&1, load)).await;
    assert_eq!(*answer.expect("it waits for nobody's load").unwrap(), 1);
    assert_eq!(far.tiers.report().counters().loads, 0);
}

/// Redis had given the lease, and its answer was late. By then Redis did not count as answering, so the lease was not given
/// back either: when all was well again, every reader of the key waited until it ended by itself.
#[tokio::test]
async fn a_lease_that_was_given_into_an_outage_is_given_back_after_it() {
    let redis = RedisServer::start();
    let proxy = Proxy::before(&redis).await;
    let builder = Tiers::builder("test").remote_timeout(Duration::from_millis(500));
    let far = Node::start(builder.redis(&proxy.url())).await;
    let near = Node::start(Tiers::builder("test").redis(&redis.url())).await;
    let load = |_| async { Ok::<u64, io::Error>(1) };
    proxy.delay(Duration::from_millis(100));

    let caller = tokio::spawn({
        let cache = far.cache.clone();
        async move { cache.get_or_load(&1, load).await }
    });
    eventually("the lease is given, and nobody knows", async || {
        !redis.command(&["KEYS", "tc1:*:s:*"]).is_empty()
    })
    .await;
    proxy.cut();
    assert_eq!(*caller.await.unwrap().unwrap(), 1);
    proxy.delay(Duration::ZERO);
    proxy.heal();

    let answer = timeout(
        Duration::from_millis(1500),
        near.cache.get_or_load(&1, load),
    )
    .await;
    assert_eq!(*answer.expect("it waits for nobody's load").unwrap(), 1);
}

/// Giving the lease back needs a runtime. A caller dropped outside of one panicked in its destructor.
#[test]
fn a_caller_that_is_dropped_outside_of_a_runtime_leaves_the_lease_to_its_end() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let redis = RedisServer::start();
    let (proxy, node) = runtime.block_on(async {
        let proxy = Proxy::before(&redis).await;
        let builder = Tiers::builder("test").remote_timeout(LIMIT);
        let node = Node::start(builder.redis(&proxy.url())).await;
        proxy.delay(Duration::from_millis(100));
        (proxy, node)
    });
    let load = |_| async { Ok::<u64, io::Error>(1) };
    let mut caller = Box::pin(node.cache.get_or_load(&1, load));

    runtime.block_on(async {
        tokio::select! {
            biased;
            _ = &mut caller => panic!("it was answered before the lease was seen"),
            () = eventually("the lease is given, and nobody knows", async || {
                !redis.command(&["KEYS", "tc1:*:s:*"]).is_empty()
            }) => {}
        }
    });

    drop(caller);
    drop(proxy);
}

/// A key was invalidated while one node loaded it and the others waited. One of them took the new lease, and all that
/// were left loaded beside it: as many loads as nodes, for one invalidation.
#[tokio::test]
async fn an_invalidation_in_the_middle_of_a_load_is_one_more_load_for_all_who_wait() {
    for remote in Remote::both() {
        let (store, mut nodes) = (CountingStore::<u64>::new(), Vec::new());
        for _ in 0..5 {
            nodes.push(remote.node().await);
        }
        let writer = nodes.pop().unwrap();
        let waits = || sum(&nodes, |counters| counters.lease_waits);
        let alone = || sum(&nodes, |counters| counters.loaded_alone);
        store.hold();
        let callers: Vec<_> = nodes.iter().map(|node| spawn_read(node, &store)).collect();
        eventually("one loads, three wait", async || waits() == 3).await;

        store.commit(&1);
        writer.cache.invalidate(&1).await.unwrap();
        eventually("one more loads, two wait for it", async || {
            store.waiting() == 2 && waits() == 5 || alone() > 0
        })
        .await;
        store.release();

        for caller in callers {
            caller.await.unwrap();
        }
        assert_eq!((store.loads(), alone()), (2, 0));
    }
}

fn sum(nodes: &[Node], count: impl Fn(&Counters) -> u64) -> u64 {
    let each = nodes
        .iter()
        .map(|node| count(node.tiers.report().counters()));
    each.sum()
}

fn spawn_read(node: &Node, store: &CountingStore<u64>) -> tokio::task::JoinHandle<u64> {
    let (cache, store) = (node.cache.clone(), store.clone());
    let load = move |_| async move { Ok::<u64, io::Error>(store.load(&1).await) };
    tokio::spawn(async move { *cache.get_or_load(&1, load).await.unwrap() })
}
