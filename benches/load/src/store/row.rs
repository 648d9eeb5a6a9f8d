//! One row of the store: what the caches hold.

use serde::{Deserialize, Serialize};

/// A row as it was at one commit.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Row {
    /// The row's key.
    pub(crate) id: u32,
    /// How often the row had been written.
    pub(crate) commit: u64,
    /// 200 bytes that name id and commit.
    pub(crate) payload: String,
}

impl Row {
    /// The row `id` as it is after its `commit`-th write.
    pub(crate) fn new(id: u32, commit: u64) -> Self {
        Self {
            id,
            commit,
            payload: payload(id, commit),
        }
    }

    /// Whether the parts belong together: nothing was torn, mixed up or decoded into something else.
    pub(crate) fn is_whole(&self) -> bool {
        self.payload == payload(self.id, self.commit)
    }
}

fn payload(id: u32, commit: u64) -> String {
    let name = format!("row {id} as of commit {commit} ");
    format!("{name:.<PAYLOAD$}")
}

const PAYLOAD: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payload_has_two_hundred_bytes() {
        assert_eq!(Row::new(0, 0).payload.len(), 200);
        assert_eq!(Row::new(u32::MAX, u64::MAX).payload.len(), 200);
    }

    #[test]
    fn a_row_mixed_from_two_commits_is_not_whole() {
        let mixed = Row {
            commit: 2,
            ..Row::new(7, 1)
        };

        assert!(Row::new(7, 1).is_whole());
        assert!(!mixed.is_whole());
    }
}
