//! The lists beside the objects: which objects each of them shows, and how it is made.
//!
//! A key belongs to one list, by its hash, and is shown by it if it is among the first [`MEMBERS`] that appear. Members
//! are only ever added, so line *n* of a list, however old, shows member *n*.
//!
//! Half of the lists are read from the store and carry a tag. The others are made of cached rows; half of these carry
//! no tag, so that nothing but what they have read makes them old.

use std::sync::{
    PoisonError, RwLock,
    atomic::{AtomicU64, Ordering},
};

use serde::{Deserialize, Serialize};

use crate::{keys::Key, truth::Owed};

/// What the caches hold of a list.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct List {
    /// The key of the list.
    pub(crate) number: u32,
    /// The rows that it shows, in the order of the members.
    pub(crate) lines: Vec<Line>,
    /// Whether one of the rows was read while nobody could prove it.
    pub(crate) is_unproven: bool,
}

/// What a list shows of a row.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Line {
    /// The row's key.
    pub(crate) id: u32,
    /// How often the row had been written.
    pub(crate) commit: u64,
}

impl List {
    /// Whether it is the list of this number and shows its `members`, as many as there were when it was made.
    pub(crate) fn shows(&self, number: u32, members: &[Key]) -> bool {
        let of_members = |lines: &[Line]| {
            lines
                .iter()
                .zip(members)
                .all(|(line, key)| line.id == key.id)
        };
        self.number == number && self.lines.len() <= members.len() && of_members(&self.lines)
    }
}

/// All lists of a run.
#[derive(Debug)]
pub(crate) struct Lists {
    members: Vec<RwLock<Vec<Key>>>,
    loads: AtomicU64,
}

impl Lists {
    /// So many lists, without members.
    pub(crate) fn new(count: u32) -> Self {
        Self {
            members: (0..count).map(|_| RwLock::default()).collect(),
            loads: AtomicU64::new(0),
        }
    }

    /// The list in which a key belongs; `None` if there are no lists.
    pub(crate) fn list_of(&self, id: u32) -> Option<u32> {
        // The high half of the product: neighbours are spread, and every bit of the id counts.
        let hash = u64::from(id).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
        let list = hash.checked_rem(self.members.len() as u64)?;
        Some(list as u32)
    }

    /// A key has appeared for the first time.
    pub(crate) fn enroll(&self, key: Key) {
        let Some(list) = self.list_of(key.id) else {
            return;
        };
        let mut members = self.members[list as usize]
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        if members.len() < MEMBERS {
            members.push(key);
        }
    }

    /// What the list shows when it is made now.
    pub(crate) fn members(&self, list: u32) -> Vec<Key> {
        let members = self.members[list as usize].read();
        members.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The lists that show something.
    pub(crate) fn shown(&self) -> Vec<u32> {
        (0..self.members.len() as u32)
            .filter(|list| !self.members(*list).is_empty())
            .collect()
    }

    /// A list is being made.
    pub(crate) fn note_load(&self) {
        self.loads.fetch_add(1, Ordering::Relaxed);
    }

    /// How often a list was made.
    pub(crate) fn loads(&self) -> u64 {
        self.loads.load(Ordering::Relaxed)
    }
}

/// Whether the list is made of cached rows rather than read from the store.
pub(crate) fn is_nested(list: u32) -> bool {
    list % 2 == 1
}

/// Whether the list carries a tag of its own.
pub(crate) fn is_tagged(list: u32) -> bool {
    list % 4 != 1
}

/// How the list is made, in words.
pub(crate) fn made(list: u32) -> &'static str {
    match (is_nested(list), is_tagged(list)) {
        (false, _) => "of the store, tagged",
        (true, true) => "of cached rows, tagged",
        (true, false) => "of cached rows",
    }
}

/// The tag of a list.
pub(crate) fn tag(list: u32) -> String {
    format!("list-{list}")
}

/// From when on a list owes what is new.
pub(crate) fn owed(list: u32) -> Owed {
    if is_nested(list) {
        Owed::Key
    } else {
        Owed::Tag
    }
}

/// The most rows that a list shows.
pub(crate) const MEMBERS: usize = 50;

#[cfg(test)]
mod tests {
    use super::*;

    fn key(id: u32) -> Key {
        Key { id, index: id }
    }

    #[test]
    fn keys_are_spread_over_all_lists_and_only_the_first_are_shown() {
        let lists = Lists::new(20);

        (0..5000).map(key).for_each(|key| lists.enroll(key));

        assert_eq!(lists.shown().len(), 20);
        for list in lists.shown() {
            let members = lists.members(list);
            assert_eq!(members.len(), MEMBERS);
            assert!(
                members
                    .iter()
                    .all(|key| lists.list_of(key.id) == Some(list))
            );
        }
    }

    #[test]
    fn without_lists_no_key_belongs_anywhere() {
        let lists = Lists::new(0);

        lists.enroll(key(7));

        assert_eq!(lists.list_of(7), None);
        assert!(lists.shown().is_empty());
    }

    #[test]
    fn every_way_to_make_a_list_occurs() {
        let ways: Vec<_> = (0..4)
            .map(|list| (is_nested(list), is_tagged(list)))
            .collect();

        assert_eq!(
            ways,
            [(false, true), (true, false), (false, true), (true, true)]
        );
    }

    #[test]
    fn a_list_of_another_number_or_of_other_rows_is_not_what_was_asked_for() {
        let members = [key(3), key(5)];
        let list = |number, ids: &[u32]| List {
            number,
            lines: ids.iter().map(|id| Line { id: *id, commit: 0 }).collect(),
            is_unproven: false,
        };

        assert!(list(1, &[3, 5]).shows(1, &members));
        assert!(list(1, &[3]).shows(1, &members), "made before 5 appeared");
        assert!(!list(2, &[3, 5]).shows(1, &members));
        assert!(!list(1, &[5, 3]).shows(1, &members));
        assert!(!list(1, &[3, 5, 7]).shows(1, &members));
    }
}
