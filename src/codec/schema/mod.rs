//! The fingerprint of a value type: equal shape, equal number; a changed struct, another number.
//!
//! It is taken from the type's `Deserialize` impl alone, by asking it to read from a deserializer
//! that answers with samples and notes what it is asked for:
//!
//! - `probe`, `access`, `samples`: that deserializer, which goes down one path per pass
//! - `walk`: pass after pass, breadth first, until the whole type is known
//! - `canon`: the same types in the same words, however the compiler names them
//! - `shape`: what stands at one place of a type
//!
//! A description holds the names serde sees (structs, fields, variants), their order, their types and
//! their nesting. It holds no module path and no `type_name`: neither survives a new compiler or a
//! moved module.

mod access;
mod canon;
mod error;
#[cfg(feature = "proof")]
pub(super) mod fuzz;
mod probe;
mod samples;
mod shape;
mod walk;

#[cfg(test)]
mod golden;
#[cfg(test)]
mod tests;

use serde::de::DeserializeOwned;
use twox_hash::XxHash3_64;

pub(crate) use error::SchemaError;

/// The fingerprint of `V` as a codec reads it whose `is_human_readable` answers `human_readable`.
///
/// Costs some tens of microseconds: ask once per cache.
pub(crate) fn fingerprint<V: DeserializeOwned>(human_readable: bool) -> Result<u64, SchemaError> {
    let description = describe::<V>(human_readable)?;
    Ok(XxHash3_64::oneshot(description.as_bytes()))
}

/// What the fingerprint is the hash of: one line per distinct type, the root first.
fn describe<V: DeserializeOwned>(human_readable: bool) -> Result<String, SchemaError> {
    walk::walk::<V>(human_readable).map(|graph| canon::describe(&graph))
}
