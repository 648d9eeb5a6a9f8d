//! A hit in this process allocates nothing.

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::{io, time::Duration};
use tricache::{Outcome, Policy, Tiers};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<std::alloc::System> = &INSTRUMENTED_SYSTEM;

const HITS: usize = 10_000;

#[tokio::test]
async fn a_hit_allocates_nothing() {
    let tiers = Tiers::builder("test").build().await.unwrap();
    let policy = Policy::ttl(Duration::from_secs(600));
    let cache = tiers.cache::<String, String>("page", policy).unwrap();
    let load = |_| async { Ok::<_, io::Error>("page".to_owned()) };
    while cache.get_or_load("lamp", load).await.unwrap().outcome() != Outcome::LocalHit {
        tokio::task::yield_now().await;
    }

    let loading = cache.with_loader(load);

    let region = Region::new(ALLOCATOR);
    for _ in 0..HITS / 2 {
        let hit = cache.get_or_load("lamp", load).await.unwrap();
        assert_eq!(hit.outcome(), Outcome::LocalHit);
        let hit = loading.get("lamp").await.unwrap();
        assert_eq!(hit.outcome(), Outcome::LocalHit);
    }
    let allocations = region.change().allocations;

    // What is left is moka's housekeeping, once in a few hundred reads, and the heartbeat's. One per hit would be 10,000.
    assert!(
        allocations < HITS / 20,
        "{allocations} allocations in {HITS} hits"
    );
}
