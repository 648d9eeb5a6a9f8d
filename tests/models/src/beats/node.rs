//! A node that serves what it holds, and what Redis answers, for as long as its last confirmed beat is young enough.

use super::{Beat, Beats, CONNECTS, Connection, State, actors::is_master};
use crate::explore::Steps;

/// A connection, a local value, and from when the last proof is.
#[derive(Clone, Copy, Debug, Default, Hash, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) connection: Option<Connection>,
    pub(super) beat: Option<Beat>,
    proven: Option<u8>,
    /// The old row is in its memory.
    local: bool,
}

impl Beats {
    pub(super) fn live(&self, state: &State, steps: &mut Steps<State>) {
        for server in state.masters() {
            let mut next = state.clone();
            let connection = Some(self.connect(&mut next, server));
            if connection == state.node.connection {
                continue;
            }
            // What it held is in doubt.
            next.node = Node {
                connection,
                ..Node::default()
            };
            steps.add("node", 0, CONNECTS[server], next);
        }
        if let Some(connection) = state.node.connection {
            self.copy(state, connection, steps);
            self.beat(state, connection, steps);
        }
    }

    fn copy(&self, state: &State, connection: Connection, steps: &mut Steps<State>) {
        if !state.node.local && self.is_old(state, connection) {
            let mut next = state.clone();
            next.node.local = true;
            steps.add("node", 0, "copies the value", next);
        }
    }

    /// The answer to a beat tells the head, too: what was bumped until then is removed, whether the push was lost or not.
    fn beat(&self, state: &State, connection: Connection, steps: &mut Steps<State>) {
        let Node { beat, .. } = state.node;
        let newer = beat.is_none_or(|beat| beat.sent < state.now);
        if newer && is_master(state, connection) {
            let mut next = state.clone();
            next.node.local &= self.is_old(state, connection);
            next.node.beat = Some(Beat::now(state));
            if !self.proofs_wait {
                next.node.proven = Some(state.now);
            }
            steps.add("node", 0, "sends a beat, and hears of the head", next);
        }
        let confirmed = beat.filter(|beat| self.proves(state, connection, *beat));
        if let Some(beat) = confirmed.filter(|beat| state.node.proven < Some(beat.sent)) {
            let mut next = state.clone();
            next.node.proven = Some(beat.sent);
            steps.add("node", 0, "is proven", next);
        }
    }

    /// Whether a read that begins now would be answered the old row though the acknowledgement is older than the bound.
    pub(super) fn would_miss(&self, state: &State, bound: u8) -> bool {
        let (Some(acknowledged), Some(connection)) = (state.acknowledged, state.node.connection)
        else {
            return false;
        };
        let counts = state.node.proven.is_some_and(|at| state.now - at <= bound);
        let old = state.node.local || self.is_old(state, connection);
        counts && old && state.now - acknowledged > bound
    }
}
