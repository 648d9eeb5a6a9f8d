//! Values made of others that are past their TTL.

use super::{MILLISECOND, Nodes, TTL, WINDOW, good, refreshed, windows};
use crate::reads::{Numbers, ends};
use std::time::Duration;
use tricache::{Cached, Error, Outcome};
use tricache_test_support::CountingStore;

async fn outer(sums: &Numbers, inner: &Numbers, store: &CountingStore) -> Cached<u64> {
    let (inner, store) = (inner.clone(), store.clone());
    let load = |_| async move { Ok::<_, Error>(*good(&inner, &store, 1).await * 10) };
    ends(sums.get_or_load(&7, load)).await.unwrap()
}

/// It has no fresh life of its own: stale from the start, and made anew by the next read.
#[tokio::test]
async fn what_is_made_of_a_stale_value_is_stale_itself() {
    let nodes = Nodes::start::<1>(windows(WINDOW, Duration::ZERO)).await;
    let inner = nodes.cache(0);
    let sums: Numbers = nodes.nodes[0]
        .0
        .cache("sum", windows(WINDOW, WINDOW))
        .unwrap();
    let store = CountingStore::new();
    good(inner, &store, 1).await;
    store.commit(&1);
    nodes.clock.advance(TTL);
    store.hold();

    let made = outer(&sums, inner, &store).await;
    assert_eq!((*made, made.remaining()), (0, Duration::ZERO));
    let again = outer(&sums, inner, &store).await;
    assert_eq!((*again, again.outcome()), (0, Outcome::Stale));
    store.wait_for_waiting(1).await;
    store.release();
    refreshed(inner, 1, 1).await;
    nodes.clock.advance(MILLISECOND);

    tricache_test_support::eventually("the outer value is made anew", async || {
        let made = outer(&sums, inner, &store).await;
        *made == 10 && !made.is_stale()
    })
    .await;
}
