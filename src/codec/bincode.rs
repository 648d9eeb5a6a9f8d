//! bincode 2, the default codec: compact, quick, positional.
//!
//! Decoding always has a limit: without one, eight changed bytes make it ask for 8e18 bytes and
//! the process aborts. Bytes left over behind the value are refused, too, and so is a value that is
//! nested too deeply.
//!
//! What `encode` accepts, `decode` accepts: bincode counts an integer with its full width however
//! few bytes it takes, up to 16 times its size, so decoding may claim 16 times the largest body.

use bincode::config::{Configuration, Limit};
use bincode::enc::write::Writer;
use bincode::error;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::codec::appender::{Appender, Full};
use crate::codec::bounded::{Bounds, whole};
use crate::codec::{Codec, DecodeError, EncodeError, MAX_BODY};

/// The default codec: bincode 2 in its standard configuration.
///
/// It writes no field names, so each change of a type is a new schema, and a value that leaves a
/// field out (`#[serde(skip_serializing_if)]`) is served but not stored. Types that describe
/// themselves only while they are read (`serde_json::Value`, `#[serde(flatten, untagged, tag)]`)
/// need another codec, as do values nested deeper than 128 levels. The largest value is 16 MiB.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bincode;

impl Codec for Bincode {
    fn id(&self) -> u8 {
        ID
    }

    fn is_human_readable(&self) -> bool {
        false
    }

    fn is_positional(&self) -> bool {
        true
    }

    fn encode<V: Serialize + ?Sized>(
        &self,
        value: &V,
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        self.encode_within(value, MAX_BODY, out)
    }

    fn encode_within<V: Serialize + ?Sized>(
        &self,
        value: &V,
        limit: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        let mut appender = Appender::new(out, limit.min(MAX_BODY));
        bincode::serde::encode_into_writer(value, &mut appender, LENIENT)
            .map_err(|error| appender.error(error))
    }

    fn decode<V: DeserializeOwned>(&self, bytes: &[u8]) -> Result<V, DecodeError> {
        let bounds = Bounds::of(bytes)?;
        let (value, read) =
            bincode::serde::seed_decode_from_slice(bounds.seed::<V>(), bytes, LIMITED).map_err(
                |error| {
                    bounds.error(|| match error {
                        error::DecodeError::LimitExceeded => DecodeError::too_large(MAX_CLAIM),
                        error => DecodeError::new(error),
                    })
                },
            )?;
        whole(value, bytes.len() - read)
    }
}

impl Writer for Appender<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), error::EncodeError> {
        self.append(bytes)
            .map_err(|Full| error::EncodeError::UnexpectedEnd)
    }
}

pub(super) const ID: u8 = 1;
/// The format itself; only decoding looks at a limit.
pub(super) const LENIENT: Configuration = bincode::config::standard();
const LIMITED: Configuration<
    bincode::config::LittleEndian,
    bincode::config::Varint,
    Limit<MAX_CLAIM>,
> = LENIENT.with_limit::<MAX_CLAIM>();

const MAX_CLAIM: usize = 16 * MAX_BODY;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::samples;

    fn encoded<V: Serialize>(value: &V) -> Vec<u8> {
        let mut bytes = Vec::new();
        Bincode.encode(value, &mut bytes).unwrap();
        bytes
    }

    #[test]
    fn a_length_of_eight_exabytes_is_refused_before_anything_is_allocated() {
        // 253 says that eight bytes follow. Without the limit this aborts the process.
        let mut bytes = vec![253];
        bytes.extend_from_slice(&8_000_000_000_000_000_000_u64.to_le_bytes());
        bytes.extend_from_slice(b"lamp");

        assert!(Bincode.decode::<String>(&bytes).is_err());
        assert!(Bincode.decode::<Vec<u64>>(&bytes).is_err());
    }

    #[test]
    fn left_over_bytes_are_refused() {
        samples::lengthen(&Bincode);
    }

    /// A list of that many ones, which takes no memory.
    #[derive(Debug, PartialEq)]
    struct Ones(usize);

    impl Serialize for Ones {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_seq(std::iter::repeat_n(1_u128, self.0))
        }
    }

    impl<'de> serde::Deserialize<'de> for Ones {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            deserializer.deserialize_seq(Self(0))
        }
    }

    impl<'de> serde::de::Visitor<'de> for Ones {
        type Value = Self;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("ones")
        }

        fn visit_seq<A: serde::de::SeqAccess<'de>>(
            mut self,
            mut ones: A,
        ) -> Result<Self, A::Error> {
            while let Some(1_u128) = ones.next_element()? {
                self.0 += 1;
            }
            Ok(self)
        }
    }

    /// The worst case of bincode's accounting: one byte written, sixteen claimed.
    #[test]
    fn the_largest_value_that_is_encoded_is_also_decoded() {
        let value = Ones(MAX_BODY - 5);

        let bytes = encoded(&value);

        assert_eq!(bytes.len(), MAX_BODY);
        assert_eq!(Bincode.decode::<Ones>(&bytes).unwrap(), value);
    }

    #[test]
    fn a_value_over_the_limit_is_refused_whatever_stands_before_it() {
        samples::exceed(&Bincode);
    }

    #[test]
    fn twenty_thousand_mutations_neither_panic_nor_abort() {
        samples::mutate(&Bincode);
    }

    #[test]
    fn a_million_nested_lists_do_not_overflow_the_stack() {
        samples::nest(&Bincode, &[1; 1_000_000]);
    }
}
