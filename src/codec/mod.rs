//! Values as bytes: what is written to Redis, and how it is recognised when it comes back.
//!
//! - `codecs`: the trait a codec implements, and the object a cache holds
//! - `bincode`: the default codec; `postcard` and `messagepack`: those beside it, each with its feature
//! - `built_in`: all of these by their ids
//! - `appender`, `bounded`: how much they write, and how deep they read
//! - `positional`: the guard that keeps positional codecs from writing values they would read wrongly
//! - `envelope`: the header, the labels, the content id and the check around a body
//! - `limits`: how long a body may be, and from where on it is compressed
//! - `schema`: the fingerprint of a value type
//! - `encoded_len`: the weight of a value that is not stored as bytes
//! - `error`: why a value could not be encoded or decoded
//!
//! `bincode`, `postcard`, `rmp_serde` and `lz4_flex` are named in this folder only.

mod appender;
mod bincode;
mod bounded;
mod built_in;
mod codecs;
mod encoded_len;
mod envelope;
mod error;
#[cfg(feature = "proof")]
pub(crate) mod fuzz;
mod limits;
#[cfg(feature = "messagepack")]
mod messagepack;
mod positional;
#[cfg(feature = "postcard")]
mod postcard;
#[cfg(test)]
mod samples;
mod schema;

pub use bincode::Bincode;
pub use codecs::Codec;
pub(crate) use codecs::{Of, ValueCodec};
pub(crate) use encoded_len::encoded_len;
pub(crate) use envelope::{Envelope, Expected, Header, check_of, generation, open};
pub use error::{DecodeError, EncodeError};
pub(crate) use limits::{Limits, MAX_BODY};
#[cfg(feature = "messagepack")]
pub use messagepack::MessagePack;
#[cfg(feature = "postcard")]
pub use postcard::Postcard;
pub(crate) use schema::{SchemaError, fingerprint};
