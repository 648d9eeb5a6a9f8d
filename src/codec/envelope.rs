//! The envelope: 64 bytes in front of each body, which prove that it is the value that was asked for.
//!
//! All numbers are big-endian.
//!
//! | bytes | what |
//! |---|---|
//! | 0 | magic, `0xC7` |
//! | 1 | format, 1 |
//! | 2 | codec id |
//! | 3 | flags: bit 0 = the key follows (echo), 1 = absent, 2 = compressed, 3 = labels follow, 4 = for one user |
//! | 4..8 | schema: the low 32 bits of the fingerprint |
//! | 8..16 | epoch |
//! | 16..24 | version |
//! | 24..30 | birth: ms of Redis time at the start of the load |
//! | 30..36 | deadline: ms of Redis time |
//! | 36..40 | how long the load took, µs, saturating |
//! | 40..48 | position in the tag feed: epoch |
//! | 48..56 | position in the tag feed: n |
//! | 56..64 | check |
//!
//! Then, each if its flag is set, the echo (length as u32, the rendered key) and the labels (`labels.rs`); then the body,
//! which is empty if the value is absent, and may be compressed (`lz4.rs`).
//!
//! The *check* is the hash, seeded with the hash of the body as it is stored, of the key, of the header before the
//! check and of the sections: so the body is read once, a payload that stands under a key it was not sealed for does
//! not open, and nothing is parsed or decompressed that was not proven. The *content id* is the hash of the raw body
//! alone: the same with and without compression, and over versions.
//!
//! A flag that this format does not name is refused, since it may change the meaning of the rest.

#[cfg(feature = "proof")]
pub(super) mod fuzz;
mod header;
mod labels;
mod lz4;
#[cfg(test)]
mod tests;

use std::{borrow::Cow, num::NonZeroU32};

use twox_hash::XxHash3_64;

use crate::codec::{EncodeError, Limits};
use crate::model::{Labels, Seal};

use self::header::{ABSENT, CHECK_AT, COMPRESSED, ECHO, FLAGS_AT, HEADER_LEN, LABELS};
pub(crate) use self::header::{Header, check_of, generation};

/// What is to be written around a body.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Envelope<'a> {
    /// What it says about the body.
    pub(crate) header: Header,
    /// The rendered key that it is sealed for.
    pub(crate) key: &'a [u8],
    /// Whether the key is written too, so that a payload found in Redis tells whose it is.
    pub(crate) echo: bool,
    /// The tags and dependencies of the value.
    pub(crate) labels: &'a Labels,
    /// From where on the body is compressed.
    pub(crate) limits: Limits,
}

/// A payload ready to be stored.
#[derive(Debug)]
pub(crate) struct Sealed {
    /// Header, sections and body.
    pub(crate) bytes: Vec<u8>,
    /// By which it is known.
    pub(crate) seal: Seal,
    /// The length of the raw body alone.
    pub(crate) body_len: usize,
}

impl Envelope<'_> {
    /// Writes the body behind its header and closes the envelope. An absent value has no body to encode.
    pub(crate) fn seal(
        &self,
        encode_body: impl FnOnce(&mut Vec<u8>) -> Result<(), EncodeError>,
    ) -> Result<Sealed, EncodeError> {
        let mut bytes = self.front()?;
        let body_at = bytes.len();
        if !self.header.absent {
            encode_own(&mut bytes, encode_body)?;
        }

        let body = &bytes[body_at..];
        let (content_id, body_len) = (XxHash3_64::oneshot(body), body.len());
        let stored_id = match self.compressed(body) {
            None => content_id,
            Some(packed) => {
                bytes.truncate(body_at);
                bytes.extend_from_slice(&packed);
                bytes[FLAGS_AT] |= COMPRESSED;
                XxHash3_64::oneshot(&packed)
            }
        };
        let seal = self.close(&mut bytes, body_at, content_id, stored_id)?;
        Ok(Sealed {
            bytes,
            seal,
            body_len,
        })
    }

    /// A front for a body that is sealed already: what is to stand before it from now on, and by what the whole is known then.
    pub(crate) fn reseal(&self, body: &Seal) -> Result<(Vec<u8>, Seal), EncodeError> {
        let mut front = self.front()?;
        if body.stored_id != body.content_id {
            front[FLAGS_AT] |= COMPRESSED;
        }
        let len = front.len();
        let seal = self.close(&mut front, len, body.content_id, body.stored_id)?;
        Ok((front, seal))
    }

    /// Writes the check.
    fn close(
        &self,
        bytes: &mut [u8],
        body_at: usize,
        content_id: u64,
        stored_id: u64,
    ) -> Result<Seal, EncodeError> {
        let front = u32::try_from(body_at).ok().and_then(NonZeroU32::new);
        let front = front.ok_or_else(|| EncodeError::too_large(u32::MAX as usize))?;
        let check = check(stored_id, self.key, &bytes[..body_at]).to_be_bytes();
        bytes[CHECK_AT..HEADER_LEN].copy_from_slice(&check);
        Ok(Seal {
            check,
            content_id,
            stored_id,
            front,
            codec: self.header.codec,
        })
    }

    /// Header, echo and labels.
    fn front(&self) -> Result<Vec<u8>, EncodeError> {
        let echo = if self.echo { ECHO } else { 0 };
        let labels = if self.labels.is_empty() { 0 } else { LABELS };
        let mut bytes = Vec::with_capacity(TYPICAL_LEN);
        bytes.extend_from_slice(&self.header.to_bytes(echo | labels));
        if self.echo {
            push_echo(&mut bytes, self.key)?;
        }
        if !self.labels.is_empty() {
            labels::push(self.labels, &mut bytes)?;
        }
        Ok(bytes)
    }

    fn compressed(&self, body: &[u8]) -> Option<Vec<u8>> {
        let long = body.len() > self.limits.compress_above;
        long.then(|| lz4::compressed(body)).flatten()
    }
}

/// Lets the codec append, and nothing else.
fn encode_own(
    bytes: &mut Vec<u8>,
    encode_body: impl FnOnce(&mut Vec<u8>) -> Result<(), EncodeError>,
) -> Result<(), EncodeError> {
    let body_at = bytes.len();
    let mut head = [0; HEADER_LEN];
    head.copy_from_slice(&bytes[..HEADER_LEN]);
    encode_body(bytes)?;
    // A codec that clears `out` would make a payload of its own.
    if bytes.len() < body_at || !bytes.starts_with(&head) {
        return Err(EncodeError::new(
            "the codec changed bytes that were not its own",
        ));
    }
    Ok(())
}

/// What a reader can read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Expected {
    /// The low 32 bits of its fingerprint.
    pub(crate) schema: u32,
    /// The longest raw body.
    pub(crate) max_value_bytes: usize,
}

/// A payload that is whole and belongs to the key.
#[derive(Debug)]
pub(crate) struct Opened<'a> {
    /// What the envelope says.
    pub(crate) header: Header,
    /// The tags and dependencies of the value.
    pub(crate) labels: Labels,
    /// What the codec wrote.
    pub(crate) body: Cow<'a, [u8]>,
    /// By which it is known.
    pub(crate) seal: Seal,
}

/// Checks a payload and takes its body out.
///
/// In this order: what the header says, then the check of all of it, and only then labels and body.
pub(crate) fn open<'a>(
    bytes: &'a [u8],
    key: &[u8],
    expected: Expected,
) -> Result<Opened<'a>, BadEnvelope> {
    let (head, rest) = header::split(bytes)?;
    let flags = header::flags(head)?;
    let header = Header::from_bytes(head);
    if header.schema != expected.schema {
        return Err(BadEnvelope::OtherSchema);
    }
    let (echo, rest) = section(rest, flags & ECHO != 0)?;
    if echo.is_some_and(|echo| echo != key) {
        return Err(BadEnvelope::OtherKey);
    }
    let (labels, body) = section(rest, flags & LABELS != 0)?;
    if body.len() > expected.max_value_bytes {
        return Err(BadEnvelope::TooLarge);
    }
    let stored_id = XxHash3_64::oneshot(body);
    let front = &bytes[..bytes.len() - body.len()];
    let check = check(stored_id, key, front);
    if check.to_be_bytes() != head[CHECK_AT..] {
        return Err(BadEnvelope::Corrupt);
    }

    let labels = match labels {
        Some(section) => labels::parse(section).ok_or(BadEnvelope::Malformed)?,
        None => Labels::default(),
    };
    if flags & ABSENT != 0 && !body.is_empty() {
        return Err(BadEnvelope::Malformed);
    }
    let (body, content_id) = if flags & COMPRESSED == 0 {
        (Cow::Borrowed(body), stored_id)
    } else {
        let raw = lz4::raw(body, expected.max_value_bytes)?;
        let content_id = XxHash3_64::oneshot(&raw);
        (Cow::Owned(raw), content_id)
    };
    Ok(Opened {
        header,
        labels,
        body,
        seal: Seal {
            check: check.to_be_bytes(),
            content_id,
            stored_id,
            front: u32::try_from(front.len())
                .ok()
                .and_then(NonZeroU32::new)
                .ok_or(BadEnvelope::TooLarge)?,
            codec: header.codec,
        },
    })
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
    /// The body is longer than the cache takes.
    TooLarge,
    /// Changed since it was sealed, or sealed for another key.
    Corrupt,
    /// Sealed as it is, but not in a form that this format has.
    Malformed,
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
            Self::TooLarge => "too_large",
            Self::Corrupt => "corrupt",
            Self::Malformed => "malformed",
        }
    }
}

fn push_echo(bytes: &mut Vec<u8>, key: &[u8]) -> Result<(), EncodeError> {
    let len = u32::try_from(key.len()).map_err(|_| EncodeError::too_large(u32::MAX as usize))?;
    bytes.extend_from_slice(&len.to_be_bytes());
    bytes.extend_from_slice(key);
    Ok(())
}

/// What stands in a section behind its length, if there is one, and what follows it.
fn section(rest: &[u8], there: bool) -> Result<(Option<&[u8]>, &[u8]), BadEnvelope> {
    if !there {
        return Ok((None, rest));
    }
    let (len, rest) = rest.split_first_chunk().ok_or(BadEnvelope::Truncated)?;
    let (section, rest) = rest
        .split_at_checked(u32::from_be_bytes(*len) as usize)
        .ok_or(BadEnvelope::Truncated)?;
    Ok((Some(section), rest))
}

/// Hashes everything but the body, which stands in the seed, and the check itself.
fn check(body_hash: u64, key: &[u8], front: &[u8]) -> u64 {
    let parts = [key, &front[..CHECK_AT], &front[HEADER_LEN..]];
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
    XxHash3_64::oneshot_with_seed(body_hash, joined)
}

/// Where the vector starts, so that a usual value does not grow it twice.
const TYPICAL_LEN: usize = 512;
