//! What a read showed, row by row.

use super::rows::{Page, Row, Sight, Subject, essential};
use tricache::{Cached, Error, OptionalExt, Outcome};

/// What was shown of one row or page.
#[derive(Debug)]
pub(super) struct Answer {
    /// Rows and their commits; `None` for one that is deleted.
    pub(super) shown: Vec<(Row, Option<u64>)>,
    /// `None`: it is absent.
    pub(super) outcome: Option<Outcome>,
    pub(super) inserted: bool,
    /// What was answered: a row or a page, never many.
    pub(super) subject: Subject,
    /// It was read together with others.
    pub(super) batched: bool,
}

impl Answer {
    pub(super) fn of_row(row: Row, read: Result<Cached<Sight>, Error>) -> Self {
        let subject = Subject::Row(row);
        match read.optional().unwrap() {
            Some(sight) => Self {
                shown: vec![(row, Some(sight.commit))],
                outcome: Some(sight.outcome()),
                inserted: sight.inserted,
                subject,
                batched: false,
            },
            None => Self::absent(subject, row),
        }
    }

    pub(super) fn of_page(page: u64, read: Result<Cached<Page>, Error>) -> Self {
        let subject = Subject::Page(page);
        match read.optional().unwrap() {
            Some(shown) => Self {
                shown: subject
                    .rows()
                    .into_iter()
                    .zip(shown.iter().copied())
                    .collect(),
                outcome: Some(shown.outcome()),
                inserted: false,
                subject,
                batched: false,
            },
            None => Self::absent(subject, essential(page)),
        }
    }

    pub(super) fn of_batch(self) -> Self {
        Self {
            batched: true,
            ..self
        }
    }

    /// Whether some tier held it.
    pub(super) fn is_kept(&self) -> bool {
        self.outcome
            .is_some_and(|outcome| outcome != Outcome::Loaded)
    }

    fn absent(subject: Subject, row: Row) -> Self {
        Self {
            shown: vec![(row, None)],
            outcome: None,
            inserted: false,
            subject,
            batched: false,
        }
    }
}
