//! What may enter a node's memory, while events remove from it.
//!
//! Stands for `src/local.rs`: `ticket`, `put`, `touch`, `Cell::admits` and `Cell::note`. moka is a map of one entry here,
//! each of whose calls is atomic; Redis is the current version.

use super::{breaks, holds};
use loom::{
    sync::{
        Arc, Mutex,
        atomic::{
            AtomicBool, AtomicU64,
            Ordering::{Acquire, Release},
        },
    },
    thread,
};

#[derive(Clone, Copy, PartialEq)]
enum Gate {
    /// Judged and put under the cell's lock.
    AsBuilt,
    /// Judged under the lock, put after it.
    PutAfterTheLock,
    /// Removed first, noted afterwards.
    RemovedBeforeNoted,
    /// The ticket is taken after Redis was asked.
    LateTicket,
    /// Whatever was applied meanwhile refuses, also what is not newer.
    NothingIsCovered,
}

#[derive(Clone, Copy, Default)]
struct Cell {
    seen: u64,
    newest: u64,
}

struct Node {
    redis: AtomicU64,
    cell: Mutex<Cell>,
    /// The version of what is held.
    entry: Mutex<Option<u64>>,
    acknowledged: AtomicBool,
}

impl Node {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            redis: AtomicU64::new(1),
            cell: Mutex::new(Cell::default()),
            entry: Mutex::new(None),
            acknowledged: AtomicBool::new(false),
        })
    }

    fn ticket(&self) -> u64 {
        self.cell.lock().unwrap().seen
    }

    /// A read that finds nothing here, asks Redis, and puts what it gets.
    fn read(&self, gate: Gate) {
        let early = self.ticket();
        let version = self.redis.load(Acquire);
        let ticket = if gate == Gate::LateTicket {
            self.ticket()
        } else {
            early
        };
        self.put(version, ticket, gate);
    }

    fn put(&self, version: u64, ticket: u64, gate: Gate) {
        let cell = self.cell.lock().unwrap();
        let covered = gate != Gate::NothingIsCovered && cell.newest > 0 && version >= cell.newest;
        let admitted = cell.seen == ticket || covered;
        let held = if gate == Gate::PutAfterTheLock {
            drop(cell);
            None
        } else {
            Some(cell)
        };
        if admitted {
            *self.entry.lock().unwrap() = Some(version);
        }
        drop(held);
    }

    fn touch(&self, version: u64, gate: Gate) {
        if gate == Gate::RemovedBeforeNoted {
            self.remove_others(version);
            self.note(&mut self.cell.lock().unwrap(), version);
        } else {
            let mut cell = self.cell.lock().unwrap();
            self.note(&mut cell, version);
            self.remove_others(version);
        }
    }

    fn note(&self, cell: &mut Cell, version: u64) {
        cell.seen += 1;
        cell.newest = cell.newest.max(version);
    }

    fn remove_others(&self, version: u64) {
        let mut entry = self.entry.lock().unwrap();
        *entry = entry.filter(|held| *held == version);
    }

    /// An invalidation by this node: the bump, its own memory, the answer.
    fn invalidate(&self, version: u64, gate: Gate) {
        self.redis.store(version, Release);
        self.touch(version, gate);
        self.acknowledged.store(true, Release);
    }

    fn assert_no_old_value(&self) {
        let acknowledged = self.acknowledged.load(Acquire);
        let held = *self.entry.lock().unwrap();
        assert!(!(acknowledged && held == Some(1)), "{HARM}");
    }
}

/// Two reads and an invalidation.
fn race(gate: Gate) -> Arc<Node> {
    let node = Node::new();
    let others = [
        thread::spawn({
            let node = Arc::clone(&node);
            move || node.invalidate(2, gate)
        }),
        thread::spawn({
            let node = Arc::clone(&node);
            move || node.read(gate)
        }),
    ];
    node.read(gate);
    node.assert_no_old_value();
    for other in others {
        other.join().unwrap();
    }
    node.assert_no_old_value();
    node
}

#[test]
fn as_built_no_old_value_stays() {
    holds(|| {
        race(Gate::AsBuilt);
    });
}

#[test]
fn a_put_after_the_lock_breaks() {
    breaks(HARM, || {
        race(Gate::PutAfterTheLock);
    });
}

#[test]
fn a_removal_before_its_note_breaks() {
    breaks(HARM, || {
        race(Gate::RemovedBeforeNoted);
    });
}

#[test]
fn a_late_ticket_breaks() {
    breaks(HARM, || {
        race(Gate::LateTicket);
    });
}

/// The event of the very version that was loaded refuses nothing: else each refill would be lost to its own event.
fn refill(gate: Gate) {
    let node = Node::new();
    node.redis.store(2, Release);
    let event = thread::spawn({
        let node = Arc::clone(&node);
        move || node.touch(2, gate)
    });
    node.read(gate);
    event.join().unwrap();

    assert!(*node.entry.lock().unwrap() == Some(2), "{LOST}");
}

#[test]
fn a_value_of_the_version_that_the_event_gave_stays() {
    holds(|| refill(Gate::AsBuilt));
}

#[test]
fn a_gate_that_covers_nothing_loses_the_refill() {
    breaks(LOST, || refill(Gate::NothingIsCovered));
}

const HARM: &str = "an old value is held after its invalidation was acknowledged";
const LOST: &str = "the refill is lost";
