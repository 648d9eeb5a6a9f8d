//! Who shows an entity, step for step as `scripts/depend.lua` and `bump.lua` have it.

use super::records::{Now, Records};
use crate::model::{Generation, Pointer};

impl Records {
    /// From here on whoever bumps the entity learns that a value shows it; false if this is not its generation.
    pub(super) fn depend(&mut self, key: &[u8], shown: Generation, ttl: u64, now: Now) -> bool {
        let Some(pointer) = self.pointer_of(key, shown, now) else {
            return false;
        };
        self.nested = true;
        let flags = pointer.flags | Pointer::DEPENDED;
        self.set_pointer(key, Pointer { flags, ..pointer }, ttl, now);
        true
    }

    /// What a pointer that is missing may have known: nothing, unless some entity of the bucket was shown.
    pub(super) fn forgotten(&self) -> u32 {
        if self.nested { Pointer::DEPENDED } else { 0 }
    }

    /// The pointer, if this generation is the current one.
    fn pointer_of(&self, key: &[u8], wanted: Generation, now: Now) -> Option<Pointer> {
        let epoch = self.control.map(|head| head.epoch);
        self.pointer(key, now)
            .filter(|pointer| epoch == Some(wanted.epoch) && pointer.version == wanted.version)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Bump, order::Done};
    use super::*;
    use crate::model::{EventKind, Strength, Version};

    fn bump(records: &mut Records, now: Now) -> Done {
        let (head, fence) = records.control(now);
        let kind = EventKind::Invalidated {
            cache: 0,
            entity: 0,
            strength: Strength::Hard,
        };
        let bump = Bump {
            pointer_ttl: 1000,
            strength: Strength::Hard,
            store: None,
            record: None,
        };
        records.bump(b"p", (head, fence.is_some()), kind, bump, now)
    }

    fn marked(records: &mut Records, version: Version, now: Now) -> bool {
        let epoch = records.control.unwrap().epoch;
        records.depend(b"p", Generation { epoch, version }, 1000, now)
    }

    /// A bump took along who depended on the entity, and its answer was lost: sent again, it told that nobody did. With a
    /// mark that its sender took back, a second writer whose node lagged was told the same.
    #[test]
    fn who_depends_stays_known_after_a_bump() {
        let (mut records, now) = (Records::default(), Now(1_000_000));
        bump(&mut records, now);
        let version = bump(&mut records, now).version;
        assert!(marked(&mut records, version, now));

        assert!(bump(&mut records, now).depended);
        assert!(bump(&mut records, now).depended);
    }

    /// The pointer knew that a value shows the entity, and was evicted. A reader made it anew, and the next bump was told
    /// that nobody shows the entity.
    #[test]
    fn what_an_evicted_pointer_may_have_known_is_known_to_its_bucket() {
        for read_first in [false, true] {
            let (mut records, now) = (Records::default(), Now(1_000_000));
            let version = bump(&mut records, now).version;
            assert!(marked(&mut records, version, now));
            let later = Now(now.0 + 10_000_000);
            assert_eq!(records.pointer(b"p", later), None);

            if read_first {
                let (mut head, _) = records.control(later);
                records.version(&mut head, b"p", 1000, later);
            }

            assert!(bump(&mut records, later).depended);
        }
    }

    #[test]
    fn who_shows_nothing_has_nothing_told() {
        let (mut records, now) = (Records::default(), Now(1_000_000));
        let (mut head, _) = records.control(now);
        records.version(&mut head, b"p", 1000, now);

        assert!(!bump(&mut records, now).depended);
    }

    #[test]
    fn the_bump_that_begins_an_epoch_knows_nothing_of_the_one_before() {
        let (mut records, now) = (Records::default(), Now(1_000_000));

        assert!(bump(&mut records, now).depended);
    }
}
