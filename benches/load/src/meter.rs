//! How hard the store is asked while Redis is away.
//!
//! Without Redis a node keeps what it has loaded for a second. So it asks the store at most once per key and second,
//! and once more when it has itself invalidated the key in between. A load that is neither is one over the bound.

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
    /// Those that came too soon after another one of their key and node.
    pub(crate) loads_over_bound: u64,
    /// The most of one key and node within a second, those that an invalidation calls for among them.
    pub(crate) most_loads_per_key_and_second: usize,
    /// The most under way at once.
    pub(crate) most_loads_under_way: u64,
}

impl Meter {
    /// Begins to record.
    pub(crate) fn turn_on(&self) {
        *self.record() = Some(Record::default());
    }

    /// Ends the record; empty if there was none.
    pub(crate) fn turn_off(&self) -> Loads {
        let record = self.record().take();
        record.map_or_else(Loads::default, |record| record.loads())
    }

    /// A load begins; it ends when the answer is dropped.
    pub(crate) fn begin(&self, question: Question) -> UnderWay<'_> {
        let under_way = 1 + self.under_way.fetch_add(1, Ordering::Relaxed);
        if let Some(record) = self.record().as_mut() {
            record.load(question, under_way, Instant::now());
        }
        UnderWay(self)
    }

    /// An invalidation by that node was called at `begun` and has just returned.
    pub(crate) fn invalidated(&self, question: Question, begun: Instant) {
        if let Some(record) = self.record().as_mut() {
            record.invalidation(question, begun, Instant::now());
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

#[derive(Debug, Default)]
struct Record {
    questions: HashMap<Question, History>,
    most_under_way: u64,
}

/// What happened to one key on one node.
#[derive(Debug, Default)]
struct History {
    loads: Vec<Instant>,
    /// From the call to the return; the old value goes somewhere in between.
    invalidations: Vec<(Instant, Instant)>,
}

impl Record {
    fn load(&mut self, question: Question, under_way: u64, now: Instant) {
        self.most_under_way = self.most_under_way.max(under_way);
        self.questions.entry(question).or_default().loads.push(now);
    }

    fn invalidation(&mut self, question: Question, begun: Instant, now: Instant) {
        let history = self.questions.entry(question).or_default();
        history.invalidations.push((begun, now));
    }

    fn loads(&self) -> Loads {
        let histories = self.questions.values();
        Loads {
            loads: histories
                .clone()
                .map(|history| history.loads.len() as u64)
                .sum(),
            loads_over_bound: histories.clone().map(History::over_bound).sum(),
            most_loads_per_key_and_second: histories
                .map(History::most_per_second)
                .max()
                .unwrap_or(0),
            most_loads_under_way: self.most_under_way,
        }
    }
}

impl History {
    /// The loads that follow another too soon, without an invalidation in between.
    fn over_bound(&self) -> u64 {
        let too_soon = |pair: &&[Instant]| {
            let &&[before, load] = pair else {
                return false;
            };
            let is_called_for = (self.invalidations.iter())
                .any(|(begun, ended)| *begun <= load && *ended >= before);
            load.duration_since(before) < APART && !is_called_for
        };
        self.loads.windows(2).filter(too_soon).count() as u64
    }

    fn most_per_second(&self) -> usize {
        let within_a_second = |(at, first): (usize, &Instant)| {
            self.loads[at..]
                .iter()
                .take_while(|load| load.duration_since(*first) < APART)
                .count()
        };
        self.loads
            .iter()
            .enumerate()
            .map(within_a_second)
            .max()
            .unwrap_or(0)
    }
}

/// A second, less what a busy machine takes between the start of a load and its first step, where it is recorded.
const APART: Duration = Duration::from_millis(900);

#[cfg(test)]
mod tests {
    use super::*;

    const ROW: Question = Question {
        node: 0,
        subject: Subject::Row(7),
    };

    /// The loads of a record in which events came in this order, in milliseconds after its beginning.
    fn loads(loads: &[(Question, u64)], invalidations: &[(Question, u64, u64)]) -> Loads {
        let origin = Instant::now();
        let at = |milliseconds| origin + Duration::from_millis(milliseconds);
        let mut record = Record::default();
        for (question, time) in loads {
            record.load(*question, 1, at(*time));
        }
        for (question, begun, ended) in invalidations {
            record.invalidation(*question, at(*begun), at(*ended));
        }
        record.loads()
    }

    #[test]
    fn one_load_per_key_and_second_is_within_the_bound() {
        let measured = loads(&[(ROW, 0), (ROW, 1000), (ROW, 1999)], &[]);

        assert_eq!((measured.loads, measured.loads_over_bound), (3, 0));
        assert_eq!(measured.most_loads_per_key_and_second, 1);
    }

    #[test]
    fn a_second_load_within_the_second_is_over_the_bound() {
        let measured = loads(&[(ROW, 0), (ROW, 500), (ROW, 800), (ROW, 3000)], &[]);

        assert_eq!((measured.loads, measured.loads_over_bound), (4, 2));
        assert_eq!(measured.most_loads_per_key_and_second, 3);
    }

    #[test]
    fn an_invalidation_by_the_node_calls_for_a_load() {
        let twice = [(ROW, 100), (ROW, 200)];

        assert_eq!(loads(&twice, &[(ROW, 50, 150)]).loads_over_bound, 0);
        assert_eq!(loads(&twice, &[(ROW, 150, 250)]).loads_over_bound, 0);
        assert_eq!(loads(&twice, &[(ROW, 0, 99)]).loads_over_bound, 1);
        assert_eq!(loads(&twice, &[(ROW, 201, 300)]).loads_over_bound, 1);
    }

    #[test]
    fn nodes_rows_and_lists_are_counted_by_themselves() {
        let node = Question { node: 1, ..ROW };
        let list = Question {
            subject: Subject::List(7),
            ..ROW
        };

        assert_eq!(
            loads(&[(ROW, 0), (node, 1), (list, 2)], &[]).loads_over_bound,
            0
        );
        assert_eq!(
            loads(&[(ROW, 0), (ROW, 2)], &[(node, 1, 1)]).loads_over_bound,
            1
        );
    }

    #[test]
    fn only_what_begins_while_it_is_on_is_recorded() {
        let meter = Meter::default();

        let before = meter.begin(ROW);
        meter.turn_on();
        drop(meter.begin(ROW));
        let most_under_way = meter.turn_off().most_loads_under_way;
        drop(before);
        meter.turn_on();
        drop(meter.begin(ROW));

        assert_eq!(most_under_way, 2);
        assert_eq!(meter.turn_off().most_loads_under_way, 1);
        assert_eq!(meter.turn_off(), Loads::default());
    }
}
