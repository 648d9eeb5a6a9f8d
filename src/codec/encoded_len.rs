//! The weight of a value that is kept in the process only.
//!
//! A value that cannot be stored in Redis still takes memory; the local tier weighs it by the
//! length it would have. Nothing is written, and a field left out is no error here.

use bincode::enc::write::Writer;
use bincode::error::EncodeError;
use serde::Serialize;

use crate::codec::bincode::LENIENT;
use crate::codec::codecs::unpanicked;

/// The length of `value` in bincode, or `None` if it cannot be told.
pub(crate) fn encoded_len<V: Serialize + ?Sized>(value: &V) -> Option<usize> {
    let mut len = 0;
    let count = || bincode::serde::encode_into_writer(value, Counter(&mut len), LENIENT).ok();
    unpanicked(count)??;
    Some(len)
}

struct Counter<'a>(&'a mut usize);

impl Writer for Counter<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), EncodeError> {
        *self.0 += bytes.len();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{Bincode, Codec};

    #[test]
    fn the_length_is_that_of_the_encoded_value() {
        let value = (42_u64, "lamp", vec![300_u32; 100]);
        let mut bytes = Vec::new();
        Bincode.encode(&value, &mut bytes).unwrap();

        assert_eq!(encoded_len(&value), Some(bytes.len()));
    }

    #[test]
    fn a_value_that_leaves_a_field_out_is_weighed_all_the_same() {
        #[derive(Serialize)]
        struct Sparse {
            #[serde(skip_serializing_if = "Option::is_none")]
            note: Option<u8>,
            stock: u8,
        }

        let sparse = Sparse {
            note: None,
            stock: 3,
        };

        assert_eq!(encoded_len(&sparse), Some(1));
    }

    #[test]
    fn a_value_without_a_form_in_bincode_has_no_length() {
        struct Endless;
        impl Serialize for Endless {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_seq(std::iter::from_fn(|| Some(1)).take_while(|_| false))?;
                Err(serde::ser::Error::custom("no"))
            }
        }

        assert_eq!(encoded_len(&Endless), None);
    }
}
