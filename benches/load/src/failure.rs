//! Why a run could not be made, in words for the person at the terminal.

use std::fmt;

/// One sentence: what was attempted, and why it did not work.
#[derive(Debug)]
pub(crate) struct Failure(String);

impl Failure {
    /// A failure of `attempt` with the `cause` behind a colon.
    pub(crate) fn new(attempt: impl fmt::Display, cause: impl fmt::Display) -> Self {
        Self(format!("{attempt}: {cause}"))
    }

    /// A failure that explains itself.
    pub(crate) fn plain(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Failure {}
