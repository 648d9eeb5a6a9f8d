//! One load per key and fleet: the lease in Redis.
//!
//! It saves work and carries no safety: without any lease there would be more loads, never a wrong value. A node
//! that finds another loading waits for the push that the value is there, looking again itself now and then; when
//! the key is invalidated meanwhile it waits for the next leader. After a few of them it loads without the lease, once.

use super::{
    circle::{Waiting, is_loading},
    flight::Permit,
    shelf::Shelf,
    unpack::Unpacked,
};
use crate::{
    local::Ticket,
    model::{Address, Entry, Generation, Head, Version},
    observe::Decision,
    remote::{Discard, Open, Opened, RemoteError, Turn},
};
use std::{sync::Arc, time::Duration};
use tokio::{
    runtime::Handle,
    time::{Instant, sleep, timeout},
};

/// What came of asking for the lease.
pub(crate) enum Acquired<V> {
    /// Somebody filled the value meanwhile.
    Value(Arc<Entry<V>>, Ticket),
    /// This node loads.
    Load(Leased),
    /// The lease is held by a load of this process that waits for this one.
    Circular,
}

/// A load under a generation, with the lease or, if `token` is `None`, beside it.
pub(crate) struct Leased {
    pub(crate) generation: Generation,
    pub(crate) token: Option<u64>,
    /// The start of the load in Redis ms.
    pub(crate) birth: u64,
    pub(crate) ticket: Ticket,
}

/// Asks for the right to load, waiting for who has it.
///
/// `ticket` is called before each question, and answers none if Redis is not to be believed; `seen` is called with the
/// head that each answer carries; `live` says whether the tag feed is.
///
/// # Cancel safety
/// Dropped before it answers, it gives the lease back, if it has got it.
pub(crate) async fn acquire<V: Send + Sync + 'static>(
    shelf: &Arc<Shelf<V>>,
    at: &Address,
    discard: Discard,
    permit: &Permit<V>,
    ticket: impl Fn() -> Option<Ticket>,
    seen: impl Fn(&Head),
    live: impl Fn() -> bool,
) -> Result<Acquired<V>, RemoteError> {
    // Before the first question: the push may come before its answer.
    let _asking = permit.asks();
    let mut question = Question::new(discard);
    let mut asked = Asked {
        shelf,
        at,
        token: question.token,
        open: false,
    };
    let mut pause = FIRST_LOOK;
    loop {
        let ticket = ticket().ok_or(RemoteError::Doubted)?;
        let open = question.open(shelf, shelf.open_until(at.id.bucket));
        asked.open = true;
        // An error leaves it open: what was not answered in time may have been done.
        let opened = shelf.remote.open(at, open).await?;
        asked.open = false;
        seen(&opened.head);
        let meaning = question.judge(shelf, at, permit, opened, ticket, live());
        match meaning.await? {
            Meaning::Acquired(acquired) => return Ok(acquired),
            Meaning::Again => {}
            Meaning::Follow(_waiting) => {
                // The push may be lost; then the pause ends it.
                let _ = timeout(jittered(pause), permit.flight().woken()).await;
                pause = (pause * 2).min(LAST_LOOK);
            }
        }
    }
}

/// The asking for one lease, however often it takes.
pub(super) struct Question {
    pub(super) token: u64,
    discard: Discard,
    followed: Option<Version>,
    /// Those that were waited for, each of another version.
    leaders: u32,
    patience: Instant,
}

/// What an answer of Redis means for who asked.
pub(crate) enum Meaning<'a, V> {
    Acquired(Acquired<V>),
    /// What is there is of no use: ask again, without it.
    Again,
    /// Another load is under way. While this is kept, its circles are watched.
    Follow(Option<Waiting<'a>>),
}

impl Question {
    /// `discard`: what of the value that is there does not count.
    pub(super) fn new(discard: Discard) -> Self {
        Self {
            token: fastrand::u64(1..u64::MAX),
            discard,
            followed: None,
            leaders: 0,
            patience: Instant::now() + PATIENCE,
        }
    }

    /// `until`: when an answer reaches nobody any more, in Redis ms.
    pub(super) fn open<V: Send + Sync + 'static>(&self, shelf: &Shelf<V>, until: u64) -> Open {
        Open {
            token: self.token,
            lease: LEASE,
            pointer_ttl: shelf.policy.pointer_ttl(),
            until,
            discard: self.discard,
        }
    }

    /// `ticket` is the one that was taken before the question; `live`: the tag feed is.
    pub(super) async fn judge<'a, V: Send + Sync + 'static>(
        &mut self,
        shelf: &'a Shelf<V>,
        at: &Address,
        permit: &Permit<V>,
        opened: Opened,
        ticket: Ticket,
        live: bool,
    ) -> Result<Meaning<'a, V>, RemoteError> {
        let leased = |token| {
            Meaning::Acquired(Acquired::Load(Leased {
                generation: opened.generation,
                token,
                birth: opened.at,
                ticket,
            }))
        };
        Ok(match opened.turn {
            Turn::Lead => leased(Some(self.token)),
            Turn::Hit(bytes) => match shelf.unpack(at, &bytes, None, live, opened.by).await? {
                Unpacked::Fresh(entry) => Meaning::Acquired(Acquired::Value(entry, ticket)),
                // Stale, dead, bad or refused: ask again, without it.
                Unpacked::Stale(entry) => {
                    self.discard = outlived(&entry);
                    Meaning::Again
                }
                Unpacked::Refused(discard) => {
                    self.discard = discard;
                    Meaning::Again
                }
            },
            Turn::Follow => {
                let Ok(waiting) = shelf.circles.waits_for_lease(at, permit.flight().number())
                else {
                    return Ok(Meaning::Acquired(Acquired::Circular));
                };
                if is_loading() {
                    permit.hurry_others();
                }
                let version = opened.generation.version;
                let is_another = self.followed.replace(version) != Some(version);
                self.leaders += u32::from(is_another);
                if self.leaders > LEADERS || Instant::now() >= self.patience {
                    shelf.observer.note(Decision::LoadedAlone);
                    return Ok(leased(None));
                }
                if is_another {
                    shelf.observer.note(Decision::LeaseWait);
                    tracing::debug!("waits for a load of another node");
                }
                // Bad bytes are dropped once: what comes next is the leader's. What is stale stays, and never counts.
                if !matches!(self.discard, Discard::Outlived(_)) {
                    self.discard = Discard::Nothing;
                }
                Meaning::Follow(waiting)
            }
        })
    }
}

/// How a question says that it knows the value and wants another one.
pub(crate) fn outlived<V>(entry: &Entry<V>) -> Discard {
    (entry.seal).map_or(Discard::Nothing, |seal| Discard::Outlived(seal.check))
}

/// A question under way: dropped in the middle, the answer may be a lease that nobody would use.
struct Asked<'a, V: Send + Sync + 'static> {
    shelf: &'a Arc<Shelf<V>>,
    at: &'a Address,
    token: u64,
    open: bool,
}

impl<V: Send + Sync + 'static> Drop for Asked<'_, V> {
    fn drop(&mut self) {
        if !self.open {
            return;
        }
        // Outside of a runtime nothing can be sent, and the lease ends by itself.
        if let Ok(runtime) = Handle::try_current() {
            let (shelf, at, token) = (Arc::clone(self.shelf), self.at.clone(), self.token);
            // The question went first on the same connection, so this finds what it took.
            let tasks = shelf.tasks.clone();
            tasks.spawn_on(&runtime, async move {
                release_in_the_end(&shelf, &at, token).await;
            });
        }
    }
}

/// Gives a lease back, later if Redis does not take it now: a caller waits.
pub(super) async fn release<V: Send + Sync + 'static>(
    shelf: &Arc<Shelf<V>>,
    at: &Address,
    token: u64,
) {
    if shelf.remote.release(at, token).await.is_err() {
        release_later(shelf, at, token);
    }
}

/// The same for many.
pub(super) async fn release_many<V: Send + Sync + 'static>(
    shelf: &Arc<Shelf<V>>,
    leases: &[(&Address, u64)],
) {
    let released = shelf.remote.release_many(leases).await;
    for ((at, token), released) in leases.iter().zip(released) {
        if released.is_err() {
            release_later(shelf, at, *token);
        }
    }
}

/// Lets a task give a lease back.
pub(super) fn release_later<V: Send + Sync + 'static>(
    shelf: &Arc<Shelf<V>>,
    at: &Address,
    token: u64,
) {
    if token == 0 {
        // It was a load without a lease.
        return;
    }
    let (held, at) = (Arc::clone(shelf), at.clone());
    let release = async move { release_in_the_end(&held, &at, token).await };
    shelf.tasks.spawn(release);
}

/// Gives a lease back as soon as Redis takes it.
///
/// It is mostly a call that was late that leaves a lease behind, and it has opened the breaker: at first nothing is taken. A
/// lease that stays keeps every node from loading its key.
async fn release_in_the_end<V: Send + Sync + 'static>(shelf: &Shelf<V>, at: &Address, token: u64) {
    let (ends, mut pause) = (Instant::now() + LEASE, FIRST_LOOK);
    while let Err(error) = shelf.remote.release(at, token).await {
        if Instant::now() >= ends || shelf.tasks.is_closing() {
            // It ends by itself; those who wait look again until it does.
            tracing::debug!(%error, "a lease could not be released");
            return;
        }
        sleep(jittered(pause)).await;
        pause = (pause * 2).min(LAST_LOOK);
    }
}

/// Keeps a lease as long as the load goes on; to be dropped with it.
pub(super) async fn keep<V: Send + Sync + 'static>(shelf: Arc<Shelf<V>>, at: Address, token: u64) {
    loop {
        sleep(LEASE / 3).await;
        if let Err(error) = shelf.remote.renew(&at, token, LEASE).await {
            tracing::debug!(%error, "a lease could not be renewed");
        }
    }
}

pub(super) fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(0.75 + fastrand::f64() / 2.0)
}

/// How long a node that died keeps others waiting.
pub(super) const LEASE: Duration = Duration::from_secs(3);
/// How long a node waits for others at most, so that nodes that wait for each other in a circle get free.
const PATIENCE: Duration = Duration::from_secs(10);
/// How many leaders a node waits for. All that wait load at once when they give up, so this is not at the first invalidation.
const LEADERS: u32 = 3;
pub(super) const FIRST_LOOK: Duration = Duration::from_millis(25);
pub(super) const LAST_LOOK: Duration = Duration::from_millis(200);
