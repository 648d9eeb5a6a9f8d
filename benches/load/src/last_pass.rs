//! A last pass over everything that was written, when nothing is written any more and nothing is pending.
//!
//! Whatever was acknowledged, at once or after it had been pending, must be effective by then: no node may show a row,
//! alone or in a list, as it was before its last commit.

use std::{fmt, sync::Arc};

use tokio::task::JoinSet;

use crate::{failure::Failure, keys::Key, node::Node, run::Fleet};

/// What the pass has found.
#[derive(Clone, Debug, Default)]
pub(crate) struct Passed {
    /// Rows and lists that were read, on each node.
    pub(crate) checked: u64,
    /// Those that show a row as it was before its last commit.
    pub(crate) not_effective: u64,
    /// Why reads failed.
    pub(crate) failed: Vec<String>,
}

/// Reads every written row and every list on every node.
///
/// # Errors
/// When a reader ends early.
///
/// # Cancel safety
/// Dropping this future ends the readers.
pub(crate) async fn pass(fleet: &Arc<Fleet>) -> Result<Passed, Failure> {
    let mut keys = fleet.plan.keys();
    keys.retain(|key| fleet.truth.latest(key.index) > 0);
    let mut readers = JoinSet::new();
    for node in &fleet.nodes {
        for part in keys.chunks(PART) {
            readers.spawn(rows(fleet.clone(), node.clone(), part.to_vec()));
        }
        readers.spawn(lists(fleet.clone(), node.clone()));
    }
    let mut passed = Passed::default();
    while let Some(part) = readers.join_next().await {
        passed.add(part.map_err(|error| Failure::new("a reader ended early", error))?);
    }
    Ok(passed)
}

async fn rows(fleet: Arc<Fleet>, node: Arc<Node>, keys: Vec<Key>) -> Passed {
    let mut passed = Passed::default();
    for key in keys {
        let answer = node.read(key.id).await;
        passed.note(answer.map(|row| fleet.truth.suspects(key.index, row.commit)));
    }
    passed
}

async fn lists(fleet: Arc<Fleet>, node: Arc<Node>) -> Passed {
    let mut passed = Passed::default();
    for list in fleet.lists.shown() {
        let answer = node.read_list(list).await;
        passed.note(answer.map(|answer| fleet.is_outdated(&answer.list)));
    }
    passed
}

impl Passed {
    fn note(&mut self, is_old: Result<bool, impl fmt::Display>) {
        self.checked += 1;
        match is_old {
            Ok(is_old) => self.not_effective += u64::from(is_old),
            Err(error) => self.failed.push(error.to_string()),
        }
    }

    fn add(&mut self, other: Self) {
        self.checked += other.checked;
        self.not_effective += other.not_effective;
        self.failed.extend(other.failed);
    }
}

/// Keys that one reader reads, one after the other.
const PART: usize = 100;
