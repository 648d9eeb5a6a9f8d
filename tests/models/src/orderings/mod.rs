//! Ten orderings that break a naive reading of the protocol, each with the right one beside it.
//!
//! Small on purpose: each shows one pair of steps whose order matters, and nothing else. The functions come in the order
//! of `docs/models.md`.

mod inside;
mod outside;

pub use self::{
    inside::{
        Checked, EventWrites, Inner, Joined, ReaderLoads, copy_from_redis, flight, nested_load,
        renewal, tag_check,
    },
    outside::{
        Acknowledged, Attached, LiveBy, Other, UnknownStore, insert, proof_after_a_pause,
        split_brain_reader, split_brain_writer,
    },
};

use crate::explore::{Steps, System};
use std::{fmt::Debug, hash::Hash};

/// Threads that share a state, each with its steps in a fixed order.
pub struct Threads<S> {
    initial: S,
    harm: &'static str,
    is_harmed: IsHarmed<S>,
    threads: Vec<(&'static str, Vec<Deed<S>>)>,
}

type IsHarmed<S> = Box<dyn Fn(&S, &[usize]) -> bool + Send + Sync>;

/// What a thread does in one step; it answers whether it can be done now.
type Deed<S> = (&'static str, Box<dyn Fn(&mut S) -> bool + Send + Sync>);

/// How far each thread has come, and what they share.
#[derive(Clone, Debug, Hash, PartialEq)]
pub struct Moment<S> {
    done: Vec<usize>,
    shared: S,
}

impl<S> Threads<S> {
    /// `is_harmed` is told the state and how many steps each thread has done.
    fn new(
        initial: S,
        harm: &'static str,
        is_harmed: impl Fn(&S, &[usize]) -> bool + Send + Sync + 'static,
    ) -> Self {
        Self {
            initial,
            harm,
            is_harmed: Box::new(is_harmed),
            threads: Vec::new(),
        }
    }

    fn thread(mut self, who: &'static str, deeds: impl IntoIterator<Item = Deed<S>>) -> Self {
        self.threads.push((who, deeds.into_iter().collect()));
        self
    }
}

/// A step that can always be done.
fn deed<S>(does: &'static str, change: impl Fn(&mut S) + Send + Sync + 'static) -> Deed<S> {
    (
        does,
        Box::new(move |state| {
            change(state);
            true
        }),
    )
}

/// A step that waits for its moment.
fn deed_when<S>(
    does: &'static str,
    change: impl Fn(&mut S) -> bool + Send + Sync + 'static,
) -> Deed<S> {
    (does, Box::new(change))
}

impl<S: Clone + Debug + Hash + PartialEq + Send + Sync + 'static> System for Threads<S> {
    type State = Moment<S>;

    fn initial(&self) -> Moment<S> {
        Moment {
            done: vec![0; self.threads.len()],
            shared: self.initial.clone(),
        }
    }

    fn steps(&self, moment: &Moment<S>, steps: &mut Steps<Moment<S>>) {
        for (number, (who, deeds)) in self.threads.iter().enumerate() {
            let Some((does, change)) = deeds.get(moment.done[number]) else {
                continue;
            };
            let mut next = moment.clone();
            next.done[number] += 1;
            if change(&mut next.shared) {
                steps.add(who, number, does, next);
            }
        }
    }

    fn harm(&self, moment: &Moment<S>) -> Option<&'static str> {
        (self.is_harmed)(&moment.shared, &moment.done).then_some(self.harm)
    }
}
