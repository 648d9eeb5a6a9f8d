//! The protocol that was built: one entity, two nodes, a Redis that loses things, and a store that counts its commits.
//!
//! What is looked for is invariant I1: *no read that begins after an invalidation was acknowledged returns a value
//! loaded before it*. For what Redis or the store answers that is meant literally. A local value, or the answer of a
//! load that was joined, is measured by what its node must know when the read begins: its own acknowledged
//! invalidations, the events it has applied, and what its last proof covers.

mod node;
mod reader;
mod redis;

use self::{
    node::Node,
    reader::Reader,
    redis::{Event, Redis},
};
use crate::explore::{Steps, System};

/// The protocol, with what happens to it.
#[derive(Clone, Copy, Debug)]
pub struct Protocol {
    /// The protection that is missing.
    pub off: Option<Protection>,
    /// On which node each reader reads, once; three at most.
    pub readers: &'static [usize],
    /// On which node each writer writes, once; two at most.
    pub writers: &'static [usize],
    /// How often Redis loses everything, or the control record alone.
    pub wipes: u8,
    /// How often a node loses a push.
    pub losses: u8,
    /// How often the log is trimmed.
    pub trims: u8,
    /// How often pointer or value are evicted.
    pub evictions: u8,
    /// How many heartbeats there are.
    pub beats: u8,
    /// Time passes between the question of a heartbeat and its answer.
    pub slow_beats: bool,
}

/// What keeps old values from coming back; each can be taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protection {
    /// A value in Redis counts only under the current generation.
    AcceptByEquality,
    /// A fill presents the version from before its load.
    FillUnderTheVersionFromBefore,
    /// Versions grow past whatever was evicted.
    VersionsNeverRepeat,
    /// A missing control record begins an epoch that never was.
    FreshEpoch,
    /// A put presents a ticket.
    Ticket,
    /// The ticket is taken before Redis is asked.
    TicketBeforeTheQuestion,
    /// What is put counts as proven under the gap of its ticket.
    GapFromTheTicket,
    /// An invalidation touches its own node before it is acknowledged.
    TouchBeforeTheAnswer,
    /// What was invalidated is joined by nobody.
    Detach,
    /// Events and heads are compared with what was applied.
    Chain,
    /// A gap puts local entries in doubt.
    GapDoubtsEntries,
    /// A gap detaches loads.
    GapDetaches,
    /// A heartbeat that misses the control record proves nothing.
    MissingMeansUnknown,
    /// The proof is read before the entry.
    ProofBeforeEntry,
    /// Without a proof no local entry is served unasked.
    OnlyProven,
}

impl Protocol {
    /// Without readers, writers and faults.
    pub fn quiet() -> Self {
        Self {
            off: None,
            readers: &[],
            writers: &[],
            wipes: 0,
            losses: 0,
            trims: 0,
            evictions: 0,
            beats: 0,
            slow_beats: false,
        }
    }

    /// A node where nobody reads has nothing to serve, and need not hear.
    fn publish(&self, next: &mut State, events: impl IntoIterator<Item = Option<Event>>) {
        for event in events.into_iter().flatten() {
            for number in self.nodes() {
                next.nodes[number].inbox.push(event);
            }
        }
    }

    fn nodes(&self) -> impl Iterator<Item = usize> {
        (0..NODES).filter(|number| self.readers.contains(number))
    }

    fn is_off(&self, protection: Protection) -> bool {
        self.off == Some(protection)
    }

    fn write(&self, state: &State, number: usize, steps: &mut Steps<State>) {
        let mut next = state.clone();
        let Some(writer) = state.writers[number] else {
            return;
        };
        match writer {
            Writer::Begin => {
                next.row += 1;
                next.writers[number] = Some(Writer::Committed(next.row));
                steps.add("writer", number, "commits", next);
            }
            Writer::Committed(row) => {
                let (generation, events) = next.redis.bump(row, self.off);
                self.publish(&mut next, events);
                next.writers[number] = Some(Writer::Bumped(row, generation));
                steps.add("writer", number, "bumps", next);
            }
            Writer::Bumped(row, generation) => {
                let node = &mut next.nodes[self.writers[number]];
                if self.is_off(Protection::TouchBeforeTheAnswer) {
                    node.told = node.told.max(row);
                } else if self.readers.contains(&self.writers[number]) {
                    node.touch(generation, row, self.off);
                }
                next.acknowledged = next.acknowledged.max(row);
                next.writers[number] = None;
                steps.add(
                    "writer",
                    number,
                    "touches its node and is acknowledged",
                    next,
                );
            }
        }
    }

    fn follow(&self, state: &State, number: usize, steps: &mut Steps<State>) {
        let node = &state.nodes[number];
        let mut with = |does, change: &dyn Fn(&mut Node)| {
            let mut next = state.clone();
            change(&mut next.nodes[number]);
            steps.add("node", number, does, next);
        };
        if !node.inbox.is_empty() {
            with("hears of the next event", &|node| {
                node.hear(&state.redis, state.acknowledged, self.off);
            });
        }
        match node.beat {
            None if state.beats > 0 => {
                let mut next = state.clone();
                let node = &mut next.nodes[number];
                node.ask(&state.redis, state.acknowledged);
                if let Some(beat) = node.beat.filter(|_| !self.slow_beats) {
                    node.compare(beat, &state.redis, state.acknowledged, self.off);
                }
                next.beats -= 1;
                steps.add("node", number, "asks for the head", next);
            }
            None => {}
            Some(beat) => with("compares the head", &|node| {
                node.compare(beat, &state.redis, state.acknowledged, self.off);
            }),
        }
        if state.losses > 0 && !node.inbox.is_empty() {
            let mut next = state.clone();
            next.nodes[number].inbox.remove(0);
            next.losses -= 1;
            steps.add("node", number, "loses the next event", next);
        }
    }

    fn forget(state: &State, steps: &mut Steps<State>) {
        let redis = &state.redis;
        if state.evictions > 0 && redis.pointer.is_some() {
            let mut next = state.clone();
            next.redis.pointer = None;
            next.evictions -= 1;
            steps.add("redis", 0, "evicts the pointer", next);
        }
        if state.evictions > 0 && redis.value.is_some() {
            let mut next = state.clone();
            next.redis.value = None;
            next.evictions -= 1;
            steps.add("redis", 0, "evicts the value", next);
        }
        if state.trims > 0 && !redis.log.is_empty() {
            let mut next = state.clone();
            next.redis.log.remove(0);
            next.trims -= 1;
            steps.add("redis", 0, "trims its log", next);
        }
        if state.wipes > 0 && redis.control.is_some() {
            let mut next = state.clone();
            next.wipes -= 1;
            next.redis.wipe();
            steps.add("redis", 0, "is wiped", next.clone());
            next.redis = redis.clone();
            next.redis.lose_control();
            steps.add("redis", 0, "loses the control record alone", next);
        }
    }
}

impl System for Protocol {
    type State = State;

    fn initial(&self) -> State {
        let mut readers = [Reader::Done; 3];
        readers[..self.readers.len()].fill(Reader::Begin);
        let mut writers = [None; 2];
        writers[..self.writers.len()].fill(Some(Writer::Begin));
        State {
            row: 0,
            acknowledged: 0,
            redis: Redis::new(),
            nodes: [Node::new(), Node::new()],
            readers,
            writers,
            wipes: self.wipes,
            losses: self.losses,
            trims: self.trims,
            evictions: self.evictions,
            beats: self.beats,
            harm: None,
        }
    }

    fn steps(&self, state: &State, steps: &mut Steps<State>) {
        for number in 0..self.writers.len() {
            self.write(state, number, steps);
        }
        for number in 0..self.readers.len() {
            self.read(state, number, steps);
        }
        for number in self.nodes() {
            self.follow(state, number, steps);
        }
        Self::forget(state, steps);
    }

    fn harm(&self, state: &State) -> Option<&'static str> {
        state.harm
    }
}

/// A moment of store, Redis, nodes and callers.
#[derive(Clone, Debug, Hash, PartialEq, Eq)]
pub struct State {
    row: u8,
    acknowledged: u8,
    redis: Redis,
    nodes: [Node; NODES],
    readers: [Reader; 3],
    writers: [Option<Writer>; 2],
    wipes: u8,
    losses: u8,
    trims: u8,
    evictions: u8,
    beats: u8,
    harm: Option<&'static str>,
}

/// A writer on its way; it is gone when it was answered.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
enum Writer {
    Begin,
    Committed(u8),
    Bumped(u8, redis::Generation),
}

const NODES: usize = 2;
