//! What does each codec cost, in bytes and in time?
//!
//! `cargo bench --bench codecs --features messagepack,postcard`. A user of about 100 bytes and a page of about 10 KB,
//! encoded and decoded by each codec, alternating in one run; bincode is the baseline.

use serde::{Deserialize, Serialize};
use std::{hint::black_box, time::Instant};
use tricache::{Bincode, Codec, MessagePack, Postcard};

const ROUNDS: usize = 7;

#[derive(Clone, Serialize, Deserialize)]
struct User {
    id: u64,
    name: String,
    email: Option<String>,
    roles: Vec<String>,
    created: (u64, u32),
}

#[derive(Clone, Serialize, Deserialize)]
struct Page {
    title: String,
    products: Vec<Product>,
}

#[derive(Clone, Serialize, Deserialize)]
struct Product {
    id: u64,
    name: String,
    price: u64,
    in_stock: bool,
    sizes: Vec<u8>,
    notes: Option<String>,
}

fn main() {
    println!("value  codec         bytes  encode ns  decode ns  ratio");
    compare("user", &user(), 20_000);
    compare("page", &page(), 500);
}

fn compare<V: Serialize + for<'de> Deserialize<'de>>(name: &str, value: &V, times: u32) {
    let mut spent: [(usize, Vec<f64>, Vec<f64>); 3] = Default::default();
    for _ in 0..ROUNDS {
        for (spent, once) in spent.iter_mut().zip([
            timed(&Bincode, value, times),
            timed(&Postcard, value, times),
            timed(&MessagePack, value, times),
        ]) {
            spent.0 = once.0;
            spent.1.push(once.1);
            spent.2.push(once.2);
        }
    }
    let mut baseline = 0.0;
    for (codec, (bytes, encode, decode)) in CODECS.iter().zip(&mut spent) {
        let (encode, decode) = (support::median(encode), support::median(decode));
        if baseline == 0.0 {
            baseline = encode + decode;
        }
        let ratio = (encode + decode) / baseline;
        println!("{name:5}  {codec:12}  {bytes:5}  {encode:9.0}  {decode:9.0}  {ratio:5.2}");
    }
}

/// Bytes, and nanoseconds of one encoding and one decoding.
fn timed<V: Serialize + for<'de> Deserialize<'de>>(
    codec: &impl Codec,
    value: &V,
    times: u32,
) -> (usize, f64, f64) {
    let mut bytes = Vec::new();
    let began = Instant::now();
    for _ in 0..times {
        bytes.clear();
        codec.encode(black_box(value), &mut bytes).unwrap();
    }
    let encode = began.elapsed();
    let began = Instant::now();
    for _ in 0..times {
        black_box(codec.decode::<V>(black_box(&bytes)).unwrap());
    }
    let each = |spent: std::time::Duration| spent.as_nanos() as f64 / f64::from(times);
    (bytes.len(), each(encode), each(began.elapsed()))
}

fn user() -> User {
    User {
        id: 1_234_567,
        name: "Ada Lovelace".to_owned(),
        email: Some("ada@example.org".to_owned()),
        roles: ["admin", "author", "reviewer"].map(str::to_owned).into(),
        created: (1_700_000_000, 123_456_789),
    }
}

fn page() -> Page {
    let product = |id| Product {
        id,
        name: format!("lamp number {id}, with a switch"),
        price: 1_000 + id * 7,
        in_stock: id % 3 > 0,
        sizes: vec![38, 40, 42, 44],
        notes: (id % 2 > 0).then(|| "delivered within a week, bulbs are extra".to_owned()),
    };
    Page {
        title: "lamps".to_owned(),
        products: (0..150).map(product).collect(),
    }
}

const CODECS: [&str; 3] = ["bincode", "postcard", "messagepack"];

#[path = "support/mod.rs"]
mod support;
