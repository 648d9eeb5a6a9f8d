//! One vendor's way through the queue: wait for a batch, wait for the pace, call, and see what the answer changes.
//!
//! All lanes run in one task, side by side: a vendor that is slow or away holds up its own lane only. The flight is kept in the
//! state and not in the call's future, so that its receipts are told even if the call is dropped.

use std::{
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures_util::FutureExt;
use tokio::{
    sync::{Notify, watch},
    time::{Duration, Instant, sleep_until, timeout},
};

use super::{
    batch::{Batch, Mode},
    error::PurgeError,
    pace::{Pace, Pauses},
    queue::{Flight, Missing, Next, Queue, Rules},
    receipt::{Ticket, Waiters},
    report::{Progress, VendorReport},
    vendor::{Answer, Done, Failure, FailureKind, Purge},
};

/// One vendor, its keys, and how it is doing.
pub(crate) struct Lane {
    vendor: Box<dyn Purge>,
    rules: Rules,
    refuses_soft: bool,
    pauses: Pauses,
    state: Mutex<State>,
    changed: Notify,
}

struct State {
    queue: Queue,
    flight: Option<Flight>,
    progress: Progress,
    /// Until when, and why, whatever comes is given up without a call.
    locked_out: Option<(Instant, PurgeError)>,
    /// How many keys were left at the end; nothing is taken after it.
    left: Option<usize>,
}

impl Lane {
    pub(crate) fn new(
        vendor: Box<dyn Purge>,
        rules: Rules,
        refuses_soft: bool,
        pauses: Pauses,
    ) -> Self {
        let state = State {
            queue: Queue::new(rules.clone()),
            flight: None,
            progress: Progress::default(),
            locked_out: None,
            left: None,
        };
        Self {
            vendor,
            rules,
            refuses_soft,
            pauses,
            state: Mutex::new(state),
            changed: Notify::new(),
        }
    }

    pub(crate) fn name(&self) -> Arc<str> {
        Arc::clone(&self.rules.name)
    }

    /// Takes the keys of one purge, or tells its ticket why not.
    pub(crate) fn ask(&self, keys: &[Arc<str>], mode: Mode, ticket: &Arc<Ticket>) {
        let now = Instant::now();
        let mut state = self.state();
        for key in keys {
            if let Err(error) = self.accept(&mut state, key, mode, ticket, now) {
                self.tell_given_up(&mut state, 1, &error);
            }
        }
        drop(state);
        self.changed.notify_one();
    }

    /// The same for everything.
    pub(crate) fn ask_everything(&self, ticket: &Arc<Ticket>) {
        let now = Instant::now();
        let mut state = self.state();
        let refused = if self.rules.limits.knows_everything() {
            self.check_open(&state, now).err()
        } else {
            Some(self.refused("it cannot purge everything at once"))
        };
        match refused {
            None => state.queue.ask_everything(ticket, now),
            Some(error) => {
                Waiters::one(ticket).fail(self.rules.vendor, &error);
                self.tell_given_up(&mut state, 1, &error);
            }
        }
        drop(state);
        self.changed.notify_one();
    }

    pub(crate) fn report(&self) -> VendorReport {
        let state = self.state();
        let now = Instant::now();
        state.progress.report(&self.rules.name, &state.queue, now)
    }

    /// Looks at the queue again; it may be time to hurry.
    pub(crate) fn wake(&self) {
        self.changed.notify_one();
    }

    /// Gives up whatever is left.
    pub(crate) fn close(&self) {
        let mut state = self.state();
        let flight = state.flight.take();
        let left = state.queue.close(flight, &PurgeError::closed());
        state.progress.given_up(left);
        *state.left.get_or_insert_default() += left;
    }

    /// How many keys were left at the end.
    pub(crate) fn left(&self) -> usize {
        self.state().left.unwrap_or_default()
    }

    /// Purges until the end is near and nothing is left.
    pub(crate) async fn run(&self, ending: watch::Receiver<bool>) {
        let quota = self.rules.limits.quota_of_calls();
        let mut pace = Pace::new(self.pauses, quota, Instant::now());
        loop {
            let hurry = *ending.borrow();
            match self.next(&pace, hurry) {
                Next::Call(_) => self.call(&mut pace).await,
                Next::At(time) => self.wait_until(time).await,
                Next::Nothing if hurry => return,
                Next::Nothing => self.changed.notified().await,
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asking.
impl Lane {
    fn accept(
        &self,
        state: &mut State,
        key: &Arc<str>,
        mode: Mode,
        ticket: &Arc<Ticket>,
        now: Instant,
    ) -> Result<(), PurgeError> {
        if let Err(error) = self.admissible(state, key, mode, now) {
            Waiters::one(ticket).fail(self.rules.vendor, &error);
            return Err(error);
        }
        let mode = if self.rules.limits.knows_soft() {
            mode
        } else {
            Mode::Hard
        };
        state.queue.ask(Arc::clone(key), mode, ticket, now)
    }

    fn admissible(
        &self,
        state: &State,
        key: &str,
        mode: Mode,
        now: Instant,
    ) -> Result<(), PurgeError> {
        self.check_open(state, now)?;
        if !self.rules.limits.fits_alone(key) {
            return Err(self.refused("a key is longer than it takes"));
        }
        if mode == Mode::Soft && self.refuses_soft && !self.rules.limits.knows_soft() {
            return Err(self.refused("it knows no soft purge"));
        }
        Ok(())
    }

    fn check_open(&self, state: &State, now: Instant) -> Result<(), PurgeError> {
        if state.left.is_some() {
            return Err(PurgeError::closed());
        }
        match state.locked_out.as_ref().filter(|(until, _)| now < *until) {
            Some((_, error)) => Err(error.clone()),
            None => Ok(()),
        }
    }

    fn refused(&self, reason: &str) -> PurgeError {
        PurgeError::refused(&self.rules.name, reason)
    }
}

/// Calling.
impl Lane {
    /// What the queue wants, not before the pace allows it.
    fn next(&self, pace: &Pace, hurry: bool) -> Next {
        let now = Instant::now();
        match self.state().queue.next(now, hurry) {
            Next::Call(keys) if pace.earliest(keys) > now => Next::At(pace.earliest(keys)),
            next => next,
        }
    }

    async fn wait_until(&self, time: Instant) {
        tokio::select! {
            () = sleep_until(time) => {}
            () = self.changed.notified() => {}
        }
    }

    async fn call(&self, pace: &mut Pace) {
        let Some(batch) = self.depart(pace) else {
            return;
        };
        let call = AssertUnwindSafe(async { self.vendor.purge(&batch).await }).catch_unwind();
        let answer = match timeout(CALL_LIMIT, call).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Answer::failed(Failure::passing("its client panicked")),
            Err(_) => Answer::failed(Failure::passing("its client did not come to an end")),
        };
        self.land(&answer, pace);
    }

    fn depart(&self, pace: &mut Pace) -> Option<Batch> {
        let now = Instant::now();
        let mut state = self.state();
        let flight = state.queue.take(now)?;
        let batch = flight.batch.clone();
        pace.call(batch.keys().len(), now);
        state.progress.called();
        state.flight = Some(flight);
        Some(batch)
    }

    fn land(&self, answer: &Answer, pace: &mut Pace) {
        let mut state = self.state();
        let Some(flight) = state.flight.take() else {
            return;
        };
        match &answer.failure {
            None => self.succeeded(&mut state, flight, pace),
            Some(failure) => self.failed(&mut state, flight, &answer.done, failure, pace),
        }
    }

    fn succeeded(&self, state: &mut State, flight: Flight, pace: &mut Pace) {
        pace.succeeded();
        let (taken, _) = state.queue.land(flight, &Done::All, &Missing::SendAgain);
        state.locked_out = None;
        if let Some(away) = state.progress.succeeded(taken, Instant::now()) {
            tracing::info!(vendor = &*self.rules.name, failed_for = ?away, "purges reach the edge again");
        }
    }

    fn failed(
        &self,
        state: &mut State,
        flight: Flight,
        done: &Done,
        failure: &Failure,
        pace: &mut Pace,
    ) {
        let now = Instant::now();
        let first = state.progress.failed(&failure.text, now);
        let error = self.refused(&failure.text);
        let missing = match failure.kind {
            FailureKind::Passing => Missing::SendAgain,
            FailureKind::Refused | FailureKind::LockedOut => Missing::GiveUp(error.clone()),
        };
        let (taken, mut given_up) = state.queue.land(flight, done, &missing);
        state.progress.taken(taken);
        match failure.kind {
            FailureKind::Passing => pace.failed(failure.after, now),
            FailureKind::Refused => {}
            FailureKind::LockedOut => {
                given_up += state.queue.give_up_all(&error);
                pace.locked_out(now);
                state.locked_out = Some((pace.earliest(1), error));
            }
        }
        state.progress.given_up(given_up);
        self.tell(failure, first, given_up);
    }

    /// Loudly the first time, and then only for those who look for it.
    fn tell(&self, failure: &Failure, first: bool, given_up: usize) {
        let (vendor, reason) = (&*self.rules.name, &*failure.text);
        if !first {
            tracing::debug!(vendor, reason, given_up, "a purge failed again");
        } else if failure.kind == FailureKind::Passing {
            tracing::warn!(
                vendor,
                reason,
                "a purge failed, and is sent again until it is taken"
            );
        } else {
            tracing::error!(
                vendor,
                reason,
                given_up,
                "purges are refused: the edge keeps serving what is old"
            );
        }
    }

    fn tell_given_up(&self, state: &mut State, keys: usize, error: &PurgeError) {
        state.progress.given_up(keys);
        let reason = error.to_string();
        if state.progress.told(&reason) {
            tracing::error!(
                vendor = &*self.rules.name,
                reason,
                "a key is not purged: the edge keeps serving what is old"
            );
        }
    }
}

/// Clients have limits of their own, and shorter ones. This one keeps a client without one from stopping its lane for good.
const CALL_LIMIT: Duration = Duration::from_secs(60);
