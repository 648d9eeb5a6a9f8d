//! One question to each Redis server every half second: where do all its feeds stand, and what time is it?
//!
//! The answer is proof of liveness, probe of a server that was away, and clock, all in one round trip. Servers are asked side by
//! side: one that does not answer keeps nobody from being asked again, and leaves only its own feeds unproven.

use super::{Note, Proofs};
use crate::{
    model::{Clock, ServerTime, millis},
    observe::{Decision, Observer},
    remote::{Part, Remote, Server, Standing},
};
use futures_util::stream::{FuturesUnordered, StreamExt};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until},
};

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
        let (mut turns, mut beats) = (Turns::default(), FuturesUnordered::new());
        while !self.notes.is_closed() {
            let every = Duration::from_millis(self.every.load(Ordering::Relaxed));
            for part in turns.due(self.remote.parts(), every) {
                beats.push(self.beat(part));
            }
            tokio::select! {
                Some((part, answered)) = beats.next(), if !beats.is_empty() => {
                    let is_up = answered && self.remote.standing_of(&part) == Standing::Up;
                    turns.ended(&part, (!is_up).then_some(every.min(PROBE)));
                }
                () = turns.next(every) => {}
                () = self.now.notified() => turns.hurry(|_| true),
                () = self.remote.probe_wanted() => {
                    turns.hurry(|part| self.remote.standing_of(part) != Standing::Up);
                }
            }
        }
    }

    /// Asks one of those that have buckets; answers whether it did.
    async fn beat(&self, part: Part) -> (Part, bool) {
        let sent = millis(self.clock.precise());
        let answered = match self.remote.beat(&part, &self.proofs.known()).await {
            Ok(beat) => {
                let buckets: Vec<_> = beat.answers().map(|(bucket, _)| bucket).collect();
                for bucket in &buckets {
                    self.server_time.learn(*bucket, beat.at, sent);
                }
                // A closed channel ends the loop above.
                let _ = self.notes.send(Note::Beat {
                    sent,
                    heads: beat.heads,
                    agreement: beat.agreement,
                });
                self.confirm(sent, beat.by, buckets).await;
                true
            }
            Err(error) => {
                self.observer.note(Decision::RemoteError);
                tracing::debug!(%error, "a heartbeat failed");
                false
            }
        };
        (part, answered)
    }

    /// Whether its replicas still follow the server that has answered; after the answer, which need not wait for them.
    async fn confirm(&self, sent: u64, by: Server, buckets: Vec<u16>) {
        let Some(bucket) = buckets.last().filter(|_| self.remote.wants_replicas()) else {
            return;
        };
        match self.remote.confirm(*bucket, by).await {
            Ok(()) => {
                let _ = self.notes.send(Note::Confirmed { sent, buckets });
            }
            Err(error) => {
                self.observer.note(Decision::Unconfirmed);
                tracing::debug!(%error, "a heartbeat was not confirmed");
            }
        }
    }
}

/// When each of those that have buckets is asked next.
#[derive(Default)]
struct Turns(Vec<Turn>);

struct Turn {
    part: Part,
    due: Instant,
    under_way: bool,
}

impl Turns {
    /// Those of these whose turn it is. From here on they are asked, and again after `every`.
    fn due(&mut self, parts: Vec<Part>, every: Duration) -> Vec<Part> {
        let now = Instant::now();
        self.0.retain(|turn| parts.contains(&turn.part));
        for part in parts {
            if !self.0.iter().any(|turn| turn.part == part) {
                self.0.push(Turn {
                    part,
                    due: now,
                    under_way: false,
                });
            }
        }
        let due = |turn: &&mut Turn| !turn.under_way && turn.due <= now;
        let begun = self.0.iter_mut().filter(due).map(|turn| {
            turn.under_way = true;
            turn.due = now + every;
            turn.part.clone()
        });
        begun.collect()
    }

    /// One was asked; `again`: after how long it is asked again before its turn.
    fn ended(&mut self, part: &Part, again: Option<Duration>) {
        if let Some(turn) = self.0.iter_mut().find(|turn| turn.part == *part) {
            turn.under_way = false;
            turn.due = again.map_or(turn.due, |pause| Instant::now() + pause);
        }
    }

    /// Some are asked at once; where a question is under way it may be too old, so that another one follows.
    fn hurry(&mut self, which: impl Fn(&Part) -> bool) {
        let now = Instant::now();
        for turn in self.0.iter_mut().filter(|turn| which(&turn.part)) {
            turn.due = now;
        }
    }

    /// Waits for the next turn.
    async fn next(&self, every: Duration) {
        let rest = self.0.iter().filter(|turn| !turn.under_way);
        let next = rest.map(|turn| turn.due).min();
        sleep_until(next.unwrap_or_else(|| Instant::now() + every)).await;
    }
}

/// Between two questions while Redis does not answer.
const PROBE: Duration = Duration::from_millis(100);
