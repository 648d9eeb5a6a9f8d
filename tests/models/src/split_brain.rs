//! Two masters: a replica was promoted, and the old master still answers those who reach it.
//!
//! An epoch counts only on the server that it began on (`remote/fence.rs`): what the new master has from before is refused,
//! and so a bump that died with the old master has nothing to bring back. Who is still attached to an isolated master is
//! served what the others have invalidated; there ends what `Eventual` promises, and the model shows it as expected to
//! break, and what would mend it: a bump that a replica has confirmed, together with clients that know of the promotion.
//! Here each read asks Redis; a local value is as old as its feed, which comes from the same server.

use crate::explore::{Steps, System};

/// Two masters, a writer and two readers, who may be attached to either.
#[derive(Clone, Copy, Debug, Default)]
pub struct SplitBrain {
    /// The first to reach the new master begins an epoch there, in which nothing from before counts.
    pub fenced: bool,
    /// A bump is acknowledged only if the replica has it; else it is pending, and sent again.
    pub bumps_wait: bool,
    /// Whoever answers says who it is, and a client that knows of the promotion does not believe the old master.
    pub servers_are_known: bool,
    /// Clients hear of the promotion at once; else the old master answers who still speaks to it.
    pub clients_follow: bool,
}

impl SplitBrain {
    /// As built: an epoch has its server; nobody waits for a replica, and nobody knows of a promotion before it is met.
    pub fn built() -> Self {
        Self {
            fenced: true,
            ..Self::default()
        }
    }

    /// What a client does first where it reaches a server: each connection asks who is there.
    fn reach(&self, state: &mut State, server: usize) {
        if self.fenced && server == NEW && state.promoted && !state.fenced {
            state.fenced = true;
            // Another epoch: as good as a version that no value has.
            state.servers[NEW].pointer = state.issue();
        }
    }

    /// The servers that may answer a client.
    fn answering(&self, state: &State) -> &'static [usize] {
        match state.promoted {
            false => &[OLD],
            true if self.clients_follow => &[NEW],
            true => &[OLD, NEW],
        }
    }

    fn write(&self, state: &State, steps: &mut Steps<State>) {
        if state.writer == Writer::Begin {
            let mut next = state.clone();
            next.row = 1;
            next.writer = Writer::Committed;
            steps.add("writer", 0, "commits", next);
        }
        if state.writer != Writer::Committed {
            return;
        }
        for server in self.answering(state) {
            let mut next = state.clone();
            self.reach(&mut next, *server);
            let version = next.issue();
            next.servers[*server].pointer = version;
            let confirmed = match (self.bumps_wait, state.promoted) {
                (true, false) => {
                    next.servers[NEW] = next.servers[OLD];
                    true
                }
                // The isolated master has nobody to confirm anything.
                (true, true) => *server == NEW,
                (false, _) => true,
            };
            if confirmed {
                next.acknowledged = true;
                next.writer = Writer::Done;
            }
            let does = ["bumps on the old master", "bumps on the new master"][*server];
            if next.unused <= MOST {
                steps.add("writer", 0, does, next);
            }
        }
    }

    fn read(&self, state: &State, number: usize, steps: &mut Steps<State>) {
        let mut next = state.clone();
        let (then, does) = match state.readers[number] {
            Reader::Begin => {
                for server in self.answering(state) {
                    self.ask(state, number, *server, steps);
                }
                return;
            }
            Reader::Loads(server, version) => {
                let row = state.row;
                (Reader::Fills(server, Value { version, row }), "loads")
            }
            Reader::Fills(server, value) => {
                self.reach(&mut next, server);
                let server = &mut next.servers[server];
                if server.pointer == value.version {
                    server.value = Some(value);
                }
                (Reader::Done, "fills")
            }
            Reader::Done => return,
        };
        next.readers[number] = then;
        steps.add("reader", number, does, next);
    }

    fn ask(&self, state: &State, number: usize, server: usize, steps: &mut Steps<State>) {
        let mut next = state.clone();
        self.reach(&mut next, server);
        let Server { pointer, value } = next.servers[server];
        let replaced = state.promoted && server == OLD;
        let current = value.filter(|value| value.version == pointer);
        next.readers[number] = match current {
            // The store is asked instead.
            _ if replaced && self.servers_are_known => Reader::Done,
            Some(value) => {
                next.stale = state.acknowledged && value.row < state.row;
                Reader::Done
            }
            None => Reader::Loads(server, pointer),
        };
        let does = ["asks the old master", "asks the new master"][server];
        steps.add("reader", number, does, next);
    }
}

impl System for SplitBrain {
    type State = State;

    fn initial(&self) -> State {
        let server = Server {
            pointer: 1,
            value: None,
        };
        State {
            row: 0,
            acknowledged: false,
            promoted: false,
            fenced: false,
            servers: [server; 2],
            unused: 2,
            writer: Writer::Begin,
            readers: [Reader::Begin; 3],
            stale: false,
        }
    }

    fn steps(&self, state: &State, steps: &mut Steps<State>) {
        self.write(state, steps);
        for number in 0..state.readers.len() {
            self.read(state, number, steps);
        }
        if state.promoted {
            return;
        }
        let mut next = state.clone();
        next.promoted = true;
        steps.add("replica", 0, "is promoted", next);
        if state.servers[OLD] != state.servers[NEW] {
            let mut next = state.clone();
            next.servers[NEW] = next.servers[OLD];
            steps.add("replica", 0, "gets what the master has", next);
        }
    }

    fn harm(&self, state: &State) -> Option<&'static str> {
        (state.stale).then_some("a read returned what was invalidated before it began")
    }
}

/// A moment of store, servers and callers.
#[derive(Clone, Debug, Hash, PartialEq, Eq)]
pub struct State {
    row: u8,
    acknowledged: bool,
    promoted: bool,
    /// An epoch of its own has begun on the new master.
    fenced: bool,
    servers: [Server; 2],
    /// The next version that was never used: both masters read the same time.
    unused: u8,
    writer: Writer,
    readers: [Reader; 3],
    stale: bool,
}

impl State {
    fn issue(&mut self) -> u8 {
        self.unused += 1;
        self.unused - 1
    }
}

#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
struct Server {
    pointer: u8,
    value: Option<Value>,
}

#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
struct Value {
    version: u8,
    row: u8,
}

#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
enum Writer {
    Begin,
    Committed,
    Done,
}

#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
enum Reader {
    Begin,
    /// From which server it has its version.
    Loads(usize, u8),
    Fills(usize, Value),
    Done,
}

/// The master that was replaced.
const OLD: usize = 0;
/// The replica that was promoted.
const NEW: usize = 1;
/// How often a bump that is pending is sent at most.
const MOST: u8 = 6;
