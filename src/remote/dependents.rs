//! Who shows an entity, step for step as `scripts/depend.lua` and `told.lua` have it.

use super::records::{Now, Records};
use crate::model::{Generation, Pointer};

impl Records {
    /// From here on whoever bumps the entity learns that a value shows it; false if this is not its generation.
    pub(super) fn depend(&mut self, key: &[u8], shown: Generation, ttl: u64, now: Now) -> bool {
        let Some(pointer) = self.pointer_of(key, shown, now) else {
            return false;
        };
        let flags = pointer.flags | Pointer::DEPENDED;
        self.set_pointer(key, Pointer { flags, ..pointer }, ttl, now);
        true
    }

    /// What shows the entity and was stored before this bump has heard of it.
    pub(super) fn told(&mut self, key: &[u8], bumped: Generation, now: Now) {
        if let Some(pointer) = self.pointer_of(key, bumped, now) {
            let flags = pointer.flags & !Pointer::UNTOLD;
            self.set_pointer(key, Pointer { flags, ..pointer }, 0, now);
        }
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
    use crate::model::EventKind;

    fn bump(records: &mut Records, now: Now) -> Done {
        let (head, _) = records.control(now);
        let kind = EventKind::Invalidated {
            cache: 0,
            entity: 0,
        };
        let bump = Bump {
            pointer_ttl: 1000,
            store: None,
        };
        records.bump(b"p", head, kind, bump, now)
    }

    /// A bump took along who depended on the entity, and its answer was lost: sent again, it told that nobody did.
    #[test]
    fn who_depends_stays_known_until_they_were_told() {
        let mut records = Records::default();
        let now = Now(1_000_000);
        assert!(bump(&mut records, now).depended, "unknown");
        let again = bump(&mut records, now);
        assert!(again.depended);

        let epoch = records.control.unwrap().epoch;
        let generation = |version| Generation { epoch, version };
        let next = bump(&mut records, now);
        records.told(b"p", generation(again.version), now);
        assert!(bump(&mut records, now).depended, "told of an earlier one");
        let last = bump(&mut records, now);
        records.told(b"p", generation(last.version), now);

        assert!(next.version < last.version);
        assert!(!bump(&mut records, now).depended);
    }

    #[test]
    fn telling_of_a_bump_leaves_alone_who_has_come_to_depend_since() {
        let mut records = Records::default();
        let now = Now(1_000_000);
        let version = bump(&mut records, now).version;
        let epoch = records.control.unwrap().epoch;
        let generation = Generation { epoch, version };
        assert!(records.depend(b"p", generation, 1000, now));

        records.told(b"p", generation, now);

        assert!(bump(&mut records, now).depended);
    }

    /// The pointer knew that a value shows the entity, and was evicted. A reader made it anew, and the next bump was told
    /// that nobody shows the entity.
    #[test]
    fn who_depends_is_unknown_where_a_reader_made_the_pointer() {
        let mut records = Records::default();
        let now = Now(1_000_000);
        let (mut head, _) = records.control(now);

        records.version(&mut head, b"p", 1000, now);

        assert!(bump(&mut records, now).depended);
    }
}
