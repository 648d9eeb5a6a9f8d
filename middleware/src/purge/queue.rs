//! The keys that one vendor still has to purge: a pure state machine, to which time is an argument.
//!
//! Its rule: **a key is done only by a call that began after the key was last asked for.** Each request gives the key a new number;
//! a call that succeeds removes the key only if the number is still the one it left with. And it is done for good only by a call
//! that began at least `second_after` later; before that it rests, and is sent a second time.
//!
//! The queue is bounded. A key too many makes it coarser: first by the user's own rule, then everything becomes one purge of
//! everything. Only if the vendor has no such call is the new key refused, and its receipt says so.

mod coarse;
mod entry;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt,
    sync::Arc,
    time::Duration,
};

use tokio::time::Instant;

use super::{
    batch::{Batch, Mode},
    error::PurgeError,
    limits::Limits,
    receipt::{Ticket, Waiters},
    vendor::Done,
};
use entry::{Entry, Place, State};

/// A key that stands on every page that shows another key.
pub(crate) type Coarser = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// What a queue is made with.
#[derive(Clone)]
pub(crate) struct Rules {
    pub(crate) vendor: usize,
    pub(crate) name: Arc<str>,
    pub(crate) limits: Limits,
    pub(crate) window: Duration,
    pub(crate) second_after: Duration,
    pub(crate) longest: usize,
    pub(crate) coarser: Option<Coarser>,
}

/// One vendor's keys.
pub(crate) struct Queue {
    rules: Rules,
    entries: HashMap<Target, Entry>,
    hard: BTreeMap<u64, Target>,
    soft: BTreeMap<u64, Target>,
    resting: BTreeSet<(Instant, Target)>,
    last_number: u64,
    coarsened: u64,
    /// The last attempt to become coarser left the queue full, and nothing has left it since.
    coarsest: bool,
}

/// What can be purged.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Target {
    Everything,
    Key(Arc<str>),
}

/// Keys on their way to the vendor.
pub(crate) struct Flight {
    pub(crate) batch: Batch,
    began: Instant,
    sent: Vec<Sent>,
}

struct Sent {
    target: Target,
    number: u64,
    mode: Mode,
    place: Place,
    waiters: Waiters,
}

/// What the queue wants next.
pub(crate) enum Next {
    /// A call with so many keys.
    Call(usize),
    /// Nothing before this time.
    At(Instant),
    /// Nothing.
    Nothing,
}

impl Queue {
    pub(crate) fn new(rules: Rules) -> Self {
        Self {
            rules,
            entries: HashMap::new(),
            hard: BTreeMap::new(),
            soft: BTreeMap::new(),
            resting: BTreeSet::new(),
            last_number: 0,
            coarsened: 0,
            coarsest: false,
        }
    }

    /// Keys that have not been taken yet, those in the call that is under way among them.
    pub(crate) fn unsent(&self) -> usize {
        self.entries.len() - self.resting.len()
    }

    /// Keys that were taken once, and wait for their second purge.
    pub(crate) fn resting(&self) -> usize {
        self.resting.len()
    }

    /// How often the queue was made coarser.
    pub(crate) fn coarsened(&self) -> u64 {
        self.coarsened
    }

    /// Asks for a key, which is to be gone after this moment.
    ///
    /// # Errors
    /// The queue is full and cannot be made coarser. The ticket has been told.
    pub(crate) fn ask(
        &mut self,
        key: Arc<str>,
        mode: Mode,
        ticket: &Arc<Ticket>,
        now: Instant,
    ) -> Result<(), PurgeError> {
        let waiters = Waiters::one(ticket);
        let Some(target) = self.room_for(Target::Key(key), now) else {
            let error = PurgeError::overflow(&self.rules.name);
            waiters.fail(self.rules.vendor, &error);
            return Err(error);
        };
        self.put(target, mode, waiters, now, now + self.rules.window);
        Ok(())
    }

    /// Asks for everything. The vendor must know that.
    pub(crate) fn ask_everything(&mut self, ticket: &Arc<Ticket>, now: Instant) {
        let ready_at = now + self.rules.window;
        let waiters = Waiters::one(ticket);
        self.put(Target::Everything, Mode::Hard, waiters, now, ready_at);
    }

    /// What the vendor should be asked for now. In a hurry nothing waits for its window.
    pub(crate) fn next(&mut self, now: Instant, hurry: bool) -> Next {
        self.wake(now);
        let Some((place, target)) = self.first() else {
            return self
                .resting
                .first()
                .map_or(Next::Nothing, |(due, _)| Next::At(*due));
        };
        let ready = self.entries[target].ready_at();
        let line = self.line(self.entries[target].mode);
        let full = line.len() >= self.rules.limits.keys_per_call();
        if hurry || full || ready <= now {
            return Next::Call(self.fitting(place).len());
        }
        let due = self.resting.first().map_or(ready, |(due, _)| *due);
        Next::At(ready.min(due))
    }

    /// Takes what goes into one call: the key that has waited longest, and others that go the same way.
    pub(crate) fn take(&mut self, now: Instant) -> Option<Flight> {
        let (place, _) = self.first()?;
        let sent: Vec<_> = self
            .fitting(place)
            .into_iter()
            .filter_map(|target| self.depart(target))
            .collect();
        let mode = sent.first()?.mode;
        let keys: Vec<_> = sent.iter().filter_map(|sent| sent.target.key()).collect();
        let batch = if keys.is_empty() {
            Batch::everything()
        } else {
            Batch::of(keys, mode)
        };
        Some(Flight {
            batch,
            began: now,
            sent,
        })
    }

    /// The call has ended: what the vendor has taken is done or rests, and `missing` decides over the others. Returns how many
    /// keys were taken, and how many given up.
    pub(crate) fn land(
        &mut self,
        flight: Flight,
        done: &Done,
        missing: &Missing,
    ) -> (usize, usize) {
        let (mut taken, mut given_up) = (0, 0);
        self.coarsest = false;
        for sent in flight.sent {
            if is_in(&sent.target, done) {
                taken += 1;
                self.acknowledge(sent, flight.began);
            } else if let Missing::GiveUp(error) = missing {
                given_up += 1;
                self.give_up(sent, error);
            } else {
                self.send_again(sent);
            }
        }
        (taken, given_up)
    }

    /// Gives up all that is not under way. Returns how many keys that were.
    pub(crate) fn give_up_all(&mut self, error: &PurgeError) -> usize {
        let flying = |entry: &Entry| matches!(entry.state, State::Flying(_));
        let (flying, others) = std::mem::take(&mut self.entries)
            .into_iter()
            .partition::<HashMap<_, _>, _>(|(_, entry)| flying(entry));
        self.entries = flying;
        self.coarsest = false;
        self.hard.clear();
        self.soft.clear();
        self.resting.clear();
        let count = others.len();
        for entry in others.into_values() {
            entry.give_up(self.rules.vendor, error);
        }
        count
    }

    /// As [`give_up_all`](Self::give_up_all), and what is under way too: nobody will tell how it ends.
    pub(crate) fn close(&mut self, flight: Option<Flight>, error: &PurgeError) -> usize {
        let mut count = self.give_up_all(error);
        for sent in flight.into_iter().flat_map(|flight| flight.sent) {
            count += 1;
            sent.waiters.fail(self.rules.vendor, error);
        }
        for entry in std::mem::take(&mut self.entries).into_values() {
            entry.give_up(self.rules.vendor, error);
        }
        count
    }
}

/// What becomes of keys that the vendor has not taken.
pub(crate) enum Missing {
    SendAgain,
    GiveUp(PurgeError),
}

/// Asking.
impl Queue {
    /// Where a request for `target` can go without making the queue longer than it may be.
    fn room_for(&mut self, target: Target, now: Instant) -> Option<Target> {
        if self.waits_for_everything() {
            return Some(Target::Everything);
        }
        if self.entries.contains_key(&target) || self.entries.len() < self.rules.longest {
            return Some(target);
        }
        self.coarsen(now);
        if self.waits_for_everything() {
            return Some(Target::Everything);
        }
        let coarser = self.coarser(&target).unwrap_or(target);
        let fits = self.entries.contains_key(&coarser) || self.entries.len() < self.rules.longest;
        fits.then_some(coarser)
    }

    /// Whether a purge of everything will begin: whatever is asked for until then is in it.
    fn waits_for_everything(&self) -> bool {
        self.entries
            .get(&Target::Everything)
            .is_some_and(|entry| matches!(entry.state, State::Waiting(_)))
    }

    fn put(
        &mut self,
        target: Target,
        mode: Mode,
        waiters: Waiters,
        now: Instant,
        ready_at: Instant,
    ) {
        self.last_number += 1;
        let number = self.last_number;
        let Some(mut entry) = self.entries.remove(&target) else {
            let place = Place { number, ready_at };
            self.enter(target, Entry::new(number, now, mode, place, waiters));
            return;
        };
        self.leave(&target, &entry);
        entry.ask_again(number, now, mode, ready_at);
        entry.waiters.join(waiters);
        self.enter(target, entry);
    }

    /// Into the line or the rest that its state says.
    fn enter(&mut self, target: Target, entry: Entry) {
        match entry.state {
            State::Waiting(place) => {
                self.line_mut(entry.mode)
                    .insert(place.number, target.clone());
            }
            State::Resting(due) => {
                self.resting.insert((due, target.clone()));
            }
            State::Flying(_) => {}
        }
        self.entries.insert(target, entry);
    }

    fn leave(&mut self, target: &Target, entry: &Entry) {
        match entry.state {
            State::Waiting(place) => {
                self.line_mut(entry.mode).remove(&place.number);
            }
            State::Resting(due) => {
                self.resting.remove(&(due, target.clone()));
            }
            State::Flying(_) => {}
        }
    }

    fn line(&self, mode: Mode) -> &BTreeMap<u64, Target> {
        match mode {
            Mode::Hard => &self.hard,
            Mode::Soft => &self.soft,
        }
    }

    fn line_mut(&mut self, mode: Mode) -> &mut BTreeMap<u64, Target> {
        match mode {
            Mode::Hard => &mut self.hard,
            Mode::Soft => &mut self.soft,
        }
    }
}

/// Leaving.
impl Queue {
    /// Those whose rest is over wait again.
    fn wake(&mut self, now: Instant) {
        while let Some((due, _)) = self.resting.first()
            && *due <= now
            && let Some((_, target)) = self.resting.pop_first()
            && let Some(mut entry) = self.entries.remove(&target)
        {
            self.last_number += 1;
            entry.wait_at(Place {
                number: self.last_number,
                ready_at: now,
            });
            self.enter(target, entry);
        }
    }

    /// Whoever has waited longest.
    fn first(&self) -> Option<(u64, &Target)> {
        let firsts = [self.hard.first_key_value(), self.soft.first_key_value()];
        let first = firsts
            .into_iter()
            .flatten()
            .min_by_key(|(place, _)| **place)?;
        Some((*first.0, first.1))
    }

    /// What goes into one call with the target at `place`, which stands first in its line.
    fn fitting(&self, place: u64) -> Vec<Target> {
        let line = if self.hard.contains_key(&place) {
            &self.hard
        } else {
            &self.soft
        };
        let mut bytes = 0;
        let mut fitting = Vec::new();
        for target in line.values() {
            let Target::Key(key) = target else {
                if fitting.is_empty() {
                    fitting.push(target.clone());
                }
                break;
            };
            if !self.rules.limits.fits(fitting.len(), bytes, key) {
                break;
            }
            bytes += self.rules.limits.bytes_of(key);
            fitting.push(target.clone());
        }
        fitting
    }

    fn depart(&mut self, target: Target) -> Option<Sent> {
        let mut entry = self.entries.remove(&target)?;
        self.leave(&target, &entry);
        let State::Waiting(place) = entry.state else {
            return None;
        };
        let sent = Sent {
            target: target.clone(),
            number: entry.number,
            mode: entry.mode,
            place,
            waiters: std::mem::take(&mut entry.waiters),
        };
        entry.state = State::Flying(entry.number);
        self.entries.insert(target, entry);
        Some(sent)
    }
}

/// Landing.
impl Queue {
    fn acknowledge(&mut self, sent: Sent, began: Instant) {
        sent.waiters.acknowledge(self.rules.vendor);
        let Some(mut entry) = self.entries.remove(&sent.target) else {
            return;
        };
        entry.settling.join(sent.waiters);
        if entry.number != sent.number {
            entry.wait_at(entry.place);
            self.enter(sent.target, entry);
            return;
        }
        let due = entry.asked_at + self.rules.second_after;
        if began < due {
            entry.state = State::Resting(due);
            self.enter(sent.target, entry);
        } else {
            entry.settling.done(self.rules.vendor);
        }
    }

    fn send_again(&mut self, sent: Sent) {
        let Some(mut entry) = self.entries.remove(&sent.target) else {
            return;
        };
        if entry.number == sent.number {
            entry.mode = sent.mode;
        } else {
            entry.mode = entry.mode.and(sent.mode);
        }
        let mut waiters = sent.waiters;
        waiters.join(std::mem::take(&mut entry.waiters));
        entry.waiters = waiters;
        entry.wait_at(sent.place);
        self.enter(sent.target, entry);
    }

    /// A key that was asked for again in the meantime has a right to its own answer.
    fn give_up(&mut self, sent: Sent, error: &PurgeError) {
        sent.waiters.fail(self.rules.vendor, error);
        let Some(mut entry) = self.entries.remove(&sent.target) else {
            return;
        };
        if entry.number == sent.number {
            entry.settling.fail_late(self.rules.vendor, error);
        } else {
            entry.wait_at(entry.place);
            self.enter(sent.target, entry);
        }
    }
}

impl Target {
    fn key(&self) -> Option<Arc<str>> {
        match self {
            Self::Key(key) => Some(Arc::clone(key)),
            Self::Everything => None,
        }
    }
}

fn is_in(target: &Target, done: &Done) -> bool {
    match (done, target) {
        (Done::All, _) => true,
        (Done::These(keys), Target::Key(key)) => keys.iter().any(|done| **done == **key),
        (Done::These(_), Target::Everything) => false,
    }
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue")
            .field("unsent", &self.unsent())
            .field("resting", &self.resting())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;
