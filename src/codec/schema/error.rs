//! Why a type has no fingerprint, and what to do about it.

use std::error::Error;
use std::fmt;

/// The shape of a value type cannot be told from its `Deserialize` impl.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SchemaError {
    /// Where it ended, such as `Product.attrs.value`.
    path: String,
    reason: Reason,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// The type asks the bytes what it is.
    SelfDescribing,
    /// No sample was accepted here, so what stands behind it was not reached.
    NoSample { last_refusal: String },
    /// More than the tracer is willing to walk through.
    TooLarge,
}

impl SchemaError {
    pub(super) fn new(path: String, reason: Reason) -> Self {
        Self { path, reason }
    }
}

impl fmt::Display for SchemaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no schema fingerprint: `{}` ", self.path)?;
        match &self.reason {
            Reason::SelfDescribing => f.write_str(
                "takes its shape from the bytes \
                 (a JSON value, or `#[serde(flatten, untagged, tag)]`)",
            )?,
            Reason::NoSample { last_refusal } => {
                write!(f, "accepts no sample value ({last_refusal})")?;
            }
            Reason::TooLarge => f.write_str("is nested too deeply or has too many parts")?,
        }
        f.write_str(
            "; number the schema yourself with `.schema(1)` and raise it with each change of the type, \
             or give that part another serde form",
        )?;
        match &self.reason {
            Reason::SelfDescribing => f.write_str(
                "; such a part also needs a self-describing codec, which bincode is not",
            ),
            Reason::NoSample { .. } | Reason::TooLarge => Ok(()),
        }
    }
}

impl Error for SchemaError {}
