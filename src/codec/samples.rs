//! Bytes and values that no codec may be led astray by, for the tests of all of them.

use serde::{Deserialize, Serialize};

use crate::codec::{Codec, MAX_BODY};

/// A list of lists.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Lists(pub(super) Vec<Self>);

/// A variant in a variant.
#[cfg(feature = "messagepack")]
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Nested {
    A(Box<Self>),
}

/// Changed bytes: what comes out is an error or another value, and nothing else.
pub(super) fn mutate(codec: &impl Codec) {
    type Value = Vec<(String, Option<u64>)>;
    let bytes = encoded(codec, &vec![("lamp".to_owned(), Some(7_u64)); 20]);
    let mut random = 0x9E37_79B9_7F4A_7C15_u64;

    for _ in 0..20_000 {
        let mut mutated = bytes.clone();
        for _ in 0..3 {
            random = random.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(1);
            let at = (random >> 33) as usize % mutated.len();
            mutated[at] = (random >> 24) as u8;
        }
        let _ = codec.decode::<Value>(&mutated);
        let _ = codec.decode::<Vec<()>>(&mutated);
        let _ = codec.decode::<Lists>(&mutated);
    }
}

/// Bytes that begin a list in a list, and so on.
pub(super) fn nest(codec: &impl Codec, bytes: &[u8]) {
    let error = codec.decode::<Lists>(bytes).unwrap_err();

    assert!(error.is_too_nested(), "{error}");
}

/// A value, and one byte more.
pub(super) fn lengthen(codec: &impl Codec) {
    let mut bytes = encoded(codec, &"lamp");
    assert_eq!(codec.decode::<String>(&bytes).unwrap(), "lamp");
    bytes.push(0);

    let error = codec.decode::<String>(&bytes).unwrap_err();

    assert_eq!(error.to_string(), "1 bytes are left over behind the value");
}

/// Values longer than the codec takes, and longer than it is told to.
pub(super) fn exceed(codec: &impl Codec) {
    let mut out = vec![0; 48];

    let error = codec.encode(&"x".repeat(MAX_BODY), &mut out).unwrap_err();
    assert!(error.is_too_large());

    out.truncate(48);
    let numbers = [7_u8; 100];
    let error = codec.encode_within(&numbers[..], 50, &mut out).unwrap_err();
    assert!(error.is_too_large());
    assert!(out.len() <= 48 + 50, "it stopped at the limit");
}

fn encoded<V: Serialize>(codec: &impl Codec, value: &V) -> Vec<u8> {
    let mut bytes = Vec::new();
    codec.encode(value, &mut bytes).unwrap();
    bytes
}
