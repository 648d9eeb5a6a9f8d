//! What others have left to be purged: nodes that died on the way, and writers without an edge.
//!
//! One node of the fleet looks, by a lease, and takes over what is older than a purge usually takes. It may be that its node
//! lives and its edge is only slow: then it is purged twice, which is harmless. Nothing is forgotten before it is done.

use crate::{
    model::{Clock, EdgeSubject, Noted, PurgeNote, ServerTime, Strength, millis},
    observe::{Decision, Observer},
    purge::{AT_ONCE, Errands},
    remote::{Remote, RemoteError},
};
use std::{collections::HashMap, sync::Arc, time::Duration};
use tokio::time::sleep;

/// The task's parts.
pub(crate) struct Sweeper {
    pub(crate) remote: Arc<Remote>,
    pub(crate) errands: Arc<Errands>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) server_time: Arc<ServerTime>,
    pub(crate) observer: Arc<Observer>,
    pub(crate) every: Duration,
    /// By which the lease knows this node.
    pub(crate) token: u64,
}

impl Sweeper {
    /// Looks again and again, as long as the `Tiers` runs.
    pub(crate) async fn run(self) {
        loop {
            sleep(self.every).await;
            if let Err(error) = self.sweep().await {
                self.observer.note(Decision::RemoteError);
                tracing::debug!(%error, "the purge record could not be read");
            }
        }
    }

    async fn sweep(&self) -> Result<(), RemoteError> {
        if !self.remote.sweep(self.token, self.every * LEASE).await? {
            self.errands.recorded(None);
            return Ok(());
        }
        self.errands.look();
        let notes = self.remote.purge_notes().await?;
        self.errands.recorded(Some(notes.len()));
        let (due, bad) = self.sorted(notes);
        if !bad.is_empty() {
            tracing::warn!(
                notes = bad.len(),
                "notes in the purge record cannot be read, and are removed"
            );
            bad.iter()
                .for_each(|_| self.observer.note(Decision::BadPurgeNote));
            self.remote.purges_done(&bad).await?;
        }
        self.adopt(due);
        Ok(())
    }

    /// What is due, and what cannot be read.
    fn sorted(&self, notes: Vec<PurgeNote>) -> (Vec<PurgeNote>, Vec<PurgeNote>) {
        let now = millis(self.clock.precise());
        let (mut due, mut bad) = (Vec::new(), Vec::new());
        for note in notes {
            match note.read() {
                None => bad.push(note),
                Some(noted)
                    if self.is_due(&noted, self.server_time.to_server(note.bucket, now)) =>
                {
                    due.push(note);
                }
                Some(_) => {}
            }
        }
        (due, bad)
    }

    /// Also what seems to come from the future: the server's clock was set back, and nobody knows how old it is.
    fn is_due(&self, noted: &Noted, now: Option<u64>) -> bool {
        let Some(now) = now else {
            return false;
        };
        let grace = millis(self.errands.expected());
        !noted.wish.attended || (noted.n / 1000).abs_diff(now) > grace
    }

    fn adopt(&self, due: Vec<PurgeNote>) {
        let due = self.errands.unattended(due);
        if due.len() > AT_ONCE {
            // So many purges would keep the edge busy for longer than they spare the origin.
            return self.adopt_all(due);
        }
        let mut wishes: HashMap<EdgeSubject, (Strength, Vec<PurgeNote>)> = HashMap::new();
        // What finds no room is there at the next look, too.
        for note in due.into_iter().take(self.errands.room()) {
            let Some(noted) = note.read() else { continue };
            if note.is_of_too_many() {
                self.note_coarsened(1);
            }
            let strength = noted.wish.strength;
            let wish = wishes
                .entry(noted.subject)
                .or_insert((strength, Vec::new()));
            wish.0 = wish.0.with(strength);
            wish.1.push(note);
        }
        for (subject, (strength, notes)) in wishes {
            self.observer.note(Decision::AdoptedPurge);
            self.errands.hand_over(subject, strength, notes);
        }
    }

    fn adopt_all(&self, due: Vec<PurgeNote>) {
        self.note_coarsened(due.len());
        self.observer.note(Decision::AdoptedPurge);
        self.errands
            .hand_over(EdgeSubject::Everything, Strength::Hard, due);
    }

    fn note_coarsened(&self, names: usize) {
        self.observer.note(Decision::CoarsenedPurge);
        tracing::warn!(
            names,
            "too many names wait for the edge: everything is purged there"
        );
    }
}

/// A sweeper that has not looked this many times is taken for dead.
const LEASE: u32 = 3;
