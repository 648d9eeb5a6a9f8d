//! One load per key and fleet: the lease in Redis.
//!
//! It saves work and carries no safety: without any lease there would be more loads, never a wrong value. A node
//! that finds another loading waits for the push that the value is there, looking again itself now and then; when
//! the key was invalidated while it waited and somebody else loads again, it loads without the lease, once.

use super::{flight::Permit, shelf::Shelf};
use crate::{
    local::Ticket,
    model::{Address, Entry, Generation, Head, Version},
    observe::Decision,
    remote::{Discard, Open, RemoteError, Turn},
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
    mut discard: Discard,
    permit: &Permit<V>,
    ticket: impl Fn() -> Option<Ticket>,
    seen: impl Fn(&Head),
    live: impl Fn() -> bool,
) -> Result<Acquired<V>, RemoteError> {
    let token = fastrand::u64(1..u64::MAX);
    // Before the first question: the push may come before its answer.
    let _asking = permit.asks();
    let mut asked = Asked {
        shelf,
        at,
        token,
        open: false,
    };
    let patience = Instant::now() + PATIENCE;
    let mut followed: Option<Version> = None;
    let mut pause = FIRST_LOOK;
    loop {
        let ticket = ticket().ok_or(RemoteError::Doubted)?;
        let open = Open {
            token,
            lease: LEASE,
            pointer_ttl: shelf.policy.pointer_ttl(),
            until: shelf.open_until(),
            discard,
        };
        asked.open = true;
        // An error leaves it open: what was not answered in time may have been done.
        let opened = shelf.remote.open(at, open).await?;
        asked.open = false;
        seen(&opened.head);
        let leased = |token| {
            Acquired::Load(Leased {
                generation: opened.generation,
                token,
                birth: opened.at,
                ticket,
            })
        };
        match opened.turn {
            Turn::Lead => return Ok(leased(Some(token))),
            Turn::Hit(bytes) => match shelf.unpack(at, &bytes, live()).await? {
                Ok(entry) => return Ok(Acquired::Value(entry, ticket)),
                // Dead, bad or refused: ask again, without it.
                Err(refused) => discard = refused,
            },
            Turn::Follow => {
                let Ok(_waiting) = shelf.circles.waits_for_lease(at, permit.flight().number())
                else {
                    return Ok(Acquired::Circular);
                };
                let moved_on = followed.is_some_and(|version| version != opened.generation.version);
                if moved_on || Instant::now() >= patience {
                    shelf.observer.note(Decision::LoadedAlone);
                    return Ok(leased(None));
                }
                if followed.replace(opened.generation.version).is_none() {
                    shelf.observer.note(Decision::LeaseWait);
                }
                // Bad bytes are dropped once: what comes next is the leader's.
                discard = Discard::Nothing;
                // The push may be lost; then the pause ends it.
                let _ = timeout(jittered(pause), permit.flight().woken()).await;
                pause = (pause * 2).min(LAST_LOOK);
            }
        }
    }
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
            runtime.spawn(async move { shelf.remote.release(&at, token).await });
        }
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

fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(0.75 + fastrand::f64() / 2.0)
}

/// How long a node that died keeps others waiting.
const LEASE: Duration = Duration::from_secs(3);
/// How long a node waits for others at most, so that nodes that wait for each other in a circle get free.
const PATIENCE: Duration = Duration::from_secs(10);
const FIRST_LOOK: Duration = Duration::from_millis(25);
const LAST_LOOK: Duration = Duration::from_millis(200);
