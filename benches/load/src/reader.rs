//! One reader of a node: it reads, writes now and then, and notes what it saw.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use crate::{
    failure::Failure,
    keys::{Key, Step, Write},
    lists,
    node::Node,
    run::Fleet,
    tally::{Doubt, Kind, Notes, Tally, What},
    truth::{Owed, Suspect},
};

/// One reader of a node: one step at a time.
pub(crate) struct Reader {
    /// What all readers share.
    pub(crate) fleet: Arc<Fleet>,
    /// Where it reads.
    pub(crate) node: Arc<Node>,
    /// Where it reports.
    pub(crate) tally: Arc<Mutex<Tally>>,
    /// When it ends, if that is a question of time.
    pub(crate) deadline: Option<Instant>,
}

impl Reader {
    /// Takes steps until none are left; returns what was not yet added to the tally.
    ///
    /// # Errors
    /// When the trace cannot be read on.
    pub(crate) async fn work(self) -> Result<Notes, Failure> {
        let mut notes = Notes::default();
        let mut batch = Vec::new();
        while !self.is_over() {
            self.fleet.plan.take(&mut batch)?;
            if batch.is_empty() {
                break;
            }
            for step in &batch {
                self.step(step, &mut notes).await;
            }
            self.tally().absorb(&mut notes, &self.fleet.truth);
            // Local hits never wait; without this a reader would keep the node's own tasks from running.
            tokio::task::yield_now().await;
        }
        Ok(notes)
    }

    fn is_over(&self) -> bool {
        self.fleet.stop.is_stopped()
            || self
                .deadline
                .is_some_and(|deadline| Instant::now() >= deadline)
    }

    async fn step(&self, step: &Step, notes: &mut Notes) {
        self.read(step.key, notes).await;
        if step.list
            && let Some(list) = self.fleet.lists.list_of(step.key.id)
        {
            self.read_list(list, notes).await;
        }
        if let Some(write) = &step.write {
            self.write(write, notes).await;
        }
    }

    async fn read(&self, key: Key, notes: &mut Notes) {
        // The order of these lines is argued in `truth.rs`.
        let begun = Instant::now();
        let answer = self.node.read(key.id).await;
        let latency = begun.elapsed();
        match answer {
            Ok(answer) if !answer.is_whole => {
                notes.failed_read(Kind::WrongRow, "the row is another, or torn".to_owned());
            }
            Ok(answer) => {
                notes.read(answer.class, latency);
                if self.fleet.truth.suspects(key.index, answer.commit) {
                    notes.doubt(Doubt {
                        what: What::Row,
                        suspects: vec![Suspect {
                            index: key.index,
                            commit: answer.commit,
                            begun,
                            owed: Owed::Key,
                        }],
                        outcome: answer.outcome,
                        is_unproven: answer.is_unproven,
                    });
                }
            }
            Err(error) => notes.failed_read(Kind::Read, error.to_string()),
        }
    }

    async fn read_list(&self, number: u32, notes: &mut Notes) {
        // The order of these lines is argued in `truth.rs`.
        let begun = Instant::now();
        let answer = match self.node.read_list(number).await {
            Ok(answer) => answer,
            Err(error) => return notes.failed_list_read(Kind::Read, error.to_string()),
        };
        let members = self.fleet.lists.members(number);
        if !answer.list.shows(number, &members) {
            let message = "the list is another, or shows other rows".to_owned();
            return notes.failed_list_read(Kind::WrongList, message);
        }
        notes.list_read(answer.class);
        let suspects = self.fleet.outdated(&answer.list, &members, begun);
        if !suspects.is_empty() {
            notes.doubt(Doubt {
                what: What::List(number),
                suspects,
                outcome: answer.list.outcome().as_str(),
                is_unproven: answer.is_unproven,
            });
        }
    }

    /// Commits, then tells of the key, then of the tag of its list.
    async fn write(&self, write: &Write, notes: &mut Notes) {
        let Write { key, node } = *write;
        let commit = match self.fleet.store.write(key.id).await {
            Ok(commit) => commit,
            Err(error) => return notes.failed_write(error.to_string()),
        };
        // The order of these lines is argued in `truth.rs`.
        self.fleet.truth.committed(key.index, commit);
        let node = &self.fleet.nodes[node];
        match node.invalidate(key.id).await {
            Ok(told) => {
                notes.write(told.is_acknowledged());
                self.fleet.told(told, Owed::Key, key, commit);
            }
            Err(error) => notes.failed_invalidation(error.to_string()),
        }
        let list = self.fleet.lists.list_of(key.id);
        let Some(tagged) = list.filter(|list| lists::is_tagged(*list)) else {
            return;
        };
        match node.invalidate_list(tagged).await {
            Ok(told) => {
                notes.tag_invalidation();
                self.fleet.told(told, Owed::Tag, key, commit);
            }
            Err(error) => notes.failed_tag(error.to_string()),
        }
    }

    fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
