//! The records in Redis as text: control, pointer, event. Each begins with its format, `1`.
//!
//! Numbers are decimal and below 2^53, since Lua reads and writes them too (`scripts/`). What does not parse is
//! treated as missing, and missing means unknown: never zero, never valid.

use super::identity::Server;
use crate::model::{
    Epoch, Event, EventKind, Head, Nonce, Pointer, StoreVersion, Strength, TagBump, Version,
};

/// `1|epoch|owner|n|nonce|high|flags`. The owner is the server that the epoch began on, or `-` where that did not tell who it
/// is. The flags are the scripts' own.
pub(super) fn head(text: &[u8]) -> Option<Head> {
    Some(owned_head(text)?.0)
}

/// The same with the server that the epoch began on.
pub(super) fn head_and_owner(text: &[u8]) -> Option<(Head, Server)> {
    let (head, owner) = owned_head(text)?;
    Some((head, Server::owning(owner)))
}

/// The record, if its epoch counts on the server that it was read from.
pub(super) fn own_head(text: &[u8], server: Server) -> Option<Head> {
    let (head, owner) = owned_head(text)?;
    server.owns(owner).then_some(head)
}

fn owned_head(text: &[u8]) -> Option<(Head, &[u8])> {
    let [epoch, owner, n, nonce, high, _flags] = fields(text)?;
    let head = Head {
        epoch: Epoch(number(epoch)?),
        n: number(n)?,
        nonce: Nonce(number(nonce)?),
        high: number(high)?,
    };
    Some((head, owner))
}

/// `1|version|floor|flags|store`; the last is 32 hex digits, or `-` where no version of the store is known.
pub(super) fn pointer(text: &[u8]) -> Option<Pointer> {
    let [version, floor, flags, store] = fields(text)?;
    let flags = u32::try_from(number(flags)?).ok()?;
    Some(Pointer {
        version: Version(number(version)?),
        floor: Version(number(floor)?),
        flags,
        store: store_version(store)?,
    })
}

/// How the scripts are told of a strength.
pub(super) fn letter(strength: Strength) -> &'static str {
    match strength {
        Strength::Hard => "H",
        Strength::Soft => "S",
    }
}

/// What travels on a bucket's channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Message {
    Event(Event),
    /// A value was filled, or its lease released, while others waited for it.
    Wake {
        cache: u32,
        entity: u64,
    },
}

/// `1|kind|epoch|n|previous|nonce|cache|entity`; kinds are `I`nvalidated and `T`agged, in lower case where that was soft, `F`ence and `W`ake. A tag
/// stands where the entity would.
pub(super) fn message(text: &[u8]) -> Option<Message> {
    let [kind, epoch, n, previous, nonce, cache, entity] = fields(text)?;
    let cache = u32::try_from(hex(cache)?).ok()?;
    let entity = hex(entity)?;
    let kind = match kind {
        b"W" => return Some(Message::Wake { cache, entity }),
        b"I" | b"i" => EventKind::Invalidated {
            cache,
            entity,
            strength: strength(kind),
        },
        b"T" | b"t" => EventKind::Tagged {
            tag: entity,
            strength: strength(kind),
        },
        b"F" => EventKind::Fence,
        _ => return None,
    };
    Some(Message::Event(Event {
        epoch: Epoch(number(epoch)?),
        n: number(n)?,
        previous: Nonce(number(previous)?),
        nonce: Nonce(number(nonce)?),
        kind,
    }))
}

fn strength(kind: &[u8]) -> Strength {
    if kind.iter().all(u8::is_ascii_lowercase) {
        Strength::Soft
    } else {
        Strength::Hard
    }
}

/// `n|hard n` of the tag table.
pub(super) fn tag_bump(text: &[u8]) -> Option<TagBump> {
    let at = text.iter().position(|byte| *byte == b'|')?;
    Some(TagBump {
        n: number(&text[..at])?,
        hard: number(&text[at + 1..])?,
    })
}

/// The event of a log entry; a wake is never logged.
pub(super) fn event(text: &[u8]) -> Option<Event> {
    match message(text)? {
        Message::Event(event) => Some(event),
        Message::Wake { .. } => None,
    }
}

fn fields<const N: usize>(text: &[u8]) -> Option<[&[u8]; N]> {
    let rest = text.strip_prefix(FORMAT)?;
    let mut found: [&[u8]; N] = [&[]; N];
    let mut parts = rest.split(|byte| *byte == b'|');
    for field in &mut found {
        *field = parts.next()?;
    }
    parts.next().is_none().then_some(found)
}

/// By hand, since every read of a value parses seven of them.
fn number(text: &[u8]) -> Option<u64> {
    let digit = |sum: u64, byte: &u8| match byte {
        b'0'..=b'9' => Some(sum * 10 + u64::from(byte - b'0')),
        _ => None,
    };
    let plausible = !text.is_empty() && text.len() <= 16;
    let number = plausible.then(|| text.iter().try_fold(0, digit))??;
    (number < 1 << 53).then_some(number)
}

fn store_version(text: &[u8]) -> Option<Option<StoreVersion>> {
    if text == b"-" {
        return Some(None);
    }
    let number = u128::from_str_radix(std::str::from_utf8(text).ok()?, 16).ok()?;
    Some(Some(number.into()))
}

fn hex(text: &[u8]) -> Option<u64> {
    u64::from_str_radix(std::str::from_utf8(text).ok()?, 16).ok()
}

const FORMAT: &[u8] = b"1|";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn soft_invalidations_are_told_in_lower_case() {
        let read = event(b"1|i|7|12|3|4|1|2").unwrap();
        let soft = Strength::Soft;
        assert_eq!(
            read.kind,
            EventKind::Invalidated {
                cache: 1,
                entity: 2,
                strength: soft
            }
        );
        let read = event(b"1|t|7|12|3|4|0|aa").unwrap();
        assert_eq!(
            read.kind,
            EventKind::Tagged {
                tag: 170,
                strength: soft
            }
        );
        assert_eq!(tag_bump(b"12|7"), Some(TagBump { n: 12, hard: 7 }));
        for bad in ["", "12", "12|", "|7", "12|7|3", "x|7"] {
            assert_eq!(tag_bump(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn records_are_read_as_the_scripts_write_them() {
        let read = head(b"1|7|-|1790000000000001|42|1790000000000009|0").unwrap();
        assert_eq!(
            (read.epoch, read.n, read.nonce),
            (Epoch(7), 1_790_000_000_000_001, Nonce(42))
        );
        assert_eq!(read.high, 1_790_000_000_000_009);

        let owned = b"1|7|00000000000000ab|12|42|12|0";
        assert_eq!(head(owned), own_head(owned, Server::Known(0xab)));
        assert_eq!(own_head(owned, Server::Known(0xac)), None);

        let read = pointer(b"1|12|11|0|-").unwrap();
        assert_eq!(
            (read.version, read.floor, read.flags, read.store),
            (Version(12), Version(11), 0, None)
        );
        let read = pointer(b"1|12|11|3|000000000000000000000000000000ff").unwrap();
        assert_eq!(
            (read.flags, read.store),
            (3, Some(StoreVersion::from(255_u64)))
        );

        let Some(Message::Event(read)) = message(b"1|I|7|12|3|4|000000ff|00000000000000aa") else {
            panic!()
        };
        assert_eq!(
            read.kind,
            EventKind::Invalidated {
                cache: 255,
                entity: 170,
                strength: Strength::Hard
            }
        );
        let Some(Message::Event(read)) = message(b"1|T|7|12|3|4|0|00000000000000aa") else {
            panic!()
        };
        assert_eq!(
            read.kind,
            EventKind::Tagged {
                tag: 170,
                strength: Strength::Hard
            }
        );
        assert_eq!(
            message(b"1|W|0|0|0|0|1|2"),
            Some(Message::Wake {
                cache: 1,
                entity: 2
            })
        );
    }

    #[test]
    fn what_does_not_parse_is_missing() {
        for bad in [
            "",
            "1",
            "2|7|-|1|2|3|0",
            "1|7|-|1|2|3",
            "1|7|-|1|2|3|0|4",
            "1|x|-|1|2|3|0",
            "1|-7|-|1|2|3|0",
        ] {
            assert_eq!(head(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(head(b"1|7|-|9007199254740992|2|3|0"), None);
        assert_eq!(pointer(b"1|12|11|0"), None);
        assert_eq!(message(b"1|X|7|12|3|4|1|2"), None);
        assert_eq!(event(b"1|W|0|0|0|0|1|2"), None);
    }
}
