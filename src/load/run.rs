//! The loader's task: it runs to its end whoever still waits, and fills what it loaded.

use super::{
    circle,
    flight::Permit,
    lease::{self, Leased},
    loaded::{Answer, Loaded},
    shelf::{Sealed, Shelf},
};
use crate::{
    cached::Cached,
    error::{BoxError, Error},
    local::Ticket,
    model::{Address, Entry, Generation, Lifetime},
    observe::Decision,
    outcome::Outcome,
    remote::{Fill, Filled, RemoteError},
};
use futures_util::FutureExt;
use std::{any::Any, future::Future, panic::AssertUnwindSafe, sync::Arc};
use tokio::task::JoinHandle;

/// The right to load, and what the value will be worth.
pub(crate) enum Grant {
    /// Under a generation that Redis gave.
    Leased(Leased),
    /// Redis could not be asked, or is not to be believed: the value stays here, for a second.
    Alone(Ticket),
}

impl Grant {
    /// That of the lease, if there is one.
    pub(super) fn token(&self) -> Option<u64> {
        match self {
            Self::Leased(leased) => leased.token,
            Self::Alone(_) => None,
        }
    }
}

/// Runs the loader, fills both tiers and answers everybody who waits.
pub(crate) async fn run<V, R, E>(
    shelf: Arc<Shelf<V>>,
    at: Address,
    permit: Permit<V>,
    grant: Grant,
    loader: impl Future<Output = Result<R, E>> + Send,
) where
    V: Send + Sync + 'static,
    R: Into<Loaded<V>>,
    E: Into<BoxError>,
{
    let _kept = keep_lease(&shelf, &at, &permit, &grant);
    let _held = hold_lease(&shelf, &at, &permit, &grant);
    let began = shelf.clock.now();
    shelf.observer.note(Decision::Load);
    // The conversions are the user's too: a panic in one must not end this task.
    let loader = async move {
        match loader.await {
            Ok(loaded) => Ok(loaded.into().into_answer()),
            Err(error) => Err(Error::from_loader(error.into())),
        }
    };
    let loader = AssertUnwindSafe(circle::within(permit.flight().number(), loader)).catch_unwind();
    let answer = match loader.await {
        Ok(answer) => answer,
        Err(panic) => Err(Error::panicked(message(&*panic))),
    };
    let took = shelf.clock.now().saturating_sub(began);
    let load = Load {
        shelf: &shelf,
        at: &at,
        began: crate::model::millis(began),
        micros: took.as_micros(),
    };
    // A codec of the user's, or a `Serialize` of the value's, may panic too.
    let settled = AssertUnwindSafe(load.settle(grant, answer))
        .catch_unwind()
        .await;
    permit.complete(settled.unwrap_or_else(|panic| Err(Error::panicked(message(&*panic)))));
}

/// Gives back the right to load, unused.
pub(crate) async fn give_back<V: Send + Sync + 'static>(
    shelf: &Shelf<V>,
    at: &Address,
    grant: &Grant,
) {
    if let Some(token) = grant.token() {
        release(shelf, at, token).await;
    }
}

async fn release<V: Send + Sync + 'static>(shelf: &Shelf<V>, at: &Address, token: u64) {
    if let Err(error) = shelf.remote.release(at, token).await {
        // It ends by itself; those who wait look again until it does.
        tracing::debug!(%error, "a lease could not be released");
    }
}

/// A load that has ended.
pub(super) struct Load<'a, V> {
    pub(super) shelf: &'a Shelf<V>,
    pub(super) at: &'a Address,
    pub(super) began: u64,
    pub(super) micros: u128,
}

/// What is left to do at Redis before an answer may be given.
pub(super) enum Settling<V> {
    Done(Result<Cached<V>, Error>),
    /// The lease is to be given back.
    Release(u64, Result<Cached<V>, Error>),
    /// The value is to be stored.
    Fill(Fill, Filling<V>),
}

/// A value on its way to Redis.
pub(super) struct Filling<V> {
    entry: Arc<Entry<V>>,
    ticket: Ticket,
}

impl<V> Settling<V> {
    pub(super) fn release(token: Option<u64>, result: Result<Cached<V>, Error>) -> Self {
        match token {
            Some(token) => Self::Release(token, result),
            None => Self::Done(result),
        }
    }
}

impl<V: Send + Sync + 'static> Load<'_, V> {
    async fn settle(
        &self,
        grant: Grant,
        answer: Result<Answer<V>, Error>,
    ) -> Result<Cached<V>, Error> {
        match self.judge(grant, answer).await {
            Settling::Done(result) => result,
            Settling::Release(token, result) => {
                release(self.shelf, self.at, token).await;
                result
            }
            Settling::Fill(fill, filling) => {
                let filled = self.shelf.remote.fill(self.at, fill).await;
                Ok(self.filled(filling, filled))
            }
        }
    }

    /// What an answer asks of Redis.
    pub(super) async fn judge(
        &self,
        grant: Grant,
        answer: Result<Answer<V>, Error>,
    ) -> Settling<V> {
        let error = match answer {
            Ok(Answer::Value(value)) => return self.pack(grant, value).await,
            Ok(Answer::Absent) => {
                self.shelf.observer.note(Decision::Absent);
                Error::absent()
            }
            Err(error) => {
                self.shelf.observer.note(Decision::LoadError);
                error
            }
        };
        Settling::release(grant.token(), Err(error))
    }

    async fn pack(&self, grant: Grant, value: V) -> Settling<V> {
        let leased = match grant {
            Grant::Leased(leased) => leased,
            Grant::Alone(ticket) => {
                let entry = self.keep_unproven(value, ticket);
                return Settling::Done(Ok(self.answered(entry)));
            }
        };
        let generation = self.generation_of(&leased).await;
        let micros = u32::try_from(self.micros).unwrap_or(u32::MAX);
        match self
            .shelf
            .pack(self.at, &value, generation, leased.birth, micros)
        {
            Ok(sealed) => self.seal(&leased, generation, value, sealed),
            Err(error) => {
                self.shelf.tell_of_unstorable(&error);
                let deadline = leased.birth + self.shelf.policy.jittered_ttl();
                let lifetime = self.lifetime(leased.birth, deadline);
                let entry =
                    Arc::new(
                        self.shelf
                            .unstored(self.at, value, Some(generation), lifetime),
                    );
                self.shelf
                    .put(self.at.id, &entry, leased.ticket, self.began);
                Settling::release(leased.token, Ok(self.answered(entry)))
            }
        }
    }

    fn seal(
        &self,
        leased: &Leased,
        generation: Generation,
        value: V,
        sealed: Sealed,
    ) -> Settling<V> {
        let lifetime = self.lifetime(leased.birth, sealed.deadline);
        let entry = self
            .shelf
            .stored(self.at, value, generation, lifetime, &sealed);
        let fill = Fill {
            generation,
            token: leased.token.unwrap_or(0),
            deadline: sealed.deadline,
            pointer_ttl: self.shelf.policy.pointer_ttl(),
            payload: sealed.bytes,
        };
        let ticket = leased.ticket;
        Settling::Fill(fill, Filling { entry, ticket })
    }

    /// What the answer to a fill means for this process and for those who wait.
    pub(super) fn filled(
        &self,
        filling: Filling<V>,
        filled: Result<Filled, RemoteError>,
    ) -> Cached<V> {
        let Filling { entry, ticket } = filling;
        match filled {
            Ok(Filled::Stored) => {
                let now = self.shelf.now();
                self.shelf.put(self.at.id, &entry, ticket, now);
            }
            // Current when it was loaded, and its readers began before: theirs, and nobody else's.
            Ok(Filled::Stale) => self.shelf.observer.note(Decision::StaleFill),
            Ok(Filled::Expired) => {}
            Err(error) => {
                self.shelf.observer.note(Decision::RemoteError);
                tracing::debug!(%error, "a value could not be stored");
                // The version was Redis' own, so a later look can prove it.
                self.shelf.put(self.at.id, &entry, ticket, self.began);
            }
        }
        self.answered(entry)
    }

    /// For as long as the load was begun at most a second ago: nothing tells of an invalidation meanwhile.
    fn keep_unproven(&self, value: V, ticket: Ticket) -> Arc<Entry<V>> {
        let ttl = GUTTER.min(self.shelf.policy.local_ttl_millis());
        let lifetime = Lifetime {
            born: self.began,
            deadline: self.began + ttl,
        };
        let entry = Arc::new(self.shelf.unstored(self.at, value, None, lifetime));
        self.shelf.put_unproven(self.at.id, &entry, ticket);
        entry
    }

    /// The generation to fill under: the one from before the load.
    async fn generation_of(&self, leased: &Leased) -> Generation {
        if self.shelf.guarded {
            return leased.generation;
        }
        // What goes wrong without the protection: a version that is read after the load says nothing about it.
        let snapshot = self.shelf.remote.check(self.at).await.ok();
        snapshot
            .and_then(|snapshot| snapshot.generation())
            .unwrap_or(leased.generation)
    }

    fn lifetime(&self, birth: u64, deadline: u64) -> Lifetime {
        let alone = Lifetime {
            born: self.began,
            deadline: self.began,
        };
        self.shelf.lifetime(birth, deadline).unwrap_or(alone)
    }

    fn answered(&self, entry: Arc<Entry<V>>) -> Cached<V> {
        Cached::new(entry, self.shelf.now(), Outcome::Loaded)
    }
}

fn keep_lease<V: Send + Sync + 'static>(
    shelf: &Arc<Shelf<V>>,
    at: &Address,
    permit: &Permit<V>,
    grant: &Grant,
) -> Option<AbortOnDrop> {
    loads_under(permit, grant);
    let keep = lease::keep(Arc::clone(shelf), at.clone(), grant.token()?);
    Some(AbortOnDrop(tokio::spawn(keep)))
}

/// From here on an event of the generation that it loads under does not detach the flight.
pub(super) fn loads_under<V>(permit: &Permit<V>, grant: &Grant) {
    if let Grant::Leased(leased) = grant {
        permit.loads_under(leased.generation);
    }
}

/// Makes it known in this process who loads under the lease.
pub(super) fn hold_lease<'a, V: Send + Sync + 'static>(
    shelf: &'a Shelf<V>,
    at: &Address,
    permit: &Permit<V>,
    grant: &Grant,
) -> Option<circle::Holding<'a>> {
    let holder = permit.flight().number();
    grant.token().map(|_| shelf.circles.holds(at, holder))
}

/// A task that ends with its owner.
pub(super) struct AbortOnDrop(pub(super) JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The text of a panic, as far as it has one.
pub(crate) fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned())
}

/// How long an unproven value is kept, in ms.
const GUTTER: u64 = 1000;
