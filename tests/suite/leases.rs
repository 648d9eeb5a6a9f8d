//! A lease that its caller left behind keeps nobody waiting.

use crate::nodes::Node;
use std::{io, time::Duration};
use tokio::time::timeout;
use tricache::Tiers;
use tricache_test_support::{LIMIT, Proxy, RedisServer, eventually};

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
