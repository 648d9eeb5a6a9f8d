//! How hard the store is asked while Redis is away.
//!
//! Without Redis a node keeps what it has loaded for a second. So it asks the store for a key at most once in a second,
//! and once more for each time that it has itself invalidated the key. What is beyond that is over the bound.

use std::{
    collections::HashMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use serde::Serialize;

/// Records what nodes ask of the store, while it is on.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    record: Mutex<Option<Record>>,
    under_way: AtomicU64,
}

/// What is asked for, and by which node.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Question {
    /// The node, from 0.
    pub(crate) node: usize,
    /// What is loaded.
    pub(crate) subject: Subject,
}

/// What is loaded from the store.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Subject {
    /// The row of this id.
    Row(u32),
    /// The list of this number.
    List(u32),
}

/// The loads of the time while the meter was on.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
pub(crate) struct Loads {
    /// All of them.
    pub(crate) loads: u64,
    /// Those beyond one per key, node and second, and one per invalidation.
    pub(crate) loads_over_bound: u64,
    /// The most of one key and node within a second, those that an invalidation calls for among them.
    pub(crate) most_loads_per_key_and_second: usize,
    /// The most under way at once.
    pub(crate) most_loads_under_way: u64,
}

impl Meter {
    /// Begins to record.
    pub(crate) fn turn_on(&self) {
        *self.record() = Some(Record::new(Instant::now()));
    }

    /// Ends the record; empty if there was none.
    pub(crate) fn turn_off(&self) -> Loads {
        let record = self.record().take();
        record.map_or_else(Loads::default, |record| record.loads(Instant::now()))
    }

    /// A load begins; it ends when the answer is dropped.
    pub(crate) fn begin(&self, question: Question) -> UnderWay<'_> {
        let under_way = 1 + self.under_way.fetch_add(1, Ordering::Relaxed);
        if let Some(record) = self.record().as_mut() {
            record.load(question, under_way, Instant::now());
        }
        UnderWay(self)
    }

    /// An invalidation by that node begins.
    pub(crate) fn invalidation(&self, question: Question) {
        if let Some(record) = self.record().as_mut() {
            record.invalidation(question);
        }
    }

    fn record(&self) -> MutexGuard<'_, Option<Record>> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A load in progress.
#[derive(Debug)]
pub(crate) struct UnderWay<'a>(&'a Meter);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

#[derive(Debug)]
struct Record {
    begun: Instant,
    questions: HashMap<Question, History>,
    most_under_way: u64,
}

/// What happened to one key on one node.
#[derive(Debug, Default)]
struct History {
    loads: Vec<Instant>,
    invalidations: u64,
}

impl Record {
    fn new(begun: Instant) -> Self {
        Self {
            begun,
            questions: HashMap::new(),
            most_under_way: 0,
        }
    }

    fn load(&mut self, question: Question, under_way: u64, now: Instant) {
        self.most_under_way = self.most_under_way.max(under_way);
        self.questions.entry(question).or_default().loads.push(now);
    }

    fn invalidation(&mut self, question: Question) {
        self.questions.entry(question).or_default().invalidations += 1;
    }

    fn loads(&self, ended: Instant) -> Loads {
        let lasted = ended.duration_since(self.begun);
        let mut loads = Loads {
            most_loads_under_way: self.most_under_way,
            ..Loads::default()
        };
        for history in self.questions.values() {
            let all = history.loads.len() as u64;
            loads.loads += all;
            loads.loads_over_bound += all.saturating_sub(history.bound(lasted));
            loads.most_loads_per_key_and_second =
                (loads.most_loads_per_key_and_second).max(history.most_per_second());
        }
        loads
    }
}

impl History {
    /// One load for each second that has begun and for each invalidation, and one for the loss of the feed, which takes
    /// the loads under way from those who come later.
    fn bound(&self, lasted: Duration) -> u64 {
        lasted.as_secs_f64().ceil() as u64 + self.invalidations + 1
    }

    fn most_per_second(&self) -> usize {
        let mut first = 0;
        let within = |(last, load): (usize, &Instant)| {
            while load.duration_since(self.loads[first]) >= SECOND {
                first += 1;
            }
            last - first + 1
        };
        self.loads.iter().enumerate().map(within).max().unwrap_or(0)
    }
}

const SECOND: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    const ROW: Question = Question {
        node: 0,
        subject: Subject::Row(7),
    };

    /// The loads of a record of three seconds, made at these milliseconds after its beginning.
    fn loads(loads: &[(Question, u64)], invalidations: &[Question]) -> Loads {
        let origin = Instant::now();
        let mut record = Record::new(origin);
        for (question, time) in loads {
            record.load(*question, 1, origin + Duration::from_millis(*time));
        }
        for question in invalidations {
            record.invalidation(*question);
        }
        record.loads(origin + Duration::from_millis(3500))
    }

    #[test]
    fn one_load_per_key_and_second_is_within_the_bound() {
        let measured = loads(&[(ROW, 0), (ROW, 1000), (ROW, 2000), (ROW, 3000)], &[]);

        assert_eq!((measured.loads, measured.loads_over_bound), (4, 0));
        assert_eq!(measured.most_loads_per_key_and_second, 1);
    }

    #[test]
    fn what_is_loaded_again_and_again_is_over_the_bound() {
        let often: Vec<_> = (0..10).map(|load| (ROW, 300 * load)).collect();

        let measured = loads(&often, &[]);

        assert_eq!((measured.loads, measured.loads_over_bound), (10, 5));
        assert_eq!(measured.most_loads_per_key_and_second, 4);
    }

    #[test]
    fn each_invalidation_by_the_node_calls_for_a_load() {
        let seven = [(ROW, 0); 7];

        assert_eq!(loads(&seven, &[ROW]).loads_over_bound, 1);
        assert_eq!(loads(&seven, &[ROW, ROW]).loads_over_bound, 0);
    }

    #[test]
    fn nodes_rows_and_lists_are_counted_by_themselves() {
        let node = Question { node: 1, ..ROW };
        let list = Question {
            subject: Subject::List(7),
            ..ROW
        };
        let five = [ROW, node, list]
            .map(|question| [(question, 0); 4])
            .concat();

        assert_eq!(loads(&five, &[]).loads_over_bound, 0);
        assert_eq!(loads(&[(ROW, 0); 7], &[node, list]).loads_over_bound, 2);
    }

    #[test]
    fn only_what_begins_while_it_is_on_is_recorded() {
        let meter = Meter::default();

        let before = meter.begin(ROW);
        meter.turn_on();
        drop(meter.begin(ROW));
        let while_on = meter.turn_off();
        drop(before);
        meter.turn_on();
        drop(meter.begin(ROW));

        assert_eq!((while_on.loads, while_on.most_loads_under_way), (1, 2));
        assert_eq!(meter.turn_off().most_loads_under_way, 1);
        assert_eq!(meter.turn_off(), Loads::default());
    }
}
