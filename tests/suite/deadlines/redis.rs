//! A Redis that is frozen, and answers nothing for longer than a call may take.

use crate::nodes::Remote;
use crate::reads::{ends, numbers};
use std::{io, time::Duration};
use tricache::{BatchContext, Policy};

#[tokio::test]
async fn a_call_does_not_wait_for_a_frozen_redis_beyond_its_deadline() {
    let remote = Remote::around_redis();
    // Beyond every limit but that of the call: it is the call's that ends the wait.
    let builder = remote.builder().remote_timeout(Duration::from_secs(50));
    let policy = Policy::ttl(Duration::from_secs(600)).hard_timeout(Duration::from_millis(100));
    let (tiers, cache) = numbers(builder, policy).await;
    remote.server().freeze();

    let load = |_| async { Ok::<_, io::Error>(7) };
    let late = ends(cache.get_or_load(&1, load)).await;
    let found = ends(cache.get(&1)).await;
    let batch = ends(cache.get_many(&[1, 2])).await;

    assert!(late.unwrap_err().is_timeout());
    assert!(found.unwrap().is_none() && batch.unwrap().is_empty());
    assert_eq!(tiers.report().counters().loads, 0);
    remote.server().thaw();
}

/// It answers reads, and leaves everything else for later: nobody says who is to load.
#[tokio::test]
async fn a_batch_does_not_wait_for_its_leases_beyond_its_deadline() {
    let remote = Remote::around_redis();
    let builder = remote.builder().remote_timeout(Duration::from_secs(50));
    let policy = Policy::ttl(Duration::from_secs(600)).hard_timeout(Duration::from_millis(100));
    let (tiers, cache) = numbers(builder, policy).await;
    let redis = remote.server();
    assert_eq!(redis.command(&["CLIENT", "PAUSE", "300000", "WRITE"]), "OK");

    let load = |_: BatchContext<u64>| async { Ok::<_, io::Error>(vec![(1, 7), (2, 7)]) };
    let batch = ends(cache.get_or_load_many(&[1, 2], load)).await.unwrap();

    assert!(batch.iter().all(|(_, late)| late.unwrap_err().is_timeout()));
    assert_eq!((batch.len(), tiers.report().counters().loads), (2, 0));
    assert_eq!(redis.command(&["CLIENT", "UNPAUSE"]), "OK");
}
