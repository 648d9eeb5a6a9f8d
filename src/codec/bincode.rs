//! bincode 2, the default codec: compact, quick, positional.
//!
//! Decoding always has a limit: without one, eight changed bytes make it ask for 8e18 bytes and
//! the process aborts. Bytes left over behind the value are refused, too.
//!
//! What `encode` accepts, `decode` accepts: bincode counts an integer with its full width however
//! few bytes it takes, up to 16 times its size, so decoding may claim 16 times the largest body.

use bincode::config::{Configuration, Limit};
use bincode::enc::write::Writer;
use bincode::error;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::codec::{Codec, DecodeError, EncodeError};

/// The default codec: bincode 2 in its standard configuration.
///
/// It writes no field names, so each change of a type is a new schema, and a value that leaves a
/// field out (`#[serde(skip_serializing_if)]`) is served but not stored. Types that describe
/// themselves only while they are read (`serde_json::Value`, `#[serde(flatten, untagged, tag)]`)
/// need another codec. The largest value is 16 MiB.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bincode;

impl Codec for Bincode {
    fn id(&self) -> u8 {
        1
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
        let end = out.len().saturating_add(MAX_BODY);
        bincode::serde::encode_into_writer(value, Appender { out, end }, LENIENT).map_err(|error| {
            match error {
                // Only a writer that is full reports this, and ours is full at the limit.
                error::EncodeError::UnexpectedEnd => EncodeError::too_large(MAX_BODY),
                error => EncodeError::new(error),
            }
        })
    }

    fn decode<V: DeserializeOwned>(&self, bytes: &[u8]) -> Result<V, DecodeError> {
        if bytes.len() > MAX_BODY {
            return Err(DecodeError::too_large(MAX_BODY));
        }
        let (value, read) =
            bincode::serde::decode_from_slice(bytes, LIMITED).map_err(|error| match error {
                error::DecodeError::LimitExceeded => DecodeError::too_large(MAX_CLAIM),
                error => DecodeError::new(error),
            })?;
        match bytes.len() - read {
            0 => Ok(value),
            left => Err(DecodeError::left_over(left)),
        }
    }
}

/// Appends to a vector up to a length.
struct Appender<'a> {
    out: &'a mut Vec<u8>,
    end: usize,
}

impl Writer for Appender<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), error::EncodeError> {
        if bytes.len() > self.end - self.out.len() {
            return Err(error::EncodeError::UnexpectedEnd);
        }
        self.out.extend_from_slice(bytes);
        Ok(())
    }
}

/// The format itself; only decoding looks at a limit.
pub(super) const LENIENT: Configuration = bincode::config::standard();
const LIMITED: Configuration<
    bincode::config::LittleEndian,
    bincode::config::Varint,
    Limit<MAX_CLAIM>,
> = LENIENT.with_limit::<MAX_CLAIM>();

const MAX_BODY: usize = 16 << 20;
const MAX_CLAIM: usize = 16 * MAX_BODY;

#[cfg(test)]
mod tests {
    use super::*;

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
        let mut bytes = encoded(&"lamp");
        bytes.push(0);

        let error = Bincode.decode::<String>(&bytes).unwrap_err();

        assert_eq!(error.to_string(), "1 bytes are left over behind the value");
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
        let value = "x".repeat(MAX_BODY);
        let mut out = vec![0; 48];

        let error = Bincode.encode(&value, &mut out).unwrap_err();

        assert!(error.is_too_large());
    }

    #[test]
    fn twenty_thousand_mutations_neither_panic_nor_abort() {
        let bytes = encoded(&vec![("lamp".to_owned(), Some(7_u64)); 20]);
        let mut random = 0x9E37_79B9_7F4A_7C15_u64;

        for _ in 0..20_000 {
            let mut mutated = bytes.clone();
            for _ in 0..3 {
                random = random.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(1);
                let at = (random >> 33) as usize % mutated.len();
                mutated[at] = (random >> 24) as u8;
            }
            let _ = Bincode.decode::<Vec<(String, Option<u64>)>>(&mutated);
        }
    }
}
