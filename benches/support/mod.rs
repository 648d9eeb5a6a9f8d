//! What the benches share: rows, keys, reads, medians.
#![allow(dead_code)] // Each bench uses a part of it.

use serde::{Deserialize, Serialize};
use std::{hint::black_box, sync::Arc, time::Duration};
use tricache::{TieredCache, Tiers};

/// A row of about 200 bytes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) id: u64,
    pub(crate) text: String,
}

pub(crate) fn row(id: u64) -> Row {
    sized_row(id, 190)
}

pub(crate) fn sized_row(id: u64, bytes: usize) -> Row {
    Row {
        id,
        text: "x".repeat(bytes),
    }
}

/// `count` keys below `keys`, with exponent 0.99.
pub(crate) fn zipf(keys: u64, count: usize, seed: u64) -> Vec<u64> {
    let mut sums = Vec::with_capacity(keys as usize);
    let mut sum = 0.0;
    for rank in 1..=keys {
        sum += (rank as f64).powf(-0.99);
        sums.push(sum);
    }
    let mut random = fastrand::Rng::with_seed(seed);
    let draw = |_| sums.partition_point(|below| *below < random.f64() * sum) as u64;
    (0..count).map(draw).collect()
}

pub(crate) fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Reads keys that are all in this process, through the full API.
pub(crate) fn read_ours(cache: &TieredCache<u64, Row>, keys: &[u64]) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(async {
        for key in keys {
            let load = |_| async { Err::<Row, _>(std::io::Error::other("a miss")) };
            black_box(cache.get_or_load(key, load).await.unwrap());
        }
    });
}

/// The same from moka itself.
pub(crate) fn read_moka(moka: &moka::sync::Cache<u64, Arc<Row>>, keys: &[u64]) {
    for key in keys {
        black_box(moka.get(key).unwrap());
    }
}

/// Waits until every bucket has had its first head: by the second heartbeat.
pub(crate) async fn proven(tiers: &Tiers) {
    while tiers.report().proven_buckets() < tiers.report().buckets() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
