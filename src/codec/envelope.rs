//! The envelope: 48 bytes in front of each body, which prove that it is the value that was asked for.
//!
//! All numbers are big-endian.
//!
//! | bytes | what |
//! |---|---|
//! | 0 | magic, `0xC7` |
//! | 1 | format, 1 |
//! | 2 | codec id |
//! | 3 | flags: bit 0 = the key follows (echo); spare: bit 1 absent, bit 2 compressed, bit 3 tags |
//! | 4..8 | schema: the low 32 bits of the fingerprint |
//! | 8..16 | epoch |
//! | 16..24 | version |
//! | 24..30 | birth: ms of Redis time at the start of the load |
//! | 30..36 | deadline: ms of Redis time |
//! | 36..40 | how long the load took, µs, saturating |
//! | 40..48 | check |
//!
//! Then the echo if its flag is set (length as u32, the rendered key), then the body.
//!
//! The *content id* is the hash of the body alone. The *check* is the hash, seeded with the content
//! id, of the key, of the header before the check and of the echo: so the body is read once, and a
//! payload that stands under a key it was not sealed for does not open.
//!
//! A flag that this format does not name is refused, since it may change the meaning of the rest.

use twox_hash::XxHash3_64;

use crate::codec::EncodeError;
use crate::model::{Epoch, Labels, Position, Visibility};

/// What the envelope says about its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// See [`Codec::id`](crate::codec::Codec::id).
    pub(crate) codec: u8,
    /// The low 32 bits of the value type's fingerprint.
    pub(crate) schema: u32,
    /// The incarnation of the data in Redis that the version belongs to.
    pub(crate) epoch: u64,
    /// The generation of the entity's value.
    pub(crate) version: u64,
    pub(crate) position: Position,
    pub(crate) absent: bool,
    pub(crate) visibility: Visibility,
    /// When the load began: ms of Redis time, at most 48 bits.
    pub(crate) birth: u64,
    /// When the value is dead: ms of Redis time, at most 48 bits.
    pub(crate) deadline: u64,
    /// How long the load took, in microseconds.
    pub(crate) load_micros: u32,
}

/// A payload ready to be stored.
#[derive(Debug)]
pub(crate) struct Sealed {
    /// Header, echo and body.
    pub(crate) bytes: Vec<u8>,
    /// The hash of the body: equal bodies, equal ids.
    pub(crate) content_id: u64,
    /// The length of the body alone.
    pub(crate) body_len: usize,
}

/// Writes the body behind its header and closes the envelope.
///
/// With `echo` the key is written too, so that a payload found in Redis tells whose it is.
pub(crate) fn seal(
    header: &Header,
    key: &[u8],
    echo: bool,
    labels: &Labels,
    encode_body: impl FnOnce(&mut Vec<u8>) -> Result<(), EncodeError>,
) -> Result<Sealed, EncodeError> {
    let flags = [
        (echo, ECHO),
        (header.absent, ABSENT),
        (!labels.is_empty(), LABELS),
        (header.visibility == Visibility::User, USER),
    ];
    let flags = flags
        .iter()
        .filter(|(set, _)| *set)
        .map(|(_, flag)| flag)
        .sum();
    let head = header.to_bytes(flags);
    let mut bytes = Vec::with_capacity(TYPICAL_LEN);
    bytes.extend_from_slice(&head);
    if echo {
        push_echo(&mut bytes, key)?;
    }
    if !labels.is_empty() {
        push_labels(&mut bytes, labels);
    }
    let body_at = bytes.len();

    encode_body(&mut bytes)?;
    // A codec that clears `out` would make a payload of its own.
    if bytes.len() < body_at || !bytes.starts_with(&head) {
        return Err(EncodeError::new(
            "the codec changed bytes that were not its own",
        ));
    }

    let (front, body) = bytes.split_at(body_at);
    let content_id = XxHash3_64::oneshot(body);
    let body_len = body.len();
    let check = check(content_id, key, &head, &front[HEADER_LEN..]);
    bytes[CHECK_AT..HEADER_LEN].copy_from_slice(&check.to_be_bytes());
    Ok(Sealed {
        bytes,
        content_id,
        body_len,
    })
}

/// What a reader can read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Expected {
    /// The low 32 bits of its fingerprint.
    pub(crate) schema: u32,
}

/// A payload that is whole and belongs to the key.
#[derive(Debug)]
pub(crate) struct Opened<'a> {
    /// What the envelope says.
    pub(crate) header: Header,
    pub(crate) labels: Labels,
    /// What the codec wrote.
    pub(crate) body: &'a [u8],
    /// The hash of the body.
    pub(crate) content_id: u64,
}

/// Checks a payload and takes its body out.
pub(crate) fn open<'a>(
    bytes: &'a [u8],
    key: &[u8],
    expected: Expected,
) -> Result<Opened<'a>, BadEnvelope> {
    let (head, rest) = split_header(bytes)?;
    let header = Header::from_bytes(head);
    if head[FLAGS_AT] & !(ECHO | ABSENT | LABELS | USER) != 0 {
        return Err(BadEnvelope::UnknownFlags);
    }
    if header.schema != expected.schema {
        return Err(BadEnvelope::OtherSchema);
    }
    let (_, tail) = if head[FLAGS_AT] & ECHO == 0 {
        rest.split_at(0)
    } else {
        split_echo(rest, key)?
    };
    let (labels, body) = if head[FLAGS_AT] & LABELS == 0 {
        (Labels::default(), tail)
    } else {
        split_labels(tail).ok_or(BadEnvelope::Truncated)?
    };
    let echo = &rest[..rest.len() - body.len()];
    let content_id = XxHash3_64::oneshot(body);
    if check(content_id, key, head, echo) != number(head, CHECK_AT, HEADER_LEN) {
        return Err(BadEnvelope::Corrupt);
    }
    Ok(Opened {
        header,
        labels,
        body,
        content_id,
    })
}

/// Epoch and version of a payload, without a look at anything else.
///
/// For comparing only: what is served goes through [`open`].
pub(crate) fn generation(bytes: &[u8]) -> Option<(u64, u64)> {
    let (head, _) = split_header(bytes).ok()?;
    let header = Header::from_bytes(head);
    Some((header.epoch, header.version))
}

pub(crate) fn check_of(bytes: &[u8]) -> Option<[u8; 8]> {
    let (head, _) = split_header(bytes).ok()?;
    head[CHECK_AT..].try_into().ok()
}

fn push_labels(bytes: &mut Vec<u8>, labels: &Labels) {
    bytes.extend_from_slice(&(labels.tags.len() as u16).to_be_bytes());
    for tag in &labels.tags {
        bytes.push(tag.as_str().len() as u8);
        bytes.extend_from_slice(tag.as_str().as_bytes());
    }
    bytes.extend_from_slice(&(labels.dependencies.len() as u16).to_be_bytes());
    for dependency in &labels.dependencies {
        bytes.extend_from_slice(&dependency.to_be_bytes());
    }
}

fn split_labels(rest: &[u8]) -> Option<(Labels, &[u8])> {
    let mut labels = Labels::default();
    let (count, mut rest) = rest.split_first_chunk()?;
    for _ in 0..u16::from_be_bytes(*count) {
        let (len, tail) = rest.split_first()?;
        let text = std::str::from_utf8(tail.get(..usize::from(*len))?).ok()?;
        labels.tags.push(crate::model::Tag::spelled(text)?);
        rest = &tail[usize::from(*len)..];
    }
    let (count, mut rest) = rest.split_first_chunk()?;
    for _ in 0..u16::from_be_bytes(*count) {
        let (dependency, tail) = rest.split_first_chunk()?;
        labels.dependencies.push(u64::from_be_bytes(*dependency));
        rest = tail;
    }
    Some((labels, rest))
}

/// Why a payload is a miss.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum BadEnvelope {
    /// Shorter than it must be.
    Truncated,
    /// Not written by tricache.
    NotOurs,
    /// Written by a tricache with another envelope.
    UnknownFormat,
    /// Uses something that this release does not know.
    UnknownFlags,
    /// The body is of another type.
    OtherSchema,
    /// Sealed for another key, as its echo says.
    OtherKey,
    /// Changed since it was sealed, or sealed for another key.
    Corrupt,
}

impl BadEnvelope {
    /// The stable label, for metrics and logs.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Truncated => "truncated",
            Self::NotOurs => "not_ours",
            Self::UnknownFormat => "unknown_format",
            Self::UnknownFlags => "unknown_flags",
            Self::OtherSchema => "other_schema",
            Self::OtherKey => "other_key",
            Self::Corrupt => "corrupt",
        }
    }
}

impl Header {
    /// The header with a check of zero.
    fn to_bytes(self, flags: u8) -> [u8; HEADER_LEN] {
        let mut head = [0; HEADER_LEN];
        head[..4].copy_from_slice(&[MAGIC, FORMAT, self.codec, flags]);
        head[4..8].copy_from_slice(&self.schema.to_be_bytes());
        head[8..16].copy_from_slice(&self.epoch.to_be_bytes());
        head[16..24].copy_from_slice(&self.version.to_be_bytes());
        head[24..30].copy_from_slice(&millis(self.birth));
        head[30..36].copy_from_slice(&millis(self.deadline));
        head[36..40].copy_from_slice(&self.load_micros.to_be_bytes());
        head[40..48].copy_from_slice(&self.position.epoch.0.to_be_bytes());
        head[48..56].copy_from_slice(&self.position.n.to_be_bytes());
        head
    }

    fn from_bytes(head: &[u8; HEADER_LEN]) -> Self {
        Self {
            codec: head[2],
            schema: number(head, 4, 8) as u32,
            epoch: number(head, 8, 16),
            version: number(head, 16, 24),
            birth: number(head, 24, 30),
            deadline: number(head, 30, 36),
            load_micros: number(head, 36, 40) as u32,
            position: Position {
                epoch: Epoch(number(head, 40, 48)),
                n: number(head, 48, 56),
            },
            absent: head[3] & ABSENT != 0,
            visibility: if head[3] & USER == 0 {
                Visibility::Public
            } else {
                Visibility::User
            },
        }
    }
}

fn split_header(bytes: &[u8]) -> Result<(&[u8; HEADER_LEN], &[u8]), BadEnvelope> {
    match bytes {
        [] | [MAGIC] => Err(BadEnvelope::Truncated),
        [MAGIC, FORMAT, ..] => bytes.split_first_chunk().ok_or(BadEnvelope::Truncated),
        [MAGIC, ..] => Err(BadEnvelope::UnknownFormat),
        [..] => Err(BadEnvelope::NotOurs),
    }
}

fn push_echo(bytes: &mut Vec<u8>, key: &[u8]) -> Result<(), EncodeError> {
    let len = u32::try_from(key.len()).map_err(|_| EncodeError::too_large(u32::MAX as usize))?;
    bytes.extend_from_slice(&len.to_be_bytes());
    bytes.extend_from_slice(key);
    Ok(())
}

/// The echo with its length, and the body; refused if the echo is not `key`.
fn split_echo<'a>(rest: &'a [u8], key: &[u8]) -> Result<(&'a [u8], &'a [u8]), BadEnvelope> {
    let (len, tail) = rest.split_first_chunk().ok_or(BadEnvelope::Truncated)?;
    let len = u32::from_be_bytes(*len) as usize;
    let echoed = tail.get(..len).ok_or(BadEnvelope::Truncated)?;
    if echoed != key {
        return Err(BadEnvelope::OtherKey);
    }
    Ok(rest.split_at(ECHO_LEN_LEN + len))
}

/// Hashes everything but the body, which stands in the seed.
fn check(content_id: u64, key: &[u8], head: &[u8; HEADER_LEN], echo: &[u8]) -> u64 {
    let parts = [key, &head[..CHECK_AT], echo];
    let len = parts.iter().map(|part| part.len()).sum();
    // The hasher that takes parts allocates; a copy on the stack costs less.
    let mut stack = [0; 256];
    let mut heap = Vec::new();
    let joined = match stack.get_mut(..len) {
        Some(joined) => joined,
        None => {
            heap.resize(len, 0);
            &mut heap[..]
        }
    };
    let mut at = 0;
    for part in parts {
        joined[at..at + part.len()].copy_from_slice(part);
        at += part.len();
    }
    XxHash3_64::oneshot_with_seed(content_id, joined)
}

/// Milliseconds in 48 bits: nearly nine thousand years; later is the last moment that fits.
fn millis(ms: u64) -> [u8; 6] {
    let [_, _, ms @ ..] = ms.min(MAX_MILLIS).to_be_bytes();
    ms
}

fn number(head: &[u8; HEADER_LEN], from: usize, to: usize) -> u64 {
    head[from..to]
        .iter()
        .fold(0, |number, byte| number << 8 | u64::from(*byte))
}

const MAGIC: u8 = 0xC7;
const FORMAT: u8 = 1;
const ECHO: u8 = 1;
const FLAGS_AT: usize = 3;
const CHECK_AT: usize = 56;
const HEADER_LEN: usize = 64;
const ABSENT: u8 = 2;
const LABELS: u8 = 8;
const USER: u8 = 16;
const ECHO_LEN_LEN: usize = 4;
const MAX_MILLIS: u64 = (1 << 48) - 1;
/// Where the vector starts, so that a usual value does not grow it twice.
const TYPICAL_LEN: usize = 512;

#[cfg(test)]
mod tests;
