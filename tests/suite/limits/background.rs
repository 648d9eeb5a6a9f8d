//! Loads in the background give way: those that callers wait for come first.

use super::{HOUR, batches::batch, busy, reading, value};
use crate::reads::ends;
use crate::stale::{Nodes, TTL, WINDOW, good, refreshed, windows};
use tricache::{Outcome, Policy};
use tricache_test_support::CountingStore;

fn policy() -> Policy {
    windows(WINDOW, WINDOW).hard_timeout(HOUR)
}

#[tokio::test(start_paused = true)]
async fn where_there_is_no_place_a_stale_value_is_served_and_not_refreshed() {
    let nodes = Nodes::with::<1>(policy(), |builder| builder.max_loads(1)).await;
    let (cache, store) = (nodes.cache(0), CountingStore::new());
    good(cache, &store, 1).await;
    store.commit(&1);
    nodes.clock.advance(TTL);
    store.hold();
    let running = reading(cache, &store, 2);
    store.wait_for_waiting(1).await;

    let stale = ends(reading(cache, &store, 1)).await.unwrap().unwrap();
    let batch = ends(batch(cache, &store, &[1])).await.unwrap().unwrap();

    assert_eq!(stale.outcome(), Outcome::Stale);
    assert_eq!(batch.get(&1).unwrap().unwrap().outcome(), Outcome::Stale);
    let counters = nodes.counters(0);
    assert_eq!((counters.dropped_refreshes, counters.queued_loads), (2, 0));
    assert_eq!((counters.refreshes, store.loads()), (0, 2));
    store.release();
    value(running).await;
    busy(&nodes.nodes[0].0, 0, 0).await;
    value(reading(cache, &store, 1)).await;
    refreshed(cache, 1, 1).await;
}

#[tokio::test(start_paused = true)]
async fn where_there_is_one_it_is_refreshed_within_the_limit() {
    let nodes = Nodes::with::<1>(policy(), |builder| builder.max_loads(2)).await;
    let (cache, store) = (nodes.cache(0), CountingStore::new());
    good(cache, &store, 1).await;
    store.commit(&1);
    nodes.clock.advance(TTL);
    store.hold();
    let running = reading(cache, &store, 2);
    store.wait_for_waiting(1).await;

    let stale = ends(reading(cache, &store, 1)).await.unwrap().unwrap();

    assert_eq!(stale.outcome(), Outcome::Stale);
    busy(&nodes.nodes[0].0, 2, 0).await;
    store.release();
    value(running).await;
    refreshed(cache, 1, 1).await;
    assert_eq!(nodes.counters(0).dropped_refreshes, 0);
}
