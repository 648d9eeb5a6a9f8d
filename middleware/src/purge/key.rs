//! What can be a key at any vendor: it goes into headers, into JSON and XML, and between separators.
//!
//! Checked once, where keys enter the queue. A key with a space or a comma would be two keys at some vendor, and one with a line
//! break two headers.

use std::sync::Arc;

use super::error::PurgeError;

/// # Errors
/// The key is empty, longer than any edge stores, or has bytes that separate keys somewhere.
pub(crate) fn checked(key: &str) -> Result<Arc<str>, PurgeError> {
    if key.is_empty() {
        return Err(PurgeError::config("a surrogate key is empty"));
    }
    if key.len() > LONGEST {
        return Err(PurgeError::config(format!(
            "a surrogate key has {} bytes, and no edge stores one of more than {LONGEST}",
            key.len()
        )));
    }
    if !key.bytes().all(is_portable) {
        return Err(PurgeError::config(
            "a surrogate key has a byte other than visible ASCII, or a comma; spell names with surrogate_key",
        ));
    }
    Ok(key.into())
}

fn is_portable(byte: u8) -> bool {
    byte.is_ascii_graphic() && byte != b','
}

/// Fastly and Cloudflare take so many bytes; the others less, which their limits say.
const LONGEST: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_middleware_writes_is_a_key() {
        for key in crate::purge_keys("Wörter/a b,c") {
            assert_eq!(&*checked(&key).unwrap(), key);
        }
    }

    #[test]
    fn what_would_be_two_keys_or_two_headers_is_none() {
        let long = "x".repeat(1025);
        for key in ["", "a b", "a,b", "a\r\nx: y", "a\0", "ä", long.as_str()] {
            assert!(checked(key).unwrap_err().is_config(), "{key:?}");
        }
    }
}
