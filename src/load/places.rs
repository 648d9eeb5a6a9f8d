//! Where each key of a batch stands, found by what it renders to.
//!
//! Keys are the same where they render alike, as everywhere in a cache. Hashes may collide: whoever asks says whether
//! the key at a place is the one it means.

use crate::{local::KeyHash, model::RenderedKey};
use std::{
    collections::{HashMap, hash_map::Entry},
    hash::BuildHasherDefault,
};

/// The places of keys that are hashes already; a collision takes the next free number.
#[derive(Debug, Default)]
pub(crate) struct Places(HashMap<u64, usize, BuildHasherDefault<KeyHash>>);

impl Places {
    pub(crate) fn with_capacity(keys: usize) -> Self {
        Self(HashMap::with_capacity_and_hasher(
            keys,
            BuildHasherDefault::default(),
        ))
    }

    /// Gives a key the place `next`, unless it has one: then says `false`.
    pub(crate) fn add(
        &mut self,
        key: &RenderedKey,
        next: usize,
        is_at: impl Fn(usize) -> bool,
    ) -> bool {
        let mut slot = key.hash();
        loop {
            match self.0.entry(slot) {
                Entry::Vacant(entry) => {
                    entry.insert(next);
                    return true;
                }
                Entry::Occupied(entry) if is_at(*entry.get()) => return false,
                Entry::Occupied(_) => slot = slot.wrapping_add(1),
            }
        }
    }

    /// The place of a key, if it has one.
    pub(crate) fn find(&self, key: &RenderedKey, is_at: impl Fn(usize) -> bool) -> Option<usize> {
        let mut slot = key.hash();
        loop {
            match self.0.get(&slot) {
                Some(place) if is_at(*place) => return Some(*place),
                Some(_) => slot = slot.wrapping_add(1),
                None => return None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> RenderedKey {
        RenderedKey::new(text, 0)
    }

    #[test]
    fn a_key_has_one_place() {
        let mut places = Places::default();

        assert!(places.add(&key("a"), 0, |_| true));
        assert!(!places.add(&key("a"), 1, |place| place == 0));
        assert_eq!(places.find(&key("a"), |_| true), Some(0));
        assert_eq!(places.find(&key("b"), |_| true), None);
    }

    #[test]
    fn keys_with_one_hash_have_two_places() {
        // Whatever is at a place is said to be another key: as a collision looks.
        let mut places = Places::default();
        places.add(&key("a"), 0, |_| false);

        assert!(places.add(&key("a"), 1, |_| false));
        assert_eq!(places.find(&key("a"), |place| place == 0), Some(0));
        assert_eq!(places.find(&key("a"), |place| place == 1), Some(1));
        assert_eq!(places.find(&key("a"), |_| false), None);
    }
}
