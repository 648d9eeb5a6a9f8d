//! How a probe hands out its children: elements, entries, fields, a variant.

use std::ops::Range;

use serde::de::value::StrDeserializer;
use serde::de::{DeserializeSeed, EnumAccess, MapAccess, SeqAccess};

use super::probe::{Probe, Stop, name_at};
use super::shape::Names;

/// The elements of a list, which are all alike, or those of a tuple, which are not.
pub(super) struct Elements<'p> {
    parent: Probe<'p>,
    left: Range<usize>,
    alike: bool,
}

impl<'p> Elements<'p> {
    pub(super) fn alike(len: usize, parent: Probe<'p>) -> Self {
        Self {
            parent,
            left: 0..len,
            alike: true,
        }
    }

    pub(super) fn each(len: usize, parent: Probe<'p>) -> Self {
        Self {
            parent,
            left: 0..len,
            alike: false,
        }
    }
}

impl<'de> SeqAccess<'de> for Elements<'_> {
    type Error = Stop;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Stop> {
        let Some(index) = self.left.next() else {
            return Ok(None);
        };
        let child = if self.alike { 0 } else { index };
        seed.deserialize(self.parent.child(child)).map(Some)
    }
}

/// The entries of a map: keys are child 0, values are child 1.
pub(super) struct Entries<'p> {
    parent: Probe<'p>,
    left: Range<usize>,
}

impl<'p> Entries<'p> {
    pub(super) fn new(len: usize, parent: Probe<'p>) -> Self {
        Self {
            parent,
            left: 0..len,
        }
    }
}

impl<'de> MapAccess<'de> for Entries<'_> {
    type Error = Stop;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Stop> {
        match self.left.next() {
            Some(_) => seed.deserialize(self.parent.child(0)).map(Some),
            None => Ok(None),
        }
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Stop> {
        seed.deserialize(self.parent.child(1))
    }
}

/// The fields of a struct with their names: the one on the path, or all.
pub(super) struct NamedFields<'p> {
    parent: Probe<'p>,
    names: Names,
    left: Range<usize>,
    current: usize,
}

impl<'p> NamedFields<'p> {
    pub(super) fn new(names: Names, only: Option<usize>, parent: Probe<'p>) -> Self {
        let left = match only {
            Some(index) => index..index + 1,
            None => 0..names.len(),
        };
        Self {
            parent,
            names,
            left,
            current: 0,
        }
    }
}

impl<'de> MapAccess<'de> for NamedFields<'_> {
    type Error = Stop;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Stop> {
        let Some(index) = self.left.next() else {
            return Ok(None);
        };
        self.current = index;
        seed.deserialize(StrDeserializer::new(name_at(self.names, index)?))
            .map(Some)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Stop> {
        seed.deserialize(self.parent.child(self.current))
    }
}

/// One variant of an enum, by name.
pub(super) struct VariantOf<'p> {
    pub(super) variant: &'static str,
    pub(super) content: Probe<'p>,
}

impl<'de, 'p> EnumAccess<'de> for VariantOf<'p> {
    type Error = Stop;
    type Variant = Probe<'p>;

    fn variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<(T::Value, Probe<'p>), Stop> {
        let variant = seed.deserialize(StrDeserializer::<Stop>::new(self.variant))?;
        Ok((variant, self.content))
    }
}
