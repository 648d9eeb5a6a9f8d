//! Why a value could not be encoded or decoded.
//!
//! Both errors are opaque, so that a codec may be exchanged without a change for its callers.
//! Neither ever carries a part of the value in its own words; a source may.

use std::error::Error;
use std::fmt;

/// A value could not be turned into bytes.
///
/// Such a value is served all the same and kept in the process; it is not stored in Redis.
#[derive(Debug)]
pub struct EncodeError(EncodeKind);

#[derive(Debug)]
enum EncodeKind {
    SkipField(SkippedField),
    TooLarge { limit: usize },
    TooNested { levels: u16 },
    TooManyLabels { limit: usize },
    Irreversible,
    Other(BoxError),
}

impl EncodeError {
    /// Wraps what a codec reports.
    pub fn new(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self(EncodeKind::Other(source.into()))
    }

    /// Whether the value left a field out that its positional codec cannot do without.
    ///
    /// Two ways out: remove `skip_serializing_if`, or use a codec that writes field names.
    pub fn is_skipped_field(&self) -> bool {
        matches!(self.0, EncodeKind::SkipField(_))
    }

    /// For a codec that stops at a limit by itself; see [`encode_within`](crate::Codec::encode_within).
    pub fn too_large(limit: usize) -> Self {
        Self(EncodeKind::TooLarge { limit })
    }

    /// Whether the encoded value would be larger than its cache or its codec allows.
    pub fn is_too_large(&self) -> bool {
        matches!(self.0, EncodeKind::TooLarge { .. })
    }

    /// Whether the value is nested so deeply that its codec would refuse to read it.
    pub fn is_too_nested(&self) -> bool {
        matches!(self.0, EncodeKind::TooNested { .. })
    }

    pub(crate) fn too_nested(levels: u16) -> Self {
        Self(EncodeKind::TooNested { levels })
    }

    /// Whether the value has more tags or dependencies than an envelope takes.
    pub(crate) fn is_too_many_labels(&self) -> bool {
        matches!(self.0, EncodeKind::TooManyLabels { .. })
    }

    pub(crate) fn too_many_labels(limit: usize) -> Self {
        Self(EncodeKind::TooManyLabels { limit })
    }

    /// Whether such a value must not be kept in the process either: it is too large, or cannot be told when it is old.
    pub(crate) fn is_kept_nowhere(&self) -> bool {
        self.is_too_large() || self.is_too_many_labels()
    }

    pub(crate) fn skipped_field(skipped: SkippedField) -> Self {
        Self(EncodeKind::SkipField(skipped))
    }

    /// Whether the encoded value would come back as another one.
    pub fn is_irreversible(&self) -> bool {
        matches!(self.0, EncodeKind::Irreversible)
    }

    pub(crate) fn irreversible() -> Self {
        Self(EncodeKind::Irreversible)
    }
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            EncodeKind::SkipField(skipped) => skipped.fmt(f),
            EncodeKind::TooLarge { limit } => {
                write!(f, "the encoded value is larger than {limit} bytes")
            }
            EncodeKind::TooNested { levels } => {
                write!(f, "the value is nested deeper than {levels} levels")
            }
            EncodeKind::TooManyLabels { limit } => {
                write!(f, "the value has more than {limit} tags or dependencies")
            }
            EncodeKind::Irreversible => f.write_str(
                "the encoded value would not come back, or as another one: a field is left out on \
                 one side only (`skip_serializing`), or `Deserialize` does not undo `Serialize`",
            ),
            EncodeKind::Other(_) => f.write_str("the value could not be encoded"),
        }
    }
}

impl Error for EncodeError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.0 {
            EncodeKind::Other(source) => Some(source.as_ref()),
            EncodeKind::SkipField(_)
            | EncodeKind::TooLarge { .. }
            | EncodeKind::TooNested { .. }
            | EncodeKind::TooManyLabels { .. }
            | EncodeKind::Irreversible => None,
        }
    }
}

/// Bytes could not be turned into a value.
///
/// A cache treats such bytes as a miss: they are dropped, counted, and loaded anew.
#[derive(Debug)]
pub struct DecodeError(DecodeKind);

#[derive(Debug)]
enum DecodeKind {
    OtherCodec { id: u8 },
    TooLarge { limit: usize },
    TooNested { levels: u16 },
    LeftOver { bytes: usize },
    Other(BoxError),
}

impl DecodeError {
    /// Wraps what a codec reports.
    pub fn new(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self(DecodeKind::Other(source.into()))
    }

    pub(crate) fn too_large(limit: usize) -> Self {
        Self(DecodeKind::TooLarge { limit })
    }

    /// Whether the bytes are of a codec that is not at hand.
    pub(crate) fn is_other_codec(&self) -> bool {
        matches!(self.0, DecodeKind::OtherCodec { .. })
    }

    pub(crate) fn other_codec(id: u8) -> Self {
        Self(DecodeKind::OtherCodec { id })
    }

    pub(crate) fn is_too_nested(&self) -> bool {
        matches!(self.0, DecodeKind::TooNested { .. })
    }

    pub(crate) fn too_nested(levels: u16) -> Self {
        Self(DecodeKind::TooNested { levels })
    }

    pub(crate) fn left_over(bytes: usize) -> Self {
        Self(DecodeKind::LeftOver { bytes })
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            DecodeKind::OtherCodec { id } => {
                write!(
                    f,
                    "the bytes were written by codec {id}, which is not at hand"
                )
            }
            DecodeKind::TooLarge { limit } => write!(f, "the bytes claim more than {limit} bytes"),
            DecodeKind::TooNested { levels } => write!(
                f,
                "the bytes nest values deeper than {levels} levels, or claim elements without end"
            ),
            DecodeKind::LeftOver { bytes } => {
                write!(f, "{bytes} bytes are left over behind the value")
            }
            DecodeKind::Other(_) => f.write_str("the bytes could not be decoded"),
        }
    }
}

impl Error for DecodeError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.0 {
            DecodeKind::Other(source) => Some(source.as_ref()),
            DecodeKind::OtherCodec { .. }
            | DecodeKind::TooLarge { .. }
            | DecodeKind::TooNested { .. }
            | DecodeKind::LeftOver { .. } => None,
        }
    }
}

/// Where a value left a field out: in a struct, or in a struct variant of an enum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SkippedField {
    pub(crate) type_name: &'static str,
    pub(crate) variant: Option<&'static str>,
    /// `None` if fewer fields were written than announced, and none was reported as skipped.
    pub(crate) field: Option<&'static str>,
}

impl fmt::Display for SkippedField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}", self.type_name)?;
        if let Some(variant) = self.variant {
            write!(f, "::{variant}")?;
        }
        match self.field {
            Some(field) => write!(f, "` leaves out its field `{field}`")?,
            None => f.write_str("` writes fewer fields than it announces")?,
        }
        f.write_str(
            ", so a codec that tells fields by their position would read a wrong value; \
             remove `skip_serializing_if`, or use a codec that writes field names",
        )
    }
}

type BoxError = Box<dyn Error + Send + Sync>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_skipped_field_is_named_with_its_type_and_the_two_ways_out() {
        let skipped = SkippedField {
            type_name: "Event",
            variant: Some("Renamed"),
            field: Some("by"),
        };

        let error = EncodeError::skipped_field(skipped);

        assert!(error.is_skipped_field());
        let message = error.to_string();
        assert!(message.starts_with("`Event::Renamed` leaves out its field `by`"));
        assert!(message.contains("skip_serializing_if") && message.contains("field names"));
    }

    #[test]
    fn the_source_of_a_codec_error_is_kept() {
        let encode = EncodeError::new("disk on fire");
        let decode = DecodeError::new("disk on fire");

        assert_eq!(encode.source().unwrap().to_string(), "disk on fire");
        assert_eq!(decode.source().unwrap().to_string(), "disk on fire");
    }
}
