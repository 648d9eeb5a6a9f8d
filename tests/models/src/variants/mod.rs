//! Protocols that might have been chosen: one entity, two writers, two readers, and faults.
//!
//! Readers ask a cache in Redis, and load from the store, or from its replica, what they miss. Written after the
//! literature, not after our code; [`protocol`](crate::protocol) is what was built. Two things may go wrong: a read that
//! began after a write was acknowledged returns older data; or all is quiet and an old value would still be served.

mod state;

use self::state::{
    Pointer, Reader, Redis, State, Ticket, UNKNOWN, Value, WRITERS, Writer, WriterAt, sent,
};
use crate::explore::{Steps, System};

/// A protocol and the faults that it meets.
#[derive(Clone, Copy, Debug)]
pub struct Variant {
    /// How an invalidation works.
    pub invalidation: Invalidation,
    /// What is written before a commit.
    pub mark: Mark,
    /// Where loads read.
    pub load: Load,
    /// The version that a value is stored under is read after its load.
    pub stamp_after_load: bool,
    /// A promoted server is noticed: nothing from before counts.
    pub fence: bool,
    /// Writers send their bumps again after a failover.
    pub journal: bool,
    /// Bumps are acknowledged when the replica has them.
    pub bump_waits: bool,
    /// Marks are confirmed by the replica before the commit.
    pub mark_waits: bool,
    /// Readers that miss the pointer load from the primary.
    pub lost_pointer_means_primary: bool,
    /// A bump that misses the pointer writes that its position is unknown.
    pub lost_pointer_stays_unknown: bool,
    /// Marks may be evicted with the pointer.
    pub marks_evictable: bool,
    /// How many readers there are, two at most.
    pub readers: usize,
    /// How often something is evicted.
    pub evictions: u8,
    /// How often Redis fails over to its replica.
    pub failovers: u8,
    /// How many writers die.
    pub crashes: u8,
    /// What is looked for; `None`: either.
    pub looked_for: Option<Harm>,
}

/// How an invalidation works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Invalidation {
    /// The value is deleted.
    Delete,
    /// A counter beside the value is incremented.
    Counter,
    /// The pointer beside the value gets a version that was never used.
    Unique,
}

/// What a writer leaves before it commits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// Nothing.
    None,
    /// One flag for all writers.
    Flag,
    /// One token for each writer.
    Tokens,
}

/// Where loads read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Load {
    /// The primary.
    Primary,
    /// A replica that lags.
    Replica,
    /// The replica if it has reached the position in the pointer, else the primary.
    CaughtUp,
}

/// What may go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Harm {
    /// A read began after a write was acknowledged and returns older data.
    StaleRead,
    /// All is quiet, and an old value would be served until its TTL.
    Stuck,
}

impl Variant {
    /// The base of all: a unique pointer, no faults.
    pub fn unique() -> Self {
        Self {
            invalidation: Invalidation::Unique,
            mark: Mark::None,
            load: Load::Primary,
            stamp_after_load: false,
            fence: false,
            journal: false,
            bump_waits: false,
            mark_waits: false,
            lost_pointer_means_primary: true,
            lost_pointer_stays_unknown: false,
            marks_evictable: false,
            readers: 2,
            evictions: 0,
            failovers: 0,
            crashes: 0,
            looked_for: None,
        }
    }

    /// What a reader would take.
    fn accepted(&self, state: &State) -> Option<Value> {
        let value = state.redis.value?;
        if self.invalidation == Invalidation::Delete {
            return Some(value);
        }
        let fenced = self.fence && state.redis.epoch != state.server;
        let pointer = state.redis.pointer?;
        let current = value.version == pointer.version && value.epoch == self.epoch(&state.redis);
        (state.redis.marks == 0 && !fenced && current).then_some(value)
    }

    fn epoch(&self, redis: &Redis) -> u8 {
        if self.fence { redis.epoch } else { 0 }
    }

    /// On a server that was promoted a new epoch begins; answers whether it did.
    fn begin_epoch(&self, state: &mut State) -> bool {
        let begins = self.fence && state.redis.epoch != state.server;
        if begins {
            state.redis.epoch = state.server;
            state.redis.value = None;
        }
        begins
    }

    /// The position that a bump without a pointer writes, if its own is `own`.
    fn position_of_lost(&self, own: u8) -> u8 {
        if self.lost_pointer_stays_unknown {
            UNKNOWN
        } else {
            own
        }
    }

    fn write(&self, state: &State, number: usize, steps: &mut Steps<State>) {
        let Writer { at, row } = state.writers[number];
        let next = |at| {
            let mut next = state.clone();
            next.writers[number].at = at;
            next
        };
        match at {
            WriterAt::Begin => self.mark(next(WriterAt::Marked), number, steps),
            WriterAt::Marked => {
                let mut next = next(WriterAt::Committed);
                next.row += 1;
                next.writers[number].row = next.row;
                steps.add("writer", number, "commits", next);
            }
            WriterAt::Committed => self.invalidate(next(WriterAt::Bumped), number, steps),
            WriterAt::Bumped => {
                let mut next = next(WriterAt::Acknowledged);
                next.acknowledged = next.acknowledged.max(row);
                steps.add("writer", number, "is acknowledged", next);
            }
            WriterAt::Acknowledged | WriterAt::Dead => {}
        }
        if self.journal && state.may_replay(number) {
            let mut next = state.clone();
            next.point(row.max(state.redis.pointer.map_or(0, |pointer| pointer.position)));
            next.journal |= sent(number, state.server);
            steps.add("writer", number, "sends its bump again", next);
        }
        let alive = [WriterAt::Marked, WriterAt::Committed, WriterAt::Bumped].contains(&at);
        if state.crashes > 0 && alive {
            let mut next = next(WriterAt::Dead);
            next.crashes -= 1;
            steps.add("writer", number, "dies", next);
        }
    }

    fn mark(&self, mut next: State, number: usize, steps: &mut Steps<State>) {
        match self.mark {
            Mark::None => steps.add("writer", number, "begins", next),
            Mark::Flag => {
                next.redis.marks = 1;
                let row = next.row;
                next.point(row);
                steps.add("writer", number, "sets the flag", next);
            }
            Mark::Tokens => {
                self.begin_epoch(&mut next);
                next.redis.marks |= 1 << number;
                let lost = self.position_of_lost(next.row);
                next.point(next.redis.pointer.map_or(lost, |pointer| pointer.position));
                if self.mark_waits {
                    next.replica = next.redis;
                }
                steps.add("writer", number, "leaves its token", next);
            }
        }
    }

    fn invalidate(&self, mut next: State, number: usize, steps: &mut Steps<State>) {
        let row = next.writers[number].row;
        if self.invalidation == Invalidation::Delete {
            next.redis.value = None;
            return steps.add("writer", number, "deletes the value", next);
        }
        let before = next.redis.pointer;
        if self.invalidation == Invalidation::Counter {
            let version = before.map_or(0, |pointer| pointer.version) + 1;
            let position = next.row;
            next.redis.pointer = Some(Pointer { version, position });
        } else {
            let lost = self.position_of_lost(0);
            next.point(row.max(before.map_or(lost, |pointer| pointer.position)));
        }
        next.redis.marks = match self.mark {
            Mark::Flag => 0,
            _ => next.redis.marks & !(1 << number),
        };
        self.begin_epoch(&mut next);
        if self.journal {
            next.journal |= sent(number, next.server);
        }
        if self.bump_waits {
            next.replica = next.redis;
        }
        steps.add("writer", number, "bumps", next);
    }

    fn read(&self, state: &State, number: usize, steps: &mut Steps<State>) {
        let mut next = state.clone();
        match state.readers[number] {
            Reader::Begin => match self.accepted(state) {
                Some(value) => {
                    next.answer(number, value.row, state.acknowledged);
                    steps.add("reader", number, "hits", next);
                }
                None => {
                    let ticket = self.miss(&mut next);
                    next.readers[number] = Reader::Missed(state.acknowledged, ticket);
                    steps.add("reader", number, "misses, and takes the version", next);
                }
            },
            Reader::Missed(needed, ticket) => {
                let replica = match self.load {
                    Load::Primary => false,
                    Load::Replica => true,
                    Load::CaughtUp => ticket.is_some_and(|it| state.replica_row >= it.position),
                };
                let row = if replica {
                    state.replica_row
                } else {
                    state.row
                };
                let does = if replica {
                    "loads from the replica"
                } else {
                    "loads"
                };
                next.readers[number] = Reader::Loaded(ticket, row);
                if row < needed {
                    next.stale = true;
                }
                steps.add("reader", number, does, next);
            }
            Reader::Loaded(ticket, row) => {
                self.fill(&mut next, ticket, row);
                next.readers[number] = Reader::Done;
                steps.add("reader", number, "fills", next);
            }
            Reader::Done => {}
        }
    }

    /// The version under which a reader will store what it loads; none while a writer's mark stands.
    fn miss(&self, next: &mut State) -> Option<Ticket> {
        if self.invalidation == Invalidation::Delete {
            return Some(Ticket::default());
        }
        if self.begin_epoch(next) {
            next.redis.pointer = None;
        }
        if next.redis.pointer.is_none() {
            let position = if self.lost_pointer_means_primary {
                UNKNOWN
            } else {
                0
            };
            next.point(position);
            if self.invalidation == Invalidation::Counter {
                next.redis.pointer = Some(Pointer {
                    version: 1,
                    position,
                });
            }
        }
        let pointer = next.redis.pointer.filter(|_| next.redis.marks == 0)?;
        Some(Ticket {
            version: pointer.version,
            epoch: self.epoch(&next.redis),
            position: pointer.position,
        })
    }

    fn fill(&self, next: &mut State, ticket: Option<Ticket>, row: u8) {
        let ticket = if self.stamp_after_load {
            let epoch = self.epoch(&next.redis);
            next.redis.pointer.map(|pointer| Ticket {
                version: pointer.version,
                epoch,
                position: 0,
            })
        } else {
            ticket
        };
        // Stored whatever the pointer says by now: a value of another version does not count anyway.
        if let Some(Ticket { version, epoch, .. }) = ticket {
            next.redis.value = Some(Value {
                version,
                epoch,
                row,
            });
        }
    }

    fn fail(&self, state: &State, steps: &mut Steps<State>) {
        if self.load != Load::Primary && state.replica_row < state.row {
            let mut next = state.clone();
            next.replica_row += 1;
            steps.add("replica", 0, "catches up by one commit", next);
        }
        let mut evict = |does, evict: fn(&mut Redis)| {
            let mut next = state.clone();
            evict(&mut next.redis);
            if state.evictions > 0 && next.redis != state.redis {
                next.evictions -= 1;
                steps.add("redis", 0, does, next);
            }
        };
        evict("evicts the value", |redis| redis.value = None);
        if self.invalidation != Invalidation::Delete {
            evict("evicts the pointer", |redis| redis.pointer = None);
        }
        if self.marks_evictable && state.redis.marks != 0 {
            evict("evicts pointer and marks", |redis| {
                (redis.pointer, redis.marks) = (None, 0);
            });
        }
        if state.failovers == 0 {
            return;
        }
        let mut next = state.clone();
        next.replica = next.redis;
        if next != *state {
            steps.add("redis", 0, "replicates", next);
        }
        let mut next = state.clone();
        next.redis = next.replica;
        next.server += 1;
        next.failovers -= 1;
        steps.add("redis", 0, "fails over to its replica", next);
    }

    fn is_stuck(&self, state: &State) -> bool {
        let quiet = state
            .writers
            .iter()
            .all(|writer| writer.at >= WriterAt::Acknowledged)
            && (state.readers.iter()).all(|reader| matches!(reader, Reader::Begin | Reader::Done))
            && !(self.journal && (0..WRITERS).any(|number| state.may_replay(number)));
        quiet
            && self
                .accepted(state)
                .is_some_and(|value| value.row < state.row)
    }
}

impl System for Variant {
    type State = State;

    fn initial(&self) -> State {
        let pointer = Pointer {
            version: 1,
            position: 0,
        };
        let redis = Redis {
            pointer: Some(pointer).filter(|_| self.invalidation != Invalidation::Delete),
            marks: 0,
            value: None,
            epoch: 0,
        };
        let mut readers = [Reader::Begin; 2];
        readers[self.readers..].fill(Reader::Done);
        State {
            row: 0,
            replica_row: 0,
            redis,
            replica: redis,
            server: 0,
            unused: 2,
            acknowledged: 0,
            writers: [Writer {
                at: WriterAt::Begin,
                row: 0,
            }; WRITERS],
            readers,
            journal: 0,
            evictions: self.evictions,
            failovers: self.failovers,
            crashes: self.crashes,
            stale: false,
        }
    }

    fn steps(&self, state: &State, steps: &mut Steps<State>) {
        for number in 0..WRITERS {
            self.write(state, number, steps);
        }
        for number in 0..self.readers {
            self.read(state, number, steps);
        }
        self.fail(state, steps);
    }

    fn harm(&self, state: &State) -> Option<&'static str> {
        let looked_for = |harm| self.looked_for.is_none_or(|looked_for| looked_for == harm);
        if looked_for(Harm::StaleRead) && state.stale {
            Some("a read returned what was invalidated before it began")
        } else if looked_for(Harm::Stuck) && self.is_stuck(state) {
            Some("all is quiet, and an old value would be served")
        } else {
            None
        }
    }
}
