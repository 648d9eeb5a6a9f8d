//! What one process knows, and how its follower applies the feed.
//!
//! Stands for `src/local.rs` (cell, ticket, put, touch), `src/feed/{chain,follower,proof}.rs` and the detaching of flights
//! in `src/load/flight.rs`.

use super::{
    Protection,
    redis::{Event, Generation, Head, Redis, Value},
};

/// One process.
#[derive(Clone, Debug, Hash, PartialEq, Eq)]
pub(super) struct Node {
    chain: Option<Head>,
    /// Losses that could not be filled.
    pub(super) gap: u8,
    pub(super) cell: Cell,
    pub(super) local: Option<Entry>,
    pub(super) flight: Option<Flight>,
    /// Pushed and not looked at yet.
    pub(super) inbox: Vec<Event>,
    pub(super) beat: Option<Beat>,
    /// The newest commit that the node must not fall behind: it was told of it, or a proof covers it.
    pub(super) told: u8,
    /// The newest that a proof covers.
    pub(super) covered: u8,
}

/// What was told of the key.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
pub(super) struct Cell {
    seen: u8,
    newest: Option<Generation>,
}

#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
pub(super) struct Ticket {
    seen: u8,
    gap: u8,
}

#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) value: Value,
    pub(super) gap: u8,
}

/// A load that others may join.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
pub(super) struct Flight {
    pub(super) leader: u8,
    /// What it loads under, once that is known.
    pub(super) under: Option<Generation>,
}

/// A heartbeat's answer.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
pub(super) struct Beat {
    head: Option<Head>,
    /// What was acknowledged when it was asked.
    covers: u8,
    /// The head was ahead of the push, and is looked at again.
    again: bool,
}

/// What an event means, as in `feed/chain.rs`.
enum Link {
    Next,
    Known,
    Fence,
    Broken,
}

impl Node {
    /// It follows the feed of a bucket in use.
    pub(super) fn new() -> Self {
        Self {
            chain: Some(Head { epoch: 1, n: 0 }),
            gap: 0,
            cell: Cell {
                seen: 0,
                newest: None,
            },
            local: None,
            flight: None,
            inbox: Vec::new(),
            beat: None,
            told: 0,
            covered: 0,
        }
    }

    pub(super) fn ticket(&self) -> Ticket {
        Ticket {
            seen: self.cell.seen,
            gap: self.gap,
        }
    }

    /// `Local::put`.
    pub(super) fn put(&mut self, value: Value, ticket: Ticket, off: Option<Protection>) {
        let ticket = self.presented(ticket, off);
        if self.admits(ticket, value.generation, off) {
            self.local = Some(Entry {
                value,
                gap: ticket.gap,
            });
        }
    }

    /// `Local::renew`: Redis has confirmed what is held.
    pub(super) fn renew(&mut self, value: Value, ticket: Ticket, off: Option<Protection>) {
        let ticket = self.presented(ticket, off);
        let admitted = self.admits(ticket, value.generation, off);
        if let Some(entry) = &mut self.local
            && entry.value == value
            && admitted
        {
            entry.gap = ticket.gap;
        }
    }

    fn presented(&self, ticket: Ticket, off: Option<Protection>) -> Ticket {
        match off {
            Some(Protection::TicketBeforeTheQuestion) => self.ticket(),
            Some(Protection::GapFromTheTicket) => Ticket {
                gap: self.gap,
                ..ticket
            },
            _ => ticket,
        }
    }

    fn admits(&self, ticket: Ticket, value: Generation, off: Option<Protection>) -> bool {
        let covered = self
            .cell
            .newest
            .is_some_and(|newest| value.epoch == newest.epoch && value.version >= newest.version);
        off == Some(Protection::Ticket) || ticket.seen == self.cell.seen || covered
    }

    /// `Core::touch`: the entity has this generation now, after this commit.
    pub(super) fn touch(&mut self, generation: Generation, row: u8, off: Option<Protection>) {
        self.cell.note(generation);
        self.local = self
            .local
            .filter(|entry| entry.value.generation == generation);
        if off != Some(Protection::Detach) {
            self.flight = self.flight.filter(|flight| {
                let newer = |under: Generation| {
                    under.epoch == generation.epoch && under.version >= generation.version
                };
                flight.under.is_some_and(newer)
            });
        }
        self.told = self.told.max(row);
    }

    /// `Following::event`: the next push is looked at.
    pub(super) fn hear(&mut self, redis: &Redis, acknowledged: u8, off: Option<Protection>) {
        let event = self.inbox.remove(0);
        match self.link(&event, off) {
            Link::Next => self.apply(&event, off),
            Link::Known => {}
            Link::Fence => self.lose(Some(event.at), off),
            Link::Broken => self.resync(redis, acknowledged, off),
        }
    }

    fn link(&self, event: &Event, off: Option<Protection>) -> Link {
        let known_epoch = self.chain.is_some_and(|at| at.epoch == event.at.epoch);
        match (event.row, self.chain) {
            _ if off == Some(Protection::Chain) => Link::Next,
            (None, _) if known_epoch => Link::Known,
            (None, _) => Link::Fence,
            (_, Some(at)) if known_epoch && event.at.n <= at.n => Link::Known,
            (_, Some(at)) if known_epoch && event.previous == at.n => Link::Next,
            _ => Link::Broken,
        }
    }

    fn apply(&mut self, event: &Event, off: Option<Protection>) {
        if let Some(row) = event.row {
            let generation = Generation {
                epoch: event.at.epoch,
                version: event.at.n,
            };
            self.touch(generation, row, off);
        }
        self.chain = Some(event.at);
    }

    /// `Following::gap`: everything local is in doubt, and nobody joins what is under way.
    fn lose(&mut self, head: Option<Head>, off: Option<Protection>) {
        if off != Some(Protection::GapDoubtsEntries) {
            self.gap += 1;
        }
        if off != Some(Protection::GapDetaches) {
            self.flight = None;
        }
        self.chain = head;
    }

    /// `Following::resync`: fills a hole from the log, or declares the gap.
    fn resync(&mut self, redis: &Redis, acknowledged: u8, off: Option<Protection>) {
        let Some(control) = redis.control else {
            return self.miss_the_record(off);
        };
        let after = self.chain.map_or(0, |at| at.n);
        let events: Vec<_> = (redis.log.iter())
            .filter(|event| event.at.n > after)
            .collect();
        if self.leads_to(&events, control.head, off) {
            for event in events {
                if matches!(self.link(event, off), Link::Next) {
                    self.apply(event, off);
                }
            }
        } else {
            self.lose(Some(control.head), off);
        }
        self.prove(acknowledged);
    }

    /// `links` of `feed/chain.rs`.
    fn leads_to(&self, events: &[&Event], head: Head, off: Option<Protection>) -> bool {
        let mut walker = Self {
            chain: self.chain,
            ..Self::new()
        };
        for event in events {
            match walker.link(event, off) {
                Link::Next => walker.chain = Some(event.at),
                Link::Known => {}
                Link::Fence | Link::Broken => return false,
            }
        }
        walker
            .chain
            .is_some_and(|at| at.epoch == head.epoch && at.n >= head.n)
    }

    fn miss_the_record(&mut self, off: Option<Protection>) {
        if self.chain.is_some() {
            self.lose(None, off);
        }
    }

    /// The heartbeat's question reaches Redis.
    pub(super) fn ask(&mut self, redis: &Redis, acknowledged: u8) {
        self.beat = Some(Beat {
            head: redis.control.map(|control| control.head),
            covers: acknowledged,
            again: false,
        });
    }

    /// `Following::compare` and `recheck`.
    pub(super) fn compare(
        &mut self,
        beat: Beat,
        redis: &Redis,
        acknowledged: u8,
        off: Option<Protection>,
    ) {
        self.beat = None;
        let Some(head) = beat.head else {
            return match off {
                Some(Protection::MissingMeansUnknown | Protection::Chain) => {
                    self.prove(beat.covers);
                }
                _ if self.chain.is_some() => self.resync(redis, acknowledged, off),
                _ => {}
            };
        };
        match self.chain {
            _ if off == Some(Protection::Chain) => self.prove(beat.covers),
            None => {
                self.lose(Some(head), off);
                self.prove(beat.covers);
            }
            Some(at) if at.epoch != head.epoch => self.resync(redis, acknowledged, off),
            Some(at) if head.n <= at.n => self.prove(beat.covers),
            Some(_) if beat.again => self.resync(redis, acknowledged, off),
            Some(_) => {
                self.beat = Some(Beat {
                    again: true,
                    ..beat
                });
            }
        }
    }

    fn prove(&mut self, covers: u8) {
        self.covered = self.covered.max(covers);
        self.told = self.told.max(covers);
    }
}

impl Cell {
    /// `Cell::note`.
    fn note(&mut self, generation: Generation) {
        self.seen += 1;
        let newer = |newest: Generation| {
            newest.epoch == generation.epoch && newest.version > generation.version
        };
        if !self.newest.is_some_and(newer) {
            self.newest = Some(generation);
        }
    }
}
