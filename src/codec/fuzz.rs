//! Bodies that no codec wrote: for the fuzzers, and for the tests that run their corpus.

use super::{Bincode, Codec, MAX_BODY};
pub(crate) use super::{
    envelope::fuzz::{foreign, forged, sealed},
    schema::fuzz::trace,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::collections::BTreeMap;

/// Any bytes as a body, for each codec and for several types: a value, or an error. What is a value is encoded and decoded to
/// the same. Says whether any codec found one.
pub(crate) fn body(data: &[u8]) -> bool {
    let found = [
        all_types(&Bincode, data),
        #[cfg(feature = "postcard")]
        all_types(&super::Postcard, data),
        #[cfg(feature = "messagepack")]
        all_types(&super::MessagePack, data),
    ];
    found.contains(&true)
}

fn all_types(codec: &impl Codec, data: &[u8]) -> bool {
    let lists = reads_alike::<Lists>(codec, data);
    let records = reads_alike::<Record>(codec, data);
    let nothings = codec.decode::<Vec<()>>(data).is_ok();
    reads_alike::<Vec<(String, Option<u64>)>>(codec, data) | lists | records | nothings
}

fn reads_alike<V: Serialize + DeserializeOwned + PartialEq>(
    codec: &impl Codec,
    data: &[u8],
) -> bool {
    let Ok(value) = codec.decode::<V>(data) else {
        return false;
    };
    let mut bytes = Vec::new();
    let limit = MAX_BODY;
    codec
        .encode_within(&value, limit, &mut bytes)
        .expect("what was read can be written");
    let again = codec
        .decode::<V>(&bytes)
        .expect("what was written can be read");
    assert!(again == value, "the same value");
    true
}

#[derive(PartialEq, Serialize, Deserialize)]
struct Lists(Vec<Self>);

/// A bit of everything that equals itself.
#[derive(PartialEq, Serialize, Deserialize)]
struct Record {
    number: i128,
    letter: char,
    text: String,
    kind: Kind,
    names: BTreeMap<String, (u8, bool)>,
    next: Option<Box<Self>>,
}

#[derive(PartialEq, Serialize, Deserialize)]
enum Kind {
    Nothing,
    One(u64),
    Two(i8, String),
    Named { width: u16, bytes: Vec<u8> },
}
