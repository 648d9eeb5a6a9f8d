//! Refuses what a positional codec would read back wrongly.
//!
//! `#[serde(skip_serializing_if)]` writes fewer fields; a codec without field names then reads the
//! following fields one place too early, and often *without any error*: `stock: 0` becomes the
//! missing `note`, and so on. A positional codec therefore encodes a value wrapped in [`Guarded`],
//! which stops at the first field that is left out, at any depth.
//!
//! serde tells of a left-out field by `skip_field`; the announced length already counts without it.
//! A hand-written impl may instead announce more fields than it writes; that is refused at `end`.
//!
//! Two things cannot be seen from here, since serde neither announces nor skips the field: one with
//! `skip_serializing` alone, and `skip_serializing_if` in a tuple struct or tuple variant. `Of` in `codecs.rs` finds them
//! by reading back what was written.

use std::cell::Cell;

use serde::ser::{
    Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant, Serializer,
};

use crate::codec::EncodeError;
use crate::codec::error::SkippedField;

/// Runs `encode` on `value`, wrapped so that a left-out field stops it with a clear error.
pub(crate) fn guarded<V: Serialize + ?Sized>(
    value: &V,
    encode: impl FnOnce(&Guarded<'_, V>) -> Result<(), EncodeError>,
) -> Result<(), EncodeError> {
    let skipped = Cell::new(None);
    let result = encode(&Guarded {
        value,
        skipped: &skipped,
    });
    // The codec's own error type cannot carry the place, so it travels beside it.
    match skipped.get() {
        Some(skipped) => Err(EncodeError::skipped_field(skipped)),
        None => result,
    }
}

/// A value that serialises as itself, or not at all if it leaves a field out.
pub(crate) struct Guarded<'a, T: ?Sized> {
    value: &'a T,
    skipped: Found<'a>,
}

type Found<'a> = &'a Cell<Option<SkippedField>>;

impl<T: Serialize + ?Sized> Serialize for Guarded<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.value.serialize(Guard {
            inner: serializer,
            skipped: self.skipped,
        })
    }
}

/// Wraps the serializer, or one of its compounds: passes all on, with nested values guarded.
struct Guard<'a, S> {
    inner: S,
    skipped: Found<'a>,
}

impl<'a, S> Guard<'a, S> {
    fn wrap<'v, T: ?Sized>(&self, value: &'v T) -> Guarded<'v, T>
    where
        'a: 'v,
    {
        Guarded {
            value,
            skipped: self.skipped,
        }
    }
}

macro_rules! pass_on {
    ($($method:ident($($name:ident: $type:ty),*);)*) => {$(
        fn $method(self, $($name: $type),*) -> Result<S::Ok, S::Error> {
            self.inner.$method($($name),*)
        }
    )*};
}

impl<'a, S: Serializer> Serializer for Guard<'a, S> {
    type Ok = S::Ok;
    type Error = S::Error;
    type SerializeSeq = Guard<'a, S::SerializeSeq>;
    type SerializeTuple = Guard<'a, S::SerializeTuple>;
    type SerializeTupleStruct = Guard<'a, S::SerializeTupleStruct>;
    type SerializeTupleVariant = Guard<'a, S::SerializeTupleVariant>;
    type SerializeMap = Guard<'a, S::SerializeMap>;
    type SerializeStruct = Fields<'a, S::SerializeStruct>;
    type SerializeStructVariant = Fields<'a, S::SerializeStructVariant>;

    pass_on! {
        serialize_bool(v: bool);
        serialize_i8(v: i8);
        serialize_i16(v: i16);
        serialize_i32(v: i32);
        serialize_i64(v: i64);
        serialize_i128(v: i128);
        serialize_u8(v: u8);
        serialize_u16(v: u16);
        serialize_u32(v: u32);
        serialize_u64(v: u64);
        serialize_u128(v: u128);
        serialize_f32(v: f32);
        serialize_f64(v: f64);
        serialize_char(v: char);
        serialize_str(v: &str);
        serialize_bytes(v: &[u8]);
        serialize_none();
        serialize_unit();
        serialize_unit_struct(name: &'static str);
        serialize_unit_variant(name: &'static str, index: u32, variant: &'static str);
    }

    fn is_human_readable(&self) -> bool {
        self.inner.is_human_readable()
    }

    fn collect_str<T: std::fmt::Display + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        self.inner.collect_str(value)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        let value = self.wrap(value);
        self.inner.serialize_some(&value)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        let value = self.wrap(value);
        self.inner.serialize_newtype_struct(name, &value)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        let value = self.wrap(value);
        self.inner
            .serialize_newtype_variant(name, index, variant, &value)
    }

    fn serialize_seq(self, len: Option<usize>) -> Result<Self::SerializeSeq, S::Error> {
        Ok(Guard {
            inner: self.inner.serialize_seq(len)?,
            skipped: self.skipped,
        })
    }

    fn serialize_tuple(self, len: usize) -> Result<Self::SerializeTuple, S::Error> {
        Ok(Guard {
            inner: self.inner.serialize_tuple(len)?,
            skipped: self.skipped,
        })
    }

    fn serialize_tuple_struct(
        self,
        name: &'static str,
        len: usize,
    ) -> Result<Self::SerializeTupleStruct, S::Error> {
        Ok(Guard {
            inner: self.inner.serialize_tuple_struct(name, len)?,
            skipped: self.skipped,
        })
    }

    fn serialize_tuple_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Self::SerializeTupleVariant, S::Error> {
        Ok(Guard {
            inner: self
                .inner
                .serialize_tuple_variant(name, index, variant, len)?,
            skipped: self.skipped,
        })
    }

    fn serialize_map(self, len: Option<usize>) -> Result<Self::SerializeMap, S::Error> {
        Ok(Guard {
            inner: self.inner.serialize_map(len)?,
            skipped: self.skipped,
        })
    }

    fn serialize_struct(
        self,
        name: &'static str,
        len: usize,
    ) -> Result<Self::SerializeStruct, S::Error> {
        Ok(Fields {
            inner: self.inner.serialize_struct(name, len)?,
            skipped: self.skipped,
            type_name: name,
            variant: None,
            missing: len,
        })
    }

    fn serialize_struct_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Self::SerializeStructVariant, S::Error> {
        Ok(Fields {
            inner: self
                .inner
                .serialize_struct_variant(name, index, variant, len)?,
            skipped: self.skipped,
            type_name: name,
            variant: Some(variant),
            missing: len,
        })
    }
}

macro_rules! guard_elements {
    ($($trait:ident::$method:ident;)*) => {$(
        impl<S: $trait> $trait for Guard<'_, S> {
            type Ok = S::Ok;
            type Error = S::Error;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), S::Error> {
                let value = self.wrap(value);
                self.inner.$method(&value)
            }

            fn end(self) -> Result<S::Ok, S::Error> {
                self.inner.end()
            }
        }
    )*};
}

guard_elements! {
    SerializeSeq::serialize_element;
    SerializeTuple::serialize_element;
    SerializeTupleStruct::serialize_field;
    SerializeTupleVariant::serialize_field;
}

impl<S: SerializeMap> SerializeMap for Guard<'_, S> {
    type Ok = S::Ok;
    type Error = S::Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), S::Error> {
        let key = self.wrap(key);
        self.inner.serialize_key(&key)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), S::Error> {
        let value = self.wrap(value);
        self.inner.serialize_value(&value)
    }

    fn serialize_entry<K: Serialize + ?Sized, T: Serialize + ?Sized>(
        &mut self,
        key: &K,
        value: &T,
    ) -> Result<(), S::Error> {
        let (key, value) = (self.wrap(key), self.wrap(value));
        self.inner.serialize_entry(&key, &value)
    }

    fn end(self) -> Result<S::Ok, S::Error> {
        self.inner.end()
    }
}

/// The fields of a struct or of a struct variant: all of them, or an error.
struct Fields<'a, S> {
    inner: S,
    skipped: Found<'a>,
    type_name: &'static str,
    variant: Option<&'static str>,
    missing: usize,
}

impl<S> Fields<'_, S> {
    fn wrap_next<'v, T: ?Sized>(&mut self, value: &'v T) -> Guarded<'v, T>
    where
        Self: 'v,
    {
        self.missing = self.missing.saturating_sub(1);
        Guarded {
            value,
            skipped: self.skipped,
        }
    }

    #[cold]
    fn refuse<E: serde::ser::Error>(&self, field: Option<&'static str>) -> E {
        self.skipped.set(Some(SkippedField {
            type_name: self.type_name,
            variant: self.variant,
            field,
        }));
        E::custom("a field is left out")
    }
}

macro_rules! guard_fields {
    ($($trait:ident)*) => {$(
        impl<S: $trait> $trait for Fields<'_, S> {
            type Ok = S::Ok;
            type Error = S::Error;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                key: &'static str,
                value: &T,
            ) -> Result<(), S::Error> {
                let value = self.wrap_next(value);
                self.inner.serialize_field(key, &value)
            }

            fn skip_field(&mut self, key: &'static str) -> Result<(), S::Error> {
                Err(self.refuse(Some(key)))
            }

            fn end(self) -> Result<S::Ok, S::Error> {
                if self.missing > 0 {
                    return Err(self.refuse(None));
                }
                self.inner.end()
            }
        }
    )*};
}

guard_fields!(SerializeStruct SerializeStructVariant);

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    use super::*;
    use crate::codec::{Bincode, Codec};

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Product {
        id: u8,
        #[serde(skip_serializing_if = "Option::is_none")]
        note: Option<u8>,
        stock: u8,
        sizes: Vec<u8>,
    }

    const LAMP: Product = Product {
        id: 1,
        note: None,
        stock: 0,
        sizes: Vec::new(),
    };

    #[derive(Serialize)]
    enum Event {
        Renamed {
            at: u64,
            #[serde(skip_serializing_if = "str::is_empty")]
            by: &'static str,
        },
    }

    fn encode<V: Serialize + ?Sized>(value: &V) -> Result<Vec<u8>, EncodeError> {
        let mut bytes = Vec::new();
        guarded(value, |value| Bincode.encode(value, &mut bytes))?;
        Ok(bytes)
    }

    fn refusal<V: Serialize + ?Sized>(value: &V) -> String {
        let error = encode(value).unwrap_err();
        assert!(error.is_skipped_field());
        error.to_string()
    }

    /// A product without a note went into the cache with a stock of 0 and three sizes, and came out
    /// with a stock of 3 and two sizes: the stock had been read as "no note", the number of sizes as
    /// the stock, the first size as their number. Nothing failed, not even the left-over check.
    #[test]
    fn a_left_out_field_was_read_back_as_a_wrong_value_and_is_now_refused() {
        let stored = Product {
            sizes: vec![2, 40, 42],
            ..LAMP
        };

        let mut unguarded = Vec::new();
        Bincode.encode(&stored, &mut unguarded).unwrap();
        let read: Product = Bincode.decode(&unguarded).unwrap();
        assert_eq!((read.stock, read.sizes), (3, vec![40, 42]));

        assert!(refusal(&stored).starts_with("`Product` leaves out its field `note`"));
    }

    #[test]
    fn a_value_that_leaves_nothing_out_has_the_same_bytes_with_and_without_the_guard() {
        type Everything = (
            Vec<Option<Product>>,
            std::collections::BTreeMap<char, Result<(), [f64; 2]>>,
            std::net::IpAddr,
            std::time::Duration,
            (i8, i128, u128, bool, String),
        );
        let lamp = Product {
            note: Some(1),
            ..LAMP
        };
        let value: Everything = (
            vec![None, Some(lamp)],
            [('a', Ok(())), ('b', Err([0.5, 2.0]))].into(),
            [127, 0, 0, 1].into(),
            std::time::Duration::from_millis(1_500),
            (-1, -2, 3, true, "lamp".to_owned()),
        );
        let mut unguarded = Vec::new();
        Bincode.encode(&value, &mut unguarded).unwrap();

        let guarded = encode(&value).unwrap();

        assert_eq!(guarded, unguarded);
        assert_eq!(Bincode.decode::<Everything>(&guarded).unwrap(), value);
    }

    #[test]
    fn a_left_out_field_is_found_at_any_depth() {
        #[derive(Serialize)]
        struct Meters<T>(T);
        let renamed = || Event::Renamed { at: 1, by: "" };

        assert!(refusal(&vec![Some(LAMP)]).contains("`Product`"));
        assert!(refusal(&(1, [LAMP])).contains("`Product`"));
        assert!(refusal(&Meters(Ok::<_, ()>(LAMP))).contains("`Product`"));
        assert!(refusal(&std::collections::BTreeMap::from([(1, LAMP)])).contains("`Product`"));
        assert!(refusal(&Box::new(renamed())).contains("`Event::Renamed`"));
        assert!(refusal(&renamed()).contains("field `by`"));
    }

    #[test]
    fn a_struct_that_writes_fewer_fields_than_it_announces_is_refused() {
        struct Short;
        impl Serialize for Short {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let mut fields = serializer.serialize_struct("Short", 2)?;
                fields.serialize_field("first", &1)?;
                fields.end()
            }
        }

        assert!(refusal(&Short).starts_with("`Short` writes fewer fields"));
    }

    #[test]
    fn a_field_that_is_never_written_nor_read_is_no_left_out_field() {
        #[derive(Debug, PartialEq, Serialize, Deserialize)]
        struct Cached {
            a: u8,
            #[serde(skip)]
            memo: u8,
            b: u8,
        }
        let value = Cached {
            a: 1,
            memo: 0,
            b: 2,
        };

        let bytes = encode(&value).unwrap();

        assert_eq!(Bincode.decode::<Cached>(&bytes).unwrap(), value);
    }

    #[test]
    fn the_guard_answers_is_human_readable_like_the_codec() {
        assert_eq!(encode(&uuid::Uuid::nil()).unwrap().len(), 17);
    }
}
