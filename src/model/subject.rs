//! What is to be purged at the edge: names, and how the purge record in Redis spells them.
//!
//! A record is a hash of each bucket. A field is a letter, a colon and a name; its value is `1|n|letter`: the format, the
//! place of the bump in the feed, and what is wanted by whom. What does not parse is nobody's wish.

use super::{CacheName, EntityName, Stamp, Strength, Tag};

/// What is old at the edge.
///
/// A page shows it or it does not; which keys that page carries is for whoever implements [`Edge`](crate::Edge) to know.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EdgeSubject {
    /// Whatever shows this entity.
    Entity(EntityName),
    /// Whatever shows a value with this tag.
    Tag(Tag),
    /// Whatever shows a value of the cache of this name.
    Cache(String),
    /// All that the edge holds.
    Everything,
}

impl EdgeSubject {
    /// A name that is too long for the record stands for its whole cache.
    pub(crate) fn of_entity(name: EntityName) -> Self {
        match name.as_str().split_once('/') {
            Some((cache, _)) if name.as_str().len() > LONGEST => Self::Cache(cache.to_owned()),
            _ => Self::Entity(name),
        }
    }

    /// The field of the record.
    pub(crate) fn field(&self) -> String {
        match self {
            Self::Entity(name) => format!("e:{name}"),
            Self::Tag(tag) => format!("t:{tag}"),
            Self::Cache(cache) => format!("c:{cache}"),
            Self::Everything => "*".to_owned(),
        }
    }

    /// The subject of a field; `None` if no subject is spelled so.
    pub(crate) fn of_field(field: &[u8]) -> Option<Self> {
        let field = std::str::from_utf8(field).ok()?;
        if field == "*" || field == TOO_MANY {
            return Some(Self::Everything);
        }
        let (kind, name) = field.split_once(':')?;
        match kind {
            "e" => EntityName::read(name).map(Self::Entity),
            "t" => Tag::spelled(name).map(Self::Tag),
            "c" => CacheName::new(name)
                .ok()
                .map(|_| Self::Cache(name.to_owned())),
            _ => None,
        }
    }
}

/// One field of the purge record of a bucket, as it stood there: it is removed only if it still stands so.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct PurgeNote {
    pub(crate) bucket: u16,
    pub(crate) field: Vec<u8>,
    pub(crate) value: Vec<u8>,
}

impl PurgeNote {
    /// What the bump with this stamp has written.
    pub(crate) fn of_bump(subject: &EdgeSubject, stamp: &Stamp, wish: Wish) -> Self {
        Self {
            bucket: stamp.bucket,
            field: subject.field().into_bytes(),
            value: format!("1|{}|{}", stamp.n, wish.letter()).into_bytes(),
        }
    }

    /// What it says; `None` if it says nothing.
    pub(crate) fn read(&self) -> Option<Noted> {
        let subject = EdgeSubject::of_field(&self.field)?;
        let value = std::str::from_utf8(&self.value).ok()?;
        let (n, letter) = value.strip_prefix("1|")?.split_once('|')?;
        let plain = !n.is_empty() && n.bytes().all(|byte| byte.is_ascii_digit());
        let n = n.parse().ok().filter(|n| plain && *n < 1 << 53)?;
        let wish = Wish::of_letter(letter)?;
        Some(Noted { subject, n, wish })
    }

    /// Whether it stands for more names than the record holds.
    pub(crate) fn is_of_too_many(&self) -> bool {
        self.field == TOO_MANY.as_bytes()
    }
}

/// A [`PurgeNote`] that was understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Noted {
    pub(crate) subject: EdgeSubject,
    /// The place of the bump in its feed: Redis time in µs, or later.
    pub(crate) n: u64,
    pub(crate) wish: Wish,
}

/// What is wanted of the edge, and whether whoever bumped sees to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wish {
    pub(crate) strength: Strength,
    /// Whoever bumped has an edge of its own, and purges at once. Else whoever finds the note first does.
    pub(crate) attended: bool,
}

impl Wish {
    pub(crate) fn letter(self) -> &'static str {
        match (self.strength, self.attended) {
            (Strength::Hard, true) => "H",
            (Strength::Soft, true) => "S",
            (Strength::Hard, false) => "h",
            (Strength::Soft, false) => "s",
        }
    }

    fn of_letter(letter: &str) -> Option<Self> {
        let (strength, attended) = match letter {
            "H" => (Strength::Hard, true),
            "S" => (Strength::Soft, true),
            "h" => (Strength::Hard, false),
            "s" => (Strength::Soft, false),
            _ => return None,
        };
        Some(Self { strength, attended })
    }
}

/// Whether bumps are noted for the edge, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Recording {
    /// This process has an edge of its own.
    pub(crate) attended: bool,
    /// How long a note is kept that nobody comes for, in ms.
    pub(crate) life: u64,
}

impl Recording {
    pub(crate) fn wish(self, strength: Strength) -> Wish {
        Wish {
            strength,
            attended: self.attended,
        }
    }
}

/// The field that stands for more names than a bucket's record holds.
pub(crate) const TOO_MANY: &str = "#";
/// A longer name of an entity is not written into the record, in bytes.
const LONGEST: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Epoch;

    fn note(field: &str, value: &str) -> PurgeNote {
        PurgeNote {
            bucket: 7,
            field: field.into(),
            value: value.into(),
        }
    }

    fn entity(cache: &str, key: &str) -> EdgeSubject {
        EdgeSubject::of_entity(EntityName::new(cache, key))
    }

    #[test]
    fn what_a_bump_writes_is_what_a_sweeper_reads() {
        let subjects = [
            entity("product", "42"),
            entity("product", "a:b/c@9"),
            entity("product", ""),
            EdgeSubject::Tag(Tag::new("Red, large")),
            EdgeSubject::Cache("product".to_owned()),
            EdgeSubject::Everything,
        ];
        let stamp = Stamp {
            bucket: 7,
            epoch: Epoch(1),
            n: 1_790_000_000_000_001,
        };
        for subject in subjects {
            for strength in [Strength::Hard, Strength::Soft] {
                for attended in [true, false] {
                    let wish = Wish { strength, attended };

                    let note = PurgeNote::of_bump(&subject, &stamp, wish);

                    let (subject, n) = (subject.clone(), stamp.n);
                    assert_eq!(note.read(), Some(Noted { subject, n, wish }));
                }
            }
        }
    }

    #[test]
    fn what_does_not_parse_is_nobodys_wish() {
        for field in [
            "",
            "e",
            "e:",
            "e:product",
            "e:a b/1",
            "x:product/42",
            "t:",
            "t:Red",
            "c:",
            "c:a/b",
            "**",
            "e:product/4 2",
        ] {
            assert_eq!(note(field, "1|5|H").read(), None, "{field:?}");
        }
        for value in [
            "",
            "5",
            "1|5",
            "2|5|H",
            "1|5|X",
            "1||H",
            "1|-5|H",
            "1|+5|H",
            "1|5|H|",
            "1|9007199254740992|H",
        ] {
            assert_eq!(note("*", value).read(), None, "{value:?}");
        }
        let bytes = PurgeNote {
            bucket: 0,
            field: vec![b'e', b':', 0xff],
            value: vec![0xff],
        };
        assert_eq!(bytes.read(), None);
    }

    #[test]
    fn a_name_that_is_too_long_stands_for_its_cache() {
        assert_eq!(
            entity("product", &"x".repeat(1024)),
            EdgeSubject::Cache("product".to_owned())
        );
    }

    #[test]
    fn more_names_than_a_record_holds_are_everything() {
        let note = note(TOO_MANY, "1|5|h");

        assert!(note.is_of_too_many());
        assert_eq!(note.read().unwrap().subject, EdgeSubject::Everything);
    }
}
