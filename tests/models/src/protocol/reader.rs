//! The way of a read: the local value, a load that somebody leads, Redis, the store, and the puts on the way back.
//!
//! Stands for `src/cache/{core,fly}.rs`, `src/load/{lease,run,filling}.rs`. A leader does not look at the local value a
//! second time, and asks Redis with OPEN at once: OPEN answers the value as READ would.

use super::{
    Protection, Protocol, State,
    node::{Entry, Flight, Ticket},
    redis::{Generation, Turn, Value},
};
use crate::explore::Steps;

/// A caller that reads once.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
pub(super) enum Reader {
    Begin,
    /// It has read the proof: its gap, if it is live.
    Proof(Needed, Option<u8>),
    /// It has read the entry, before the proof; whether there was a proof when it began.
    Entry(Needed, Option<Entry>, bool),
    /// It must show so much, and waits for the load of another reader.
    Follows(u8, u8),
    Leads(Leader),
    Done,
}

/// What a read must show at least, from the moment it began.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
pub(super) struct Needed {
    /// Of what its node knows.
    told: u8,
    /// Of what Redis or the store says.
    acknowledged: u8,
}

/// How far a leader has come. What it must show is known until Redis or the store has answered, and judged then.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
pub(super) enum Leader {
    /// It holds a value that may still count.
    Holds(Value, Ticket, u8),
    /// Redis has confirmed it.
    Confirmed(Value, Ticket),
    Refused(Value, u8),
    Asks(Ticket, u8),
    Loads(Generation, Ticket),
    Fills(Value, Ticket),
    /// The fill was refused, so that the value is for those who wait only.
    Unkept(u8),
    Puts(Value, Ticket),
}

impl Protocol {
    pub(super) fn read(&self, state: &State, number: usize, steps: &mut Steps<State>) {
        let node = self.readers[number];
        let needed = Needed {
            told: state.nodes[node].told,
            acknowledged: state.acknowledged,
        };
        match state.readers[number] {
            Reader::Begin if self.is_ones_turn(state, number) => {
                self.begin(state, number, needed, steps);
            }
            Reader::Proof(needed, gap) => {
                let entry = state.nodes[node].local;
                let unproven = self.is_off(Protection::OnlyProven);
                let proven = |entry: &Entry| unproven || Some(entry.gap) == gap;
                match entry.filter(proven) {
                    Some(entry) => hit(state, number, entry, needed.told, steps),
                    None => self.miss(state, number, needed, gap.is_some(), steps),
                }
            }
            Reader::Entry(needed, entry, was_live) => {
                let node = &state.nodes[node];
                let covered = if was_live { 0 } else { node.covered };
                match entry.filter(|entry| entry.gap == node.gap) {
                    Some(entry) => hit(state, number, entry, needed.told.max(covered), steps),
                    None => self.miss(state, number, needed, true, steps),
                }
            }
            Reader::Leads(leader) => self.lead(state, number, leader, steps),
            Reader::Begin | Reader::Follows(..) | Reader::Done => {}
        }
    }

    /// Readers of one node are alike, so they begin in their order.
    fn is_ones_turn(&self, state: &State, number: usize) -> bool {
        number == 0
            || self.readers[number - 1] != self.readers[number]
            || state.readers[number - 1] != Reader::Begin
    }

    /// A proof may be over at any time.
    fn begin(&self, state: &State, number: usize, needed: Needed, steps: &mut Steps<State>) {
        let node = &state.nodes[self.readers[number]];
        let entry_first = self.is_off(Protection::ProofBeforeEntry);
        for live in [true, false] {
            let mut next = state.clone();
            next.readers[number] = if entry_first {
                Reader::Entry(needed, node.local, live)
            } else {
                Reader::Proof(needed, live.then_some(node.gap))
            };
            let does = match (entry_first, live) {
                (false, true) => "begins, and reads the proof",
                (false, false) => "begins, and finds no proof",
                (true, true) => "begins while there is a proof, and reads the entry",
                (true, false) => "begins while there is no proof, and reads the entry",
            };
            steps.add("reader", number, does, next);
        }
    }

    /// `Flights::join`, and `Core::look` for a leader.
    fn miss(
        &self,
        state: &State,
        number: usize,
        needed: Needed,
        live: bool,
        steps: &mut Steps<State>,
    ) {
        let mut next = state.clone();
        let node = &mut next.nodes[self.readers[number]];
        if let Some(flight) = node.flight.filter(|_| live) {
            next.readers[number] = Reader::Follows(needed.told, flight.leader);
            return steps.add(
                "reader",
                number,
                "misses, and joins the load under way",
                next,
            );
        }
        // What it replaces goes on, for those who follow it.
        node.flight = Some(Flight {
            leader: number as u8,
            under: None,
        });
        let ticket = node.ticket();
        let leader = match node.local {
            Some(entry) => Leader::Holds(entry.value, ticket, needed.acknowledged),
            None => Leader::Asks(ticket, needed.acknowledged),
        };
        next.readers[number] = Reader::Leads(leader);
        steps.add("reader", number, "misses, leads, and takes a ticket", next);
    }

    fn lead(&self, state: &State, number: usize, leader: Leader, steps: &mut Steps<State>) {
        let mut next = state.clone();
        let node = self.readers[number];
        let (then, does) = match leader {
            Leader::Holds(value, ticket, least) => {
                let confirmed = state.redis.generation() == Some(value.generation);
                let then = if confirmed {
                    next.judge(value.row, least);
                    Leader::Confirmed(value, ticket)
                } else {
                    Leader::Refused(value, least)
                };
                (then, "asks Redis for the version of what it holds")
            }
            Leader::Refused(value, least) => {
                let node = &mut next.nodes[node];
                node.local = node.local.filter(|entry| entry.value != value);
                let then = Leader::Asks(node.ticket(), least);
                (then, "drops what it held, and takes another ticket")
            }
            Leader::Asks(ticket, least) => (self.open(&mut next, number, ticket, least), "opens"),
            Leader::Loads(generation, ticket) => {
                let row = state.row;
                (Leader::Fills(Value { generation, row }, ticket), "loads")
            }
            Leader::Fills(value, ticket) => {
                let (stored, fence) = next.redis.fill(value, self.off);
                self.publish(&mut next, [fence]);
                let then = match stored {
                    Some(generation) => Leader::Puts(
                        Value {
                            generation,
                            ..value
                        },
                        ticket,
                    ),
                    None => Leader::Unkept(value.row),
                };
                (then, "fills")
            }
            Leader::Confirmed(value, ticket) => {
                next.nodes[node].renew(value, ticket, self.off);
                self.answer(&mut next, number, value.row);
                return steps.add("reader", number, "renews what it holds, and answers", next);
            }
            Leader::Puts(value, ticket) => {
                next.nodes[node].put(value, ticket, self.off);
                self.answer(&mut next, number, value.row);
                return steps.add("reader", number, "puts, and answers", next);
            }
            Leader::Unkept(row) => {
                self.answer(&mut next, number, row);
                return steps.add("reader", number, "answers, and keeps nothing", next);
            }
        };
        next.readers[number] = Reader::Leads(then);
        steps.add("reader", number, does, next);
    }

    fn open(&self, next: &mut State, number: usize, ticket: Ticket, least: u8) -> Leader {
        let (turn, fence) = next.redis.open(self.off);
        self.publish(next, [fence]);
        match turn {
            Turn::Hit(value) => {
                next.judge(value.row, least);
                Leader::Puts(value, ticket)
            }
            Turn::Load(generation) => {
                if let Some(flight) = &mut next.nodes[self.readers[number]].flight
                    && usize::from(flight.leader) == number
                {
                    flight.under = Some(generation);
                }
                Leader::Loads(generation, ticket)
            }
        }
    }

    /// `Permit::complete`. Detached or not, it answers those who follow it.
    fn answer(&self, next: &mut State, number: usize, row: u8) {
        let node = &mut next.nodes[self.readers[number]];
        node.flight = (node.flight).filter(|flight| usize::from(flight.leader) != number);
        next.readers[number] = Reader::Done;
        for other in 0..next.readers.len() {
            if let Reader::Follows(least, leader) = next.readers[other]
                && usize::from(leader) == number
            {
                next.readers[other] = Reader::Done;
                next.judge(row, least);
            }
        }
    }
}

impl State {
    fn judge(&mut self, row: u8, least: u8) {
        if row < least {
            self.harm = Some("a read returned what was invalidated before it began");
        }
    }
}

/// A local value is served; it must show `least`.
fn hit(state: &State, number: usize, entry: Entry, least: u8, steps: &mut Steps<State>) {
    let mut next = state.clone();
    next.readers[number] = Reader::Done;
    next.judge(entry.value.row, least);
    steps.add("reader", number, "hits the local value", next);
}
