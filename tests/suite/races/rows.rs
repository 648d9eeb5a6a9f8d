//! What is raced for: rows of a store, of several kinds, and pages that show several rows.
//!
//! A row holds the number of its last commit. What the cache may do with it depends on its kind.

use serde::{Deserialize, Serialize};
use tricache::Loaded;

/// One row of the store, and its key in the cache of its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Row {
    pub(crate) kind: Kind,
    pub(crate) key: u64,
}

/// How a row is cached and written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// Invalidated and inserted by its key.
    Number,
    /// Has a tag that is known before the load, and one that only the load finds out.
    Tagged,
    /// Every other pair of commits deletes it, so the loader finds nothing.
    Deletable,
    /// Inserted with the commit's number by writers that do not wait for each other.
    Ordered,
    /// Read at one version, at which it may be deleted too: tags and clearing reach it, its key does not.
    Pinned,
}

/// What a tier holds of a row.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Sight {
    pub(crate) commit: u64,
    /// A writer has put it there, not a load.
    pub(crate) inserted: bool,
}

/// The commits that a page shows, row by row; `None` for one that is deleted.
pub(crate) type Page = Vec<Option<u64>>;

/// What a page reads while it loads.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Part {
    /// A row; where it is deleted the page says so.
    Row(Row),
    /// A row without which there is no page.
    Essential(Row),
    /// So many rows, from this one on, at once.
    Rows(Row, u64),
    /// What another page shows.
    Page(u64),
}

/// What is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    Row(Row),
    Page(u64),
    /// So many rows of a kind in one batch, from this one on; after the last of the window comes the first.
    Rows(Row, u64),
    /// The pages of a window in one batch: those that show no other page, or the batch would wait for itself.
    Pages(u64),
}

impl Row {
    pub(crate) fn neighbour(self) -> Self {
        Self {
            key: self.key ^ 1,
            ..self
        }
    }

    /// Writers of an even key take turns, as `insert` asks for; those of an odd key do not, nor do those that tell versions.
    pub(crate) fn takes_turns(self) -> bool {
        self.key.is_multiple_of(2) && self.kind != Kind::Ordered
    }

    pub(crate) fn is_deleted(self, commit: u64) -> bool {
        match self.kind {
            Kind::Deletable => commit / 2 % 2 == 1,
            Kind::Pinned => commit % 4 == 2,
            _ => false,
        }
    }

    /// What a loader answers that has read this commit.
    ///
    /// `previous`: what it was given of the value before. The same commit is confirmed.
    pub(crate) fn loaded(self, commit: u64, previous: Option<&Sight>) -> Loaded<Sight> {
        let unchanged = previous.is_some_and(|previous| previous.commit == commit);
        let loaded = if unchanged && !self.is_deleted(commit) {
            self.tagged(Loaded::not_modified(), commit)
        } else {
            self.answer(commit, false)
        };
        match self.kind {
            // Some loaders do not know the version that they have read.
            Kind::Ordered if commit % 4 == 3 => loaded,
            Kind::Ordered => loaded.at_version(commit),
            // Now and then the store is at another version, which is kept nowhere.
            Kind::Pinned if commit % 4 == 3 => loaded.at_version(PIN + 1),
            Kind::Pinned => loaded.at_version(PIN),
            _ => loaded,
        }
    }

    /// What a writer inserts.
    pub(crate) fn inserted(self, commit: u64) -> Loaded<Sight> {
        self.answer(commit, true)
    }

    fn answer(self, commit: u64, inserted: bool) -> Loaded<Sight> {
        let answer = if self.is_deleted(commit) {
            Loaded::absent()
        } else {
            Loaded::new(Sight { commit, inserted })
        };
        self.tagged(answer, commit)
    }

    fn tagged(self, answer: Loaded<Sight>, commit: u64) -> Loaded<Sight> {
        match self.kind {
            Kind::Number | Kind::Ordered => answer,
            Kind::Deletable | Kind::Pinned => answer.tag(self.tag()),
            Kind::Tagged => answer.tag(self.tag()).tag(found_tag(self.key, commit)),
        }
    }

    /// The tag that is known before the load.
    pub(crate) fn tag(self) -> String {
        format!("{:?}/{}", self.kind, self.key)
    }

    /// One of these is what a load of this row finds out, or one of any row of its window.
    pub(crate) fn found_tags(self) -> [String; 3] {
        std::array::from_fn(|rest| found_tag(self.key, rest as u64))
    }
}

fn found_tag(key: u64, commit: u64) -> String {
    format!("found/{}/{}", key / WINDOW, commit % 3)
}

impl Subject {
    /// All that this window holds, one by one.
    pub(crate) fn all(window: u64) -> impl Iterator<Item = Self> {
        let rows = rows_of(window).map(Self::Row);
        rows.chain((window * PAGES..(window + 1) * PAGES).map(Self::Page))
    }

    pub(crate) fn draw(random: &mut fastrand::Rng, window: u64) -> Self {
        let kind = match random.u8(0..16) {
            0..3 => Kind::Number,
            3..5 => Kind::Tagged,
            5..8 => Kind::Deletable,
            8..10 => Kind::Ordered,
            10 => Kind::Pinned,
            11 => return Self::Pages(window),
            _ => return Self::Page(window * PAGES + random.u64(0..PAGES)),
        };
        let key = window * WINDOW + random.u64(0..WINDOW);
        let row = Self::Row(Row { kind, key });
        if random.u8(0..4) == 0 {
            row.otherwise(random)
        } else {
            row
        }
    }

    /// Another way to read some of the same rows, alone or together.
    pub(crate) fn otherwise(self, random: &mut fastrand::Rng) -> Self {
        match self {
            Self::Row(row) if row.kind == Kind::Pinned => self,
            Self::Row(row) => Self::Rows(row, random.u64(2..=WINDOW)),
            Self::Rows(..) => {
                let rows = self.rows();
                let row = Self::Row(rows[random.usize(0..rows.len())]);
                if random.bool() {
                    row.otherwise(random)
                } else {
                    row
                }
            }
            Self::Page(page) if page % PAGES < BATCHED => Self::Pages(page / PAGES),
            Self::Page(_) => self,
            Self::Pages(window) => Self::Page(window * PAGES + random.u64(0..BATCHED)),
        }
    }

    /// The batch that reads this and whatever else one call can read of the window.
    pub(crate) fn batch(self) -> Self {
        match self {
            Self::Row(row) if row.kind != Kind::Pinned => {
                let key = window_of(row) * WINDOW;
                Self::Rows(Row { key, ..row }, WINDOW)
            }
            Self::Page(page) if page % PAGES < BATCHED => Self::Pages(page / PAGES),
            alone => alone,
        }
    }

    pub(crate) fn pages_of(window: u64) -> Vec<u64> {
        (window * PAGES..window * PAGES + BATCHED).collect()
    }

    /// The rows that it shows, in their order.
    pub(crate) fn rows(self) -> Vec<Row> {
        match self {
            Self::Row(row) => vec![row],
            Self::Page(page) => parts(page).iter().flat_map(Part::rows).collect(),
            Self::Rows(first, count) => {
                let window = window_of(first) * WINDOW;
                let keys = (first.key..first.key + count).map(|key| window + key % WINDOW);
                keys.map(|key| Row { key, ..first }).collect()
            }
            Self::Pages(window) => {
                let pages = Self::pages_of(window).into_iter();
                pages.flat_map(|page| Self::Page(page).rows()).collect()
            }
        }
    }
}

impl Part {
    fn rows(&self) -> Vec<Row> {
        match self {
            Self::Row(row) | Self::Essential(row) => vec![*row],
            Self::Rows(first, count) => Subject::Rows(*first, *count).rows(),
            Self::Page(page) => Subject::Page(*page).rows(),
        }
    }
}

/// The row without which there is no such page.
pub(crate) fn essential(page: u64) -> Row {
    let essential = |part| match part {
        Part::Essential(row) => Some(row),
        _ => None,
    };
    let row = parts(page).into_iter().find_map(essential);
    row.expect("only a page with an essential row is absent")
}

/// What a page is made of.
pub(crate) fn parts(page: u64) -> Vec<Part> {
    let first = page / PAGES * WINDOW;
    let even = |kind| Row { kind, key: first };
    let odd = |kind| even(kind).neighbour();
    match page % PAGES {
        0 => vec![Part::Rows(even(Kind::Number), 2)],
        1 => vec![
            Part::Row(odd(Kind::Tagged)),
            Part::Row(even(Kind::Deletable)),
        ],
        2 => vec![
            Part::Row(even(Kind::Ordered)),
            Part::Essential(odd(Kind::Deletable)),
        ],
        _ => vec![
            Part::Page(page - 2),
            Part::Row(odd(Kind::Number)),
            Part::Row(even(Kind::Pinned)),
        ],
    }
}

/// All rows of a window.
pub(crate) fn rows_of(window: u64) -> impl Iterator<Item = Row> {
    let keys = window * WINDOW..(window + 1) * WINDOW;
    KINDS
        .into_iter()
        .flat_map(move |kind| keys.clone().map(move |key| Row { kind, key }))
}

/// The window that a row belongs to.
pub(crate) fn window_of(row: Row) -> u64 {
    row.key / WINDOW
}

pub(crate) const KINDS: [Kind; 5] = [
    Kind::Number,
    Kind::Tagged,
    Kind::Deletable,
    Kind::Ordered,
    Kind::Pinned,
];
/// Rows of each kind that a round plays with: half of them have writers that take turns.
pub(crate) const WINDOW: u64 = 4;
/// Pages that a round plays with; the last shows another one.
const PAGES: u64 = 4;
const BATCHED: u64 = 3;
/// The version at which pinned rows are read.
pub(crate) const PIN: u64 = 9;
