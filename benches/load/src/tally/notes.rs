//! What one reader notes between two reports: plain memory, no lock.

use std::time::Duration;

use crate::{
    lists,
    node::Class,
    truth::{Suspect, Truth},
};

/// What one reader has measured since it last reported: plain memory, no lock.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    pub(super) reads: u64,
    pub(super) writes: u64,
    pub(super) pending: u64,
    pub(super) list_reads: u64,
    pub(super) list_local_hits: u64,
    pub(super) tag_invalidations: u64,
    pub(super) latencies: Vec<(Class, Duration)>,
    pub(super) errors: Vec<(Kind, String)>,
    pub(super) doubts: Vec<Doubt>,
}

impl Notes {
    /// A read was answered after `latency`.
    pub(crate) fn read(&mut self, class: Class, latency: Duration) {
        self.reads += 1;
        self.latencies.push((class, latency));
    }

    /// A list was read.
    pub(crate) fn list_read(&mut self, class: Class) {
        self.list_reads += 1;
        self.list_local_hits += u64::from(class == Class::Local);
    }

    /// A read showed something although there is newer.
    pub(crate) fn doubt(&mut self, doubt: Doubt) {
        self.doubts.push(doubt);
    }

    /// A write was committed, and the invalidation of its key was acknowledged at once or not.
    pub(crate) fn write(&mut self, acknowledged: bool) {
        self.writes += 1;
        self.pending += u64::from(!acknowledged);
    }

    /// A tag was invalidated.
    pub(crate) fn tag_invalidation(&mut self) {
        self.tag_invalidations += 1;
    }

    /// A read failed, or came with the wrong row.
    pub(crate) fn failed_read(&mut self, kind: Kind, message: String) {
        self.reads += 1;
        self.errors.push((kind, message));
    }

    /// A read of a list failed, or came with the wrong list.
    pub(crate) fn failed_list_read(&mut self, kind: Kind, message: String) {
        self.list_reads += 1;
        self.errors.push((kind, message));
    }

    /// The store refused a write.
    pub(crate) fn failed_write(&mut self, message: String) {
        self.errors.push((Kind::Write, message));
    }

    /// A write was committed but its invalidation failed.
    pub(crate) fn failed_invalidation(&mut self, message: String) {
        self.writes += 1;
        self.errors.push((Kind::Invalidate, message));
    }

    /// A read of the last pass failed.
    pub(crate) fn failed_check(&mut self, message: String) {
        self.errors.push((Kind::Check, message));
    }

    /// The invalidation of a tag failed.
    pub(crate) fn failed_tag(&mut self, message: String) {
        self.tag_invalidations += 1;
        self.errors.push((Kind::Invalidate, message));
    }
}

/// What failed.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Kind {
    /// A read returned an error.
    Read,
    /// A read returned a row that is not the one asked for, or not of one piece.
    WrongRow,
    /// A read returned a list that is not the one asked for, or shows other rows.
    WrongList,
    /// The store refused a write.
    Write,
    /// An invalidation returned an error.
    Invalidate,
    /// A read of the last pass returned an error.
    Check,
}

impl Kind {
    /// How the kind is called in the report.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::WrongRow => "wrong row",
            Self::WrongList => "wrong list",
            Self::Write => "write",
            Self::Invalidate => "invalidate",
            Self::Check => "check",
        }
    }
}

/// A read that is to be judged: it showed at least one older row than the latest one.
#[derive(Clone, Debug)]
pub(crate) struct Doubt {
    /// What was read.
    pub(crate) what: What,
    /// The rows in question; the stalest of them counts.
    pub(crate) suspects: Vec<Suspect>,
    /// Where the answer came from, in the words of the cache.
    pub(crate) outcome: &'static str,
    /// Whether the read said of itself that nobody could prove it.
    pub(crate) is_unproven: bool,
}

/// What was read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum What {
    /// A row.
    Row,
    /// The list of this number.
    List(u32),
}

impl Doubt {
    /// How stale the stalest row was; `None`: none was.
    pub(super) fn staleness(&self, truth: &Truth) -> Option<Duration> {
        self.suspects
            .iter()
            .filter_map(|suspect| truth.staleness(suspect))
            .max()
    }

    pub(super) fn in_words(&self, staleness: Duration) -> String {
        let what = match self.what {
            What::Row => "a row".to_owned(),
            What::List(list) => format!("list {list}, {}", lists::made(list)),
        };
        let unproven = if self.is_unproven { ", unproven" } else { "" };
        format!("{what}: {staleness:?}, {}{unproven}", self.outcome)
    }
}
