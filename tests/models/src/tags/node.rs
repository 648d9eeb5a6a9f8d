//! A node's table of bumped tags, and how its follower keeps it.

use super::{Protection, Redis};

/// A node: its table, its feed, and the one value that it may hold.
#[derive(Clone, Debug, Hash, PartialEq, Eq)]
pub(super) struct Node {
    /// Somebody reads here; else it need not hear anything.
    pub(super) reads: bool,
    /// The last event that the follower has looked at.
    chain: Place,
    /// The epoch that the table is of; zero: none.
    epoch: u8,
    /// How far the feed was applied to the table.
    applied: u8,
    /// Bumps after here are all in the table.
    complete_from: u8,
    /// Where the tag was bumped last, as far as the table knows; zero: never.
    pub(super) bumped: u8,
    /// The last bump by this node.
    own: Option<Place>,
    pub(super) feed: Vec<Event>,
    /// An event was lost, and nobody has noticed yet.
    pub(super) lost: bool,
    /// After a gap the whole table is yet to be read.
    pub(super) incomplete: bool,
    /// The table is written and locked, the generation not yet; the commit that this tells of.
    pub(super) writing: Option<u8>,
    pub(super) local: Option<Entry>,
    /// Another value of the tag, which a load may read: its row and place.
    pub(super) inner: Option<(u8, Place)>,
    /// The newest commit that the node was told of.
    pub(super) told: u8,
}

/// A position in the tag feed.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) epoch: u8,
    pub(super) n: u8,
}

#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
pub(super) struct Event {
    pub(super) at: Place,
    /// The commit that it tells of; `None`: it is of another tag, or, at zero, begins an epoch.
    pub(super) row: Option<u8>,
}

#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) row: u8,
    pub(super) place: Place,
    /// The table was looked at under the generation that it still has.
    pub(super) checked: bool,
}

/// What the table says of a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    Current,
    Refused,
    Unknown,
}

impl Node {
    pub(super) fn new(reads: bool, nested: bool) -> Self {
        let inner = (0, Place { epoch: 1, n: 0 });
        Self {
            reads,
            inner: nested.then_some(inner),
            chain: Place { epoch: 1, n: 0 },
            epoch: 1,
            applied: 0,
            complete_from: 0,
            bumped: 0,
            own: None,
            feed: Vec::new(),
            lost: false,
            incomplete: false,
            writing: None,
            local: None,
            told: 0,
        }
    }

    /// `TagTable::place`.
    pub(super) fn place(&self) -> Place {
        Place {
            epoch: self.epoch,
            n: self.applied,
        }
    }

    /// `TagTable::check`.
    pub(super) fn check(&self, place: Place, off: Option<Protection>) -> Standing {
        let other_epoch = place.epoch != self.epoch;
        if other_epoch && off != Some(Protection::EpochsAreCompared) || self.bumped > place.n {
            Standing::Refused
        } else if place.n < self.complete_from && off != Some(Protection::OlderAsksRedis) {
            Standing::Unknown
        } else {
            Standing::Current
        }
    }

    /// `TagTable::bumped`: the feed will tell of it too, in its place.
    pub(super) fn bumped_here(&mut self, at: Place, this_tag: bool, off: Option<Protection>) {
        self.own = Some(at);
        if at.epoch == self.epoch {
            if this_tag {
                self.bumped = self.bumped.max(at.n);
            }
            if off == Some(Protection::OwnBumpLeavesThePlace) {
                self.applied = self.applied.max(at.n);
            }
        } else {
            // Nothing counts until the feed tells of that epoch.
            self.begin(Place { epoch: 0, n: 0 }, off);
        }
    }

    pub(super) fn applies(&self, event: &Event) -> bool {
        event.at.epoch == self.chain.epoch && event.at.n == self.chain.n + 1
    }

    /// A fence that tells of the epoch that the table has, or an event that was applied.
    pub(super) fn knows(&self, event: &Event) -> bool {
        event.at.epoch < self.chain.epoch
            || event.at.epoch == self.chain.epoch && event.at.n <= self.chain.n
    }

    /// `TagTable::applied`: the table first, and locked until the generation follows.
    pub(super) fn apply(&mut self, event: &Event) {
        self.chain = event.at;
        if event.at.epoch == self.epoch {
            self.applied = self.applied.max(event.at.n);
            if event.row.is_some() {
                self.bumped = self.bumped.max(event.at.n);
            }
        }
        self.writing = Some(event.row.unwrap_or(0));
    }

    /// Whether the next heartbeat would find a gap.
    pub(super) fn is_behind(&self, redis: Option<&Redis>) -> bool {
        let Some(redis) = redis else {
            return true;
        };
        let current = redis.head == self.chain && redis.head.epoch == self.epoch;
        self.lost || self.feed.is_empty() && !current
    }

    /// `Following::gap` of the tag feed.
    pub(super) fn lose(&mut self, head: Place, off: Option<Protection>) {
        self.lost = false;
        self.feed.clear();
        self.chain = head;
        self.begin(head, off);
        self.incomplete = true;
    }

    /// `Known::begin`.
    fn begin(&mut self, at: Place, off: Option<Protection>) {
        if self.epoch != at.epoch {
            self.bumped = 0;
        }
        self.epoch = at.epoch;
        self.applied = at.n;
        let own = self.own.filter(|own| own.epoch == at.epoch);
        if off != Some(Protection::GapRaisesTheBeginning) {
            self.complete_from = own.map_or(0, |own| own.n).max(at.n);
        }
    }

    /// `TagTable::complete`.
    pub(super) fn complete(&mut self, epoch: u8, floor: u8, bumped: u8) {
        if self.epoch == epoch {
            self.bumped = self.bumped.max(bumped);
            self.complete_from = self.complete_from.min(floor);
        }
        self.incomplete = false;
    }

    /// `TagTable::prune`.
    pub(super) fn prune(&mut self, off: Option<Protection>) {
        if off != Some(Protection::ForgettingRaisesTheBeginning) {
            self.complete_from = self.complete_from.max(self.bumped);
        }
        self.bumped = 0;
    }
}
