//! Values as bytes: what is written to Redis, and how it is recognised when it comes back.
//!
//! - `codecs`: the trait a codec implements, and the object a cache holds
//! - `bincode`: the default codec
//! - `positional`: the guard that keeps positional codecs from writing values they would read wrongly
//! - `envelope`: the header, the content id and the check around a body
//! - `schema`: the fingerprint of a value type
//! - `encoded_len`: the weight of a value that is not stored as bytes
//! - `error`: why a value could not be encoded or decoded
//!
//! `bincode` is named in this folder only.

mod bincode;
mod codecs;
mod encoded_len;
mod envelope;
mod error;
mod positional;
mod schema;

pub use bincode::Bincode;
pub use codecs::Codec;
pub(crate) use codecs::{Of, ValueCodec};
pub(crate) use encoded_len::encoded_len;
pub(crate) use envelope::{Expected, Header, check_of, generation, open, seal};
pub use error::{DecodeError, EncodeError};
pub(crate) use schema::{SchemaError, fingerprint};
