//! Loads of the races: of a row, of a page out of its parts, and of several of them at once.

use super::{
    Race,
    answers::Answer,
    rows::{Kind, PIN, Page, Part, Row, Sight, Subject, parts},
    steps::Pause,
};
use futures_util::future::BoxFuture;
use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};
use tricache::{BatchContext, Cached, Error, LoadContext, Loaded, OptionalExt};

/// A key with what was answered for it.
type Keyed<V> = (u64, Result<Cached<V>, Error>);

impl Race {
    /// Reads the subject, loading what is missing.
    pub(super) async fn load(
        self: &Arc<Self>,
        node: usize,
        subject: Subject,
        pause: Pause,
    ) -> Vec<Answer> {
        match subject {
            Subject::Row(row) => vec![Answer::of_row(row, self.load_row(node, row, pause).await)],
            Subject::Page(page) => {
                vec![Answer::of_page(
                    page,
                    self.load_page(node, page, pause).await,
                )]
            }
            Subject::Rows(first, _) => {
                let read = self.load_rows(node, &subject.rows(), pause).await;
                let row = |key| Row { key, ..first };
                read.into_iter()
                    .map(|(key, read)| Answer::of_row(row(key), read).of_batch())
                    .collect()
            }
            Subject::Pages(window) => {
                let read = self.load_pages(node, window, pause).await;
                read.into_iter()
                    .map(|(page, read)| Answer::of_page(page, read).of_batch())
                    .collect()
            }
        }
    }

    async fn load_row(
        self: &Arc<Self>,
        node: usize,
        row: Row,
        pause: Pause,
    ) -> Result<Cached<Sight>, Error> {
        let loader = |context: LoadContext<u64, Sight>| {
            let (race, loading) = (Arc::clone(self), Loading::begin(&self.loading));
            async move {
                let commit = race.store.load(&row).await;
                race.pass(pause, row, commit).await;
                drop(loading);
                let previous = context.previous().map(|previous| &**previous);
                Ok::<Loaded<Sight>, io::Error>(row.loaded(commit, previous))
            }
        };
        let cache = self.members[node].caches.of_kind(row.kind);
        match row.kind {
            Kind::Pinned => cache.pinned(PIN).get_or_load(&row.key, loader).await,
            _ => cache.get_or_load(&row.key, loader).await,
        }
    }

    /// Rows of one kind.
    async fn load_rows(
        self: &Arc<Self>,
        node: usize,
        rows: &[Row],
        pause: Pause,
    ) -> Vec<Keyed<Sight>> {
        let kind = rows[0].kind;
        let loader = |context: BatchContext<u64>| {
            let (race, loading) = (Arc::clone(self), Loading::begin(&self.loading));
            async move {
                let mut loaded = Vec::new();
                for key in context.into_keys() {
                    let row = Row { kind, key };
                    loaded.push((row, race.store.load(&row).await));
                }
                let (row, commit) = loaded[0];
                race.pass(pause, row, commit).await;
                drop(loading);
                let answers = loaded
                    .into_iter()
                    .map(|(row, commit)| (row.key, row.loaded(commit, None)));
                Ok::<Vec<_>, io::Error>(answers.collect())
            }
        };
        let keys: Vec<_> = rows.iter().map(|row| row.key).collect();
        let cache = self.members[node].caches.of_kind(kind);
        let batch = cache.get_or_load_many(&keys, loader).await.unwrap();
        assert_eq!(batch.len(), keys.len());
        batch.into_iter().collect()
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
                race.pass_after(page, &shown, pause).await;
                drop(loading);
                shown
            }
        };
        Box::pin(async move {
            let pages = &self.members[node].caches.pages;
            pages.get_or_load(&page, loader).await
        })
    }

    /// Several pages, each of which depends on all that was read for any of them.
    async fn load_pages(
        self: &Arc<Self>,
        node: usize,
        window: u64,
        pause: Pause,
    ) -> Vec<Keyed<Page>> {
        let loader = |context: BatchContext<u64>| {
            let (race, loading) = (Arc::clone(self), Loading::begin(&self.loading));
            async move {
                let mut loaded = Vec::new();
                for page in context.into_keys() {
                    let shown = race.load_parts(node, page).await;
                    race.pass_after(page, &shown, pause).await;
                    // What is left out is absent.
                    loaded.extend(shown.optional()?.map(|shown| (page, shown)));
                }
                drop(loading);
                Ok::<_, Error>(loaded)
            }
        };
        let keys = Subject::pages_of(window);
        let cache = &self.members[node].caches.pages;
        let batch = cache.get_or_load_many(&keys, loader).await.unwrap();
        assert_eq!(batch.len(), keys.len());
        batch.into_iter().collect()
    }

    /// Waits for a commit of what the page does not show yet.
    async fn pass_after(&self, page: u64, shown: &Result<Page, Error>, pause: Pause) {
        let rows = Subject::Page(page).rows();
        let row = rows[shown.iter().flatten().count() % rows.len()];
        self.pass(pause, row, self.store.committed(&row)).await;
    }

    async fn load_parts(self: &Arc<Self>, node: usize, page: u64) -> Result<Page, Error> {
        let (mut shown, pause) = (Page::new(), Pause::Turns(3));
        let commit = |sight: Option<Cached<Sight>>| sight.map(|sight| sight.commit);
        for part in parts(page) {
            match part {
                Part::Row(row) => {
                    let read = self.load_row(node, row, pause).await;
                    shown.push(commit(read.optional()?));
                }
                Part::Essential(row) => {
                    shown.push(Some(self.load_row(node, row, pause).await?.commit));
                }
                Part::Rows(first, count) => {
                    let rows = Subject::Rows(first, count).rows();
                    for (_, read) in self.load_rows(node, &rows, pause).await {
                        shown.push(commit(read.optional()?));
                    }
                }
                Part::Page(page) => {
                    shown.extend_from_slice(&self.load_page(node, page, pause).await?);
                }
            }
        }
        Ok(shown)
    }
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
