//! A writer whose invalidations wait for a beat, a reader whose answer waits for one, and a reader that loads what is missing.

use super::{Beat, Beats, CONNECTS, Connection, Since, State};
use crate::explore::Steps;

/// Commits and bumps until it is acknowledged. The commit is one step with the first bump: in between nothing can do harm.
#[derive(Clone, Copy, Debug, Default, Hash, PartialEq, Eq)]
pub(super) struct Writer {
    pub(super) connection: Option<Connection>,
    pub(super) beat: Option<Beat>,
    bumped: bool,
}

/// Loads the old row, once, where there is no value, and keeps it.
#[derive(Clone, Copy, Debug, Default, Hash, PartialEq, Eq)]
pub(super) enum Filler {
    #[default]
    Idle,
    /// To be filled into this server.
    Loaded(usize),
    Done,
}

/// Reads once, after an acknowledgement: nothing else could be missed.
#[derive(Clone, Copy, Debug, Default, Hash, PartialEq, Eq)]
pub(super) struct Reader {
    pub(super) connection: Option<Connection>,
    pub(super) beat: Option<Beat>,
    read: Read,
}

#[derive(Clone, Copy, Debug, Default, Hash, PartialEq, Eq)]
enum Read {
    #[default]
    NotYet,
    Begun,
    /// With the old row.
    Answered,
    Ended,
}

impl Beats {
    pub(super) fn write(&self, state: &State, steps: &mut Steps<State>) {
        let writer = state.writer;
        if state.acknowledged.is_some() {
            return;
        }
        if !writer.bumped {
            self.connect_writer(state, steps);
        }
        let Some(connection) = writer.connection else {
            return;
        };
        if !writer.bumped {
            self.bump(state, connection, steps);
        }
        let may_beat = writer.bumped || self.bump_beats == Since::Connected;
        if may_beat && writer.beat.is_none() && is_master(state, connection) {
            let mut next = state.clone();
            next.writer.beat = Some(Beat::now(state));
            steps.add("writer", 0, "sends a beat", next);
        }
        if writer.bumped {
            self.acknowledge(state, connection, steps);
        }
    }

    fn connect_writer(&self, state: &State, steps: &mut Steps<State>) {
        for server in state.masters() {
            let mut next = state.clone();
            next.writer.connection = Some(self.connect(&mut next, server));
            next.writer.beat = None;
            steps.add("writer", 0, CONNECTS[server], next);
        }
    }

    fn bump(&self, state: &State, connection: Connection, steps: &mut Steps<State>) {
        if !is_master(state, connection) || !self.counts(state, connection) {
            return;
        }
        let mut next = state.clone();
        next.committed = true;
        next.group.servers[connection.server].data.replace_version();
        next.writer.bumped = true;
        steps.add("writer", 0, "bumps", next);
    }

    fn acknowledge(&self, state: &State, connection: Connection, steps: &mut Steps<State>) {
        let beat = state.writer.beat;
        let proven = beat.is_some_and(|beat| self.proves(state, connection, beat));
        if proven || !self.bumps_wait {
            let mut next = state.clone();
            next.acknowledged = Some(state.now);
            // Nobody asks for it any more.
            next.writer = Writer::default();
            steps.add("writer", 0, "acknowledges", next);
        }
        let mut next = state.clone();
        (next.writer.bumped, next.writer.beat) = (false, None);
        steps.add("writer", 0, "is not confirmed in time: pending", next);
    }

    pub(super) fn fill(&self, state: &State, steps: &mut Steps<State>) {
        if let Filler::Loaded(server) = state.filler {
            self.put(state, server, steps);
        }
        if state.filler != Filler::Idle || state.committed {
            return;
        }
        for server in state.masters() {
            let mut next = state.clone();
            self.connect(&mut next, server);
            let data = &mut next.group.servers[server].data;
            if !data.old {
                data.open = true;
                next.filler = Filler::Loaded(server);
                steps.add("loader", 0, "finds nothing, and loads the old row", next);
            }
        }
    }

    fn put(&self, state: &State, number: usize, steps: &mut Steps<State>) {
        if !state.group.servers[number].is_master() {
            return;
        }
        let mut next = state.clone();
        let data = &mut next.group.servers[number].data;
        data.old |= data.open;
        next.filler = Filler::Done;
        for server in &mut next.group.servers {
            server.data.open = false;
        }
        steps.add("loader", 0, "fills", next);
    }

    pub(super) fn read(&self, state: &State, steps: &mut Steps<State>) {
        let Reader {
            connection,
            beat,
            read,
        } = state.reader;
        if read == Read::Ended {
            return;
        }
        let Some(connection) = connection else {
            for server in state.masters() {
                let mut next = state.clone();
                next.reader.connection = Some(self.connect(&mut next, server));
                steps.add("reader", 0, CONNECTS[server], next);
            }
            return;
        };
        if self.may_beat(read) && beat.is_none() && is_master(state, connection) {
            let mut next = state.clone();
            next.reader.beat = Some(Beat::now(state));
            steps.add("reader", 0, "sends a beat", next);
        }
        match read {
            Read::NotYet if state.acknowledged.is_some() => {
                let mut next = state.clone();
                next.reader.read = Read::Begun;
                steps.add("reader", 0, "begins", next);
            }
            Read::Begun => self.answer(state, connection, steps),
            Read::Answered if beat.is_some_and(|beat| self.proves(state, connection, beat)) => {
                let mut next = state.clone();
                next.stale = true;
                next.reader.read = Read::Ended;
                steps.add("reader", 0, "is released", next);
            }
            _ => {}
        }
    }

    fn answer(&self, state: &State, connection: Connection, steps: &mut Steps<State>) {
        let mut next = state.clone();
        let (read, does) = match self.is_old(state, connection) {
            true => (Read::Answered, "is answered the old row"),
            false => (Read::Ended, "is answered the new row, or loads"),
        };
        next.reader.read = read;
        if read == Read::Ended {
            (next.reader.connection, next.reader.beat) = (None, None);
        }
        steps.add("reader", 0, does, next);
    }

    fn may_beat(&self, read: Read) -> bool {
        match self.read_beats {
            Since::Answered => read == Read::Answered,
            Since::Begun => read != Read::NotYet,
            Since::Connected => true,
        }
    }
}

/// Others refuse what writes.
pub(super) fn is_master(state: &State, connection: Connection) -> bool {
    state.group.servers[connection.server].is_master()
}
