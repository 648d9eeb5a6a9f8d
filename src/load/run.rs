//! The loader's task: it runs to its end whoever still waits, and fills what it loaded.

use super::{
    admit::Pass,
    batch::Led,
    circle,
    draft::Draft,
    filling::{Again, Filling},
    flight::Permit,
    lease::{self, Leased, release, release_later},
    loaded::Loaded,
    nested::{Inherited, Reads},
    shelf::{Origin, Sealed, Shelf},
};
use crate::{
    cached::Found,
    error::{BoxError, Error},
    local::Ticket,
    model::{Address, Entry, Generation, Lifetime, Place, Position},
    observe::Decision,
    outcome::Outcome,
    remote::{Fill, Filled},
};
use futures_util::FutureExt;
use std::{future::Future, panic::AssertUnwindSafe, pin::Pin, sync::Arc};
use tokio::{task::JoinHandle, time::timeout};

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

    /// Where the node stood in the tag feed before the load.
    fn place(&self) -> Place {
        match self {
            Self::Leased(leased) => leased.ticket.place,
            Self::Alone(ticket) => ticket.place,
        }
    }
}

/// A loader's future with its conversions, on the heap: a nested load would put all of it on the stack, several times.
pub(crate) type Loader<V> = Pin<Box<dyn Future<Output = Result<Loaded<V>, Error>> + Send>>;

/// Boxes a loader. The conversions are the user's too: a panic in one must not end the task that runs it.
///
/// `previous`: what the loader was given, and may confirm.
pub(crate) fn loader<V, R, E>(
    load: impl Future<Output = Result<R, E>> + Send + 'static,
    previous: Option<Arc<Entry<V>>>,
) -> Loader<V>
where
    V: Send + Sync + 'static,
    R: Into<Loaded<V>>,
    E: Into<BoxError>,
{
    Box::pin(async move {
        match load.await {
            Ok(loaded) => loaded.into().after(previous.as_ref()),
            Err(error) => Err(Error::from_loader(error.into())),
        }
    })
}

/// What a loader answers, unless it runs longer than the policy allows: then it is stopped.
pub(crate) async fn in_time<V, T>(
    shelf: &Shelf<V>,
    loader: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    let limit = shelf.policy.load_timeout_or_default();
    timeout(limit, loader).await.unwrap_or_else(|_| {
        shelf.observer.note(Decision::LoadTimeout);
        Err(Error::late_load(limit))
    })
}

/// Runs the loader, fills both tiers and answers everybody who waits.
pub(crate) async fn run<V: Send + Sync + 'static>(
    shelf: Arc<Shelf<V>>,
    led: Led<V>,
    pass: Pass,
    loader: Loader<V>,
) {
    let Led {
        at, permit, grant, ..
    } = led;
    let _kept = keep_lease(&shelf, &at, &permit, &grant);
    let _held = hold_lease(&shelf, &at, &permit, &grant);
    let began = shelf.clock.precise();
    shelf.observer.note(Decision::Load);
    tracing::debug!("a load begins");
    let reads = Reads::new(&shelf.remote);
    // Within the future that is caught: what is stopped in the middle is dropped there.
    let loader = async { in_time(&shelf, reads.of(loader)).await };
    let loader = circle::within(permit.flight().number(), loader);
    let answer = match AssertUnwindSafe(loader).catch_unwind().await {
        Ok(answer) => answer,
        Err(panic) => Err(Error::panicked(&*panic)),
    };
    drop(pass);
    let took = shelf.clock.precise().saturating_sub(began);
    shelf.observer.load_took(took, answer.is_ok());
    tracing::debug!(?took, ok = answer.is_ok(), "a load has ended");
    if answer.is_ok() {
        shelf.remote.loaded(took);
    }
    let load = Load {
        shelf: &shelf,
        at: &at,
        permit: &permit,
        began: crate::model::millis(began),
        micros: took.as_micros(),
    };
    // A codec of the user's, or a `Serialize` of the value's, may panic too.
    let settled = AssertUnwindSafe(load.settle(grant, answer, &reads.take()))
        .catch_unwind()
        .await;
    permit.complete(settled.unwrap_or_else(|panic| Err(Error::panicked(&*panic))));
}

/// Gives back the right to load, unused.
pub(crate) async fn give_back<V: Send + Sync + 'static>(
    shelf: &Arc<Shelf<V>>,
    at: &Address,
    grant: &Grant,
) {
    if let Some(token) = grant.token() {
        release(shelf, at, token).await;
    }
}

/// A load that has ended.
pub(super) struct Load<'a, V> {
    pub(super) shelf: &'a Arc<Shelf<V>>,
    pub(super) at: &'a Address,
    pub(super) permit: &'a Permit<V>,
    pub(super) began: u64,
    pub(super) micros: u128,
}

/// What is left to do at Redis before an answer may be given.
pub(super) enum Settling<V> {
    Done(Result<Found<V>, Error>),
    /// The lease is to be given back.
    Release(u64, Result<Found<V>, Error>),
    /// The value is to be stored.
    Fill(Fill, Filling<V>),
}

impl<V> Settling<V> {
    pub(super) fn release(token: Option<u64>, result: Result<Found<V>, Error>) -> Self {
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
        answer: Result<Loaded<V>, Error>,
        inherited: &Inherited,
    ) -> Result<Found<V>, Error> {
        match self.judge(grant, answer, inherited).await {
            Settling::Done(result) => result,
            Settling::Release(token, result) => {
                release(self.shelf, self.at, token).await;
                result
            }
            Settling::Fill(fill, filling) => {
                let token = fill.token;
                let mut filled = self.shelf.remote.fill(self.at, fill).await;
                if let (Ok(Filled::Gone), Some(whole)) = (&filled, self.whole(&filling)) {
                    filled = self.shelf.remote.fill(self.at, whole).await;
                }
                if filled.is_err() {
                    // The fill would have given the lease back.
                    release_later(self.shelf, self.at, token);
                }
                Ok(self.filled(filling, filled))
            }
        }
    }

    /// What an answer asks of Redis. `inherited` is what the load has read of other values.
    pub(super) async fn judge(
        &self,
        grant: Grant,
        answer: Result<Loaded<V>, Error>,
        inherited: &Inherited,
    ) -> Settling<V> {
        let loaded = match answer {
            Ok(loaded) => loaded,
            // A loader that hands on that what it needs does not exist.
            Err(error) if error.is_absent() => Loaded::absent(),
            Err(error) => {
                self.shelf.observer.note(Decision::LoadError);
                return Settling::release(grant.token(), Err(error));
            }
        };
        let absent = loaded.is_absent();
        let mut draft = match Draft::new(loaded, &self.shelf.policy) {
            Ok(draft) => draft,
            Err(error) => {
                self.shelf.observer.note(Decision::LoadError);
                return Settling::release(grant.token(), Err(error));
            }
        };
        if absent {
            self.shelf.observer.note(Decision::Absent);
        }
        if draft.confirmed.is_some() {
            self.shelf.observer.note(Decision::NotModified);
        }
        if inherited.unprovable {
            self.permit.unwatch();
        }
        draft.inherit(inherited, self.took(), self.shelf.policy.stale_for() > 0);
        if !draft.pin(self.at.pin) {
            self.shelf.observer.note(Decision::OtherVersion);
        }
        // Also where nobody keeps it: who joined this load meanwhile may have begun after what it shows was invalidated.
        if self.are_shown_current(inherited).await && draft.keep {
            self.pack(grant, draft).await
        } else {
            self.unkept(grant.token(), draft, grant.place())
        }
    }

    async fn pack(&self, grant: Grant, draft: Draft<V>) -> Settling<V> {
        let leased = match grant {
            Grant::Leased(leased) => leased,
            Grant::Alone(ticket) => {
                let entry = self.keep_unproven(draft, ticket);
                return Settling::Done(Ok(self.answered(entry)));
            }
        };
        let (generation, place) = self.origin_of(&leased).await;
        let Some(position) = place.position else {
            // Redis was wiped a moment ago: until the tag feed begins anew, nobody could judge its tags.
            return self.unkept(leased.token, draft, place);
        };
        let origin = Origin {
            generation,
            birth: leased.birth,
            position,
            load_micros: u32::try_from(self.micros).unwrap_or(u32::MAX),
        };
        match self.shelf.pack(self.at, &draft, &origin) {
            Ok(sealed) => self.seal(&leased, &origin, place, draft, sealed),
            Err(error) => {
                self.shelf.tell_of_unstorable(&error);
                let lifetime = self.lifetime(leased.birth, leased.birth + draft.ttl);
                let entry =
                    (self.shelf).unstored(self.at, draft, Some(generation), lifetime, place);
                if !error.is_kept_nowhere() && self.shelf.fits(self.at, &entry) {
                    self.shelf
                        .put(self.at.id, &entry, leased.ticket, self.began);
                }
                Settling::release(leased.token, Ok(self.answered(entry)))
            }
        }
    }

    fn seal(
        &self,
        leased: &Leased,
        origin: &Origin,
        place: Place,
        draft: Draft<V>,
        sealed: Sealed,
    ) -> Settling<V> {
        let lifetime = self.lifetime(origin.birth, sealed.deadline);
        let version = draft.version.filter(|_| self.at.pin.is_none());
        let generation = origin.generation;
        let entry = (self.shelf).stored(self.at, draft, generation, lifetime, place, &sealed);
        let again = sealed.held.map(|_| {
            Box::new(Again {
                origin: *origin,
                deadline: sealed.deadline,
                version,
            })
        });
        let fill = self.fill(generation, leased.token, sealed, version);
        let ticket = leased.ticket;
        Settling::Fill(
            fill,
            Filling {
                entry,
                ticket,
                again,
            },
        )
    }

    /// Whether every entity that the load has read is still what it was; from here on its bumps reach this value.
    async fn are_shown_current(&self, inherited: &Inherited) -> bool {
        let marked = inherited
            .mark(&self.shelf.remote, self.shelf.policy.pointer_ttl())
            .await;
        let current = marked.unwrap_or_else(|error| {
            self.shelf.observer.note(Decision::RemoteError);
            tracing::debug!(%error, "what a load has read could not be marked");
            false
        });
        if !current {
            self.shelf.observer.note(Decision::StaleDependency);
            self.permit.outdate();
        }
        current
    }

    /// For as long as the load was begun at most a second ago, or what the level allows: nothing tells of an invalidation meanwhile.
    fn keep_unproven(&self, draft: Draft<V>, ticket: Ticket) -> Arc<Entry<V>> {
        let gutter = self.shelf.reach.gutter;
        let ttl = gutter.min(self.shelf.policy.local_ttl_millis());
        let lifetime = Lifetime {
            born: self.began,
            deadline: self.began + ttl.min(draft.ttl),
        };
        let place = Place {
            position: None,
            ..ticket.place
        };
        let entry = self.shelf.unstored(self.at, draft, None, lifetime, place);
        if gutter == 0 {
            // Nothing could be served of it.
        } else if self.shelf.fits(self.at, &entry) {
            self.shelf.put_unproven(self.at.id, &entry, ticket);
        } else {
            self.shelf.tell_of_too_large();
        }
        entry
    }

    /// For those who wait, and nobody else.
    fn unkept(&self, token: Option<u64>, draft: Draft<V>, place: Place) -> Settling<V> {
        let lifetime = self.no_life();
        let entry = self.shelf.unstored(self.at, draft, None, lifetime, place);
        Settling::release(token, Ok(self.answered(entry)))
    }

    /// The generation to fill under and the place in the tag feed: those from before the load.
    async fn origin_of(&self, leased: &Leased) -> (Generation, Place) {
        if self.shelf.guarded {
            return (leased.generation, leased.ticket.place);
        }
        // What goes wrong without the protection: a version that is read after the load says nothing about it.
        let snapshot = self.shelf.remote.check(self.at).await.ok();
        let generation = snapshot
            .and_then(|snapshot| snapshot.generation())
            .unwrap_or(leased.generation);
        let known = self.shelf.remote.all_tags().await.ok();
        let position = known.and_then(|known| known.head).map(|head| Position {
            epoch: head.epoch,
            n: head.n,
        });
        let place = Place {
            position,
            ..self.shelf.tags.place()
        };
        (generation, place)
    }

    fn lifetime(&self, birth: u64, deadline: u64) -> Lifetime {
        self.shelf
            .lifetime(self.at.id.bucket, birth, deadline)
            .unwrap_or_else(|| self.no_life())
    }

    fn no_life(&self) -> Lifetime {
        Lifetime {
            born: self.began,
            deadline: self.began,
        }
    }

    /// How long the load took, in ms.
    fn took(&self) -> u64 {
        u64::try_from(self.micros / 1000).unwrap_or(u64::MAX)
    }

    pub(super) fn answered(&self, entry: Arc<Entry<V>>) -> Found<V> {
        Found {
            entry,
            read_at: self.shelf.now(),
            outcome: Outcome::Loaded,
        }
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
    Some(AbortOnDrop(shelf.tasks.spawn(keep)))
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
pub(super) struct AbortOnDrop(pub(super) JoinHandle<Option<()>>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}
