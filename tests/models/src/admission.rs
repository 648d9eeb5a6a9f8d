//! What a node lets into its memory: tickets, cells, events, puts, renewals.
//!
//! One node and one key; a neighbour shares the key's cell. Redis is a pointer and a value, the feed a queue. Stands for
//! `src/local.rs`, and for the order of ticket and journal in `src/cache/core.rs`. Beside the guard that was built there
//! are those that might have been, and reads that carry the stamp of a write.

use crate::explore::{Steps, System};

/// A node with its callers.
#[derive(Clone, Copy, Debug)]
pub struct Admission {
    /// What a put must present.
    pub guard: Guard,
    /// An invalidation whose version is not known refuses whatever was read before.
    pub blind_counts: bool,
    /// The ticket is taken before the journal is looked into.
    pub ticket_before_journal: bool,
    /// A renewal presents a ticket, as a put does.
    pub renewals_are_guarded: bool,
    /// A lost event is noticed.
    pub gaps_are_noticed: bool,
    /// Reads carry the stamp of the last write that was acknowledged, wherever it was.
    pub stamp: Stamp,
    /// Who writes; three at most.
    pub writers: &'static [Origin],
    /// How many read; three at most.
    pub readers: usize,
    /// How many events are lost.
    pub losses: u8,
}

/// When a put is admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guard {
    /// Always.
    None,
    /// If its version is not older than the newest that the cell was told of.
    Floor,
    /// If the cell was told of nothing since the read began.
    Untouched,
    /// If either is true: as built.
    Cell,
}

/// What a read's stamp is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stamp {
    /// Reads carry none.
    None,
    /// It is not looked at.
    Ignored,
    /// A local value is served only if the feed was applied up to it.
    Checked,
}

/// Where a write comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Another node.
    Far,
    /// This node: its memory is touched before the answer.
    Near,
    /// This node, and Redis does not take the bump at once.
    Pending,
    /// Another node, and another key of the same cell.
    Neighbour,
}

impl Admission {
    /// As built, without faults.
    pub fn built() -> Self {
        Self {
            guard: Guard::Cell,
            blind_counts: true,
            ticket_before_journal: true,
            renewals_are_guarded: true,
            gaps_are_noticed: true,
            stamp: Stamp::None,
            writers: &[Origin::Far, Origin::Far],
            readers: 2,
            losses: 0,
        }
    }

    fn admits(&self, state: &State, ticket: Ticket, version: u8) -> bool {
        let cell = &state.cell;
        let covered = version >= cell.newest;
        let untouched = ticket.seen == cell.seen;
        let judged = match self.guard {
            Guard::None => return true,
            Guard::Floor => covered,
            Guard::Untouched => untouched,
            Guard::Cell => untouched || (covered && cell.newest > 0),
        };
        judged && (!self.blind_counts || ticket.blind == cell.blind)
    }

    fn write(&self, state: &State, number: usize, steps: &mut Steps<State>) {
        let mut next = state.clone();
        let origin = self.writers[number];
        let (then, does) = match state.writers[number] {
            Writer::Begin if origin == Origin::Neighbour => {
                next.bump(None);
                (Writer::Done, "bumps another key of the cell")
            }
            Writer::Begin => {
                next.row += 1;
                (Writer::Committed(next.row), "commits")
            }
            Writer::Committed(row) if origin == Origin::Pending => {
                next.journal += 1;
                (Writer::Waits(row), "puts its bump into the journal")
            }
            Writer::Committed(row) => {
                let version = next.bump(Some(row));
                (Writer::Bumped(row, version), "bumps")
            }
            Writer::Waits(row) => {
                next.cell.seen += 1;
                next.cell.blind += 1;
                next.local = None;
                next.told = next.told.max(row);
                (
                    Writer::Told(row),
                    "touches its node without a version, and is told to wait",
                )
            }
            Writer::Told(row) => {
                next.bump(Some(row));
                next.journal -= 1;
                (Writer::Done, "is sent from the journal")
            }
            Writer::Bumped(row, version) => {
                if origin == Origin::Near {
                    next.touch(version, row);
                }
                next.acknowledged = next.acknowledged.max(row);
                next.stamped = next.stamped.max(version);
                (Writer::Done, "is acknowledged")
            }
            Writer::Done => return,
        };
        next.writers[number] = then;
        steps.add("writer", number, does, next);
    }

    fn follow(&self, state: &State, steps: &mut Steps<State>) {
        if state.lost {
            let mut next = state.clone();
            next.lost = false;
            next.gap += 1;
            next.told = next.told.max(next.acknowledged);
            next.applied = next.high;
            next.feed.clear();
            steps.add("node", 0, "notices a gap", next);
        } else if let Some(event) = state.feed.first() {
            let mut next = state.clone();
            next.feed.remove(0);
            next.applied = event.version;
            match event.row {
                Some(row) => next.touch(event.version, row),
                None => next.note(event.version),
            }
            steps.add("node", 0, "applies an event", next);
        }
        if state.losses > 0 && !state.lost && !state.feed.is_empty() {
            let mut next = state.clone();
            let event = next.feed.remove(0);
            next.losses -= 1;
            next.lost = self.gaps_are_noticed;
            if !self.gaps_are_noticed {
                next.applied = event.version;
            }
            steps.add("node", 0, "loses an event", next);
        }
    }

    fn read(&self, state: &State, number: usize, steps: &mut Steps<State>) {
        let mut next = state.clone();
        let (then, does) = match state.readers[number] {
            Reader::Begin if number > 0 && state.readers[number - 1] == Reader::Begin => return,
            Reader::Begin => return self.begin(state, number, steps),
            Reader::Holds(entry, ticket) if entry.version == state.pointer => {
                (Reader::Renews(entry, ticket), "finds its version confirmed")
            }
            Reader::Holds(entry, _) => {
                next.local = next.local.filter(|held| *held != entry);
                (
                    Reader::Missed(None),
                    "finds its version outdated, and drops the value",
                )
            }
            Reader::Renews(entry, ticket) => {
                let admitted = self.admits(state, ticket, entry.version);
                if let Some(held) = &mut next.local
                    && held.version == entry.version
                {
                    match self.renewals_are_guarded {
                        true if admitted => held.gap = ticket.gap,
                        true => {}
                        false => held.gap = state.gap,
                    }
                }
                (Reader::Done, "renews")
            }
            Reader::Missed(None) if self.ticket_before_journal => {
                (Reader::Missed(Some(state.ticket())), "takes a ticket")
            }
            Reader::Missed(_) if state.journal > 0 => (
                Reader::Done,
                "finds the key in the journal, and asks the store alone",
            ),
            Reader::Missed(Some(ticket)) => (Reader::Asks(ticket), "finds nothing in the journal"),
            Reader::Missed(None) => (Reader::Late, "finds nothing in the journal"),
            Reader::Late => (Reader::Asks(state.ticket()), "takes a ticket"),
            Reader::Asks(ticket) => match state.value.filter(|it| it.0 == state.pointer) {
                Some((version, row)) => {
                    (Reader::Puts(ticket, version, row), "finds a value in Redis")
                }
                None => (Reader::Loads(ticket, state.pointer), "finds none in Redis"),
            },
            Reader::Loads(ticket, version) => (Reader::Fills(ticket, version, state.row), "loads"),
            Reader::Fills(ticket, version, row) => {
                let stored = version == state.pointer;
                if stored {
                    next.value = Some((version, row));
                }
                let then = if stored {
                    Reader::Puts(ticket, version, row)
                } else {
                    Reader::Done
                };
                (then, "fills")
            }
            Reader::Puts(ticket, version, row) => {
                let gap = ticket.gap;
                if self.admits(state, ticket, version) {
                    next.local = Some(Entry { version, row, gap });
                }
                (Reader::Done, "puts")
            }
            Reader::Done => return,
        };
        next.readers[number] = then;
        steps.add("reader", number, does, next);
    }

    fn begin(&self, state: &State, number: usize, steps: &mut Steps<State>) {
        let least = match self.stamp {
            Stamp::None => state.told,
            Stamp::Ignored | Stamp::Checked => state.acknowledged,
        };
        let contains = self.stamp != Stamp::Checked || state.applied >= state.stamped;
        let mut next = state.clone();
        match state.local {
            Some(entry) if entry.gap == state.gap && contains => {
                next.readers[number] = Reader::Done;
                next.stale |= entry.row < least;
                steps.add("reader", number, "hits", next);
            }
            Some(entry) if entry.gap != state.gap => {
                next.readers[number] = Reader::Holds(entry, state.ticket());
                steps.add("reader", number, "takes a ticket for what it holds", next);
            }
            _ => {
                next.readers[number] = Reader::Missed(None);
                steps.add("reader", number, "misses", next);
            }
        }
    }

    fn is_stuck(&self, state: &State) -> bool {
        let quiet = !state.lost
            && state.feed.is_empty()
            && state.writers.iter().all(|writer| *writer == Writer::Done)
            && (state.readers.iter()).all(|it| matches!(it, Reader::Begin | Reader::Done));
        let served = state.local.filter(|entry| entry.gap == state.gap);
        quiet && served.is_some_and(|entry| entry.row < state.row)
    }
}

impl System for Admission {
    type State = State;

    fn initial(&self) -> State {
        let mut writers = [Writer::Done; 3];
        writers[..self.writers.len()].fill(Writer::Begin);
        let mut readers = [Reader::Done; 3];
        readers[..self.readers].fill(Reader::Begin);
        State {
            row: 0,
            acknowledged: 0,
            stamped: 0,
            told: 0,
            pointer: 1,
            high: 1,
            value: None,
            feed: Vec::new(),
            applied: 1,
            lost: false,
            losses: self.losses,
            journal: 0,
            cell: Cell::default(),
            gap: 0,
            local: None,
            writers,
            readers,
            stale: false,
        }
    }

    fn steps(&self, state: &State, steps: &mut Steps<State>) {
        for number in 0..self.writers.len() {
            self.write(state, number, steps);
        }
        for number in 0..self.readers {
            self.read(state, number, steps);
        }
        self.follow(state, steps);
    }

    fn harm(&self, state: &State) -> Option<&'static str> {
        if state.stale {
            Some("a local hit returned what its node was told is old")
        } else if self.is_stuck(state) {
            Some("all is quiet, and an old value would be served")
        } else {
            None
        }
    }
}

/// A moment of store, Redis, node and callers.
#[derive(Clone, Debug, Hash, PartialEq, Eq)]
pub struct State {
    row: u8,
    acknowledged: u8,
    /// The version that the last acknowledged write gave.
    stamped: u8,
    /// What this node must not fall behind.
    told: u8,
    pointer: u8,
    high: u8,
    /// Version and commit.
    value: Option<(u8, u8)>,
    feed: Vec<Event>,
    applied: u8,
    lost: bool,
    losses: u8,
    journal: u8,
    cell: Cell,
    gap: u8,
    local: Option<Entry>,
    writers: [Writer; 3],
    readers: [Reader; 3],
    stale: bool,
}

impl State {
    fn ticket(&self) -> Ticket {
        Ticket {
            seen: self.cell.seen,
            blind: self.cell.blind,
            gap: self.gap,
        }
    }

    /// A bump of the key after this commit, or of its neighbour.
    fn bump(&mut self, row: Option<u8>) -> u8 {
        self.high += 1;
        let version = self.high;
        if row.is_some() {
            self.pointer = version;
        }
        self.feed.push(Event { version, row });
        version
    }

    fn note(&mut self, version: u8) {
        self.cell.seen += 1;
        self.cell.newest = self.cell.newest.max(version);
    }

    fn touch(&mut self, version: u8, row: u8) {
        self.note(version);
        self.local = self.local.filter(|entry| entry.version == version);
        self.told = self.told.max(row);
    }
}

#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
struct Event {
    version: u8,
    /// The commit that it tells of; `None`: it is the neighbour's.
    row: Option<u8>,
}

#[derive(Clone, Copy, Debug, Default, Hash, PartialEq, Eq)]
struct Cell {
    seen: u8,
    blind: u8,
    /// Zero: none.
    newest: u8,
}

#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
struct Ticket {
    seen: u8,
    blind: u8,
    gap: u8,
}

#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
struct Entry {
    version: u8,
    row: u8,
    gap: u8,
}

#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
enum Writer {
    Begin,
    Committed(u8),
    /// In the journal; its node is not touched yet.
    Waits(u8),
    /// In the journal.
    Told(u8),
    Bumped(u8, u8),
    Done,
}

#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
enum Reader {
    Begin,
    Holds(Entry, Ticket),
    Renews(Entry, Ticket),
    Missed(Option<Ticket>),
    /// It has looked into the journal and has no ticket yet.
    Late,
    Asks(Ticket),
    Loads(Ticket, u8),
    Fills(Ticket, u8, u8),
    Puts(Ticket, u8, u8),
    Done,
}
