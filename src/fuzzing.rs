//! What reads foreign bytes, as functions of bytes: the fuzzers in `fuzz/` call them, and a test runs their corpus.
//!
//! Each panics where a promise is broken, and says otherwise whether the bytes were of any use, by which a corpus can be
//! judged.

use crate::{CacheKey, KeyWriter, codec, model::RenderedKey, remote};

/// Any bytes as a payload in Redis.
#[must_use]
pub fn payload(data: &[u8]) -> bool {
    let foreign = codec::fuzz::foreign(data);
    codec::fuzz::forged(data) | foreign
}

/// A value that is sealed, then changed in one bit or asked for under another key.
#[must_use]
pub fn sealed(data: &[u8]) -> bool {
    codec::fuzz::sealed(data)
}

/// Any bytes as the body of a value, for each codec.
#[must_use]
pub fn body(data: &[u8]) -> bool {
    codec::fuzz::body(data)
}

/// The bytes as two keys of several parts: rendered alike if they are the same, and otherwise not.
#[must_use]
pub fn key(data: &[u8]) -> bool {
    let (first, second) = data.split_at(data.len() / 2);
    let (first, second) = (Parts::of(first), Parts::of(second));
    let rendered = [&first, &second].map(|key| RenderedKey::new(key, 7));
    assert_eq!(first == second, rendered[0].bytes() == rendered[1].bytes());
    for key in &rendered {
        let short = key.short();
        // Nothing breaks out of a Redis key, or of a line of a protocol.
        let inert = |byte: &u8| byte.is_ascii_graphic() && !b"{}:".contains(byte);
        assert!(short.iter().all(inert), "{short:?}");
        assert!(short.len() <= key.bytes().len().max(33));
    }
    first != second
}

/// Any bytes as each record in Redis, and as a push.
#[must_use]
pub fn record(data: &[u8]) -> bool {
    remote::fuzz::record(data)
}

/// Any value as the answer to each script.
#[must_use]
pub fn reply(data: &[u8]) -> bool {
    remote::fuzz::reply(data)
}

/// The bytes as a type, whose fingerprint is taken.
#[must_use]
pub fn schema(data: &[u8]) -> bool {
    codec::fuzz::trace(data, true) | codec::fuzz::trace(data, false)
}

/// A key as its type would write it.
#[derive(PartialEq)]
struct Parts(Vec<Part>);

#[derive(PartialEq)]
enum Part {
    Int(i128),
    Text(String),
    Bytes(Vec<u8>),
}

impl Parts {
    fn of(mut data: &[u8]) -> Self {
        let mut parts = Vec::new();
        while let [kind, rest @ ..] = data {
            let (part, rest) = rest.split_at(rest.len().min(usize::from(kind >> 2)));
            parts.push(match kind % 4 {
                0 => Part::Int(number(part)),
                1 => Part::Bytes(part.to_vec()),
                _ => Part::Text(String::from_utf8_lossy(part).into_owned()),
            });
            data = rest;
        }
        Self(parts)
    }
}

impl CacheKey for Parts {
    fn render(&self, out: &mut KeyWriter) {
        for part in &self.0 {
            match part {
                Part::Int(number) => out.int(*number),
                Part::Text(text) => out.text(text),
                Part::Bytes(bytes) => out.bytes(bytes),
            }
        }
    }
}

fn number(bytes: &[u8]) -> i128 {
    let mut number = [0; 16];
    let len = bytes.len().min(16);
    number[..len].copy_from_slice(&bytes[..len]);
    i128::from_le_bytes(number)
}
