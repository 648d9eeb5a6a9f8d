//! The store of a campaign, and the record of everything: one lock, so that a commit and its instant are one step.
//!
//! It lives in the process of the campaign. It never fails, and no kill of a node touches it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{
    clock::now,
    history::{Fault, History, Read, Told},
    words::Entity,
};

/// The commit numbers of all entities, and what was read and told.
#[derive(Debug, Default)]
pub(super) struct Ledger(Mutex<History>);

impl Ledger {
    /// Makes the entity's next commit, and answers its number.
    pub(super) fn commit(&self, entity: Entity) -> u64 {
        let mut history = self.lock();
        let commits = &mut history.track(entity).commits;
        commits.push(now());
        commits.len() as u64
    }

    /// The entity's last commit; 0: there is none.
    pub(super) fn load(&self, entity: Entity) -> u64 {
        let mut history = self.lock();
        history.loads += 1;
        history.track(entity).commits.len() as u64
    }

    pub(super) fn read(&self, entity: Entity, read: Read) {
        self.lock().track(entity).reads.push(read);
    }

    pub(super) fn told(&self, entity: Entity, told: Told) {
        self.lock().track(entity).told.push(told);
    }

    pub(super) fn life(&self, life: u64, node: usize) {
        self.lock().lives.insert(life, node);
    }

    pub(super) fn fault(&self, fault: Fault) {
        self.lock().faults.push(fault);
    }

    /// Reads, commits and faults so far.
    pub(super) fn counts(&self) -> (usize, usize, usize) {
        let history = self.lock();
        (history.reads(), history.writes(), history.faults.len())
    }

    /// What was recorded; the ledger begins anew.
    pub(super) fn take(&self) -> History {
        std::mem::take(&mut *self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, History> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
