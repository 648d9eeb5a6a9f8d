//! A secret that requests may carry. It is shown nowhere.

use std::{fmt, sync::Arc};

use http::HeaderValue;

#[derive(Clone)]
pub(crate) struct Secret(Arc<[u8]>);

impl Secret {
    pub(crate) fn new(secret: &str) -> Self {
        Self(secret.as_bytes().into())
    }

    /// Compares all bytes whatever the first are, so that nobody learns from the time how many were right. Nothing is
    /// the empty secret.
    pub(crate) fn is(&self, given: &HeaderValue) -> bool {
        let given = given.as_bytes();
        let differing = self
            .0
            .iter()
            .zip(given)
            .fold(0, |sum, (a, b)| sum | (a ^ b));
        !self.0.is_empty() && self.0.len() == given.len() && std::hint::black_box(differing) == 0
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
    fn only_the_whole_secret_is_the_secret() {
        let secret = Secret::new("sesame");

        assert!(secret.is(&HeaderValue::from_static("sesame")));
        for wrong in ["", "sesam", "sesame!", "Sesame"] {
            assert!(!secret.is(&HeaderValue::from_static(wrong)), "{wrong}");
        }
        assert!(!Secret::new("").is(&HeaderValue::from_static("")));
    }

    #[test]
    fn a_secret_is_not_shown() {
        assert_eq!(format!("{:?}", Secret::new("sesame")), "Secret(..)");
    }
}
