//! How long a body may be, and from where on it is compressed.

use crate::error::Error;

/// The two lengths of a cache, in bytes of an encoded value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Longer bodies are compressed.
    pub(crate) compress_above: usize,
    /// Longer bodies are neither written nor read.
    pub(crate) max_value_bytes: usize,
}

impl Limits {
    /// The same, if a value fits at all.
    pub(crate) fn checked(self) -> Result<Self, Error> {
        if (1..=MAX_BODY).contains(&self.max_value_bytes) {
            return Ok(self);
        }
        Err(Error::config(format!(
            "the max_value_bytes of {} is refused: it must be 1 to {MAX_BODY}",
            self.max_value_bytes
        )))
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            compress_above: 1 << 10,
            max_value_bytes: 1 << 20,
        }
    }
}

/// The longest body that any codec writes or reads: 16 MiB.
pub(crate) const MAX_BODY: usize = 16 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_of_nothing_or_of_more_than_a_codec_takes_is_refused() {
        let checked = |max_value_bytes| {
            Limits {
                max_value_bytes,
                ..Limits::default()
            }
            .checked()
        };

        assert!(checked(1).is_ok() && checked(MAX_BODY).is_ok());
        for refused in [0, MAX_BODY + 1, usize::MAX] {
            let error = checked(refused).unwrap_err();
            assert!(error.is_config() && error.to_string().contains("max_value_bytes"));
        }
    }
}
