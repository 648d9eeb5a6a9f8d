//! The check of a hit against the tag table: one load, most often.
//!
//! Stands for `src/tags.rs` (`generation`, `check`, `change`) and `standing` in `src/load/shelf.rs`. A table is the place
//! of one tag's last bump; an entry is of place zero. The table's lock is a mutex here: readers of it exclude each other,
//! which matters to none of them.

use super::{breaks, holds};
use loom::{
    sync::{
        Arc, Mutex,
        atomic::{
            AtomicBool, AtomicU64,
            Ordering::{Acquire, Relaxed, Release},
        },
    },
    thread,
};

#[derive(Clone, Copy, PartialEq)]
enum Order {
    GenerationFirst,
    TableFirst,
}

struct Node {
    generation: AtomicU64,
    table: Mutex<Table>,
    /// The generation at the entry's last check.
    checked: AtomicU64,
    acknowledged: AtomicBool,
}

/// The writer has its generation from here: where it loads the atomic itself, loom (0.7) forgets that a reader has loaded
/// it before, and misses the schedule that breaks.
struct Table {
    bumped: u64,
    generation: u64,
}

impl Node {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            generation: AtomicU64::new(1),
            table: Mutex::new(Table {
                bumped: 0,
                generation: 1,
            }),
            checked: AtomicU64::new(0),
            acknowledged: AtomicBool::new(false),
        })
    }

    /// `TagTable::change`, and the answer to whoever has bumped.
    fn bump(&self, order: Order) {
        let mut table = self.table.lock().unwrap();
        table.generation += 1;
        let next = table.generation;
        if order == Order::GenerationFirst {
            self.generation.store(next, Release);
        }
        table.bumped = 1;
        if order == Order::TableFirst {
            self.generation.store(next, Release);
        }
        drop(table);
        self.acknowledged.store(true, Release);
    }

    /// `Shelf::standing`: whether the entry may be served.
    fn is_current(&self, order: Order) -> bool {
        let before = self.generation.load(Acquire);
        if self.checked.load(Relaxed) == before {
            return true;
        }
        let current = self.table.lock().unwrap().bumped == 0;
        let loaded = match order {
            Order::GenerationFirst => before,
            Order::TableFirst => self.generation.load(Acquire),
        };
        if current {
            self.checked.store(loaded, Relaxed);
        }
        current
    }
}

/// A read and a bump, and a read after both: the bump was acknowledged before it began.
fn race(reader: Order, event: Order) {
    let node = Node::new();
    let bump = thread::spawn({
        let node = Arc::clone(&node);
        move || node.bump(event)
    });
    node.is_current(reader);
    bump.join().unwrap();

    assert!(!node.is_current(reader), "{HARM}");
}

/// Two reads that do not wait for the bump, which one of them may know of.
fn race_of_readers(reader: Order, event: Order) {
    let node = Node::new();
    let others = [
        thread::spawn({
            let node = Arc::clone(&node);
            move || node.bump(event)
        }),
        thread::spawn({
            let node = Arc::clone(&node);
            move || {
                node.is_current(reader);
            }
        }),
    ];
    let acknowledged = node.acknowledged.load(Acquire);
    let served = node.is_current(reader);
    assert!(!(acknowledged && served), "{HARM}");
    for other in others {
        other.join().unwrap();
    }
    assert!(!node.is_current(reader), "{HARM}");
}

#[test]
fn generation_then_table_in_the_reader_and_table_then_generation_in_the_event_hold() {
    holds(|| race(Order::GenerationFirst, Order::TableFirst));
    holds(|| race_of_readers(Order::GenerationFirst, Order::TableFirst));
}

/// The table's lock is held over both, so a reader that looks at the table cannot come between.
#[test]
fn under_the_lock_the_order_of_the_event_does_not_matter() {
    holds(|| race(Order::GenerationFirst, Order::GenerationFirst));
    holds(|| race_of_readers(Order::GenerationFirst, Order::GenerationFirst));
}

#[test]
fn table_then_generation_in_the_reader_breaks() {
    breaks(HARM, || race(Order::TableFirst, Order::TableFirst));
    breaks(HARM, || {
        race_of_readers(Order::TableFirst, Order::TableFirst);
    });
}

/// The same without a lock: then the event's order matters too.
fn race_without_lock(event: Order) {
    let node = Arc::new((AtomicU64::new(1), AtomicU64::new(0)));
    let other = thread::spawn({
        let node = Arc::clone(&node);
        move || {
            if event == Order::GenerationFirst {
                node.0.store(2, Release);
            }
            node.1.store(1, Release);
            if event == Order::TableFirst {
                node.0.store(2, Release);
            }
        }
    });
    let generation = node.0.load(Acquire);
    let current = node.1.load(Acquire) == 0;
    other.join().unwrap();
    let passes_for_checked = current && generation == node.0.load(Acquire);
    assert!(!passes_for_checked, "{HARM}");
}

#[test]
fn without_a_lock_table_then_generation_in_the_event_holds() {
    holds(|| race_without_lock(Order::TableFirst));
}

#[test]
fn without_a_lock_generation_then_table_in_the_event_breaks() {
    breaks(HARM, || race_without_lock(Order::GenerationFirst));
}

const HARM: &str = "an entry that a bump has outdated was served";
