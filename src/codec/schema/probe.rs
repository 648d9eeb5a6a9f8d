//! The deserializer that notes what a type asks for.
//!
//! In one pass a probe goes down one path. At its end it notes the shape and stops; beside the path
//! it answers as little as it can: nothing for an option, an empty list, the first sample.

use std::any::type_name;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, VariantAccess, Visitor};

use super::access::{Elements, Entries, NamedFields, VariantOf};
use super::samples::{BOOLS, BYTES, CHARS, FLOATS, INTEGERS, STRINGS};
use super::shape::{Names, Shape};

/// Where in a type: the number of the child at each level, from the root.
pub(super) type Path = Vec<usize>;

/// One walk from the root towards `target`, and what was noted on the way.
pub(super) struct Pass<'w> {
    pub(super) target: &'w [usize],
    pub(super) human_readable: bool,
    /// Which sample or form to take at a place, if not the first.
    pub(super) choices: &'w HashMap<Path, usize>,
    pub(super) found: Cell<Option<Found>>,
    /// The first choice that the type refused.
    pub(super) refused: RefCell<Option<Choice>>,
    /// The last choice made, for refusals that come later than the value.
    pub(super) last: RefCell<Option<Choice>>,
    /// How many places were visited.
    pub(super) steps: Cell<usize>,
    pub(super) max_steps: usize,
}

/// What stands at the target.
#[derive(Clone, Copy)]
pub(super) struct Found {
    pub(super) shape: Shape,
    /// `None` for what is never met again by itself: leaves, and the content of variants.
    pub(super) identity: Option<Identity>,
}

/// Tells types of one shape apart while they are walked through; never part of a description.
///
/// The visitor's type name carries the generic arguments. It is not enough for two types of one name
/// in two blocks of one function, so the address of the field names is added: a type that is
/// taken for two only costs passes.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Identity {
    visitor: &'static str,
    names: usize,
}

/// A place where more than one answer is possible.
#[derive(Clone)]
pub(super) struct Choice {
    pub(super) at: Path,
    pub(super) options: usize,
}

/// Ends a pass: the target was found, or the type refused an answer.
#[derive(Debug)]
pub(super) struct Stop(pub(super) String);

pub(super) const MAX_DEPTH: usize = 64;

/// The deserializer of one place.
pub(super) struct Probe<'p> {
    pass: &'p Pass<'p>,
    at: Path,
    on_path: bool,
}

impl<'p> Probe<'p> {
    pub(super) fn root(pass: &'p Pass<'p>) -> Self {
        Self {
            pass,
            at: Path::new(),
            on_path: true,
        }
    }

    pub(super) fn child(&self, index: usize) -> Self {
        self.pass.steps.set(self.pass.steps.get() + 1);
        let on_path = self.on_path && self.next() == Some(index);
        let at = [self.at.as_slice(), &[index]].concat();
        Self {
            pass: self.pass,
            at,
            on_path,
        }
    }

    /// The child to go to, if this place is on the path and not its end.
    fn next(&self) -> Option<usize> {
        let target = self.pass.target;
        if self.on_path {
            target.get(self.at.len()).copied()
        } else {
            None
        }
    }

    /// Notes the shape if this is the end of the path, and then stops the pass.
    fn note(&self, shape: Shape, identity: Option<Identity>) -> Result<(), Stop> {
        if self.on_path && self.at.len() == self.pass.target.len() {
            self.pass.found.set(Some(Found { shape, identity }));
            return Err(Stop("found".to_owned()));
        }
        if self.at.len() > MAX_DEPTH || self.pass.steps.get() > self.pass.max_steps {
            return Err(Stop("nested too deeply".to_owned()));
        }
        Ok(())
    }

    fn container<V>(&self, shape: Shape) -> Result<(), Stop> {
        let names = match shape {
            Shape::Struct(_, names) | Shape::Enum(_, names) => names.as_ptr() as usize,
            _ => 0,
        };
        let visitor = type_name::<V>();
        self.note(shape, Some(Identity { visitor, names }))
    }

    fn leaf<T: Copy, R>(
        &self,
        name: &'static str,
        samples: &[T],
        visit: impl FnOnce(T) -> Result<R, Stop>,
    ) -> Result<R, Stop> {
        self.note(Shape::Leaf(name), None)?;
        let choice = self.choice(samples.len());
        *self.pass.last.borrow_mut() = Some(choice.clone());
        visit(samples[self.chosen().min(samples.len() - 1)]).inspect_err(|_| self.refuse(choice))
    }

    fn choice(&self, options: usize) -> Choice {
        Choice {
            at: self.at.clone(),
            options,
        }
    }

    /// Which of its options this place takes. A type whose shape depends on a value may have other
    /// options here than in the pass before, so this may be past the last.
    fn chosen(&self) -> usize {
        self.pass.choices.get(&self.at).copied().unwrap_or(0)
    }

    fn refuse(&self, choice: Choice) {
        self.pass.refused.borrow_mut().get_or_insert(choice);
    }

    /// As many elements as are asked for if they matter, else none.
    fn open_ended(&self) -> usize {
        usize::from(self.next().is_some())
    }

    /// Fields by name on the path, where one field is enough; by position beside it, where all are
    /// needed and an alias would count as a field given twice. If that is refused, the other way.
    fn fields<'de, V: Visitor<'de>>(self, names: Names, visitor: V) -> Result<V::Value, Stop> {
        let pass = self.pass;
        let before = pass.steps.get();
        let choice = self.choice(2);
        let by_name = (self.chosen() == 0) == self.on_path;
        let result = if by_name {
            visitor.visit_map(NamedFields::new(names, self.next(), self))
        } else {
            visitor.visit_seq(Elements::each(names.len(), self))
        };
        if result.is_err() && pass.steps.get() == before {
            pass.refused.borrow_mut().get_or_insert(choice);
        }
        result
    }

    /// The variant on the path; beside it another one at each level, so that recursion ends.
    fn variant(&self, variants: Names) -> Result<usize, Stop> {
        if let Some(index) = self.next() {
            return Ok(index);
        }
        if variants.is_empty() {
            return Err(Stop("an enum without variants".to_owned()));
        }
        *self.pass.last.borrow_mut() = Some(self.choice(variants.len()));
        Ok((self.chosen() + self.at.len() / 2) % variants.len())
    }

    fn self_describing<T>(&self) -> Result<T, Stop> {
        self.note(Shape::SelfDescribing, None)?;
        Err(Stop("takes its shape from the bytes".to_owned()))
    }
}

macro_rules! leaves {
    ($($method:ident: $visit:ident($name:literal, $samples:expr);)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
            self.leaf($name, $samples, |sample| visitor.$visit(sample.into()))
        }
    )*};
}

macro_rules! unsigned_leaves {
    ($($method:ident: $visit:ident($name:literal);)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
            self.leaf($name, INTEGERS, |sample| visitor.$visit(sample.unsigned_abs().into()))
        }
    )*};
}

impl<'de> Deserializer<'de> for Probe<'_> {
    type Error = Stop;

    leaves! {
        deserialize_bool: visit_bool("bool", BOOLS);
        deserialize_i8: visit_i8("i8", INTEGERS);
        deserialize_i16: visit_i16("i16", INTEGERS);
        deserialize_i32: visit_i32("i32", INTEGERS);
        deserialize_i64: visit_i64("i64", INTEGERS);
        deserialize_i128: visit_i128("i128", INTEGERS);
        deserialize_f32: visit_f32("f32", FLOATS);
        deserialize_f64: visit_f64("f64", FLOATS);
        deserialize_char: visit_char("char", CHARS);
        deserialize_str: visit_str("string", STRINGS);
        deserialize_string: visit_str("string", STRINGS);
        deserialize_bytes: visit_bytes("bytes", BYTES);
        deserialize_byte_buf: visit_bytes("bytes", BYTES);
    }

    unsigned_leaves! {
        deserialize_u8: visit_u8("u8");
        deserialize_u16: visit_u16("u16");
        deserialize_u32: visit_u32("u32");
        deserialize_u64: visit_u64("u64");
        deserialize_u128: visit_u128("u128");
    }

    fn is_human_readable(&self) -> bool {
        self.pass.human_readable
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Stop> {
        self.self_describing()
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Stop> {
        self.self_describing()
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Stop> {
        self.self_describing()
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        self.note(Shape::Leaf("unit"), None)?;
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Stop> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        self.container::<V>(Shape::Option)?;
        match self.next() {
            Some(_) => visitor.visit_some(self.child(0)),
            None => visitor.visit_none(),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Stop> {
        self.container::<V>(Shape::Newtype(name))?;
        visitor.visit_newtype_struct(self.child(0))
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        self.container::<V>(Shape::Seq)?;
        visitor.visit_seq(Elements::alike(self.open_ended(), self))
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        self.container::<V>(Shape::Map)?;
        visitor.visit_map(Entries::new(self.open_ended(), self))
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Stop> {
        self.container::<V>(Shape::Tuple(len))?;
        visitor.visit_seq(Elements::each(len, self))
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, Stop> {
        self.container::<V>(Shape::TupleStruct(name, len))?;
        visitor.visit_seq(Elements::each(len, self))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: Names,
        visitor: V,
    ) -> Result<V::Value, Stop> {
        self.container::<V>(Shape::Struct(name, fields))?;
        self.fields(fields, visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: Names,
        visitor: V,
    ) -> Result<V::Value, Stop> {
        self.container::<V>(Shape::Enum(name, variants))?;
        let index = self.variant(variants)?;
        let variant = name_at(variants, index)?;
        visitor.visit_enum(VariantOf {
            variant,
            content: self.child(index),
        })
    }
}

/// The content of a variant. All struct variants of an enum have visitors of one type name, so none
/// has an identity: the enum around them has.
impl<'de> VariantAccess<'de> for Probe<'_> {
    type Error = Stop;

    fn unit_variant(self) -> Result<(), Stop> {
        self.note(Shape::UnitVariant, None)
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Stop> {
        self.note(Shape::NewtypeVariant, None)?;
        seed.deserialize(self.child(0))
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Stop> {
        self.note(Shape::TupleVariant(len), None)?;
        visitor.visit_seq(Elements::each(len, self))
    }

    fn struct_variant<V: Visitor<'de>>(self, fields: Names, visitor: V) -> Result<V::Value, Stop> {
        self.note(Shape::StructVariant(fields), None)?;
        self.fields(fields, visitor)
    }
}

/// The name of a field or variant, if this type still is the one that the path was made for.
pub(super) fn name_at(names: Names, index: usize) -> Result<&'static str, Stop> {
    let name = names.get(index).copied();
    name.ok_or_else(|| Stop("its shape depends on a value".to_owned()))
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Stop {}

impl de::Error for Stop {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(message.to_string())
    }
}
