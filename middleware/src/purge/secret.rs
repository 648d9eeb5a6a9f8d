//! What is never shown: tokens and keys of vendors.

use std::{fmt, sync::Arc};

use http::HeaderValue;

use super::error::PurgeError;

/// A vendor's token. It appears in the calls to that vendor and nowhere else: not in `Debug`, errors, logs or reports.
///
/// # Examples
/// ```
/// use tricache_middleware::purge::Secret;
///
/// let token = Secret::new("hunter2")?;
///
/// assert_eq!(format!("{token:?}"), "Secret(..)");
/// # Ok::<_, tricache_middleware::purge::PurgeError>(())
/// ```
#[derive(Clone)]
pub struct Secret(Arc<str>);

impl Secret {
    /// Takes the token as the vendor spells it; white space around it, as a file has it, is dropped.
    ///
    /// # Errors
    /// It is empty, or has bytes that cannot stand in a header.
    pub fn new(token: impl AsRef<str>) -> Result<Self, PurgeError> {
        let token = token.as_ref().trim();
        if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(PurgeError::config(
                "a token is empty, or has a byte other than visible ASCII",
            ));
        }
        Ok(Self(token.into()))
    }

    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }

    /// As a header that the HTTP client does not show either.
    pub(crate) fn header(&self, before: &str) -> HeaderValue {
        let text = format!("{before}{}", self.0);
        // Visible ASCII, as `new` has seen to, is a header's value.
        let mut value = HeaderValue::from_str(&text).expect("visible ASCII");
        value.set_sensitive(true);
        value
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_that_cannot_be_sent_is_refused_without_being_shown() {
        for token in ["", "  ", "hunter\n2", "hunter 2", "hünter2"] {
            let error = Secret::new(token).unwrap_err();

            assert!(error.is_config());
            assert!(!error.to_string().contains("unter"), "{error}");
        }
    }

    #[test]
    fn the_line_break_at_the_end_of_a_file_is_dropped() {
        assert_eq!(Secret::new("hunter2\n").unwrap().reveal(), "hunter2");
    }

    #[test]
    fn a_header_of_it_does_not_show_it() {
        let header = Secret::new("hunter2").unwrap().header("Bearer ");

        assert_eq!(header, "Bearer hunter2");
        assert!(!format!("{header:?}").contains("hunter2"));
    }
}
