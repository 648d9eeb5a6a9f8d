//! The hand-over of a flight: a leader that is dropped before it loads, and those who wait.
//!
//! Stands for `src/load/flight.rs` (`join`, `answer`, `complete`, `Permit::drop`) and the loop in `fly` of
//! `src/cache/fly.rs`. A task that waits is a thread that waits; [`Notify`] does what tokio's promises of
//! `notified()` and `notify_waiters()`.

use super::{breaks, holds};
use loom::{
    sync::{Arc, Condvar, Mutex},
    thread,
};

#[derive(Clone, Copy, PartialEq)]
enum Handover {
    AsBuilt,
    /// The state is looked at before the wait begins.
    LooksBeforeItListens,
    /// A dropped leader leaves its flight in the map.
    IsNotRemoved,
    /// A dropped leader tells nobody.
    TellsNobody,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    Running,
    Done,
    Abandoned,
}

/// Whoever has begun to listen hears of the next call, whether it waits already or not.
struct Notify {
    calls: Mutex<u64>,
    called: Condvar,
}

impl Notify {
    fn notified(&self) -> u64 {
        *self.calls.lock().unwrap()
    }

    fn wait(&self, since: u64) {
        let mut calls = self.calls.lock().unwrap();
        // A flight ends once.
        assert!(since == 0, "{HANGS}");
        while *calls == since {
            calls = self.called.wait(calls).unwrap();
        }
    }

    fn notify_waiters(&self) {
        *self.calls.lock().unwrap() += 1;
        self.called.notify_all();
    }
}

struct Flight {
    state: Mutex<State>,
    ended: Notify,
}

impl Flight {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State::Running),
            ended: Notify {
                calls: Mutex::new(0),
                called: Condvar::new(),
            },
        })
    }

    /// Whether there is an answer; else the leader was dropped.
    fn answer(&self, handover: Handover) -> bool {
        loop {
            let mut listens = self.ended.notified();
            match *self.state.lock().unwrap() {
                State::Running => {}
                State::Done => return true,
                State::Abandoned => return false,
            }
            if handover == Handover::LooksBeforeItListens {
                listens = self.ended.notified();
            }
            self.ended.wait(listens);
        }
    }

    fn end(&self, state: State) {
        *self.state.lock().unwrap() = state;
        self.ended.notify_waiters();
    }
}

/// The flights of one key.
#[derive(Default)]
struct Flights {
    flying: Mutex<Option<Arc<Flight>>>,
    loads: Mutex<u64>,
}

impl Flights {
    fn join(&self) -> (Arc<Flight>, bool) {
        let mut flying = self.flying.lock().unwrap();
        if let Some(flight) = &*flying {
            return (Arc::clone(flight), false);
        }
        let flight = Flight::new();
        *flying = Some(Arc::clone(&flight));
        (flight, true)
    }

    fn remove(&self, flight: &Arc<Flight>) {
        let mut flying = self.flying.lock().unwrap();
        if flying
            .as_ref()
            .is_some_and(|held| Arc::ptr_eq(held, flight))
        {
            *flying = None;
        }
    }

    /// `Permit::complete`.
    fn complete(&self, flight: &Arc<Flight>) {
        *self.loads.lock().unwrap() += 1;
        self.remove(flight);
        flight.end(State::Done);
    }

    /// `Permit::drop`.
    fn abandon(&self, flight: &Arc<Flight>, handover: Handover) {
        if handover != Handover::IsNotRemoved {
            self.remove(flight);
        }
        let running = *flight.state.lock().unwrap() == State::Running;
        if running && handover != Handover::TellsNobody {
            flight.end(State::Abandoned);
        }
    }

    /// A caller: leads or follows until it has an answer.
    fn fly(&self, handover: Handover) {
        for _ in 0..CALLERS {
            let (flight, leads) = self.join();
            if leads {
                return self.complete(&flight);
            }
            if flight.answer(handover) {
                return;
            }
        }
        panic!("{NOBODY}");
    }
}

/// A leader that is dropped, and two who read the same key.
fn race(handover: Handover) {
    let flights = Arc::new(Flights::default());
    let (dropped, _) = flights.join();
    let others = [(); 2].map(|()| {
        let flights = Arc::clone(&flights);
        thread::spawn(move || flights.fly(handover))
    });
    flights.abandon(&dropped, handover);
    for other in others {
        other.join().unwrap();
    }

    let loads = *flights.loads.lock().unwrap();
    assert!((1..=2).contains(&loads), "{loads} loads");
    assert!(flights.flying.lock().unwrap().is_none(), "a flight stays");
}

#[test]
fn as_built_everybody_is_answered() {
    holds(|| race(Handover::AsBuilt));
}

#[test]
fn looking_before_listening_hangs() {
    breaks(HANGS, || race(Handover::LooksBeforeItListens));
}

#[test]
fn a_flight_that_is_not_removed_is_joined_for_ever() {
    breaks(NOBODY, || race(Handover::IsNotRemoved));
}

#[test]
fn a_dropped_leader_that_tells_nobody_leaves_them_hanging() {
    breaks(DEADLOCK, || race(Handover::TellsNobody));
}

/// One leader is dropped, so nobody is abandoned twice.
const CALLERS: usize = 3;
const NOBODY: &str = "nobody answers";
const HANGS: &str = "waits for what has been";
const DEADLOCK: &str = "deadlock";
