//! Reads of the races, and what they owe their callers.

use super::{
    Race,
    answers::Answer,
    counts::Seen,
    rows::{Kind, PIN, Page, Row, Sight, Subject},
    steps::Pause,
};
use std::sync::Arc;
use tricache::{Outcome, Policy, TieredCache, Tiers};

/// The caches of one node.
pub(super) struct Caches {
    rows: [TieredCache<u64, Sight>; super::rows::KINDS.len()],
    pub(super) pages: TieredCache<u64, Page>,
}

/// The floors of a read: the rows of its subject, and the oldest commit that each may show.
type Owed = Vec<(Row, u64)>;

impl Caches {
    /// Caches that hold nothing yet.
    pub(super) fn of(tiers: &Tiers, policy: Policy) -> Self {
        let of_kind = |kind: Kind| tiers.cache(&format!("{kind:?}"), policy).unwrap();
        Self {
            rows: super::rows::KINDS.map(of_kind),
            pages: tiers.cache("Page", policy).unwrap(),
        }
    }

    pub(super) fn of_kind(&self, kind: Kind) -> &TieredCache<u64, Sight> {
        &self.rows[kind as usize]
    }

    /// What some tier holds.
    async fn look(&self, subject: Subject) -> Vec<Answer> {
        match subject {
            Subject::Row(row) => {
                let cache = self.of_kind(row.kind);
                let found = match row.kind {
                    Kind::Pinned => cache.pinned(PIN).get(&row.key).await,
                    _ => cache.get(&row.key).await,
                };
                let answer = found.transpose().map(|found| Answer::of_row(row, found));
                answer.into_iter().collect()
            }
            Subject::Page(page) => {
                let found = self.pages.get(&page).await;
                let answer = found.transpose().map(|found| Answer::of_page(page, found));
                answer.into_iter().collect()
            }
            Subject::Rows(first, _) => {
                let keys: Vec<_> = subject.rows().iter().map(|row| row.key).collect();
                let found = self.of_kind(first.kind).get_many(&keys).await.unwrap();
                let row = |key| Row { key, ..first };
                let found = found.into_iter();
                found
                    .map(|(key, found)| Answer::of_row(row(key), found).of_batch())
                    .collect()
            }
            Subject::Pages(window) => {
                let keys = Subject::pages_of(window);
                let found = self.pages.get_many(&keys).await.unwrap().into_iter();
                found
                    .map(|(page, found)| Answer::of_page(page, found).of_batch())
                    .collect()
            }
        }
    }
}

impl Race {
    pub(super) async fn read(self: &Arc<Self>, node: usize, subject: Subject, load: Pause) {
        let owed = self.owed(node, subject);
        let answers = self.load(node, subject, load).await;
        self.judge(node, &owed, &answers);
    }

    pub(super) async fn look(&self, caches: &Caches, node: usize, subject: Subject) {
        let owed = self.owed(node, subject);
        let answers = caches.look(subject).await;
        self.judge(node, &owed, &answers);
    }

    pub(super) async fn drop_a_read(
        self: &Arc<Self>,
        node: usize,
        subject: Subject,
        load: Pause,
        turns: u8,
    ) {
        let owed = self.owed(node, subject);
        let reader = tokio::spawn({
            let race = Arc::clone(self);
            async move { race.load(node, subject, load).await }
        });
        super::yield_often(turns).await;
        reader.abort();
        if let Ok(answers) = reader.await {
            self.judge(node, &owed, &answers);
        }
    }

    fn owed(&self, node: usize, subject: Subject) -> Owed {
        let floor = |row: Row| (row, self.floors.floor(node, row));
        subject.rows().into_iter().map(floor).collect()
    }

    fn judge(&self, node: usize, owed: &Owed, answers: &[Answer]) {
        for answer in answers {
            self.count(answer);
            for (row, shown) in &answer.shown {
                let floor = owed.iter().find(|(owed, _)| owed == row).unwrap().1;
                let is_owed = match shown {
                    Some(commit) => *commit >= floor,
                    None => self.may_be_deleted(*row, floor),
                };
                if !is_owed {
                    let text = format!(
                        "node {node} showed commit {shown:?} of {row:?} after {floor} was acknowledged: {answer:?}"
                    );
                    self.violations.lock().unwrap().push(text);
                }
            }
        }
    }

    /// An absence does not say of which commit it is.
    fn may_be_deleted(&self, row: Row, floor: u64) -> bool {
        (floor..=self.store.committed(&row)).any(|commit| row.is_deleted(commit))
    }

    fn count(&self, answer: &Answer) {
        let (kept, batched) = (answer.is_kept(), answer.batched);
        let absent = answer.outcome.is_none();
        let loaded = answer.outcome == Some(Outcome::Loaded);
        let pinned = matches!(answer.subject, Subject::Row(row) if row.kind == Kind::Pinned);
        let seen = [
            (Seen::Answer, true),
            (
                Seen::KeptPage,
                kept && matches!(answer.subject, Subject::Page(_)),
            ),
            (Seen::KeptPinned, kept && pinned),
            (Seen::Absence, absent),
            (Seen::Inserted, answer.inserted),
            (Seen::Batched, batched),
            (Seen::BatchedLoad, batched && loaded),
            (Seen::BatchedAbsence, batched && absent),
        ];
        for (seen, yes) in seen {
            self.tally.add(seen, yes.into());
        }
    }
}
