//! A reader that is slow on its way to Redis acts on what it saw, not on what came since.

use crate::reads::{counters, read, spawn_read};
use crate::wire::Wire;
use std::time::Duration;
use tricache::Outcome;
use tricache_test_support::{CountingStore, Reply, eventually};

/// It has seen a damaged payload, and asks for it to be dropped. Meanwhile another node has put a good one in its place.
#[tokio::test]
async fn a_reader_that_lags_drops_the_bad_payload_it_saw_and_not_the_good_one_since() {
    let wire = Wire::new().await;
    let (near, other) = (
        wire.remote.quiet_node([1]).await,
        wire.remote.quiet_node([1]).await,
    );
    let (far, store) = (wire.node().await, CountingStore::new());
    read(&near.cache, &store, 1).await;
    damage(&wire, "tc1:*:v:number/1@*");
    store.commit(&1);
    let looks = wire.calls_of("mget");

    wire.proxy.delay(Duration::from_millis(200));
    let lagging = spawn_read(&far.cache, &store, 1);
    eventually("it was shown the bad one", async || {
        wire.calls_of("mget") > looks
    })
    .await;
    let replaced = read(&other.cache, &store, 1).await;

    assert_eq!((*replaced, replaced.outcome()), (1, Outcome::Loaded));
    let answer = lagging.result().await.unwrap();
    assert_eq!((*answer, answer.outcome()), (1, Outcome::RemoteHit));
    assert_eq!((store.loads(), counters(&far).bad_payloads), (2, 1));
}

/// Flips a bit of the last byte.
fn damage(wire: &Wire, pattern: &str) {
    let (name, redis) = (wire.remote.only_key(pattern), wire.remote.server());
    let Reply::Bulk(mut bytes) = redis.reply(&["GET", &name]).unwrap() else {
        panic!("{name} is no text")
    };
    *bytes.last_mut().unwrap() ^= 1;
    let command: [&[u8]; 4] = [b"SET", name.as_bytes(), &bytes, b"KEEPTTL"];
    assert_eq!(redis.reply(&command).unwrap(), Reply::Simple("OK".into()));
}
