//! Reading within bounds: what a body may ask of the stack and of the time, whatever it says.
//!
//! A positional format nests a list in a list for one byte, so a body of a megabyte could overflow the stack, which
//! ends the process. And a list of values without bytes (`Vec<()>`) claims any length for nothing. So every built-in
//! codec reads through [`Bounded`], which counts levels and elements, and stops.
//!
//! The bytes that a length claims are each codec's own affair.

use std::{cell::Cell, fmt, marker::PhantomData};

use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess,
    VariantAccess, Visitor,
};

use crate::codec::{DecodeError, MAX_BODY};

/// What is left to the reading of one body.
pub(super) struct Bounds {
    elements: Cell<usize>,
    exceeded: Cell<bool>,
}

impl Bounds {
    /// The bounds for these bytes; an error if they are more than any body has.
    pub(super) fn of(bytes: &[u8]) -> Result<Self, DecodeError> {
        if bytes.len() > MAX_BODY {
            return Err(DecodeError::too_large(MAX_BODY));
        }
        Ok(Self {
            elements: Cell::new(bytes.len() + FREE_ELEMENTS),
            exceeded: Cell::new(false),
        })
    }

    /// Reads a value within these bounds.
    pub(super) fn seed<'de, V: Deserialize<'de>>(&self) -> Bounded<'_, PhantomData<V>> {
        Bounded {
            inner: PhantomData,
            bounds: self,
            levels: LEVELS,
        }
    }

    /// Why the reading failed: at these bounds, or as the codec says.
    pub(super) fn error(&self, codec: impl FnOnce() -> DecodeError) -> DecodeError {
        if self.exceeded.get() {
            DecodeError::too_nested(LEVELS)
        } else {
            codec()
        }
    }

    fn exceed<E: Error>(&self) -> E {
        self.exceeded.set(true);
        E::custom("the value is nested too deeply or has too many elements")
    }
}

/// The value, if nothing is left over behind it.
pub(super) fn whole<V>(value: V, left: usize) -> Result<V, DecodeError> {
    match left {
        0 => Ok(value),
        left => Err(DecodeError::left_over(left)),
    }
}

/// Wraps a deserializer, a visitor, an access or a seed: passes all on, and counts.
pub(super) struct Bounded<'b, T> {
    inner: T,
    bounds: &'b Bounds,
    levels: u16,
}

impl<'b, T> Bounded<'b, T> {
    fn wrap<U>(&self, inner: U) -> Bounded<'b, U> {
        Bounded {
            inner,
            bounds: self.bounds,
            levels: self.levels,
        }
    }

    /// The same one level deeper.
    fn enter<U, E: Error>(&self, inner: U) -> Result<Bounded<'b, U>, E> {
        match self.levels.checked_sub(1) {
            Some(levels) => Ok(Bounded {
                inner,
                bounds: self.bounds,
                levels,
            }),
            None => Err(self.bounds.exceed()),
        }
    }

    fn count_element<E: Error>(&self) -> Result<(), E> {
        match self.bounds.elements.get().checked_sub(1) {
            Some(left) => self.bounds.elements.set(left),
            None => return Err(self.bounds.exceed()),
        }
        Ok(())
    }
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Bounded<'_, S> {
    type Value = S::Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<S::Value, D::Error> {
        let deserializer = self.wrap(deserializer);
        self.inner.deserialize(deserializer)
    }
}

macro_rules! pass_on {
    ($($method:ident($($name:ident: $type:ty),*);)*) => {$(
        fn $method<V: Visitor<'de>>(self, $($name: $type,)* visitor: V) -> Result<V::Value, D::Error> {
            let visitor = self.wrap(visitor);
            self.inner.$method($($name,)* visitor)
        }
    )*};
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Bounded<'_, D> {
    type Error = D::Error;

    pass_on! {
        deserialize_any();
        deserialize_bool();
        deserialize_i8();
        deserialize_i16();
        deserialize_i32();
        deserialize_i64();
        deserialize_i128();
        deserialize_u8();
        deserialize_u16();
        deserialize_u32();
        deserialize_u64();
        deserialize_u128();
        deserialize_f32();
        deserialize_f64();
        deserialize_char();
        deserialize_str();
        deserialize_string();
        deserialize_bytes();
        deserialize_byte_buf();
        deserialize_option();
        deserialize_unit();
        deserialize_unit_struct(name: &'static str);
        deserialize_newtype_struct(name: &'static str);
        deserialize_seq();
        deserialize_tuple(len: usize);
        deserialize_tuple_struct(name: &'static str, len: usize);
        deserialize_map();
        deserialize_struct(name: &'static str, fields: &'static [&'static str]);
        deserialize_enum(name: &'static str, variants: &'static [&'static str]);
        deserialize_identifier();
        deserialize_ignored_any();
    }

    fn is_human_readable(&self) -> bool {
        self.inner.is_human_readable()
    }
}

macro_rules! visit_plainly {
    ($($method:ident: $type:ty,)*) => {$(
        fn $method<E: Error>(self, value: $type) -> Result<V::Value, E> {
            self.inner.$method(value)
        }
    )*};
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Bounded<'_, V> {
    type Value = V::Value;

    visit_plainly! {
        visit_bool: bool,
        visit_i8: i8,
        visit_i16: i16,
        visit_i32: i32,
        visit_i64: i64,
        visit_i128: i128,
        visit_u8: u8,
        visit_u16: u16,
        visit_u32: u32,
        visit_u64: u64,
        visit_u128: u128,
        visit_f32: f32,
        visit_f64: f64,
        visit_char: char,
        visit_str: &str,
        visit_borrowed_str: &'de str,
        visit_string: String,
        visit_bytes: &[u8],
        visit_borrowed_bytes: &'de [u8],
        visit_byte_buf: Vec<u8>,
    }

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.expecting(f)
    }

    fn visit_none<E: Error>(self) -> Result<V::Value, E> {
        self.inner.visit_none()
    }

    fn visit_unit<E: Error>(self) -> Result<V::Value, E> {
        self.inner.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        let deserializer = self.enter(deserializer)?;
        self.inner.visit_some(deserializer)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<V::Value, D::Error> {
        let inner = self.enter(inner)?;
        self.inner.visit_newtype_struct(inner)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, access: A) -> Result<V::Value, A::Error> {
        let access = self.enter(access)?;
        self.inner.visit_seq(access)
    }

    fn visit_map<A: MapAccess<'de>>(self, access: A) -> Result<V::Value, A::Error> {
        let access = self.enter(access)?;
        self.inner.visit_map(access)
    }

    fn visit_enum<A: EnumAccess<'de>>(self, access: A) -> Result<V::Value, A::Error> {
        let access = self.enter(access)?;
        self.inner.visit_enum(access)
    }
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Bounded<'_, A> {
    type Error = A::Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, A::Error> {
        self.count_element()?;
        let seed = self.wrap(seed);
        self.inner.next_element_seed(seed)
    }

    fn size_hint(&self) -> Option<usize> {
        self.inner.size_hint()
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Bounded<'_, A> {
    type Error = A::Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, A::Error> {
        self.count_element()?;
        let seed = self.wrap(seed);
        self.inner.next_key_seed(seed)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        let seed = self.wrap(seed);
        self.inner.next_value_seed(seed)
    }

    fn size_hint(&self) -> Option<usize> {
        self.inner.size_hint()
    }
}

impl<'de, 'b, A: EnumAccess<'de>> EnumAccess<'de> for Bounded<'b, A> {
    type Error = A::Error;
    type Variant = Bounded<'b, A::Variant>;

    fn variant_seed<S: DeserializeSeed<'de>>(
        self,
        seed: S,
    ) -> Result<(S::Value, Self::Variant), A::Error> {
        let Self {
            inner,
            bounds,
            levels,
        } = self;
        let wrapped = Bounded {
            inner: seed,
            bounds,
            levels,
        };
        let (value, inner) = inner.variant_seed(wrapped)?;
        let variant = Bounded {
            inner,
            bounds,
            levels,
        };
        Ok((value, variant))
    }
}

impl<'de, A: VariantAccess<'de>> VariantAccess<'de> for Bounded<'_, A> {
    type Error = A::Error;

    fn unit_variant(self) -> Result<(), A::Error> {
        self.inner.unit_variant()
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, A::Error> {
        let seed = self.wrap(seed);
        self.inner.newtype_variant_seed(seed)
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, A::Error> {
        let visitor = self.wrap(visitor);
        self.inner.tuple_variant(len, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        let visitor = self.wrap(visitor);
        self.inner.struct_variant(fields, visitor)
    }
}

/// Levels of nesting: as many as serde_json takes. A list of options of structs has three.
pub(super) const LEVELS: u16 = 128;
/// Elements that need no byte: of empty structs, say.
const FREE_ELEMENTS: usize = 1 << 16;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{Bincode, Codec, samples};
    use serde_json::Value;

    fn read<'de, V: Deserialize<'de>>(json: &'de str) -> Result<V, DecodeError> {
        let bounds = Bounds::of(json.as_bytes()).unwrap();
        let mut deserializer = serde_json::Deserializer::from_str(json);
        bounds
            .seed()
            .deserialize(&mut deserializer)
            .map_err(|error| bounds.error(|| DecodeError::new(error)))
    }

    #[test]
    fn what_is_within_the_bounds_is_read_as_without_them() {
        #[derive(Debug, PartialEq, serde::Deserialize)]
        enum Shape {
            Point,
            Circle(f64),
            Line(i8, Option<char>),
            Label { text: String, seen: bool },
        }
        let json = r#"["Point", {"Circle": 0.5}, {"Line": [-1, "x"]}, {"Label": {"text": "lamp", "seen": true}}]"#;

        let shapes: Vec<Shape> = read(json).unwrap();

        let label = Shape::Label {
            text: "lamp".to_owned(),
            seen: true,
        };
        let rest = [Shape::Point, Shape::Circle(0.5), Shape::Line(-1, Some('x'))];
        assert_eq!(shapes[..3], rest);
        assert_eq!(shapes[3], label);
        assert_eq!(
            read::<Value>(json).unwrap(),
            serde_json::from_str::<Value>(json).unwrap()
        );
    }

    #[test]
    fn the_last_level_is_read_and_one_more_is_refused() {
        // A struct around a list: two levels in one byte of bincode. And the innermost list is empty.
        let nested = |levels: usize| [vec![1; levels / 2 - 1], vec![0]].concat();
        let levels = usize::from(LEVELS);

        assert!(Bincode.decode::<samples::Lists>(&nested(levels)).is_ok());
        let error = Bincode
            .decode::<samples::Lists>(&nested(levels + 2))
            .unwrap_err();

        assert!(error.is_too_nested(), "{error}");
    }

    #[test]
    fn elements_without_bytes_are_counted() {
        let claimed = serde::de::value::SeqDeserializer::<_, serde::de::value::Error>::new(
            std::iter::repeat_n((), FREE_ELEMENTS + 1),
        );
        let bounds = Bounds::of(&[]).unwrap();

        let result = bounds.seed::<Vec<()>>().deserialize(claimed);

        assert!(result.is_err());
        let error = bounds.error(|| DecodeError::new("no"));
        assert!(error.is_too_nested(), "{error}");
    }
}
