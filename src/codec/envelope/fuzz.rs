//! Payloads as strangers, neighbours and broken disks write them: for the fuzzers, and for the tests that run their corpus.

use super::{
    BadEnvelope, CHECK_AT, Envelope, Expected, HEADER_LEN, Header, check, header, open, section,
};
use crate::{
    codec::Limits,
    model::{Epoch, Labels, Position, Tag, Visibility},
};
use twox_hash::XxHash3_64;

/// Any bytes as the payload of a key: they open, or they are refused. Says which.
pub(crate) fn foreign(data: &[u8]) -> bool {
    let (key, bytes) = data.split_at(data.len().min(KEY_LEN));
    open(bytes, key, expected(bytes)).is_ok()
}

/// The same for one who knows how to write the check, so that what lies behind it is read, too.
pub(crate) fn forged(data: &[u8]) -> bool {
    let (key, bytes) = data.split_at(data.len().min(KEY_LEN));
    let Some(bytes) = with_check(bytes, key) else {
        return false;
    };
    match open(&bytes, key, expected(&bytes)) {
        Ok(opened) => {
            assert!(opened.body.len() <= LIMITS.max_value_bytes);
            assert!(!opened.header.absent || opened.body.is_empty());
            true
        }
        Err(error) => {
            assert_ne!(error, BadEnvelope::Corrupt, "the check was right");
            false
        }
    }
}

/// What is sealed opens as it was; with one bit changed, or for another key, it does not.
pub(crate) fn sealed(data: &[u8]) -> bool {
    let Some(([flags, at, bit, tags], body)) = data.split_first_chunk() else {
        return false;
    };
    let (labels, key) = (labels(*tags, body), &body[..body.len().min(KEY_LEN)]);
    let header = header_of(*flags);
    let envelope = Envelope {
        header,
        key,
        echo: flags & 2 != 0,
        labels: &labels,
        limits: LIMITS,
    };
    let written = |out: &mut Vec<u8>| {
        out.extend_from_slice(body);
        Ok(())
    };
    let Ok(sealed) = envelope.seal(written) else {
        return false;
    };
    let opened = open(&sealed.bytes, key, expected(&sealed.bytes)).expect("it was just sealed");
    assert_eq!((opened.header, &opened.labels), (header, &labels));
    assert_eq!(&*opened.body, if header.absent { &[] } else { body });

    let other_key = [key, b"!"].concat();
    assert!(open(&sealed.bytes, &other_key, expected(&sealed.bytes)).is_err());
    let mut changed = sealed.bytes.clone();
    let place = usize::from(*at) * 31 % changed.len();
    changed[place] ^= 1 << (bit % 8);
    assert!(open(&changed, key, expected(&sealed.bytes)).is_err());
    true
}

fn header_of(flags: u8) -> Header {
    Header {
        codec: flags,
        schema: u32::from(flags),
        epoch: 1,
        version: 2,
        birth: 3,
        deadline: 4,
        load_micros: 5,
        position: Position {
            epoch: Epoch(6),
            n: 7,
        },
        absent: flags & 1 != 0,
        visibility: if flags & 4 == 0 {
            Visibility::Public
        } else {
            Visibility::User
        },
    }
}

fn labels(count: u8, text: &[u8]) -> Labels {
    let text = String::from_utf8_lossy(text);
    let tag = |n: u8| Tag::new(&format!("{n}{}", text.chars().take(9).collect::<String>()));
    let mut labels = Labels {
        tags: (0..count % 4).map(tag).collect(),
        dependencies: (0..u64::from(count % 3)).collect(),
    };
    labels.settle();
    labels
}

/// Whoever asks reads the schema that stands there: nothing is to be refused for that alone.
fn expected(bytes: &[u8]) -> Expected {
    let schema = bytes.get(4..8).and_then(|schema| schema.try_into().ok());
    Expected {
        schema: u32::from_be_bytes(schema.unwrap_or_default()),
        max_value_bytes: LIMITS.max_value_bytes,
    }
}

/// As this release would have sealed it, if it ever wrote such a thing.
fn with_check(bytes: &[u8], key: &[u8]) -> Option<Vec<u8>> {
    let (head, rest) = header::split(bytes).ok()?;
    let flags = header::flags(head).ok()?;
    let (_, rest) = section(rest, flags & header::ECHO != 0).ok()?;
    let (_, body) = section(rest, flags & header::LABELS != 0).ok()?;
    let front = &bytes[..bytes.len() - body.len()];
    let right = check(XxHash3_64::oneshot(body), key, front);
    let mut bytes = bytes.to_vec();
    bytes[CHECK_AT..HEADER_LEN].copy_from_slice(&right.to_be_bytes());
    Some(bytes)
}

const KEY_LEN: usize = 4;
const LIMITS: Limits = Limits {
    compress_above: 64,
    max_value_bytes: 1 << 16,
};
