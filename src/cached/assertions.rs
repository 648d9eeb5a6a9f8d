//! What a test wants to know of an answer, with messages that tell all of it.

use super::Cached;
use crate::{model::Tag, outcome::Outcome};

/// For tests: with the feature `test-util` only. Each answers itself, so that they can be chained.
impl<V> Cached<V> {
    /// Asserts where the answer came from.
    ///
    /// # Panics
    /// If it came from elsewhere.
    #[track_caller]
    pub fn assert_outcome(&self, expected: Outcome) -> &Self {
        let outcome = self.outcome();
        assert!(
            outcome == expected,
            "expected the outcome {expected}, found {}",
            self.facts()
        );
        self
    }

    /// Asserts that it is within its TTL.
    ///
    /// # Panics
    /// If it is [stale](Self::is_stale).
    #[track_caller]
    pub fn assert_fresh(&self) -> &Self {
        assert!(
            !self.is_stale(),
            "expected a fresh value, found {}",
            self.facts()
        );
        self
    }

    /// Asserts that it is past its TTL and served inside a stale window.
    ///
    /// # Panics
    /// If it is not [stale](Self::is_stale).
    #[track_caller]
    pub fn assert_stale(&self) -> &Self {
        assert!(
            self.is_stale(),
            "expected a stale value, found {}",
            self.facts()
        );
        self
    }

    /// Asserts that it has these tags and no others, those of the values among them that its load has read. Their order does not
    /// matter.
    ///
    /// # Panics
    /// If its tags are others.
    #[track_caller]
    pub fn assert_tags<T: Into<Tag>>(&self, expected: impl IntoIterator<Item = T>) -> &Self {
        let mut expected: Vec<Tag> = expected.into_iter().map(Into::into).collect();
        expected.sort_unstable();
        expected.dedup();
        assert!(
            self.tags() == expected,
            "expected the tags {}, found {}",
            listed(&expected),
            self.facts()
        );
        self
    }

    /// All that is known of it but the value, which may have no `Debug`.
    fn facts(&self) -> String {
        format!(
            "{} with an age of {:?}, {:?} remaining, and the tags {}",
            self.outcome(),
            self.age(),
            self.remaining(),
            listed(self.tags())
        )
    }
}

fn listed(tags: &[Tag]) -> String {
    let names: Vec<_> = tags.iter().map(Tag::as_str).collect();
    format!("[{}]", names.join(", "))
}
