//! What a fingerprint depends on, what it does not, and which types have none.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};

use super::{describe, fingerprint};

fn of<V: DeserializeOwned>() -> u64 {
    fingerprint::<V>(false).unwrap()
}

fn refusal<V: DeserializeOwned>() -> String {
    fingerprint::<V>(false).unwrap_err().to_string()
}

/// Types of one name in modules of their own, as in two releases of a service.
macro_rules! releases {
    ($($module:ident { $($item:item)* })*) => {$(
        #[allow(dead_code)]
        mod $module {
            use serde::Deserialize;
            $(#[derive(Deserialize)] $item)*
        }
    )*};
}

releases! {
    first {
        pub(super) struct Product { id: u64, name: String, price: Price }
        pub(super) struct Price { cents: i64, currency: Currency }
        pub(super) enum Currency { Eur, Other(String), Pair { a: u32, b: Option<u8> } }
    }
    moved {
        pub(super) struct Product { id: u64, name: String, price: Price }
        pub(super) struct Price { cents: i64, currency: Currency }
        pub(super) enum Currency { Eur, Other(String), Pair { a: u32, b: Option<u8> } }
    }
    reordered {
        pub(super) struct Product { id: u64, price: super::first::Price, name: String }
    }
    renamed {
        pub(super) struct Product { id: u64, title: String, price: super::first::Price }
    }
    widened {
        pub(super) struct Product { id: u64, name: String, price: Price }
        pub(super) struct Price { cents: i128, currency: super::first::Currency }
    }
    extended {
        pub(super) struct Product { id: u64, name: String, price: Price }
        pub(super) struct Price { cents: i64, currency: Currency }
        pub(super) enum Currency { Eur, Usd, Other(String), Pair { a: u32, b: Option<u8> } }
    }
    variant {
        pub(super) struct Product { id: u64, name: String, price: Price }
        pub(super) struct Price { cents: i64, currency: Currency }
        pub(super) enum Currency { Eur, Other(String), Pair { a: u32, b: u8 } }
    }
}

#[test]
fn a_type_that_only_moved_to_another_module_keeps_its_fingerprint() {
    assert_eq!(of::<first::Product>(), of::<moved::Product>());
}

#[test]
fn each_change_of_a_type_changes_its_fingerprint() {
    let fingerprints = [
        of::<first::Product>(),
        of::<reordered::Product>(),
        of::<renamed::Product>(),
        of::<widened::Product>(),
        of::<extended::Product>(),
        of::<variant::Product>(),
        of::<Option<first::Product>>(),
        of::<Vec<first::Product>>(),
        of::<BTreeMap<u64, first::Product>>(),
    ];

    let distinct: std::collections::HashSet<u64> = fingerprints.into();
    assert_eq!(distinct.len(), fingerprints.len());
}

#[test]
fn what_is_the_same_in_the_bytes_is_the_same_in_the_fingerprint() {
    assert_eq!(of::<String>(), of::<Box<str>>());
    assert_eq!(of::<Vec<u8>>(), of::<std::collections::BTreeSet<u8>>());
    assert_eq!(of::<HashMap<u8, u16>>(), of::<BTreeMap<u8, u16>>());
}

#[test]
fn a_description_holds_names_and_nesting_and_no_module_path() {
    let description = describe::<first::Product>(false).unwrap();

    assert_eq!(
        description,
        r#"0 struct "Product" ["id", "name", "price"] [1, 2, 3]
1 u64 []
2 string []
3 struct "Price" ["cents", "currency"] [4, 5]
4 i64 []
5 enum "Currency" ["Eur", "Other", "Pair"] [6, 7, 8]
6 unit variant []
7 newtype variant [2]
8 struct variant ["a", "b"] [9, 10]
9 u32 []
10 option [11]
11 u8 []
"#
    );
}

#[derive(Deserialize)]
#[allow(dead_code)]
struct Tree {
    value: u32,
    children: Vec<Tree>,
    parent: Option<Box<Tree>>,
}

#[derive(Deserialize)]
#[serde(transparent)]
#[allow(dead_code)]
struct Nested(Vec<Nested>);

#[test]
fn recursive_types_end_where_they_meet_themselves() {
    assert_eq!(
        describe::<Tree>(false).unwrap(),
        r#"0 struct "Tree" ["value", "children", "parent"] [1, 2, 3]
1 u32 []
2 seq [0]
3 option [0]
"#
    );
    assert_eq!(describe::<Nested>(false).unwrap(), "0 seq [0]\n");
}

/// Both visitors have the same type name: they stand in two blocks of one function.
#[test]
fn variants_with_equal_fields_of_different_types_are_told_apart() {
    #[derive(Deserialize)]
    #[allow(dead_code)]
    enum Narrow {
        A { at: u8 },
        B { at: u8 },
    }
    mod wide {
        #[derive(serde::Deserialize)]
        #[allow(dead_code)]
        pub(super) enum Narrow {
            A { at: u8 },
            B { at: u64 },
        }
    }

    assert_ne!(of::<Narrow>(), of::<wide::Narrow>());
}

#[test]
fn an_alias_does_not_keep_a_type_from_being_walked_past() {
    #[derive(Deserialize)]
    #[allow(dead_code)]
    struct Aliased {
        #[serde(rename = "name", alias = "title")]
        label: String,
        stock: u8,
    }

    assert!(fingerprint::<(Aliased, first::Price)>(false).is_ok());
}

#[test]
fn text_and_compact_forms_of_a_type_have_fingerprints_of_their_own() {
    assert_eq!(describe::<uuid::Uuid>(true).unwrap(), "0 string []\n");
    assert_eq!(describe::<uuid::Uuid>(false).unwrap(), "0 bytes []\n");
}

#[test]
fn a_self_describing_part_is_named_by_its_path_with_the_ways_out() {
    #[derive(Deserialize)]
    #[allow(dead_code)]
    struct Product {
        id: u64,
        attrs: HashMap<String, serde_json::Value>,
    }

    let message = refusal::<Product>();

    assert!(message.contains("`Product.attrs.value`"), "{message}");
    for way_out in [".schema(1)", "another serde form", "codec"] {
        assert!(message.contains(way_out), "{message}");
    }
}

#[derive(Deserialize)]
#[allow(dead_code)]
struct Flat {
    id: u64,
    #[serde(flatten)]
    price: first::Price,
}

#[derive(Deserialize)]
#[serde(untagged)]
#[allow(dead_code)]
enum Untagged {
    Number(u8),
    Text(String),
}

#[derive(Deserialize)]
#[serde(tag = "kind")]
#[allow(dead_code)]
enum Tagged {
    Number { x: u8 },
}

#[derive(Deserialize)]
#[serde(tag = "kind", content = "content")]
#[allow(dead_code)]
enum Adjacent {
    Number(u8),
}

#[test]
fn flattened_untagged_and_tagged_types_are_refused() {
    for message in [
        refusal::<Flat>(),
        refusal::<Untagged>(),
        refusal::<Tagged>(),
        refusal::<Adjacent>(),
        refusal::<rust_decimal::Decimal>(),
    ] {
        assert!(
            message.contains("takes its shape from the bytes"),
            "{message}"
        );
    }
}

/// Accepts one text only, which no list of samples will hold.
#[derive(PartialEq, Eq, Hash)]
struct Password;

impl<'de> Deserialize<'de> for Password {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Arc::<str>::from(String::deserialize(deserializer)?).as_ref() {
            "correct horse battery staple" => Ok(Self),
            _ => Err(serde::de::Error::custom("not the password")),
        }
    }
}

#[test]
fn a_type_that_takes_no_sample_is_traced_where_nothing_stands_behind_it() {
    #[derive(Deserialize)]
    #[allow(dead_code)]
    struct User {
        password: Password,
        name: String,
    }

    assert!(fingerprint::<User>(false).is_ok());
    let message = refusal::<(Password, String)>();
    assert!(message.contains("`value.0`"), "{message}");
    assert!(message.contains("not the password"), "{message}");
}

#[derive(Deserialize)]
#[allow(dead_code)]
struct Wrap<T>(Option<T>);

type Four<T> = Wrap<Wrap<Wrap<Wrap<T>>>>;
type Sixteen<T> = Four<Four<Four<Four<T>>>>;

#[test]
fn a_type_nested_too_deeply_is_refused() {
    let error = fingerprint::<Sixteen<Sixteen<Sixteen<u8>>>>(false).unwrap_err();

    assert!(error.to_string().contains("nested too deeply"));
}

/// A pair of itself has no value, and doubles at each level on the way to none.
#[test]
fn a_type_without_values_is_refused_in_bounded_work() {
    struct Endless;
    impl<'de> Deserialize<'de> for Endless {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            <(Self, Self)>::deserialize(deserializer).map(|_| Self)
        }
    }

    assert!(fingerprint::<Endless>(false).is_err());
}

/// What follows the first number depends on it, and the number depends on the pass.
#[test]
fn a_type_whose_shape_depends_on_a_value_ends_without_a_panic() {
    #[derive(Deserialize)]
    #[allow(dead_code)]
    enum Long {
        A(u8),
        B(u8),
        C(Password),
    }
    #[derive(Deserialize)]
    #[allow(dead_code)]
    enum Short {
        A(Password),
    }
    struct Fickle;
    impl<'de> Deserialize<'de> for Fickle {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            thread_local!(static CALLS: std::cell::Cell<u32> = const { std::cell::Cell::new(0) });
            CALLS.set(CALLS.get() + 1);
            match CALLS.get() % 3 {
                0 => Short::deserialize(deserializer).map(|_| Self),
                1 => Long::deserialize(deserializer).map(|_| Self),
                _ => u8::deserialize(deserializer).map(|_| Self),
            }
        }
    }

    for _ in 0..10 {
        let _ = fingerprint::<(Fickle, Fickle, u8)>(false);
    }
}
