//! The purge record in memory, step for step as `note_purge` and `scripts/purges_done.lua` have it.

use super::{purges, purges::TagNotes, records::Now};
use crate::model::{Address, EdgeSubject, PurgeNote, Recording, Strength, TOO_MANY, Wish};
use std::collections::HashMap;

/// What Redis would hold of one bucket: field and value, all of one TTL; in that of the tags also who works them off.
#[derive(Clone, Debug, Default)]
pub(super) struct PurgeRecords {
    values: HashMap<String, String>,
    until: u64,
    sweeper: Option<(u64, u64)>,
}

impl PurgeRecords {
    pub(super) fn note_entity(
        &mut self,
        at: &Address,
        recording: Recording,
        strength: Strength,
        n: u64,
        now: Now,
    ) {
        let field = EdgeSubject::of_entity(at.name()).field();
        let note = (n, recording.wish(strength), recording.life);
        self.note(field, note, purges::NAMES, now);
    }

    pub(super) fn note_tag(
        &mut self,
        notes: TagNotes<'_>,
        place: usize,
        strength: Strength,
        n: u64,
        now: Now,
    ) {
        let field = notes.field(place);
        if !field.is_empty() {
            let note = (n, notes.recording.wish(strength), notes.recording.life);
            self.note(field, note, purges::TAGS, now);
        }
    }

    fn note(
        &mut self,
        mut field: String,
        (n, mut wish, life): (u64, Wish, u64),
        most: usize,
        now: Now,
    ) {
        self.expire(now);
        match self.values.get(&field) {
            Some(old) if old.ends_with(['H', 'h']) => wish.strength = Strength::Hard,
            None if self.values.len() >= most => {
                self.values.clear();
                TOO_MANY.clone_into(&mut field);
                wish = Wish {
                    strength: Strength::Hard,
                    attended: false,
                };
            }
            _ => {}
        }
        self.values
            .insert(field, format!("1|{n}|{}", wish.letter()));
        self.until = now.millis() + life;
    }

    pub(super) fn all(&mut self, bucket: u16, now: Now) -> Vec<PurgeNote> {
        self.expire(now);
        let note = |(field, value): (&String, &String)| PurgeNote {
            bucket,
            field: field.clone().into_bytes(),
            value: value.clone().into_bytes(),
        };
        self.values.iter().map(note).collect()
    }

    pub(super) fn done(&mut self, note: &PurgeNote) {
        let field = std::str::from_utf8(&note.field).unwrap_or_default();
        if self
            .values
            .get(field)
            .is_some_and(|value| value.as_bytes() == note.value)
        {
            self.values.remove(field);
        }
    }

    /// Whether this token has the lease from now on.
    pub(super) fn lease(&mut self, token: u64, life: u64, now: Now) -> bool {
        let free = |(holder, until): (u64, u64)| holder == token || until <= now.millis();
        let taken = self.sweeper.is_none_or(free);
        if taken {
            self.sweeper = Some((token, now.millis() + life));
        }
        taken
    }

    fn expire(&mut self, now: Now) {
        if self.until <= now.millis() {
            self.values.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{CacheName, RenderedKey};
    use std::sync::Arc;

    const RECORDING: Recording = Recording {
        attended: true,
        life: 1000,
    };

    fn note(records: &mut PurgeRecords, key: u64, strength: Strength, n: u64, now: Now) {
        let cache = Arc::new(CacheName::new("c").unwrap());
        let at = Address::new(&cache, RenderedKey::new(&key, cache.seed), 0, 64);
        records.note_entity(&at, RECORDING, strength, n, now);
    }

    fn told(records: &mut PurgeRecords, now: Now) -> Vec<String> {
        let text = |note: PurgeNote| {
            let (field, value) = (note.field, note.value);
            String::from_utf8([field, b" ".to_vec(), value].concat()).unwrap()
        };
        let mut told: Vec<_> = records.all(0, now).into_iter().map(text).collect();
        told.sort();
        told
    }

    #[test]
    fn a_hard_wish_is_not_made_soft_by_a_later_one() {
        let (mut records, now) = (PurgeRecords::default(), Now(1_000_000));

        note(&mut records, 1, Strength::Hard, 5, now);
        note(&mut records, 1, Strength::Soft, 6, now);
        note(&mut records, 2, Strength::Soft, 7, now);
        note(&mut records, 2, Strength::Hard, 8, now);

        assert_eq!(told(&mut records, now), ["e:c/1 1|6|H", "e:c/2 1|8|H"]);
    }

    #[test]
    fn a_name_too_many_makes_all_of_them_one() {
        let (mut records, now) = (PurgeRecords::default(), Now(1_000_000));
        for key in 0..purges::NAMES as u64 {
            note(&mut records, key, Strength::Soft, key + 1, now);
        }
        note(&mut records, 1, Strength::Soft, 5000, now);
        assert_eq!(records.all(0, now).len(), purges::NAMES);

        note(&mut records, 9999, Strength::Soft, 5001, now);
        note(&mut records, 1, Strength::Soft, 5002, now);

        assert_eq!(told(&mut records, now), ["# 1|5001|h", "e:c/1 1|5002|S"]);
    }

    #[test]
    fn what_nobody_comes_for_is_forgotten_after_its_time() {
        let (mut records, now) = (PurgeRecords::default(), Now(1_000_000));
        note(&mut records, 1, Strength::Hard, 5, now);
        note(&mut records, 2, Strength::Hard, 6, Now(1_900_000));

        assert_eq!(records.all(0, Now(2_800_000)).len(), 2);
        assert_eq!(records.all(0, Now(2_900_000)).len(), 0);
    }

    #[test]
    fn what_was_bumped_again_is_not_done() {
        let (mut records, now) = (PurgeRecords::default(), Now(1_000_000));
        note(&mut records, 1, Strength::Hard, 5, now);
        let first = records.all(0, now).remove(0);

        note(&mut records, 1, Strength::Hard, 6, now);
        records.done(&first);
        assert_eq!(told(&mut records, now), ["e:c/1 1|6|H"]);

        let second = records.all(0, now).remove(0);
        records.done(&second);
        assert!(told(&mut records, now).is_empty());
    }

    #[test]
    fn one_sweeps_until_its_lease_is_over() {
        let mut records = PurgeRecords::default();

        assert!(records.lease(1, 1000, Now(1_000_000)));
        assert!(!records.lease(2, 1000, Now(1_500_000)));
        assert!(records.lease(1, 1000, Now(1_500_000)));
        assert!(!records.lease(2, 1000, Now(2_400_000)));
        assert!(records.lease(2, 1000, Now(2_500_000)));
    }
}
