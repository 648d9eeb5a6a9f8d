//! The leases of a batch: asked for together, waited for together.
//!
//! Each key keeps its own question, exactly as a single load asks it; what is shared is the round trip. A key that
//! another node loads waits in [`Waiters`], where a push wakes it, or a pause ends.

use super::{
    batch::Led,
    circle::Waiting,
    flight::{Asking, Permit},
    lease::{FIRST_LOOK, LAST_LOOK, Meaning, Question, jittered, release_many},
    run::Grant,
    shelf::Shelf,
};
use crate::{
    cached::Found,
    error::Error,
    local::Ticket,
    model::{Address, Head},
    remote::{CALLS, Discard, RemoteError},
};
use futures_util::{
    FutureExt, StreamExt,
    future::{BoxFuture, pending},
    stream::FuturesUnordered,
};
use std::{collections::HashMap, sync::Arc, time::Duration};
use tokio::{
    runtime::Handle,
    time::{Instant, timeout_at},
};

/// A key that a batch leads in this process, while it is asked who loads it.
pub(crate) struct Seeker<'a, V> {
    pub(crate) index: usize,
    pub(crate) at: Address,
    /// From before the first question: what a load without a lease is worth.
    ticket: Ticket,
    permit: Permit<V>,
    question: Question,
    /// From before the first question: the push may come before its answer.
    _asking: Asking<V>,
    /// Whose load waits for this key, and whose this key waits for.
    _caller: Option<Waiting<'a>>,
    holder: Option<Waiting<'a>>,
}

impl<'a, V: Send + Sync + 'static> Seeker<'a, V> {
    /// `ticket` is from before the first question; `caller` says whose load waits for the flight.
    pub(crate) fn new(
        index: usize,
        at: Address,
        permit: Permit<V>,
        ticket: Ticket,
        discard: Discard,
        caller: Option<Waiting<'a>>,
    ) -> Self {
        let asking = permit.asks();
        Self {
            index,
            at,
            ticket,
            permit,
            question: Question::new(discard),
            _asking: asking,
            _caller: caller,
            holder: None,
        }
    }

    /// Ends the flight without a load.
    pub(crate) fn complete(self, answer: Result<Found<V>, Error>) {
        self.permit.complete(answer);
    }

    /// Ready to load under a lease.
    pub(crate) fn granted(self, grant: Grant) -> Led<V> {
        Led {
            index: self.index,
            at: self.at,
            permit: self.permit,
            grant,
        }
    }

    /// Ready to load without asking anybody.
    pub(crate) fn alone(self) -> Led<V> {
        let grant = Grant::Alone(self.ticket);
        self.granted(grant)
    }
}

/// What each key's question was answered.
pub(crate) type Answers<'a, V> = Vec<(Seeker<'a, V>, Result<Meaning<'a, V>, RemoteError>)>;

/// Asks for the leases of all, in one round trip for as many as fit into one.
///
/// `ticket`, `seen` and `live` are those of [`acquire`](super::acquire).
///
/// # Cancel safety
/// Dropped before it answers, it gives back what it has got.
pub(crate) async fn ask_many<'a, V: Send + Sync + 'static>(
    shelf: &'a Arc<Shelf<V>>,
    seekers: Vec<Seeker<'a, V>>,
    ticket: impl Fn(&Address) -> Option<Ticket>,
    seen: impl Fn(&Address, &Head),
    live: impl Fn() -> bool,
) -> Answers<'a, V> {
    let mut answers = Vec::with_capacity(seekers.len());
    let mut asked = Asked {
        shelf,
        leases: Vec::new(),
    };
    let mut seekers = seekers.into_iter();
    loop {
        let piece: Vec<_> = seekers.by_ref().take(CALLS).collect();
        if piece.is_empty() {
            break;
        }
        asked.add(&piece);
        answers.extend(ask_piece(shelf, piece, &ticket, &seen, &live).await);
    }
    asked.keep_unanswered(&answers);
    answers
}

async fn ask_piece<'a, V: Send + Sync + 'static>(
    shelf: &'a Arc<Shelf<V>>,
    piece: Vec<Seeker<'a, V>>,
    ticket: impl Fn(&Address) -> Option<Ticket>,
    seen: impl Fn(&Address, &Head),
    live: impl Fn() -> bool,
) -> Answers<'a, V> {
    let tickets: Vec<_> = piece.iter().map(|seeker| ticket(&seeker.at)).collect();
    let until = |seeker: &Seeker<'_, V>| shelf.open_many_until(seeker.at.id.bucket);
    let opens: Vec<_> = piece
        .iter()
        .zip(&tickets)
        .filter(|(_, ticket)| ticket.is_some())
        .map(|(seeker, _)| (&seeker.at, seeker.question.open(shelf, until(seeker))))
        .collect();
    let mut opened = shelf.remote.open_many(&opens).await.into_iter();
    let mut answers = Vec::with_capacity(piece.len());
    for (mut seeker, ticket) in piece.into_iter().zip(tickets) {
        // It waits for nobody while it is asked.
        seeker.holder = None;
        // There is an answer for each question, and a question for each ticket.
        let answer = ticket.and_then(|ticket| Some((ticket, opened.next()?)));
        let meaning = match answer {
            None => Err(RemoteError::Doubted),
            Some((_, Err(error))) => Err(error),
            Some((ticket, Ok(opened))) => {
                seen(&seeker.at, &opened.head);
                let Seeker {
                    question,
                    at,
                    permit,
                    ..
                } = &mut seeker;
                question
                    .judge(shelf, at, permit, opened, ticket, live())
                    .await
            }
        };
        answers.push((seeker, meaning));
    }
    answers
}

/// Questions under way: dropped in the middle, the answers may be leases that nobody would use.
struct Asked<'a, V: Send + Sync + 'static> {
    shelf: &'a Arc<Shelf<V>>,
    leases: Vec<(Address, u64)>,
}

impl<V: Send + Sync + 'static> Asked<'_, V> {
    fn add(&mut self, piece: &[Seeker<'_, V>]) {
        let lease = |seeker: &Seeker<'_, V>| (seeker.at.clone(), seeker.question.token);
        self.leases.extend(piece.iter().map(lease));
    }

    /// What was not answered in time may have been done.
    fn keep_unanswered(&mut self, answers: &Answers<'_, V>) {
        let failed = answers.iter().map(|(_, answer)| answer.is_err());
        let mut failed = failed.collect::<Vec<_>>().into_iter();
        self.leases.retain(|_| failed.next().unwrap_or(false));
    }
}

impl<V: Send + Sync + 'static> Drop for Asked<'_, V> {
    fn drop(&mut self) {
        if self.leases.is_empty() {
            return;
        }
        // Outside of a runtime nothing can be sent, and the leases end by themselves.
        if let Ok(runtime) = Handle::try_current() {
            let (shelf, leases) = (Arc::clone(self.shelf), std::mem::take(&mut self.leases));
            // The questions went first on the same connection, so this finds what they took.
            let tasks = shelf.tasks.clone();
            tasks.spawn_on(&runtime, async move {
                let leases: Vec<_> = leases.iter().map(|(at, token)| (at, *token)).collect();
                release_many(&shelf, &leases).await;
            });
        }
    }
}

/// Keys of a batch that other nodes load.
pub(crate) struct Waiters<'a, V> {
    /// By the number of their flight.
    waiting: HashMap<u64, Seeker<'a, V>>,
    bells: FuturesUnordered<BoxFuture<'static, u64>>,
    /// Woken, and when they may stop waiting for more of their kind.
    rung: Vec<u64>,
    burst_ends: Instant,
    pause: Duration,
    look_at: Instant,
}

impl<'a, V: Send + Sync + 'static> Waiters<'a, V> {
    pub(crate) fn new() -> Self {
        let now = Instant::now();
        Self {
            waiting: HashMap::new(),
            bells: FuturesUnordered::new(),
            rung: Vec::new(),
            burst_ends: now,
            pause: FIRST_LOOK,
            look_at: now,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Waits behind `holder`, if that is a load of this process.
    pub(crate) fn add(&mut self, mut seeker: Seeker<'a, V>, holder: Option<Waiting<'a>>) {
        if self.waiting.is_empty() {
            self.look_at = Instant::now() + jittered(self.pause);
        }
        seeker.holder = holder;
        let flight = Arc::clone(seeker.permit.flight());
        let number = flight.number();
        let bell = async move {
            flight.woken().await;
            number
        };
        self.bells.push(bell.boxed());
        self.waiting.insert(number, seeker);
    }

    /// Those that may look again: woken by a push, or all of them after a pause. Where nobody waits, never.
    ///
    /// # Cancel safety
    /// Nobody is lost.
    pub(crate) async fn next(&mut self) -> Vec<Seeker<'a, V>> {
        if self.is_empty() {
            return pending().await;
        }
        loop {
            let until = if self.rung.is_empty() {
                self.look_at
            } else {
                self.burst_ends
            };
            match timeout_at(until, self.bells.next()).await {
                Ok(Some(number)) => {
                    if self.rung.is_empty() {
                        self.burst_ends = Instant::now() + BURST;
                    }
                    self.rung.push(number);
                }
                Ok(None) | Err(_) => break,
            }
        }
        if self.rung.is_empty() {
            return self.all();
        }
        let woken = self.rung.drain(..);
        woken
            .filter_map(|number| self.waiting.remove(&number))
            .collect()
    }

    /// The pushes may be lost; then the pause ends it.
    fn all(&mut self) -> Vec<Seeker<'a, V>> {
        self.bells = FuturesUnordered::new();
        self.pause = (self.pause * 2).min(LAST_LOOK);
        self.waiting.drain().map(|(_, seeker)| seeker).collect()
    }
}

/// Another node's batch fills many keys at once: whoever is woken waits this long for the others, to ask together.
const BURST: Duration = Duration::from_millis(1);
