//! What stands at one place of a type.

use std::fmt;

/// One node of a type: a leaf, or a container with a known number of children.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Shape {
    Leaf(&'static str),
    Option,
    Seq,
    Map,
    Tuple(usize),
    Newtype(&'static str),
    TupleStruct(&'static str, usize),
    Struct(&'static str, Names),
    Enum(&'static str, Names),
    UnitVariant,
    NewtypeVariant,
    TupleVariant(usize),
    StructVariant(Names),
    /// Not to be told without the bytes.
    SelfDescribing,
}

/// The names of fields or variants, in order.
pub(super) type Names = &'static [&'static str];

impl Shape {
    /// How many children it has.
    pub(super) fn arity(&self) -> usize {
        match *self {
            Self::Leaf(_) | Self::UnitVariant | Self::SelfDescribing => 0,
            Self::Option | Self::Seq | Self::Newtype(_) | Self::NewtypeVariant => 1,
            Self::Map => 2,
            Self::Tuple(len) | Self::TupleStruct(_, len) | Self::TupleVariant(len) => len,
            Self::Struct(_, names) | Self::Enum(_, names) | Self::StructVariant(names) => {
                names.len()
            }
        }
    }

    /// The name that serde knows the type by.
    pub(super) fn name(&self) -> Option<&'static str> {
        match *self {
            Self::Newtype(name)
            | Self::TupleStruct(name, _)
            | Self::Struct(name, _)
            | Self::Enum(name, _) => Some(name),
            _ => None,
        }
    }

    /// How the way to a child reads; `None` where there is only one and nothing to say.
    pub(super) fn step(&self, child: usize) -> Option<String> {
        match self {
            Self::Struct(_, names) | Self::Enum(_, names) | Self::StructVariant(names) => {
                names.get(child).map(ToString::to_string)
            }
            Self::Map => Some(["key", "value"][child.min(1)].to_owned()),
            Self::Seq => Some("item".to_owned()),
            Self::Tuple(_) | Self::TupleStruct(..) | Self::TupleVariant(_) => {
                Some(child.to_string())
            }
            _ => None,
        }
    }
}

/// The words of the description: a change here is a new schema for everybody.
impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Leaf(name) => f.write_str(name),
            Self::Option => f.write_str("option"),
            Self::Seq => f.write_str("seq"),
            Self::Map => f.write_str("map"),
            Self::Tuple(len) => write!(f, "tuple {len}"),
            Self::Newtype(name) => write!(f, "newtype {name:?}"),
            Self::TupleStruct(name, len) => write!(f, "tuple struct {name:?} {len}"),
            Self::Struct(name, fields) => write!(f, "struct {name:?} {fields:?}"),
            Self::Enum(name, variants) => write!(f, "enum {name:?} {variants:?}"),
            Self::UnitVariant => f.write_str("unit variant"),
            Self::NewtypeVariant => f.write_str("newtype variant"),
            Self::TupleVariant(len) => write!(f, "tuple variant {len}"),
            Self::StructVariant(fields) => write!(f, "struct variant {fields:?}"),
            Self::SelfDescribing => f.write_str("self-describing"),
        }
    }
}
