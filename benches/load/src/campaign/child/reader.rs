//! Readers of a node: zipf over the entities of all levels, at a pace.

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use fastrand::Rng;
use tokio::time::{MissedTickBehavior, interval};

use super::{
    super::{plan::ENTITIES, words::Entity},
    caches::Caches,
};
use crate::{keys::Zipf, stop::Stop};

/// Reads until it is told to stop.
pub(super) async fn run(caches: Arc<Caches>, seed: u64, stop: Stop) {
    let levels: Vec<_> = caches.levels().collect();
    let mut random = Rng::with_seed(seed);
    let mut ids = Zipf::new(KEYS, random.u64(..));
    let mut pace = interval(PACE);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !stop.is_stopped() {
        pace.tick().await;
        let level = levels[random.usize(0..levels.len())];
        let number = scattered(ids.next_id());
        if random.u8(0..100) < BATCHES {
            let numbers = [number, (number + 1) % ENTITIES, (number + 2) % ENTITIES];
            caches.read_many(level, &numbers).await;
        } else {
            caches.read(Entity { level, number }).await;
        }
    }
}

/// The popular ones must not share tags and kinds of writes.
pub(super) fn scattered(id: u32) -> u32 {
    // 77 and 200 have no divisor in common: each entity comes from one id.
    (id * 77) % ENTITIES
}

const KEYS: NonZeroU32 = NonZeroU32::new(ENTITIES).unwrap();
const PACE: Duration = Duration::from_millis(4);
/// Of a hundred reads.
const BATCHES: u8 = 5;
