//! One question to Redis every half second: where do all feeds stand, and what time is it?
//!
//! The answer is proof of liveness, probe of a Redis that was away, and clock, all in one round trip.

use super::{Note, Proofs};
use crate::{
    model::{Clock, ServerTime, millis},
    observe::{Decision, Observer},
    remote::{Remote, Standing},
};
use std::{sync::Arc, time::Duration};
use tokio::{sync::mpsc, time::sleep};

/// The task's parts.
pub(crate) struct Heartbeat {
    pub(crate) remote: Arc<Remote>,
    pub(crate) proofs: Arc<Proofs>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) server_time: Arc<ServerTime>,
    pub(crate) observer: Arc<Observer>,
    pub(crate) notes: mpsc::UnboundedSender<Note>,
    pub(crate) every: Duration,
    /// Beats at once when it is told to: after a subscription, whose start must be compared with the heads.
    pub(crate) now: Arc<tokio::sync::Notify>,
}

impl Heartbeat {
    /// Beats until nobody listens.
    pub(crate) async fn run(self) {
        while !self.notes.is_closed() {
            let pause = if self.beat().await && self.remote.standing() == Standing::Up {
                self.every
            } else {
                self.every.min(PROBE)
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
                true
            }
            Err(error) => {
                self.observer.note(Decision::RemoteError);
                tracing::debug!(%error, "a heartbeat failed");
                false
            }
        }
    }
}

/// Between two questions while Redis does not answer.
const PROBE: Duration = Duration::from_millis(100);
