//! postcard: as compact as bincode, positional, with a documented format that does not change.
//!
//! It reads from the bytes at hand only: a length it cannot fill is the end of the input. Elements without bytes and
//! nesting are bounded by `bounded.rs`; bytes left over behind the value are refused.

use postcard::ser_flavors::Flavor;
use serde::Serialize;
use serde::de::{DeserializeOwned, DeserializeSeed};

use crate::codec::appender::{Appender, Full};
use crate::codec::bounded::{Bounds, whole};
use crate::codec::{Codec, DecodeError, EncodeError, MAX_BODY};

/// postcard 1, whose format is documented and stable.
///
/// It writes no field names, so the same holds as for [`Bincode`](crate::Bincode): each change of a type is a new
/// schema, a value that leaves a field out is served but not stored, and types that describe themselves only while
/// they are read need another codec. The largest value is 16 MiB.
#[derive(Clone, Copy, Debug, Default)]
pub struct Postcard;

impl Codec for Postcard {
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
        postcard::serialize_with_flavor(value, &mut appender).map_err(|error| appender.error(error))
    }

    fn decode<V: DeserializeOwned>(&self, bytes: &[u8]) -> Result<V, DecodeError> {
        let bounds = Bounds::of(bytes)?;
        let mut deserializer = postcard::Deserializer::from_bytes(bytes);
        let value = bounds
            .seed::<V>()
            .deserialize(&mut deserializer)
            .map_err(|error| bounds.error(|| DecodeError::new(error)))?;
        let left = deserializer.finalize().map_err(DecodeError::new)?;
        whole(value, left.len())
    }
}

impl Flavor for &mut Appender<'_> {
    type Output = ();

    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.append(bytes)
            .map_err(|Full| postcard::Error::SerializeBufferFull)
    }

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.try_extend(&[byte])
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}

pub(super) const ID: u8 = 2;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::samples;

    #[test]
    fn a_length_that_the_bytes_cannot_fill_is_refused() {
        // 2^63 - 1, and four bytes.
        let mut bytes = vec![0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f];
        bytes.extend_from_slice(b"lamp");

        assert!(Postcard.decode::<String>(&bytes).is_err());
        assert!(Postcard.decode::<Vec<u64>>(&bytes).is_err());
    }

    #[test]
    fn elements_without_bytes_are_counted() {
        // Ten million times nothing. It could as well be 2^63 times, and would never end.
        let error = Postcard.decode::<Vec<()>>(b"\x80\xad\xe2\x04").unwrap_err();

        assert!(error.is_too_nested(), "{error}");
    }

    #[test]
    fn left_over_bytes_are_refused() {
        samples::lengthen(&Postcard);
    }

    #[test]
    fn a_value_over_the_limit_is_refused_whatever_stands_before_it() {
        samples::exceed(&Postcard);
    }

    #[test]
    fn twenty_thousand_mutations_neither_panic_nor_abort() {
        samples::mutate(&Postcard);
    }

    #[test]
    fn a_million_nested_lists_do_not_overflow_the_stack() {
        samples::nest(&Postcard, &[1; 1_000_000]);
    }

    #[test]
    fn the_bytes_are_those_of_the_documented_format() {
        let mut bytes = Vec::new();
        Postcard
            .encode(&(300_u16, "lamp", Some(-1_i8)), &mut bytes)
            .unwrap();

        assert_eq!(bytes, b"\xac\x02\x04lamp\x01\xff");
    }
}
