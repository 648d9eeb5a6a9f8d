//! A moment of all actors: the store, its replica, Redis, its replica, writers and readers.

/// A moment of all actors.
#[derive(Clone, Debug, Hash, PartialEq, Eq)]
pub struct State {
    pub(super) row: u8,
    pub(super) replica_row: u8,
    pub(super) redis: Redis,
    pub(super) replica: Redis,
    /// Grows with each failover.
    pub(super) server: u8,
    /// The next version that was never used.
    pub(super) unused: u8,
    pub(super) acknowledged: u8,
    pub(super) writers: [Writer; WRITERS],
    pub(super) readers: [Reader; 2],
    /// Which writer has sent its bump to which server.
    pub(super) journal: u8,
    pub(super) evictions: u8,
    pub(super) failovers: u8,
    pub(super) crashes: u8,
    pub(super) stale: bool,
}

impl State {
    pub(super) fn point(&mut self, position: u8) {
        let version = self.unused;
        self.unused += 1;
        self.redis.pointer = Some(Pointer { version, position });
    }

    pub(super) fn answer(&mut self, reader: usize, row: u8, needed: u8) {
        self.readers[reader] = Reader::Done;
        self.stale |= row < needed;
    }

    pub(super) fn may_replay(&self, writer: usize) -> bool {
        let at = self.writers[writer].at;
        let bumped = at == WriterAt::Bumped || at == WriterAt::Acknowledged;
        let (any, this) = (sent(writer, 0) | sent(writer, 1), sent(writer, self.server));
        bumped && self.journal & any != 0 && self.journal & this == 0
    }
}

/// What fails over as a whole.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
pub(super) struct Redis {
    pub(super) pointer: Option<Pointer>,
    pub(super) marks: u8,
    pub(super) value: Option<Value>,
    pub(super) epoch: u8,
}

#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
pub(super) struct Pointer {
    pub(super) version: u8,
    /// The newest commit that a load must contain.
    pub(super) position: u8,
}

#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
pub(super) struct Value {
    pub(super) version: u8,
    pub(super) epoch: u8,
    pub(super) row: u8,
}

#[derive(Clone, Copy, Debug, Default, Hash, PartialEq, Eq)]
pub(super) struct Ticket {
    pub(super) version: u8,
    pub(super) epoch: u8,
    pub(super) position: u8,
}

#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
pub(super) struct Writer {
    pub(super) at: WriterAt,
    pub(super) row: u8,
}

#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum WriterAt {
    Begin,
    Marked,
    Committed,
    Bumped,
    Acknowledged,
    Dead,
}

#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
pub(super) enum Reader {
    Begin,
    /// What was acknowledged when it began, and what it will store under.
    Missed(u8, Option<Ticket>),
    Loaded(Option<Ticket>, u8),
    Done,
}

/// The place of a writer's bump on a server in the journal.
pub(super) fn sent(writer: usize, server: u8) -> u8 {
    1 << (2 * writer + usize::from(server))
}

pub(super) const WRITERS: usize = 2;
/// A position that no replica has reached.
pub(super) const UNKNOWN: u8 = 99;
