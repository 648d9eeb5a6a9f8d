//! Types as nobody would write them: for the fuzzers, and for the tests that run their corpus.
//!
//! The bytes are a type, read from the front: what stands at a place, then what stands inside it. A place may hold the
//! whole type again, refuse the sample that it is offered, or claim to describe itself.

use super::fingerprint;
use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, EnumAccess, Error, IgnoredAny, MapAccess,
    SeqAccess, VariantAccess, Visitor,
};
use std::{cell::RefCell, fmt, rc::Rc};

/// Traces the type that the bytes are: it ends, and with the same answer each time. Says whether it has a fingerprint.
pub(crate) fn trace(data: &[u8], human_readable: bool) -> bool {
    let mut program = data.iter().copied();
    let root = Rc::new(Place::read(&mut program, 0));
    ROOT.set(Some(Rc::clone(&root)));
    let first = fingerprint::<Root>(human_readable).ok();
    let second = fingerprint::<Root>(human_readable).ok();
    ROOT.set(None);
    assert_eq!(first, second);
    first.is_some()
}

thread_local! {
    static ROOT: RefCell<Option<Rc<Place>>> = const { RefCell::new(None) };
}

/// What stands at one place of the type.
enum Place {
    Scalar(u8),
    /// Takes this sample and no other.
    Picky(u8),
    Again,
    Option(Box<Self>),
    Seq(Box<Self>),
    Map(Box<Self>, Box<Self>),
    Tuple(Vec<Self>),
    Newtype(Box<Self>),
    Struct(&'static str, Vec<Self>),
    Enum(&'static str, Vec<Self>),
    Any,
}

impl Place {
    fn read(program: &mut impl Iterator<Item = u8>, depth: usize) -> Self {
        let byte = program.next().unwrap_or(0);
        if depth > DEEPEST {
            return Self::Scalar(byte);
        }
        let inner = |program: &mut _| Box::new(Self::read(program, depth + 1));
        let parts = usize::from(byte >> 4) % 5;
        let name = FIELDS[usize::from(byte >> 4) % FIELDS.len()];
        match byte % 16 {
            6 => Self::Picky(byte >> 4),
            // A type that begins with nothing but itself would read itself for ever, whoever asks.
            7 if depth > 0 => Self::Again,
            8 => Self::Option(inner(program)),
            9 => Self::Seq(inner(program)),
            10 => Self::Map(inner(program), inner(program)),
            11 => Self::Newtype(inner(program)),
            12 => Self::Tuple((0..parts).map(|_| *inner(program)).collect()),
            13 => Self::Struct(name, (0..parts).map(|_| *inner(program)).collect()),
            14 => Self::Enum(name, (0..=parts).map(|_| *inner(program)).collect()),
            15 => Self::Any,
            _ => Self::Scalar(byte),
        }
    }
}

struct Root;

impl<'de> Deserialize<'de> for Root {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let root = ROOT.with_borrow(Clone::clone);
        let root = root.ok_or_else(|| D::Error::custom("no type"))?;
        At(&root).deserialize(deserializer).map(|()| Self)
    }
}

/// Reads what stands at a place, as its seed and as its visitor.
#[derive(Clone, Copy)]
struct At<'p>(&'p Place);

impl<'de> DeserializeSeed<'de> for At<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        match self.0 {
            Place::Scalar(which) => self.scalar(*which, deserializer),
            Place::Picky(_) => deserializer.deserialize_u64(self),
            Place::Again => Root::deserialize(deserializer).map(drop),
            Place::Option(_) => deserializer.deserialize_option(self),
            Place::Seq(_) => deserializer.deserialize_seq(self),
            Place::Map(..) => deserializer.deserialize_map(self),
            Place::Tuple(parts) => deserializer.deserialize_tuple(parts.len(), self),
            Place::Newtype(_) => deserializer.deserialize_newtype_struct("N", self),
            Place::Struct(name, parts) => {
                deserializer.deserialize_struct(name, &FIELDS[..parts.len()], self)
            }
            Place::Enum(name, parts) => {
                deserializer.deserialize_enum(name, &FIELDS[..parts.len()], self)
            }
            Place::Any => deserializer.deserialize_any(IgnoredAny).map(drop),
        }
    }
}

impl At<'_> {
    fn scalar<'de, D: Deserializer<'de>>(self, which: u8, from: D) -> Result<(), D::Error> {
        match which % 20 {
            0 => from.deserialize_bool(self),
            1 => from.deserialize_i8(self),
            2 => from.deserialize_i128(self),
            3 => from.deserialize_u8(self),
            4 => from.deserialize_u16(self),
            5 => from.deserialize_u32(self),
            6 => from.deserialize_u128(self),
            7 => from.deserialize_f32(self),
            8 => from.deserialize_f64(self),
            9 => from.deserialize_char(self),
            10 => from.deserialize_str(self),
            11 => from.deserialize_string(self),
            12 => from.deserialize_bytes(self),
            13 => from.deserialize_byte_buf(self),
            14 => from.deserialize_unit(self),
            15 => from.deserialize_unit_struct("U", self),
            16 => from.deserialize_identifier(self),
            17 => from.deserialize_ignored_any(IgnoredAny).map(drop),
            18 => from.deserialize_i64(self),
            _ => from.deserialize_u64(self),
        }
    }

    fn again<E: Error>(self, what: &str) -> Result<(), E> {
        match self.0 {
            Place::Picky(_) => Err(E::custom(what)),
            _ => Ok(()),
        }
    }
}

macro_rules! take {
    ($($method:ident: $type:ty;)*) => {$(
        fn $method<E: Error>(self, _: $type) -> Result<(), E> {
            self.again("another one, please")
        }
    )*};
}

impl<'de> Visitor<'de> for At<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("what stands there")
    }

    take! {
        visit_bool: bool; visit_i64: i64; visit_i128: i128; visit_u128: u128; visit_f64: f64; visit_char: char;
        visit_str: &str; visit_bytes: &[u8];
    }

    fn visit_u64<E: Error>(self, sample: u64) -> Result<(), E> {
        match self.0 {
            Place::Picky(wanted) if sample != u64::from(*wanted) => {
                Err(E::custom("another one, please"))
            }
            _ => Ok(()),
        }
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_none<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_some<D: Deserializer<'de>>(self, inner: D) -> Result<(), D::Error> {
        match self.0 {
            Place::Option(part) => At(part).deserialize(inner),
            _ => Err(D::Error::custom("no option")),
        }
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<(), D::Error> {
        match self.0 {
            Place::Newtype(part) => At(part).deserialize(inner),
            _ => Err(D::Error::custom("no newtype")),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        match self.0 {
            Place::Seq(part) => while seq.next_element_seed(At(part))?.is_some() {},
            Place::Tuple(parts) | Place::Struct(_, parts) => {
                for part in parts {
                    let found = seq.next_element_seed(At(part))?;
                    found.ok_or_else(|| A::Error::custom("too short"))?;
                }
            }
            _ => return Err(A::Error::custom("no sequence")),
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        match self.0 {
            Place::Map(key, value) => {
                while map.next_key_seed(At(key))?.is_some() {
                    map.next_value_seed(At(value))?;
                }
            }
            Place::Struct(_, parts) => {
                while let Some(Name(field)) = map.next_key()? {
                    let part = parts.get(field);
                    map.next_value_seed(At(part.unwrap_or(&Place::Any)))?;
                }
            }
            _ => return Err(A::Error::custom("no map")),
        }
        Ok(())
    }

    fn visit_enum<A: EnumAccess<'de>>(self, variants: A) -> Result<(), A::Error> {
        let Place::Enum(_, parts) = self.0 else {
            return Err(A::Error::custom("no enum"));
        };
        let (Name(which), variant) = variants.variant()?;
        match parts.get(which) {
            Some(Place::Scalar(_)) => variant.unit_variant(),
            Some(part @ Place::Tuple(inner)) => variant.tuple_variant(inner.len(), At(part)),
            Some(part @ Place::Struct(_, inner)) => {
                variant.struct_variant(&FIELDS[..inner.len()], At(part))
            }
            Some(part) => variant.newtype_variant_seed(At(part)),
            None => Err(A::Error::custom("no such variant")),
        }
    }
}

/// A field or a variant, by its place among the names.
struct Name(usize);

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_identifier(NameVisitor)
    }
}

struct NameVisitor;

impl Visitor<'_> for NameVisitor {
    type Value = Name;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_u64<E: Error>(self, at: u64) -> Result<Name, E> {
        usize::try_from(at).map(Name).map_err(E::custom)
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Name, E> {
        let at = FIELDS.iter().position(|field| *field == name);
        at.map(Name).ok_or_else(|| E::custom("no such name"))
    }
}

const FIELDS: [&str; 6] = ["a", "b", "c", "d", "e", "f"];
const DEEPEST: usize = 12;
