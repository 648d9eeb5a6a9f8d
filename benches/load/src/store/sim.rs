//! A store in memory: commit numbers in a sharded map; the rest of a row follows from them.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use super::Row;

/// The commit numbers of the rows that were written.
#[derive(Debug)]
pub(super) struct Sim([Mutex<HashMap<u32, u64>>; SHARDS]);

impl Sim {
    pub(super) fn new() -> Self {
        Self(std::array::from_fn(|_| Mutex::default()))
    }

    pub(super) fn load(&self, id: u32) -> Row {
        Row::new(id, self.latest(id))
    }

    pub(super) fn commits(&self, ids: &[u32]) -> Vec<u64> {
        ids.iter().map(|id| self.latest(*id)).collect()
    }

    pub(super) fn write(&self, id: u32) -> u64 {
        self.commit(id, |commits| {
            let commit = commits.entry(id).or_insert(0);
            *commit += 1;
            *commit
        })
    }

    fn latest(&self, id: u32) -> u64 {
        self.commit(id, |commits| commits.get(&id).copied().unwrap_or(0))
    }

    fn commit(&self, id: u32, action: impl FnOnce(&mut HashMap<u32, u64>) -> u64) -> u64 {
        let shard = &self.0[id as usize % SHARDS];
        action(&mut shard.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

const SHARDS: usize = 64;
