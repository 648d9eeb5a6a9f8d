//! Twenty types whose fingerprints must not change: each change empties every cache of that type.
//!
//! The numbers stand in `tests/golden/schema_fingerprints.txt`. Run this test with `TRICACHE_BLESS=1`
//! to write them anew, and say in the changelog that all caches start cold.

// Only the shapes of these types matter.
#![allow(dead_code)]

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Write;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::{Duration, SystemTime};

use serde::Deserialize;

use super::fingerprint;

#[derive(Deserialize)]
struct Price {
    cents: i64,
    currency: Currency,
}

#[derive(Deserialize)]
enum Currency {
    Eur,
    Usd,
    Other(String),
    Pair { a: u32, b: Option<u8> },
    Tuple(u8, u16),
}

#[derive(Deserialize)]
struct Product {
    id: u64,
    name: String,
    price: Price,
    tags: Vec<String>,
    attrs: HashMap<String, Price>,
    note: Option<Box<Price>>,
    #[serde(default)]
    stock: u32,
}

#[derive(Deserialize)]
struct Page<T> {
    items: Vec<T>,
    total: u64,
}

#[derive(Deserialize)]
struct Pages {
    prices: Page<Price>,
    products: Page<Product>,
    nested: Page<Page<Price>>,
}

#[derive(Deserialize)]
struct Tree {
    value: u32,
    children: Vec<Tree>,
    parent: Option<Box<Tree>>,
}

#[derive(Deserialize)]
enum Expression {
    Number(f64),
    Add(Box<Expression>, Box<Expression>),
    Negate(Box<Expression>),
    Call {
        name: String,
        arguments: Vec<Expression>,
    },
}

#[derive(Deserialize)]
struct Network {
    ip: IpAddr,
    socket: SocketAddr,
    timeout: Duration,
    since: SystemTime,
    digest: [u8; 32],
}

#[derive(Deserialize)]
struct Attributes {
    #[serde(rename = "x", alias = "y")]
    renamed: u8,
    #[serde(skip)]
    skipped: u8,
    nothing: (),
    letter: char,
    big: u128,
    set: HashSet<String>,
    result: Result<u8, String>,
    range: std::ops::Range<u8>,
}

#[derive(Deserialize)]
#[serde(try_from = "String")]
struct Email(String);

impl TryFrom<String> for Email {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        match text.starts_with("x@") && text.len() == 7 {
            true => Ok(Self(text)),
            false => Err("not an address"),
        }
    }
}

#[derive(Deserialize)]
struct Contact {
    email: Email,
    owed: Price,
}

#[derive(Deserialize)]
struct Times {
    at: chrono::DateTime<chrono::Utc>,
    stock: u8,
    day: chrono::NaiveDate,
}

#[derive(Deserialize)]
struct Links {
    id: uuid::Uuid,
    home: url::Url,
    by_id: HashMap<uuid::Uuid, Price>,
    by_day: BTreeMap<chrono::NaiveDate, Price>,
}

#[derive(Deserialize)]
struct Amount {
    #[serde(with = "rust_decimal::serde::str")]
    value: rust_decimal::Decimal,
    stock: u8,
}

#[derive(Deserialize)]
struct Ordered(
    std::num::NonZeroU32,
    chrono::DateTime<chrono::Utc>,
    url::Url,
    Price,
);

macro_rules! fingerprints {
    ($($name:literal: $type:ty;)*) => {
        [$(($name, fingerprint::<$type>(false).unwrap())),*]
    };
}

#[test]
fn fingerprints_are_those_of_the_golden_file() {
    let fingerprints: [_; 20] = fingerprints! {
        "u64": u64;
        "string": String;
        "tuple": (u8, String);
        "floats": Vec<(f32, f64)>;
        "price": Price;
        "currency": Currency;
        "product": Product;
        "products": Option<Vec<Product>>;
        "shared product": Box<Product>;
        "page of prices": Page<Price>;
        "page of products": Page<Product>;
        "pages": Pages;
        "tree": Tree;
        "expression": Expression;
        "network": Network;
        "attributes": Attributes;
        "contact": Contact;
        "chrono": Times;
        "uuid and url": Links;
        "tuple struct": (Ordered, Amount);
    };

    let mut text = String::new();
    for (name, fingerprint) in fingerprints {
        writeln!(text, "{fingerprint:016x} {name}").unwrap();
    }

    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/schema_fingerprints.txt");
    if std::env::var_os("TRICACHE_BLESS").is_some() {
        std::fs::write(&file, &text).unwrap();
    }
    assert_eq!(text, std::fs::read_to_string(&file).unwrap());
}
