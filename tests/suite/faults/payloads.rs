//! F30: bytes in Redis that are not what was stored. Each is a miss that is counted and filled again, never a value.

use crate::nodes::Remote;
use crate::reads::ends;
use serde::{Deserialize, Serialize};
use std::{collections::HashMap, io, sync::Mutex, time::Duration};
use tricache::{Cached, Outcome, Policy, TieredCache, Tiers};
use tricache_test_support::{CountingStore, Reply};

#[tokio::test]
async fn f30_no_flipped_bit_is_ever_a_value() {
    let shop = Shop::start().await;
    let bits = 8 * shop.payload_of(0).await.len() as u64;
    assert!(bits > 8 * HEADER as u64);

    for bit in 0..bits {
        let mut bytes = shop.payload_of(bit).await;
        bytes[bit as usize / 8] ^= 1 << (bit % 8);
        shop.replace(bit, &bytes);
    }
    for bit in 0..bits {
        shop.finds_a_miss(bit).await;
    }

    // A flipped version or epoch looks like an older generation, which is a miss of its own kind.
    let of_the_generation = 8 * GENERATION.len() as u64;
    let counted = *shop.reader.1.report().counters();
    assert_eq!(counted.bad_payloads, bits - of_the_generation);
    assert_eq!((counted.loads, counted.remote_hits), (bits, 0));
}

#[tokio::test]
async fn f30_no_truncated_or_lengthened_payload_is_ever_a_value() {
    let shop = Shop::start().await;
    let length = shop.payload_of(0).await.len() as u64;

    for key in 0..=length {
        let mut bytes = shop.payload_of(key).await;
        match key == length {
            true => bytes.push(0),
            false => bytes.truncate(key as usize),
        }
        shop.replace(key, &bytes);
    }
    for key in 0..=length {
        shop.finds_a_miss(key).await;
    }

    assert_eq!(shop.reader.1.report().counters().bad_payloads, length + 1);
}

#[tokio::test]
async fn f30_a_bad_payload_is_replaced_for_everybody() {
    let shop = Shop::start().await;
    let mut bytes = shop.payload_of(1).await;
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    shop.replace(1, &bytes);
    shop.finds_a_miss(1).await;

    let (third, tiers) = shop.node().await;
    let answer = ends(third.get(&1)).await.unwrap().unwrap();

    assert_eq!(
        (&*answer, answer.outcome()),
        (&Product::of(1, 1), Outcome::RemoteHit)
    );
    assert_eq!(tiers.report().counters().bad_payloads, 0);
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Product {
    name: String,
    price: u64,
    in_stock: bool,
}

impl Product {
    fn of(key: u64, load: u64) -> Self {
        Self {
            name: format!("lamp {key:05}"),
            price: load,
            in_stock: true,
        }
    }
}

/// Two nodes around a Redis whose bytes are changed by hand: one fills, the other reads.
struct Shop {
    remote: Remote,
    store: CountingStore,
    writer: (TieredCache<u64, Product>, Tiers),
    reader: (TieredCache<u64, Product>, Tiers),
    names: Mutex<HashMap<u64, String>>,
}

impl Shop {
    async fn start() -> Self {
        let remote = Remote::around_redis();
        Self {
            writer: node(&remote).await,
            reader: node(&remote).await,
            remote,
            store: CountingStore::new(),
            names: Mutex::default(),
        }
    }

    async fn node(&self) -> (TieredCache<u64, Product>, Tiers) {
        node(&self.remote).await
    }

    /// The stored bytes of a product that one node has filled.
    async fn payload_of(&self, key: u64) -> Vec<u8> {
        let filled = self.read(&self.writer.0, key).await;
        assert_eq!(*filled, Product::of(key, 0));
        let name = self.remote.only_key(&format!("tc1:*:v:product/{key}@*"));
        match self.remote.server().reply(&["GET", &name]).unwrap() {
            Reply::Bulk(bytes) => {
                self.names.lock().unwrap().insert(key, name);
                bytes
            }
            other => panic!("{name}: {other:?}"),
        }
    }

    fn replace(&self, key: u64, bytes: &[u8]) {
        let name = self.names.lock().unwrap()[&key].clone();
        let command: [&[u8]; 4] = [b"SET", name.as_bytes(), bytes, b"KEEPTTL"];
        let reply = self.remote.server().reply(&command).unwrap();
        assert_eq!(reply, Reply::Simple("OK".into()));
    }

    /// The other node loads it anew, and gets what the store holds.
    async fn finds_a_miss(&self, key: u64) {
        self.store.commit(&key);
        let answer = self.read(&self.reader.0, key).await;
        assert_eq!(
            (&*answer, answer.outcome()),
            (&Product::of(key, 1), Outcome::Loaded),
            "{key}"
        );
    }

    async fn read(&self, cache: &TieredCache<u64, Product>, key: u64) -> Cached<Product> {
        let store = self.store.clone();
        let load = cache.get_or_load(&key, |_| async move {
            Ok::<_, io::Error>(Product::of(key, store.load(&key).await))
        });
        ends(load).await.unwrap()
    }
}

async fn node(remote: &Remote) -> (TieredCache<u64, Product>, Tiers) {
    let tiers = remote.builder().build().await.unwrap();
    let cache = tiers.cache("product", Policy::ttl(Duration::from_secs(600)));
    (cache.unwrap(), tiers)
}

/// The bytes in front of a body, and those of them that name its generation.
const HEADER: usize = 64;
const GENERATION: std::ops::Range<usize> = 8..24;
