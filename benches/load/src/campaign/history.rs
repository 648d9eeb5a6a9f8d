//! What happened in a campaign: every commit, acknowledgement, read and fault, with its instants.
//!
//! All instants are nanoseconds of one monotonic clock. The commit numbers of an entity are 1, 2, 3 and so on; a read that
//! shows 0 shows the entity as it was before its first commit.

use std::collections::{BTreeMap, HashMap};

use super::{
    nemesis::Kind,
    words::{Entity, Label},
};

/// The whole run.
#[derive(Debug, Default)]
pub(super) struct History {
    pub(super) entities: BTreeMap<Entity, Track>,
    pub(super) faults: Vec<Fault>,
    /// Which node each process was of.
    pub(super) lives: HashMap<u64, usize>,
    pub(super) loads: u64,
}

/// What happened to one entity.
#[derive(Debug, Default)]
pub(super) struct Track {
    /// When each commit was made; the first is number 1.
    pub(super) commits: Vec<u64>,
    pub(super) told: Vec<Told>,
    pub(super) reads: Vec<Read>,
}

/// What an invalidation has answered to its writer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Told {
    /// The process of the writer.
    pub(super) life: u64,
    pub(super) commit: u64,
    pub(super) at: u64,
    pub(super) is_acknowledged: bool,
}

/// One read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Read {
    /// The process of the reader.
    pub(super) life: u64,
    pub(super) label: Label,
    pub(super) value: u64,
    pub(super) begin: u64,
    pub(super) end: u64,
}

/// One fault, from before it was made until it was undone.
#[derive(Clone, Debug)]
pub(super) struct Fault {
    pub(super) kind: Kind,
    /// Which node it is about; `None`: all.
    pub(super) node: Option<usize>,
    pub(super) begin: u64,
    pub(super) end: u64,
}

impl History {
    pub(super) fn track(&mut self, entity: Entity) -> &mut Track {
        self.entities.entry(entity).or_default()
    }

    /// The faults of this kind that were about the node of this process.
    pub(super) fn faults_of(&self, kind: Kind, life: u64) -> impl Iterator<Item = &Fault> {
        let node = self.lives.get(&life).copied();
        let all = self.faults.iter();
        all.filter(move |fault| fault.kind == kind && (fault.node.is_none() || fault.node == node))
    }

    pub(super) fn reads(&self) -> usize {
        self.entities.values().map(|track| track.reads.len()).sum()
    }

    pub(super) fn writes(&self) -> usize {
        self.entities
            .values()
            .map(|track| track.commits.len())
            .sum()
    }
}
