//! Reads of the races, and what they owe their callers.

use super::{
    Race,
    rows::{Kind, PIN, Page, Part, Row, Sight, Subject, parts},
    steps::Pause,
};
use futures_util::future::BoxFuture;
use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst},
    },
};
use tricache::{Cached, Error, LoadContext, Loaded, OptionalExt, Outcome, TieredCache, Tiers};

/// The caches of one node.
pub(super) struct Caches {
    rows: [TieredCache<u64, Sight>; super::rows::KINDS.len()],
    pages: TieredCache<u64, Page>,
}

/// What a read showed.
pub(super) struct Answer {
    /// Rows and their commits; `None` for one that is deleted.
    shown: Vec<(Row, Option<u64>)>,
    outcome: Option<Outcome>,
    inserted: bool,
}

/// What was shown, counted.
#[derive(Default)]
pub(super) struct Shown {
    pub(super) rows: AtomicU64,
    /// Pages that some tier held.
    pub(super) kept_pages: AtomicU64,
    pub(super) absences: AtomicU64,
    /// Values that a writer has put there.
    pub(super) inserts: AtomicU64,
}

/// The floors of a read: the rows of its subject, and the oldest commit that each may show.
pub(super) type Owed = Vec<(Row, u64)>;

impl Caches {
    /// Caches that hold nothing yet.
    pub(super) fn of(tiers: &Tiers) -> Self {
        let of_kind = |kind: Kind| tiers.cache(&format!("{kind:?}"), super::POLICY).unwrap();
        Self {
            rows: super::rows::KINDS.map(of_kind),
            pages: tiers.cache("Page", super::POLICY).unwrap(),
        }
    }

    pub(super) fn of_kind(&self, kind: Kind) -> &TieredCache<u64, Sight> {
        &self.rows[kind as usize]
    }

    /// What some tier holds.
    async fn look(&self, subject: Subject) -> Option<Answer> {
        match subject {
            Subject::Row(row) => {
                let cache = self.of_kind(row.kind);
                let found = match row.kind {
                    Kind::Pinned => cache.pinned(PIN).get(&row.key).await,
                    _ => cache.get(&row.key).await,
                };
                found.transpose().map(|found| Answer::of_row(row, found))
            }
            Subject::Page(page) => {
                let found = self.pages.get(&page).await;
                found.transpose().map(|found| Answer::of_page(page, found))
            }
        }
    }
}

impl Race {
    pub(super) async fn read(self: &Arc<Self>, node: usize, subject: Subject, load: Pause) {
        let owed = self.owed(node, subject);
        let answer = self.load(node, subject, load).await;
        self.judge(node, subject, &owed, &answer);
    }

    pub(super) async fn look(&self, caches: &Caches, node: usize, subject: Subject) {
        let owed = self.owed(node, subject);
        if let Some(answer) = caches.look(subject).await {
            self.judge(node, subject, &owed, &answer);
        }
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
        if let Ok(answer) = reader.await {
            self.judge(node, subject, &owed, &answer);
        }
    }

    async fn load(self: &Arc<Self>, node: usize, subject: Subject, pause: Pause) -> Answer {
        match subject {
            Subject::Row(row) => Answer::of_row(row, self.load_row(node, row, pause).await),
            Subject::Page(page) => Answer::of_page(page, self.load_page(node, page, pause).await),
        }
    }

    async fn load_row(
        self: &Arc<Self>,
        node: usize,
        row: Row,
        pause: Pause,
    ) -> Result<Cached<Sight>, Error> {
        let loader = |_: LoadContext<u64>| {
            let (race, loading) = (Arc::clone(self), Loading::begin(&self.loading));
            async move {
                let commit = race.store.load(&row).await;
                race.pass(pause, row, commit).await;
                drop(loading);
                Ok::<Loaded<Sight>, io::Error>(row.loaded(commit))
            }
        };
        let cache = self.members[node].caches.of_kind(row.kind);
        match row.kind {
            Kind::Pinned => cache.pinned(PIN).get_or_load(&row.key, loader).await,
            _ => cache.get_or_load(&row.key, loader).await,
        }
    }

    /// Boxed, since pages show pages.
    fn load_page(
        self: &Arc<Self>,
        node: usize,
        page: u64,
        pause: Pause,
    ) -> BoxFuture<'_, Result<Cached<Page>, Error>> {
        let loader = move |_| {
            let (race, loading) = (Arc::clone(self), Loading::begin(&self.loading));
            async move {
                let shown = race.load_parts(node, page).await;
                let rows = Subject::Page(page).rows();
                let row = rows[shown.iter().flatten().count() % rows.len()];
                race.pass(pause, row, race.store.committed(&row)).await;
                drop(loading);
                shown
            }
        };
        Box::pin(async move {
            let pages = &self.members[node].caches.pages;
            pages.get_or_load(&page, loader).await
        })
    }

    async fn load_parts(self: &Arc<Self>, node: usize, page: u64) -> Result<Page, Error> {
        let (mut shown, pause) = (Page::new(), Pause::Turns(3));
        for part in parts(page) {
            match part {
                Part::Row(row) => {
                    let read = self.load_row(node, row, pause).await.optional()?;
                    shown.push(read.map(|sight| sight.commit));
                }
                Part::Essential(row) => {
                    shown.push(Some(self.load_row(node, row, pause).await?.commit));
                }
                Part::Page(page) => {
                    shown.extend_from_slice(&self.load_page(node, page, pause).await?);
                }
            }
        }
        Ok(shown)
    }

    fn owed(&self, node: usize, subject: Subject) -> Owed {
        let floor = |row: Row| (row, self.floors.floor(node, row));
        subject.rows().into_iter().map(floor).collect()
    }

    fn judge(&self, node: usize, subject: Subject, owed: &Owed, answer: &Answer) {
        self.count(subject, answer);
        for (row, shown) in &answer.shown {
            let floor = owed.iter().find(|(owed, _)| owed == row).unwrap().1;
            let is_owed = match shown {
                Some(commit) => *commit >= floor,
                None => self.may_be_deleted(*row, floor),
            };
            if !is_owed {
                self.violations.lock().unwrap().push(format!(
                    "node {node} showed commit {shown:?} of {row:?} in {subject:?}, {:?}, inserted {}, after {floor} was acknowledged",
                    answer.outcome, answer.inserted
                ));
            }
        }
    }

    /// An absence does not say of which commit it is.
    fn may_be_deleted(&self, row: Row, floor: u64) -> bool {
        (floor..=self.store.committed(&row)).any(|commit| row.is_deleted(commit))
    }

    fn count(&self, subject: Subject, answer: &Answer) {
        let shown = &self.shown;
        let count = |number: &AtomicU64, yes: bool| number.fetch_add(yes.into(), SeqCst);
        let kept = answer
            .outcome
            .is_some_and(|outcome| outcome != Outcome::Loaded);
        count(&shown.rows, true);
        count(
            &shown.kept_pages,
            kept && matches!(subject, Subject::Page(_)),
        );
        count(&shown.absences, answer.outcome.is_none());
        count(&shown.inserts, answer.inserted);
    }
}

impl Answer {
    fn of_row(row: Row, read: Result<Cached<Sight>, Error>) -> Self {
        match read.optional().unwrap() {
            Some(sight) => Self {
                shown: vec![(row, Some(sight.commit))],
                outcome: Some(sight.outcome()),
                inserted: sight.inserted,
            },
            None => Self::absent(row),
        }
    }

    fn of_page(page: u64, read: Result<Cached<Page>, Error>) -> Self {
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
            },
            None => Self::absent(essential(page)),
        }
    }

    fn absent(row: Row) -> Self {
        Self {
            shown: vec![(row, None)],
            outcome: None,
            inserted: false,
        }
    }
}

fn essential(page: u64) -> Row {
    let essential = |part| match part {
        Part::Essential(row) => Some(row),
        _ => None,
    };
    let row = parts(page).into_iter().find_map(essential);
    row.expect("only a page with an essential row is absent")
}

/// A load that runs; over when dropped, also by a caller that went away before it began.
struct Loading(Arc<AtomicUsize>);

impl Loading {
    fn begin(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, SeqCst);
        Self(Arc::clone(count))
    }
}

impl Drop for Loading {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}
