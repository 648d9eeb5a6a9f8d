//! The purges that this process sees to: each name once, until it is done for good.
//!
//! A name that is invalidated again while it is under way is purged again, and only the last purge counts for its note. Its first
//! purge that is not taken yet is waited for all the same, so that whoever waits for a busy name is told some day.
//!
//! There are never more than so many at once. A name too many is handed to the edge and not followed: its note stays in Redis,
//! and whoever sweeps there finds it.

mod refusals;

use self::refusals::Refusals;
use super::{Edge, EdgePurge};
use crate::{
    error::{BoxError, Error, text_of},
    model::{EdgeSubject, PurgeNote, Strength},
    observe::{Decision, Observer},
};
use futures_util::FutureExt;
use std::{
    any::Any,
    collections::{HashMap, HashSet},
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::Instant,
};

/// Hears whether the edge has taken a purge.
pub(crate) type Handed = watch::Receiver<Option<Result<(), Error>>>;

/// What this process wants of its edge.
pub(crate) struct Errands {
    edge: Arc<dyn Edge>,
    observer: Arc<Observer>,
    state: Mutex<State>,
    begun: mpsc::UnboundedSender<Errand>,
}

#[derive(Default)]
struct State {
    under_way: HashMap<EdgeSubject, UnderWay>,
    refusals: Refusals,
    last_error: Option<String>,
    last_number: u64,
    /// Names in Redis, as this node saw them last; `None`: another node looks.
    recorded: Option<usize>,
    /// Notes that are done, and may still stand in Redis.
    forgetting: HashSet<PurgeNote>,
    /// While this node reads the record: those that were forgotten meanwhile, which the answer may still hold.
    looking: Option<HashSet<PurgeNote>>,
    closed: bool,
}

struct UnderWay {
    since: Instant,
    /// Begun before the newest, and not taken yet.
    first: Option<Ask>,
    newest: Ask,
}

struct Ask {
    number: u64,
    strength: Strength,
    taken: bool,
    told: Vec<watch::Sender<Option<Result<(), Error>>>>,
    notes: Vec<PurgeNote>,
    /// Dropped: nobody follows it any more.
    _follows: oneshot::Sender<()>,
}

/// A purge that is to be followed.
pub(crate) struct Errand {
    subject: EdgeSubject,
    number: u64,
    purge: EdgePurge,
    followed: oneshot::Receiver<()>,
}

/// How it stands with the edge.
pub(crate) struct Standing {
    pub(crate) waiting: usize,
    pub(crate) oldest: Option<Duration>,
    pub(crate) refused: usize,
    pub(crate) recorded: Option<usize>,
    pub(crate) last_error: Option<String>,
}

impl Errands {
    /// What is begun comes out of the channel, and must be [followed](Errand::follow).
    pub(crate) fn new(
        edge: Arc<dyn Edge>,
        observer: Arc<Observer>,
    ) -> (Self, mpsc::UnboundedReceiver<Errand>) {
        let (begun, errands) = mpsc::unbounded_channel();
        let new = Self {
            edge,
            observer,
            state: Mutex::default(),
            begun,
        };
        (new, errands)
    }

    /// Hands a name to the edge; the notes are done when it is. The answer hears when the edge has taken it.
    pub(crate) fn hand_over(
        &self,
        subject: EdgeSubject,
        strength: Strength,
        notes: Vec<PurgeNote>,
    ) -> Handed {
        self.observer.note(Decision::Purge);
        let (told, handed) = watch::channel(None);
        // Before its purge begins: of two at once, the one with the higher number speaks for both.
        let number = self.number();
        // Outside of the lock: it is the user's.
        let purge = catch_unwind(AssertUnwindSafe(|| self.edge.purge(&subject, strength)));
        let purge = purge.unwrap_or_else(|panic| EdgePurge::refused(told_by(&*panic)));
        let mut state = self.state();
        if state.closed {
            return handed;
        }
        if !state.has_room_for(&subject) {
            let text = "too many purges are under way: this one is left to the purge record";
            told.send_replace(Some(Err(Error::of_edge(text.into()))));
            return handed;
        }
        let (follows, followed) = oneshot::channel();
        let ask = Ask {
            number,
            strength,
            taken: false,
            told: vec![told],
            notes,
            _follows: follows,
        };
        state.ask(&subject, ask);
        // What nobody follows is dropped here, and it is the user's.
        drop(state);
        // The receiver lives as long as the engine but for the moments of a shutdown.
        let _ = self.begun.send(Errand {
            subject,
            number,
            purge,
            followed,
        });
        handed
    }

    fn number(&self) -> u64 {
        let mut state = self.state();
        state.last_number += 1;
        state.last_number
    }

    /// How long a purge takes when nothing fails.
    pub(crate) fn expected(&self) -> Duration {
        self.edge.expected()
    }

    /// The record is about to be read.
    pub(crate) fn look(&self) {
        self.state().looking = Some(HashSet::new());
    }

    /// Those of the notes that were just read that nobody here sees to, or has seen to meanwhile, and that were not refused lately.
    pub(crate) fn unattended(&self, notes: Vec<PurgeNote>) -> Vec<PurgeNote> {
        let mut state = self.state();
        state.refusals.keep(&notes);
        let gone = state.looking.take().unwrap_or_default();
        let asks = state.under_way.values().flat_map(UnderWay::asks);
        let held: HashSet<&PurgeNote> = asks.flat_map(|ask| &ask.notes).collect();
        let now = Instant::now();
        let done = |note: &PurgeNote| gone.contains(note) || state.forgetting.contains(note);
        let free = |note: &PurgeNote| {
            !held.contains(note) && !done(note) && !state.refusals.holds(note, now)
        };
        notes.into_iter().filter(free).collect()
    }

    /// How many more names can be followed.
    pub(crate) fn room(&self) -> usize {
        AT_ONCE.saturating_sub(self.state().under_way.len())
    }

    /// So many names stood in Redis when this node looked last; `None`: another one looks.
    pub(crate) fn recorded(&self, names: Option<usize>) {
        let mut state = self.state();
        state.recorded = names;
        if names.is_none() {
            // Whoever looks tries again what it finds, and pauses by itself.
            state.refusals = Refusals::default();
        }
    }

    pub(crate) fn standing(&self) -> Standing {
        let (state, now) = (self.state(), Instant::now());
        Standing {
            waiting: state.under_way.len(),
            oldest: state
                .under_way
                .values()
                .map(|entry| entry.since)
                .min()
                .map(|since| now.saturating_duration_since(since)),
            refused: state.refusals.len(),
            recorded: state.recorded,
            last_error: state.last_error.clone(),
        }
    }

    /// These notes stand there no more, or are left to a sweep.
    pub(crate) fn forgotten(&self, notes: &[PurgeNote]) {
        let mut state = self.state();
        for note in notes {
            let gone = state.forgetting.take(note);
            if let Some(looking) = &mut state.looking {
                looking.extend(gone);
            }
        }
    }

    /// Names that are under way, and notes that are still to be forgotten.
    pub(crate) fn unfinished(&self) -> usize {
        let state = self.state();
        state.under_way.len() + state.forgetting.len()
    }

    /// Follows nothing any more: what waits for the edge is told so.
    pub(crate) fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        state.under_way.clear();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // The maps are whole after every step, so a panic elsewhere spoils nothing.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What becomes of a purge.
impl Errands {
    fn taken(&self, subject: &EdgeSubject, number: u64) {
        let mut state = self.state();
        let Some(entry) = state.under_way.get_mut(subject) else {
            return;
        };
        if entry.newest.number == number {
            // It began later than the first, so it speaks for that, too.
            entry.newest.taken = true;
            entry.newest.tell(&Ok(()));
        }
        if let Some(first) = entry.first.take_if(|first| first.number <= number) {
            first.told_all(&Ok(()));
        }
    }

    /// The notes that are done with it: none if a later purge of the name is under way.
    fn done(&self, subject: &EdgeSubject, number: u64) -> Vec<PurgeNote> {
        let mut state = self.state();
        let newest = |entry: &UnderWay| entry.newest.number == number;
        if !state.under_way.get(subject).is_some_and(newest) {
            return Vec::new();
        }
        let entry = state.under_way.remove(subject);
        let notes = entry.map(|entry| entry.newest.notes).unwrap_or_default();
        state.refusals.forget(&notes);
        state.forgetting.extend(notes.iter().cloned());
        notes
    }

    fn refused(&self, subject: &EdgeSubject, number: u64, error: Error) {
        self.observer.note(Decision::FailedPurge);
        if self.is_news(&error) {
            tracing::error!(%error, "the edge refuses a purge: it keeps serving what is old");
        }
        let mut state = self.state();
        let Some(entry) = state.under_way.get_mut(subject) else {
            return;
        };
        if let Some(first) = entry.first.take_if(|first| first.number == number) {
            return first.told_all(&Err(error));
        }
        if entry.newest.number == number
            && let Some(entry) = state.under_way.remove(subject)
        {
            if state.recorded.is_some() {
                state.refusals.add(&entry.newest.notes, Instant::now());
            }
            let asks = entry.first.into_iter().chain([entry.newest]);
            asks.for_each(|ask| ask.told_all(&Err(error.clone())));
        }
    }
}

impl Errands {
    /// Whether the last refusal had another reason; this one is the last from here on.
    fn is_news(&self, error: &Error) -> bool {
        let text = error.to_string();
        let mut state = self.state();
        let news = state.last_error.as_ref() != Some(&text);
        state.last_error = Some(text);
        news
    }
}

impl Errand {
    /// Until it is done for good, or another one has taken its place. Answers the notes that are done.
    pub(crate) async fn follow(self, errands: Arc<Errands>) -> Vec<PurgeNote> {
        let Self {
            subject,
            number,
            purge,
            followed,
        } = self;
        let steps = async {
            purge.taken.await?;
            errands.taken(&subject, number);
            purge.done.await
        };
        let ended = tokio::select! {
            ended = caught(steps) => ended,
            _ = followed => return Vec::new(),
        };
        match ended {
            Ok(()) => errands.done(&subject, number),
            Err(error) => {
                errands.refused(&subject, number, error);
                Vec::new()
            }
        }
    }
}

impl State {
    /// Everything always has: it is one name, and what the others come to when they are too many.
    fn has_room_for(&self, subject: &EdgeSubject) -> bool {
        *subject == EdgeSubject::Everything
            || self.under_way.len() < AT_ONCE
            || self.under_way.contains_key(subject)
    }

    fn ask(&mut self, subject: &EdgeSubject, mut ask: Ask) {
        let Some(entry) = self.under_way.get_mut(subject) else {
            let entry = UnderWay {
                since: Instant::now(),
                first: None,
                newest: ask,
            };
            self.under_way.insert(subject.clone(), entry);
            return;
        };
        if ask.number < entry.newest.number {
            entry.newest.take_notes(&mut ask);
            entry.newest.told.append(&mut ask.told);
            if entry.newest.taken {
                entry.newest.tell(&Ok(()));
            }
            return;
        }
        if entry.newest.taken {
            entry.since = Instant::now();
        }
        if !entry.newest.taken && entry.first.is_none() {
            ask.take_notes(&mut entry.newest);
            entry.first = Some(std::mem::replace(&mut entry.newest, ask));
        } else {
            ask.take_notes(&mut entry.newest);
            ask.told.append(&mut entry.newest.told);
            entry.newest = ask;
        }
    }
}

impl UnderWay {
    fn asks(&self) -> impl Iterator<Item = &Ask> {
        self.first.iter().chain([&self.newest])
    }
}

impl Ask {
    /// A later purge speaks for the notes of an earlier one, unless that was to be the harder.
    fn take_notes(&mut self, earlier: &mut Self) {
        if self.strength == Strength::Soft && earlier.strength == Strength::Hard {
            return;
        }
        let mut own = std::mem::take(&mut earlier.notes);
        let same = |one: &PurgeNote, other: &PurgeNote| {
            (one.bucket, &one.field) == (other.bucket, &other.field)
        };
        own.retain(|note| !self.notes.iter().any(|later| same(note, later)));
        self.notes.append(&mut own);
    }

    fn tell(&mut self, answer: &Result<(), Error>) {
        for told in self.told.drain(..) {
            // Nobody may be listening any more.
            told.send_replace(Some(answer.clone()));
        }
    }

    fn told_all(mut self, answer: &Result<(), Error>) {
        self.tell(answer);
    }
}

/// The user's futures: a panic of theirs is a refusal.
async fn caught(steps: impl Future<Output = Result<(), BoxError>>) -> Result<(), Error> {
    match AssertUnwindSafe(steps).catch_unwind().await {
        Ok(ended) => ended.map_err(Error::of_edge),
        Err(panic) => Err(Error::of_edge(told_by(&*panic))),
    }
}

fn told_by(panic: &(dyn Any + Send)) -> BoxError {
    format!("it panicked: {}", text_of(panic)).into()
}

/// Names that are followed at once: about 10 MB.
pub(crate) const AT_ONCE: usize = 10_000;

#[cfg(test)]
mod tests;
