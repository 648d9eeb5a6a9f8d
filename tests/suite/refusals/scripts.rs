//! NOSCRIPT: the server forgets the scripts while it is busy.

use super::{quick_node, works_again};
use crate::nodes::Remote;
use crate::reads::{counters, spawn_read};
use tricache_test_support::CountingStore;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scripts_that_are_forgotten_under_load_are_sent_again_and_nobody_notices() {
    let remote = Remote::around_redis();
    let (one, other) = (quick_node(&remote).await, quick_node(&remote).await);
    let store = CountingStore::new();

    for round in 0..20 {
        let keys = round * 20..round * 20 + 20;
        let readings: Vec<_> = keys
            .clone()
            .flat_map(|key| [(&one, key), (&other, key)])
            .map(|(node, key)| spawn_read(&node.cache, &store, key))
            .collect();
        assert_eq!(remote.server().command(&["SCRIPT", "FLUSH"]), "OK");
        for key in keys.clone() {
            store.commit(&key);
            assert!(!one.cache.invalidate(&key).await.unwrap().is_pending());
        }
        assert_eq!(remote.server().command(&["SCRIPT", "FLUSH"]), "OK");
        for reading in readings {
            assert!(reading.value().await <= 1);
        }
    }

    assert_eq!(counters(&one).remote_errors, 0);
    assert_eq!(counters(&other).remote_errors, 0);
    works_again([&one, &other], &store, 0..400).await;
}
