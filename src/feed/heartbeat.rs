//! One question to Redis every half second: where do all feeds stand, and what time is it?
//!
//! The answer is proof of liveness, probe of a Redis that was away, and clock, all in one round trip.

use super::{Note, Proofs};
use crate::{
    model::{Clock, ServerTime, millis},
    observe::{Decision, Observer},
    remote::{Remote, Server, Standing},
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{sync::mpsc, time::sleep};

/// The task's parts.
pub(crate) struct Heartbeat {
    pub(crate) remote: Arc<Remote>,
    pub(crate) proofs: Arc<Proofs>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) server_time: Arc<ServerTime>,
    pub(crate) observer: Arc<Observer>,
    pub(crate) notes: mpsc::UnboundedSender<Note>,
    /// In ms; caches with a bound make it shorter.
    pub(crate) every: Arc<AtomicU64>,
    /// Beats at once when it is told to: after a subscription, whose start must be compared with the heads.
    pub(crate) now: Arc<tokio::sync::Notify>,
}

impl Heartbeat {
    /// Beats until nobody listens.
    pub(crate) async fn run(self) {
        while !self.notes.is_closed() {
            let answered = self.beat().await;
            let every = Duration::from_millis(self.every.load(Ordering::Relaxed));
            let pause = if answered && self.remote.standing() == Standing::Up {
                every
            } else {
                every.min(PROBE)
            };
            tokio::select! {
                () = sleep(pause) => {}
                () = self.now.notified() => {}
                () = self.remote.probe_wanted() => {}
            }
        }
    }

    async fn beat(&self) -> bool {
        let sent = millis(self.clock.precise());
        match self.remote.beat(&self.proofs.known()).await {
            Ok(beat) => {
                self.server_time.learn(beat.at, sent);
                // A closed channel ends the loop above.
                let _ = self.notes.send(Note::Beat {
                    sent,
                    heads: beat.heads,
                    agreement: beat.agreement,
                });
                self.confirm(sent, beat.by).await;
                true
            }
            Err(error) => {
                self.observer.note(Decision::RemoteError);
                tracing::debug!(%error, "a heartbeat failed");
                false
            }
        }
    }

    /// Whether its replicas still follow the server that has answered; after the answer, which need not wait for them.
    async fn confirm(&self, sent: u64, by: Server) {
        if !self.remote.wants_replicas() {
            return;
        }
        match self.remote.confirm(0, by).await {
            Ok(()) => {
                let _ = self.notes.send(Note::Confirmed { sent });
            }
            Err(error) => {
                self.observer.note(Decision::Unconfirmed);
                tracing::debug!(%error, "a heartbeat was not confirmed");
            }
        }
    }
}

/// Between two questions while Redis does not answer.
const PROBE: Duration = Duration::from_millis(100);
