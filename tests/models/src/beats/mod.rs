//! What `Bounded` and `Strict` rest on: a *beat*, which all replicas that may be promoted have confirmed.
//!
//! A beat is a write, sent when it may count from; then `WAIT` until all of them have it; then the question who the server is,
//! which must still be the one that the connection began with. A master, two replicas of which either may be promoted while
//! the other still follows, a master that comes back or is replaced, and clients whose connections stand to any of them.
//! A link that is cut is one whose next step never comes. Stands for what confirms invalidations, reads and proofs.

mod actors;
mod node;
mod servers;

use self::{
    actors::{Filler, Reader, Writer},
    node::Node,
    servers::{Group, SERVERS},
};
use crate::explore::{Steps, System};

/// The rules; each can be broken.
#[derive(Clone, Copy, Debug)]
pub struct Beats {
    /// What is looked at.
    pub level: Level,
    /// How many replicas must have a beat: two may be promoted.
    pub confirmations: u32,
    /// After the confirmations the server is asked whether it is still the same.
    pub asks_who: bool,
    /// An invalidation is acknowledged when a beat is confirmed; else as soon as it is answered.
    pub bumps_wait: bool,
    /// From when on a beat may have been sent that confirms an invalidation.
    pub bump_beats: Since,
    /// From when on a beat may have been sent that releases a read.
    pub read_beats: Since,
    /// Proofs are dated by beats that are confirmed; else by beats that are sent.
    pub proofs_wait: bool,
    /// An epoch counts only on the server that it began on.
    pub fenced: bool,
    /// A load of the old row is under way, too.
    pub loads: bool,
}

/// What a read promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Nothing is missed that was acknowledged before the read began.
    Strict,
    /// Nothing is missed that was acknowledged more ticks ago than this.
    Bounded(u8),
}

/// From when on a beat may have been sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Since {
    /// The read, or the bump, was answered.
    Answered,
    /// The read, or the bump, began.
    Begun,
    /// The connection was made.
    Connected,
}

impl Beats {
    /// `Strict`, as it is to be.
    pub fn strict() -> Self {
        Self {
            level: Level::Strict,
            confirmations: 2,
            asks_who: true,
            bumps_wait: true,
            bump_beats: Since::Answered,
            read_beats: Since::Answered,
            proofs_wait: true,
            fenced: true,
            loads: true,
        }
    }

    /// `Bounded` by one tick, as it is to be. What loads can do is looked at with `Strict`.
    pub fn bounded() -> Self {
        Self {
            level: Level::Bounded(1),
            loads: false,
            ..Self::strict()
        }
    }

    /// A client connects, and so learns who the server is. Whoever meets an epoch of another server begins one there.
    fn connect(&self, state: &mut State, server: usize) -> Connection {
        let id = state.group.servers[server].id;
        let data = &mut state.group.servers[server].data;
        if self.fenced && data.owner != id {
            data.owner = id;
            data.replace_version();
        }
        Connection { server, id }
    }

    /// Whether what stands there counts for who has this connection.
    fn counts(&self, state: &State, connection: Connection) -> bool {
        let data = state.group.servers[connection.server].data;
        !self.fenced || data.owner == connection.id
    }

    /// Whether the old row is what the server answers. A replica answers, too.
    fn is_old(&self, state: &State, connection: Connection) -> bool {
        state.group.servers[connection.server].data.old && self.counts(state, connection)
    }

    /// Whether this beat proves that nobody else was in charge since it was sent.
    fn proves(&self, state: &State, connection: Connection, beat: Beat) -> bool {
        let server = state.group.servers[connection.server];
        let same = server.is_master() && server.id == connection.id;
        beat.confirmed.count_ones() >= self.confirmations && (same || !self.asks_who)
    }
}

impl System for Beats {
    type State = State;

    fn initial(&self) -> State {
        State {
            now: 0,
            committed: false,
            acknowledged: None,
            group: Group::in_step(),
            writer: Writer::default(),
            filler: Filler::default(),
            reader: Reader::default(),
            node: Node::default(),
            stale: false,
        }
    }

    fn steps(&self, state: &State, steps: &mut Steps<State>) {
        state.change_servers(steps);
        self.write(state, steps);
        if self.loads {
            self.fill(state, steps);
        }
        match self.level {
            Level::Strict => self.read(state, steps),
            Level::Bounded(_) => {
                self.live(state, steps);
                if state.now < LAST {
                    let mut next = state.clone();
                    next.now += 1;
                    steps.add("time", 0, "passes", next);
                }
            }
        }
    }

    fn harm(&self, state: &State) -> Option<&'static str> {
        match self.level {
            Level::Strict => state
                .stale
                .then_some("a read returned what was invalidated before it began"),
            Level::Bounded(bound) => self
                .would_miss(state, bound)
                .then_some("a read returned what was invalidated longer ago than the bound"),
        }
    }
}

/// A moment of store, servers and clients.
#[derive(Clone, Debug, Hash, PartialEq, Eq)]
pub struct State {
    now: u8,
    committed: bool,
    /// When.
    acknowledged: Option<u8>,
    group: Group,
    writer: Writer,
    filler: Filler,
    reader: Reader,
    node: Node,
    stale: bool,
}

impl State {
    /// A replica that gets what its master has confirms the beats there. `WAIT` compares nothing but positions, so that also
    /// those of a history that the master has lost are confirmed when it has come back.
    fn confirm(&mut self, replica: usize, master: usize) {
        let beats = [
            (self.writer.connection, &mut self.writer.beat),
            (self.reader.connection, &mut self.reader.beat),
            (self.node.connection, &mut self.node.beat),
        ];
        for (connection, beat) in beats {
            let here = connection.is_some_and(|connection| connection.server == master);
            if let Some(beat) = beat.as_mut().filter(|_| here) {
                beat.confirmed |= 1 << replica;
            }
        }
    }

    fn change_servers(&self, steps: &mut Steps<Self>) {
        for number in 0..SERVERS {
            for (does, group, confirms) in self.group.changes(number) {
                let mut next = self.clone();
                next.group = group;
                if let Some(master) = confirms {
                    next.confirm(number, master);
                }
                steps.add("server", number, does, next);
            }
        }
    }

    /// Who lets clients write.
    fn masters(&self) -> impl Iterator<Item = usize> + '_ {
        (0..SERVERS).filter(|number| self.group.servers[*number].is_master())
    }
}

/// To which server, and who that was when the connection was made.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
struct Connection {
    server: usize,
    id: u8,
}

/// A write that replicas confirm, one bit for each.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
struct Beat {
    sent: u8,
    confirmed: u8,
}

impl Beat {
    fn now(state: &State) -> Self {
        Self {
            sent: state.now,
            confirmed: 0,
        }
    }
}

/// By the number of the server.
const CONNECTS: [&str; SERVERS] = [
    "connects to the first master",
    "connects to the first replica",
    "connects to the other replica",
    "connects to the newcomer",
];

/// The last tick: one more than the bound, since whatever comes before the acknowledgement may do so within one.
const LAST: u8 = 2;
