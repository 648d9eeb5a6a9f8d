//! A process may end in the middle of anything.

use crate::nodes::Node;
use std::time::Duration;
use tricache::Tiers;
use tricache_test_support::{Proxy, RedisServer, eventually};

/// The runtime ended while reads waited for a place. Each read that was dropped handed its place to those that wait, in a
/// task that the ended runtime dropped at once, and so on until the stack was full.
#[test]
fn a_runtime_may_end_while_reads_wait_for_redis() {
    let redis = RedisServer::start();
    // Which read is dropped first is chance, and some orders went well.
    for _ in 0..8 {
        end_while_reads_wait(&redis);
    }
}

fn end_while_reads_wait(redis: &RedisServer) {
    let runtime = tokio::runtime::Runtime::new().unwrap();

    runtime.block_on(async {
        let proxy = Proxy::before(redis).await;
        let builder = Tiers::builder("test").remote_timeout(Duration::from_secs(30));
        let node = Node::start(builder.redis(&proxy.url())).await;
        let beats = proxy.commands("MGET");
        redis.freeze();
        for key in 0..100_u64 {
            let cache = node.cache.clone();
            tokio::spawn(async move { cache.get(&key).await });
        }
        eventually("reads are under way", async || {
            proxy.commands("MGET") >= beats + 4
        })
        .await;
        for _ in 0..1_000 {
            tokio::task::yield_now().await;
        }
    });
    drop(runtime);

    redis.thaw();
}
