//! What a codec must be able to do, and the object a cache holds.
//!
//! [`Codec`] is what people implement: generic, so it cannot be a trait object.
//! `ValueCodec` is the same for one value type, so that a cache can hold any codec in a box.

use std::panic::{AssertUnwindSafe, catch_unwind};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::codec::bounded::LEVELS;
use crate::codec::built_in;
use crate::codec::positional::guarded;
use crate::codec::{DecodeError, EncodeError, SchemaError, fingerprint};

/// Turns values into bytes and back.
///
/// The bytes go into an envelope with a checksum, the fingerprint of the value type and [`id`](Codec::id),
/// so `decode` is only ever handed what the same codec wrote for the same type. What a built-in codec wrote is read
/// by that one, unless [`is_human_readable`](Codec::is_human_readable).
///
/// # Examples
///
/// ```
/// use serde::{Serialize, de::DeserializeOwned};
/// use tricache::{Codec, DecodeError, EncodeError};
///
/// struct Json;
///
/// impl Codec for Json {
///     fn id(&self) -> u8 {
///         128
///     }
///     fn is_human_readable(&self) -> bool {
///         true
///     }
///     fn is_positional(&self) -> bool {
///         false
///     }
///     fn encode<V: Serialize + ?Sized>(&self, value: &V, out: &mut Vec<u8>) -> Result<(), EncodeError> {
///         serde_json::to_writer(out, value).map_err(EncodeError::new)
///     }
///     fn decode<V: DeserializeOwned>(&self, bytes: &[u8]) -> Result<V, DecodeError> {
///         serde_json::from_slice(bytes).map_err(DecodeError::new)
///     }
/// }
///
/// let mut bytes = Vec::new();
/// Json.encode(&[1, 2], &mut bytes)?;
/// assert_eq!(Json.decode::<Vec<u8>>(&bytes)?, [1, 2]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Codec: Send + Sync + 'static {
    /// The number that stands for this codec in every payload.
    ///
    /// 0 to 127 are reserved for tricache; use 128 to 255 for your own.
    /// A changed format needs a new number.
    fn id(&self) -> u8;

    /// What `is_human_readable` answers to the value while it is encoded and decoded.
    ///
    /// Many types choose their form by it: a `Uuid` is text in JSON and 16 bytes in bincode.
    fn is_human_readable(&self) -> bool;

    /// Whether fields are told apart by their position alone, without names in the bytes.
    ///
    /// If so, a cache refuses to encode a value that leaves a field out (`#[serde(skip_serializing_if)]`):
    /// the fields behind it would move up and be read as something else, without any error.
    ///
    /// Serde does not tell of `skip_serializing` or `skip_deserializing` without the other, nor of
    /// `skip_serializing_if` in a tuple struct or tuple variant. So what such a codec has written is read and written
    /// once more before it is stored, and refused if that fails or has another length. What any other codec has written
    /// is read once, and refused if that fails.
    fn is_positional(&self) -> bool;

    /// Appends the encoded value to `out`, which is not empty: what stands in it already must stay.
    ///
    /// # Errors
    /// Fails if the value cannot be written in this format.
    fn encode<V: Serialize + ?Sized>(
        &self,
        value: &V,
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError>;

    /// [`encode`](Codec::encode) that fails if it would append more than `limit` bytes; the caches call this one.
    ///
    /// Default: encodes the whole value and looks at the length then. A codec that can stop early does better.
    ///
    /// # Errors
    /// As `encode`; with [`EncodeError::too_large`] beyond the limit.
    fn encode_within<V: Serialize + ?Sized>(
        &self,
        value: &V,
        limit: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        let start = out.len();
        self.encode(value, out)?;
        if out.len().saturating_sub(start) > limit {
            return Err(EncodeError::too_large(limit));
        }
        Ok(())
    }

    /// Reads the value back from exactly the bytes that `encode` appended.
    ///
    /// # Errors
    /// Fails if the bytes are not one whole value. It must neither panic nor allocate more than the
    /// bytes can explain, whatever they are.
    fn decode<V: DeserializeOwned>(&self, bytes: &[u8]) -> Result<V, DecodeError>;
}

/// A codec for one type of value, which can be put into a box.
pub(crate) trait ValueCodec<V>: Send + Sync {
    /// See [`Codec::id`].
    fn id(&self) -> u8;

    /// Appends `value` to `out`, in at most `limit` bytes; refuses what would not be read back, or wrongly.
    fn encode(&self, value: &V, limit: usize, out: &mut Vec<u8>) -> Result<(), EncodeError>;

    /// Reads what the codec of this id wrote: this one or, if it asks for the same form, any built-in one.
    fn decode(&self, id: u8, bytes: &[u8]) -> Result<V, DecodeError>;

    /// The fingerprint of `V` in the form that this codec asks for.
    fn fingerprint(&self) -> Result<u64, SchemaError>;
}

/// Makes any [`Codec`] a [`ValueCodec`] of every type that serde can carry.
pub(crate) struct Of<C>(pub(crate) C);

impl<C, V> ValueCodec<V> for Of<C>
where
    C: Codec,
    V: Serialize + DeserializeOwned,
{
    fn id(&self) -> u8 {
        self.0.id()
    }

    fn encode(&self, value: &V, limit: usize, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let start = out.len();
        let encode = || {
            if self.0.is_positional() {
                guarded(value, |value| self.0.encode_within(value, limit, out))?;
            } else {
                self.0.encode_within(value, limit, out)?;
            }
            self.check_reversible::<V>(out.get(start..).unwrap_or_default())
        };
        unpanicked(encode).unwrap_or_else(|| Err(EncodeError::new("its `Serialize` panicked")))
    }

    fn decode(&self, id: u8, bytes: &[u8]) -> Result<V, DecodeError> {
        let decode = || {
            if id == self.0.id() {
                return self.0.decode(bytes);
            }
            // Another form would be read wrongly, or not at all; and the fingerprint is that of this codec's form.
            let built_in = (!self.0.is_human_readable()).then(|| built_in::decode(id, bytes));
            built_in
                .flatten()
                .unwrap_or_else(|| Err(DecodeError::other_codec(id)))
        };
        unpanicked(decode).unwrap_or_else(|| Err(DecodeError::new("its `Deserialize` panicked")))
    }

    fn fingerprint(&self) -> Result<u64, SchemaError> {
        fingerprint::<V>(self.0.is_human_readable())
    }
}

impl<C: Codec> Of<C> {
    /// What nobody can read is not worth storing. And serde does not tell of every field that is left out
    /// (`skip_serializing` alone, a tuple struct's `skip_serializing_if`), but what moved up in its place nearly never
    /// has the same length when it is written again.
    ///
    /// It costs a decoding for each value that is stored, which was loaded just before.
    fn check_reversible<V: Serialize + DeserializeOwned>(
        &self,
        body: &[u8],
    ) -> Result<(), EncodeError> {
        let value = self.0.decode::<V>(body).map_err(|error| {
            if error.is_too_nested() {
                EncodeError::too_nested(LEVELS)
            } else {
                EncodeError::irreversible()
            }
        })?;
        if !self.0.is_positional() {
            return Ok(());
        }
        let mut again = Vec::with_capacity(body.len());
        match self.0.encode_within(&value, body.len(), &mut again) {
            Ok(()) if again.len() == body.len() => Ok(()),
            _ => Err(EncodeError::irreversible()),
        }
    }
}

/// What `call` answers, or `None` if it panics: a value's own code must not take the load's task with it.
pub(super) fn unpanicked<T>(call: impl FnOnce() -> T) -> Option<T> {
    // What a panic may leave half written is thrown away with the error.
    catch_unwind(AssertUnwindSafe(call)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::Bincode;
    use crate::codec::samples::Lists;

    struct Json;

    impl Codec for Json {
        fn id(&self) -> u8 {
            128
        }

        fn is_human_readable(&self) -> bool {
            true
        }

        fn is_positional(&self) -> bool {
            false
        }

        fn encode<V: Serialize + ?Sized>(
            &self,
            value: &V,
            out: &mut Vec<u8>,
        ) -> Result<(), EncodeError> {
            serde_json::to_writer(out, value).map_err(EncodeError::new)
        }

        fn decode<V: DeserializeOwned>(&self, bytes: &[u8]) -> Result<V, DecodeError> {
            serde_json::from_slice(bytes).map_err(DecodeError::new)
        }
    }

    #[derive(Debug, PartialEq, Serialize, serde::Deserialize)]
    struct Sparse {
        #[serde(skip_serializing_if = "Option::is_none")]
        note: Option<u8>,
        stock: u8,
    }

    const SPARSE: Sparse = Sparse {
        note: None,
        stock: 3,
    };

    #[test]
    fn a_boxed_codec_reads_back_what_it_wrote() {
        let codecs: [Box<dyn ValueCodec<Vec<String>>>; 2] =
            [Box::new(Of(Bincode)), Box::new(Of(Json))];
        let value = vec!["lamp".to_owned(), "chair".to_owned()];

        for codec in codecs {
            let mut bytes = vec![1, 2, 3];
            codec.encode(&value, 100, &mut bytes).unwrap();

            assert_eq!(codec.decode(codec.id(), &bytes[3..]).unwrap(), value);
        }
    }

    #[test]
    fn a_left_out_field_is_refused_by_a_positional_codec_only() {
        let mut bytes = Vec::new();

        let refused = Of(Bincode).encode(&SPARSE, 100, &mut bytes).unwrap_err();
        assert!(refused.is_skipped_field());

        bytes.clear();
        Of(Json).encode(&SPARSE, 100, &mut bytes).unwrap();
        let read: Sparse = Of(Json).decode(128, &bytes).unwrap();
        assert_eq!(read, SPARSE);
    }

    #[test]
    fn a_fingerprint_follows_the_form_the_codec_asks_for() {
        let in_bincode = ValueCodec::<uuid::Uuid>::fingerprint(&Of(Bincode)).unwrap();
        let in_json = ValueCodec::<uuid::Uuid>::fingerprint(&Of(Json)).unwrap();

        assert_ne!(in_bincode, in_json);
    }

    /// A password hash was kept out of answers by `skip_serializing`. bincode wrote two of three fields and read three:
    /// the stock came back as 3, and the sizes without their first.
    #[test]
    fn a_field_left_out_on_one_side_only_is_refused() {
        #[derive(Debug, Serialize, serde::Deserialize)]
        struct Product {
            #[serde(skip_serializing)]
            secret: u8,
            stock: u8,
            sizes: Vec<u8>,
        }
        let product = Product {
            secret: 7,
            stock: 0,
            sizes: vec![2, 40, 42],
        };
        let mut plain = Vec::new();
        Bincode.encode(&product, &mut plain).unwrap();
        let read: Product = Bincode.decode(&plain).unwrap();
        assert_eq!((read.secret, read.stock, read.sizes), (0, 3, vec![40, 42]));

        let error = Of(Bincode)
            .encode(&product, 100, &mut Vec::new())
            .unwrap_err();

        assert!(error.is_irreversible(), "{error}");
    }

    #[test]
    fn a_value_that_could_not_be_read_back_is_refused_in_any_codec() {
        #[derive(Serialize, serde::Deserialize)]
        struct Secretive {
            #[serde(skip_serializing)]
            secret: u8,
        }

        let value = Secretive { secret: 7 };

        let error = Of(Json).encode(&value, 100, &mut Vec::new()).unwrap_err();

        assert!(error.is_irreversible(), "{}: {error}", value.secret);
    }

    #[test]
    fn a_value_nested_deeper_than_its_codec_reads_is_refused_as_such() {
        let mut lists = Lists(Vec::new());
        for _ in 0..LEVELS {
            lists = Lists(vec![lists]);
        }

        let error = Of(Bincode).encode(&lists, 1 << 20, &mut Vec::new());

        assert!(error.unwrap_err().is_too_nested());
    }

    #[test]
    fn a_field_left_out_of_a_tuple_struct_is_refused() {
        #[derive(Debug, Serialize, serde::Deserialize)]
        struct Point(
            #[serde(skip_serializing_if = "Option::is_none")] Option<u8>,
            u8,
            u8,
        );

        let error = Of(Bincode)
            .encode(&Point(None, 1, 2), 100, &mut Vec::new())
            .unwrap_err();

        assert!(error.is_irreversible(), "{error}");
    }
}
