//! One key in the queue, from the first request for it until it is done.

use tokio::time::Instant;

use crate::purge::{batch::Mode, error::PurgeError, receipt::Waiters};

/// What the queue knows of one key.
#[derive(Debug)]
pub(super) struct Entry {
    /// Of the last request: a call that left with an earlier number does not settle it.
    pub(super) number: u64,
    /// When the last request came.
    pub(super) asked_at: Instant,
    /// What is still to be done; while flying, only what was asked for since.
    pub(super) mode: Mode,
    pub(super) state: State,
    /// Where it stands when it waits, or will when the flight has landed and it was asked for again.
    pub(super) place: Place,
    /// Who asked since the last departure.
    pub(super) waiters: Waiters,
    /// Whose purge was taken, and who waits until it is done for good.
    pub(super) settling: Waiters,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum State {
    /// For a call.
    Waiting(Place),
    /// In a call that left with this number.
    Flying(u64),
    /// Taken once; the second purge is due then.
    Resting(Instant),
}

/// Where it stands in the line, and when its window is over.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) number: u64,
    pub(super) ready_at: Instant,
}

impl Entry {
    pub(super) fn new(
        number: u64,
        now: Instant,
        mode: Mode,
        place: Place,
        waiters: Waiters,
    ) -> Self {
        Self {
            number,
            asked_at: now,
            mode,
            state: State::Waiting(place),
            place,
            waiters,
            settling: Waiters::default(),
        }
    }

    /// One more request. Who waits keeps the place; who rests, or is under way, gets a new one.
    pub(super) fn ask_again(&mut self, number: u64, now: Instant, mode: Mode, ready_at: Instant) {
        let first_since_departure =
            matches!(self.state, State::Flying(left_with) if left_with == self.number);
        self.mode = if first_since_departure {
            mode
        } else {
            self.mode.and(mode)
        };
        match self.state {
            State::Waiting(_) => {}
            State::Flying(_) if !first_since_departure => {}
            State::Flying(_) => self.place = Place { number, ready_at },
            State::Resting(_) => self.wait_at(Place { number, ready_at }),
        }
        self.number = number;
        self.asked_at = now;
    }

    /// It will not be purged.
    pub(super) fn give_up(self, vendor: usize, error: &PurgeError) {
        self.waiters.fail(vendor, error);
        self.settling.fail_late(vendor, error);
    }

    pub(super) fn wait_at(&mut self, place: Place) {
        self.place = place;
        self.state = State::Waiting(place);
    }

    /// When it may go; who does not wait may not.
    pub(super) fn ready_at(&self) -> Instant {
        self.place.ready_at
    }
}
