//! The header: 64 bytes that say what a body is, and the flags that say what else there is.
//!
//! The script that hands a value to a reader finds epoch and version in it, so they stay where they are.

use crate::model::{Epoch, Position, Visibility};

use super::BadEnvelope;

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
    /// When the load began: ms of Redis time, at most 48 bits.
    pub(crate) birth: u64,
    /// When the value is dead: ms of Redis time, at most 48 bits.
    pub(crate) deadline: u64,
    /// How long the load took, in microseconds.
    pub(crate) load_micros: u32,
    /// What the node had applied of the tag feed before the load.
    pub(crate) position: Position,
    /// The store has no such value: there is no body.
    pub(crate) absent: bool,
    /// Who may see the value.
    pub(crate) visibility: Visibility,
}

impl Header {
    /// The header with these flags beside its own, and a check of zero.
    pub(super) fn to_bytes(self, flags: u8) -> [u8; HEADER_LEN] {
        let mut head = [0; HEADER_LEN];
        head[..4].copy_from_slice(&[MAGIC, FORMAT, self.codec, flags | self.own_flags()]);
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

    pub(super) fn from_bytes(head: &[u8; HEADER_LEN]) -> Self {
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
            absent: head[FLAGS_AT] & ABSENT != 0,
            visibility: match head[FLAGS_AT] & USER {
                0 => Visibility::Public,
                _ => Visibility::User,
            },
        }
    }

    fn own_flags(self) -> u8 {
        let absent = if self.absent { ABSENT } else { 0 };
        match self.visibility {
            Visibility::Public => absent,
            Visibility::User => absent | USER,
        }
    }
}

/// Header and rest, if the bytes are of this format and long enough.
pub(super) fn split(bytes: &[u8]) -> Result<(&[u8; HEADER_LEN], &[u8]), BadEnvelope> {
    match bytes {
        [] | [MAGIC] => Err(BadEnvelope::Truncated),
        [MAGIC, FORMAT, ..] => bytes.split_first_chunk().ok_or(BadEnvelope::Truncated),
        [MAGIC, ..] => Err(BadEnvelope::UnknownFormat),
        [..] => Err(BadEnvelope::NotOurs),
    }
}

/// The flags, if this release knows all of them.
pub(super) fn flags(head: &[u8; HEADER_LEN]) -> Result<u8, BadEnvelope> {
    match head[FLAGS_AT] & !KNOWN {
        0 => Ok(head[FLAGS_AT]),
        _ => Err(BadEnvelope::UnknownFlags),
    }
}

/// Epoch and version of a payload, without a look at anything else.
///
/// For comparing only: what is served goes through [`open`](super::open).
pub(crate) fn generation(bytes: &[u8]) -> Option<(u64, u64)> {
    let (head, _) = split(bytes).ok()?;
    Some((number(head, 8, 16), number(head, 16, 24)))
}

/// The check as it stands in a whole header of ours: what tells one payload from any other.
pub(crate) fn check_of(bytes: &[u8]) -> Option<[u8; 8]> {
    let (head, _) = split(bytes).ok()?;
    head.last_chunk().copied()
}

/// Milliseconds in 48 bits: nearly nine thousand years; later is the last moment that fits.
fn millis(ms: u64) -> [u8; 6] {
    let [_, _, ms @ ..] = ms.min(MAX_MILLIS).to_be_bytes();
    ms
}

pub(super) fn number(head: &[u8; HEADER_LEN], from: usize, to: usize) -> u64 {
    head[from..to]
        .iter()
        .fold(0, |number, byte| number << 8 | u64::from(*byte))
}

pub(super) const ECHO: u8 = 1;
pub(super) const ABSENT: u8 = 1 << 1;
pub(super) const COMPRESSED: u8 = 1 << 2;
pub(super) const LABELS: u8 = 1 << 3;
const USER: u8 = 1 << 4;
const KNOWN: u8 = ECHO | ABSENT | COMPRESSED | LABELS | USER;

const MAGIC: u8 = 0xC7;
const FORMAT: u8 = 1;
pub(super) const FLAGS_AT: usize = 3;
pub(super) const CHECK_AT: usize = 56;
pub(super) const HEADER_LEN: usize = 64;
pub(super) const MAX_MILLIS: u64 = (1 << 48) - 1;
