//! What the readers do, one step after the other: a read, and now and then a write.
//!
//! The plan is drawn from the seed and the ids alone, so two runs with the same settings make the same reads and
//! writes, whatever their timing. Readers take the steps in small batches.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use super::Ids;
use crate::{failure::Failure, lists::Lists};

/// An id together with its place in the order of first appearance, by which `truth.rs` finds it without hashing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Key {
    /// The id in the trace; the key of the cache and of the store.
    pub(crate) id: u32,
    /// Dense: the n-th distinct id has index n, from 0.
    pub(crate) index: u32,
}

/// One read, and what follows it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Step {
    /// What is read.
    pub(crate) key: Key,
    /// Whether the list in which the key belongs is read then.
    pub(crate) list: bool,
    /// What is written then.
    pub(crate) write: Option<Write>,
}

/// A write to the store and the node that invalidates.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Write {
    /// A key that was read shortly before.
    pub(crate) key: Key,
    /// The node that tells the others, from 0.
    pub(crate) node: usize,
}

/// How much of everything a plan makes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Amounts {
    /// The most reads; `None`: as many as there are ids.
    pub(crate) reads: Option<u64>,
    /// The probability that a read is followed by a write.
    pub(crate) writes: f64,
    /// The probability that a read is followed by one of its list.
    pub(crate) lists: f64,
    /// How many nodes invalidate.
    pub(crate) nodes: usize,
}

/// The steps that are left; readers share it.
#[derive(Debug)]
pub(crate) struct Plan {
    steps: Mutex<Steps>,
    issued: AtomicU64,
}

impl Plan {
    /// Reads `ids` as `amounts` say.
    ///
    /// Each key joins its list when it first appears.
    pub(crate) fn new(ids: Ids, amounts: Amounts, lists: Arc<Lists>, seed: u64) -> Self {
        let steps = Steps {
            ids,
            left: amounts.reads.unwrap_or(u64::MAX),
            amounts,
            lists,
            indices: HashMap::new(),
            recent: Vec::with_capacity(RECENT),
            oldest: 0,
            // Not the stream that draws the ids, or the two would go together.
            random: fastrand::Rng::with_seed(!seed),
            // Nor that of the writes, which are the same with lists and without.
            random_lists: fastrand::Rng::with_seed(seed.rotate_left(32)),
        };
        Self {
            steps: Mutex::new(steps),
            issued: AtomicU64::new(0),
        }
    }

    /// Replaces the contents of `batch` by the next steps; nothing is left when it stays empty.
    ///
    /// # Errors
    /// When the trace cannot be read on. The plan is at its end then.
    pub(crate) fn take(&self, batch: &mut Vec<Step>) -> Result<(), Failure> {
        batch.clear();
        let mut steps = self.steps();
        while batch.len() < BATCH {
            match steps.next() {
                Ok(Some(step)) => batch.push(step),
                Ok(None) => break,
                Err(failure) => {
                    steps.left = 0;
                    return Err(failure);
                }
            }
        }
        self.issued.fetch_add(batch.len() as u64, Ordering::Relaxed);
        Ok(())
    }

    /// How many reads were taken so far.
    pub(crate) fn issued(&self) -> u64 {
        self.issued.load(Ordering::Relaxed)
    }

    /// How many different ids were among them.
    pub(crate) fn distinct(&self) -> u64 {
        self.steps().indices.len() as u64
    }

    /// All keys of the steps so far, in the order of their indices.
    pub(crate) fn keys(&self) -> Vec<Key> {
        let steps = self.steps();
        let mut keys: Vec<Key> = (steps.indices.iter())
            .map(|(id, index)| Key {
                id: *id,
                index: *index,
            })
            .collect();
        keys.sort_unstable_by_key(|key| key.index);
        keys
    }

    fn steps(&self) -> MutexGuard<'_, Steps> {
        self.steps.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug)]
struct Steps {
    ids: Ids,
    left: u64,
    amounts: Amounts,
    lists: Arc<Lists>,
    indices: HashMap<u32, u32>,
    /// A ring of the keys read last, out of which writes choose.
    recent: Vec<Key>,
    oldest: usize,
    random: fastrand::Rng,
    random_lists: fastrand::Rng,
}

impl Steps {
    fn next(&mut self) -> Result<Option<Step>, Failure> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        let Some(id) = self.ids.next()? else {
            self.left = 0;
            return Ok(None);
        };
        let key = self.key(id);
        self.remember(key);
        Ok(Some(Step {
            key,
            list: self.random_lists.f64() < self.amounts.lists,
            write: self.write(),
        }))
    }

    fn key(&mut self, id: u32) -> Key {
        // At most 2³² ids are distinct, so the highest index is u32::MAX.
        let next = self.indices.len() as u32;
        let index = match self.indices.entry(id) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(new) => {
                self.lists.enroll(Key { id, index: next });
                *new.insert(next)
            }
        };
        Key { id, index }
    }

    fn remember(&mut self, key: Key) {
        if self.recent.len() < RECENT {
            self.recent.push(key);
            return;
        }
        self.recent[self.oldest] = key;
        self.oldest = (self.oldest + 1) % RECENT;
    }

    fn write(&mut self) -> Option<Write> {
        if self.random.f64() >= self.amounts.writes {
            return None;
        }
        let key = self.recent[self.random.usize(..self.recent.len())];
        Some(Write {
            key,
            node: self.random.usize(..self.amounts.nodes),
        })
    }
}

/// Small, so that readers stay near to the order of the trace.
const BATCH: usize = 32;
const RECENT: usize = 1024;

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;
    use crate::keys::Zipf;

    fn plan(reads: u64, writes: f64, seed: u64) -> Plan {
        plan_with_lists(0.0, reads, writes, seed)
    }

    fn plan_with_lists(lists: f64, reads: u64, writes: f64, seed: u64) -> Plan {
        let zipf = Zipf::new(NonZeroU32::new(5000).unwrap(), seed);
        let amounts = Amounts {
            reads: Some(reads),
            writes,
            lists,
            nodes: 4,
        };
        Plan::new(Ids::Zipf(zipf), amounts, Arc::new(Lists::new(0)), seed)
    }

    fn all(plan: &Plan) -> Vec<Step> {
        let (mut steps, mut batch) = (Vec::new(), Vec::new());
        loop {
            plan.take(&mut batch).unwrap();
            if batch.is_empty() {
                return steps;
            }
            steps.append(&mut batch);
        }
    }

    #[test]
    fn equal_seeds_make_equal_plans() {
        assert_eq!(all(&plan(3000, 0.1, 5)), all(&plan(3000, 0.1, 5)));
        assert_ne!(all(&plan(3000, 0.1, 5)), all(&plan(3000, 0.1, 6)));
    }

    #[test]
    fn exactly_the_wanted_reads_are_issued() {
        let plan = plan(1001, 0.0, 1);

        let steps = all(&plan);

        assert_eq!((steps.len() as u64, plan.issued()), (1001, 1001));
        assert!(steps.iter().all(|step| step.write.is_none()));
    }

    #[test]
    fn indices_are_dense_and_belong_to_one_id_each() {
        let plan = plan(20_000, 0.0, 1);

        let steps = all(&plan);

        let by_index: HashMap<u32, u32> = steps
            .iter()
            .map(|step| (step.key.index, step.key.id))
            .collect();
        let by_id: HashMap<u32, u32> = steps
            .iter()
            .map(|step| (step.key.id, step.key.index))
            .collect();
        assert_eq!(by_index.len(), by_id.len());
        assert_eq!(plan.distinct(), by_index.len() as u64);
        for (index, key) in plan.keys().into_iter().enumerate() {
            assert_eq!((key.index, by_index[&key.index]), (index as u32, key.id));
        }
        assert!(
            by_index
                .keys()
                .all(|index| u64::from(*index) < plan.distinct())
        );
    }

    #[test]
    fn writes_come_at_their_share_to_keys_read_before_through_every_node() {
        let steps = all(&plan(100_000, 0.01, 1));

        let writes: Vec<(usize, Write)> = steps
            .iter()
            .enumerate()
            .filter_map(|(at, step)| step.write.map(|write| (at, write)))
            .collect();

        assert!((800..1200).contains(&writes.len()), "{}", writes.len());
        for (at, write) in &writes {
            let recent = &steps[at.saturating_sub(RECENT - 1)..=*at];
            assert!(recent.iter().any(|step| step.key == write.key));
        }
        assert!((0..4).all(|node| writes.iter().any(|(_, write)| write.node == node)));
    }

    #[test]
    fn lists_come_at_their_share_and_change_nothing_else() {
        let with = all(&plan_with_lists(0.05, 100_000, 0.01, 1));

        let lists = with.iter().filter(|step| step.list).count();
        let without = with.iter().map(|step| Step {
            list: false,
            ..*step
        });

        assert!((4500..5500).contains(&lists), "{lists}");
        assert!(without.eq(all(&plan(100_000, 0.01, 1))));
    }
}
