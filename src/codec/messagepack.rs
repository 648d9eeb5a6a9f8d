//! MessagePack with field names: longer, but a field may be left out, and other languages read it.
//!
//! A declared length allocates nothing beyond the bytes at hand: text and bytes are taken up to the end of the input, a
//! list grows as its elements are read, each of which takes a byte. The crate's own limit of nesting does not see
//! enums and options; `bounded.rs` does. Bytes left over behind the value are refused.

use serde::Serialize;
use serde::de::{DeserializeOwned, DeserializeSeed};

use crate::codec::appender::Appender;
use crate::codec::bounded::{Bounds, whole};
use crate::codec::{Codec, DecodeError, EncodeError, MAX_BODY};

/// MessagePack with field names.
///
/// The names cost bytes: a fifth to three fifths more than [`Bincode`](crate::Bincode) for usual values, and twice the
/// time. In return it takes values that leave fields out (`#[serde(skip_serializing_if)]`) and types that describe
/// themselves while they are read (`#[serde(flatten, untagged, tag)]`, with a
/// [`schema`](crate::CacheBuilder::schema) number). The largest value is 16 MiB, and is nested at most 128 levels deep.
///
/// The fields of a tuple struct have no names in any codec: none of them should be left out.
#[derive(Clone, Copy, Debug, Default)]
pub struct MessagePack;

impl Codec for MessagePack {
    fn id(&self) -> u8 {
        ID
    }

    fn is_human_readable(&self) -> bool {
        false
    }

    fn is_positional(&self) -> bool {
        false
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
        let mut serializer = rmp_serde::Serializer::new(&mut appender).with_struct_map();
        value
            .serialize(&mut serializer)
            .map_err(|error| appender.error(error))
    }

    fn decode<V: DeserializeOwned>(&self, bytes: &[u8]) -> Result<V, DecodeError> {
        let bounds = Bounds::of(bytes)?;
        let mut deserializer = rmp_serde::Deserializer::new(bytes);
        let value = bounds
            .seed::<V>()
            .deserialize(&mut deserializer)
            .map_err(|error| bounds.error(|| DecodeError::new(error)))?;
        whole(value, deserializer.get_ref().len())
    }
}

pub(super) const ID: u8 = 3;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::samples;
    use serde::Deserialize;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Product {
        id: u8,
        #[serde(skip_serializing_if = "Option::is_none")]
        note: Option<u8>,
        stock: u8,
    }

    #[test]
    fn fields_have_names_and_may_be_left_out() {
        let product = Product {
            id: 1,
            note: None,
            stock: 3,
        };
        let mut bytes = Vec::new();

        MessagePack.encode(&product, &mut bytes).unwrap();

        assert_eq!(bytes, b"\x82\xa2id\x01\xa5stock\x03");
        assert_eq!(MessagePack.decode::<Product>(&bytes).unwrap(), product);
    }

    #[test]
    fn types_that_describe_themselves_while_they_are_read_come_back() {
        #[derive(Debug, PartialEq, Serialize, Deserialize)]
        #[serde(tag = "kind")]
        enum Event {
            Sold { product: u64 },
        }
        #[derive(Debug, PartialEq, Serialize, Deserialize)]
        #[serde(untagged)]
        enum Id {
            Number(u64),
            Text(String),
        }
        #[derive(Debug, PartialEq, Serialize, Deserialize)]
        struct Row {
            event: Event,
            ids: Vec<Id>,
            #[serde(flatten)]
            rest: std::collections::BTreeMap<String, serde_json::Value>,
        }
        let more = serde_json::json!({"a": [1, null, -0.5], "b": "lamp"});
        let row = Row {
            event: Event::Sold { product: 42 },
            ids: vec![Id::Number(1), Id::Text("two".to_owned())],
            rest: [("more".to_owned(), more)].into(),
        };
        let mut bytes = Vec::new();

        MessagePack.encode(&row, &mut bytes).unwrap();

        assert_eq!(MessagePack.decode::<Row>(&bytes).unwrap(), row);
    }

    #[test]
    fn a_length_that_the_bytes_cannot_fill_is_refused() {
        // Text, bytes, a list and a map of 2^32 - 1 each, and four bytes.
        for marker in [0xdb, 0xc6, 0xdd, 0xdf] {
            let bytes = [marker, 0xff, 0xff, 0xff, 0xff, 1, 1, 1, 1];

            assert!(MessagePack.decode::<String>(&bytes).is_err());
            assert!(MessagePack.decode::<Vec<u64>>(&bytes).is_err());
            assert!(
                MessagePack
                    .decode::<std::collections::HashMap<u8, u8>>(&bytes)
                    .is_err()
            );
        }
    }

    #[test]
    fn left_over_bytes_are_refused() {
        samples::lengthen(&MessagePack);
    }

    #[test]
    fn a_value_over_the_limit_is_refused_whatever_stands_before_it() {
        samples::exceed(&MessagePack);
    }

    #[test]
    fn twenty_thousand_mutations_neither_panic_nor_abort() {
        samples::mutate(&MessagePack);
    }

    #[test]
    fn a_million_nested_lists_do_not_overflow_the_stack() {
        samples::nest(&MessagePack, &[0x91; 1_000_000]);
    }

    #[test]
    fn a_million_nested_variants_do_not_overflow_the_stack() {
        // {"A": {"A": ...}}, which the crate itself does not count.
        let bytes = b"\x81\xa1A".repeat(1_000_000);

        let error = MessagePack.decode::<samples::Nested>(&bytes).unwrap_err();

        assert!(error.is_too_nested(), "{error}");
    }
}
