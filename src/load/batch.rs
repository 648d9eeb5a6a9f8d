//! A batch's loader in its task: one call for many keys, each of which is a flight of its own.
//!
//! It runs to its end whoever still waits. Each key is settled as a single load's is; what is shared is the loader and
//! the round trips. To everybody who looks for circles, the flights wait for the load as a whole.

use super::{
    admit::Pass,
    circle,
    filling::Filling,
    flight::Permit,
    lease::{LEASE, release_later, release_many},
    loaded::Loaded,
    nested::{Inherited, Reads},
    places::Places,
    run::{AbortOnDrop, Grant, Load, Settling, hold_lease, in_time, loads_under},
    shelf::Shelf,
};
use crate::{
    cached::Found,
    error::{BoxError, Error},
    model::{Address, CacheKey, RenderedKey, millis},
    observe::Decision,
    remote::{CALLS, Fill, RemoteError},
};
use futures_util::FutureExt;
use std::{future::Future, panic::AssertUnwindSafe, sync::Arc};
use tokio::{join, time::sleep};

/// A key with the right to load it, and its place in the batch.
pub(crate) struct Led<V> {
    pub(crate) index: usize,
    pub(crate) at: Address,
    pub(crate) permit: Permit<V>,
    pub(crate) grant: Grant,
}

/// What became of one key.
pub(crate) type Landed<V> = (usize, Address, Result<Found<V>, Error>);

/// Runs the loader for all of these, fills both tiers and answers everybody who waits for one of them.
///
/// `number` is the load's own; `loader` is an error if it could not even begin.
pub(crate) async fn run_many<V, K, I, R, E>(
    shelf: Arc<Shelf<V>>,
    number: u64,
    led: Vec<Led<V>>,
    pass: Pass,
    loader: Result<impl Future<Output = Result<I, E>> + Send, Error>,
) -> Vec<Landed<V>>
where
    V: Send + Sync + 'static,
    K: CacheKey,
    I: IntoIterator<Item = (K, R)>,
    R: Into<Loaded<V>>,
    E: Into<BoxError>,
{
    let _kept = keep_leases(&shelf, &led);
    let _held: Vec<_> = led
        .iter()
        .map(|led| hold_lease(&shelf, &led.at, &led.permit, &led.grant))
        .collect();
    // None of them closes a circle: nobody knows the load yet.
    let _waiting: Vec<_> = led
        .iter()
        .map(|led| shelf.circles.waits(led.permit.flight().number(), number))
        .collect();
    let began = shelf.clock.precise();
    let loaded = async {
        led.iter().for_each(|_| shelf.observer.note(Decision::Load));
        tracing::debug!("a load begins");
        let loader = loader?;
        match loader.await {
            // The conversions are the user's too: a panic in one must not end this task.
            Ok(records) => Ok(sorted(&shelf, led.iter().map(|led| &led.at), records)),
            Err(error) => Err(Error::from_loader(error.into())),
        }
    };
    let reads = Reads::new(&shelf.remote);
    let loaded = async { in_time(&shelf, reads.of(loaded)).await };
    let loaded = circle::within(number, loaded);
    let loaded = AssertUnwindSafe(loaded).catch_unwind();
    let loaded = match loaded.await {
        Ok(loaded) => loaded,
        Err(panic) => Err(Error::panicked(&*panic)),
    };
    drop(pass);
    let took = shelf.clock.precise().saturating_sub(began);
    shelf.observer.load_took(took, loaded.is_ok());
    tracing::debug!(?took, ok = loaded.is_ok(), "a load has ended");
    if loaded.is_ok() {
        shelf.remote.loaded(took);
    }
    let answers = match loaded {
        Ok(answers) => answers.into_iter().map(Ok).collect(),
        Err(error) => led.iter().map(|_| Err(error.clone())).collect(),
    };
    let time = Time {
        began: millis(began),
        micros: took.as_micros(),
    };
    // What the loader has read went into all that it answered, as far as anybody can tell.
    settle_many(&shelf, time, led, answers, &reads.take()).await
}

/// The answer for each key in turn: what the loader left out is absent, what it says twice is what it said first.
pub(crate) fn sorted<'a, V, K, R>(
    shelf: &Arc<Shelf<V>>,
    asked: impl ExactSizeIterator<Item = &'a Address>,
    records: impl IntoIterator<Item = (K, R)>,
) -> Vec<Loaded<V>>
where
    V: Send + Sync + 'static,
    K: CacheKey,
    R: Into<Loaded<V>>,
{
    let keys: Vec<_> = asked.map(|at| &at.key).collect();
    let mut places = Places::with_capacity(keys.len());
    for (place, key) in keys.iter().enumerate() {
        places.add(key, place, |_| false);
    }
    let mut answers: Vec<_> = keys.iter().map(|_| None).collect();
    for (key, record) in records {
        let key = RenderedKey::new(&key, shelf.name.seed);
        match places.find(&key, |place| *keys[place] == key) {
            None => shelf.tell_of_foreign(),
            Some(place) if answers[place].is_some() => {
                shelf.observer.note(Decision::DuplicateKey);
            }
            Some(place) => answers[place] = Some(record.into()),
        }
    }
    let or_absent = |answer: Option<_>| answer.unwrap_or_else(Loaded::absent);
    answers.into_iter().map(or_absent).collect()
}

/// When a load began, in ms of the node's clock, and how long it took.
#[derive(Clone, Copy)]
struct Time {
    began: u64,
    micros: u128,
}

impl Time {
    fn load<'a, V>(
        self,
        shelf: &'a Arc<Shelf<V>>,
        at: &'a Address,
        permit: &'a Permit<V>,
    ) -> Load<'a, V> {
        Load {
            shelf,
            at,
            permit,
            began: self.began,
            micros: self.micros,
        }
    }
}

/// A loaded key on its last way.
struct Landing<V> {
    index: usize,
    at: Address,
    permit: Permit<V>,
    rest: Rest<V>,
    fill: Option<Fill>,
    /// Of a lease that is to be given back.
    token: Option<u64>,
}

enum Rest<V> {
    Answer(Result<Found<V>, Error>),
    /// The answer to the fill decides, which gives back the lease of this token.
    Filling(Filling<V>, u64),
}

/// Settles each key; those of one piece share their round trips.
async fn settle_many<V: Send + Sync + 'static>(
    shelf: &Arc<Shelf<V>>,
    time: Time,
    led: Vec<Led<V>>,
    answers: Vec<Result<Loaded<V>, Error>>,
    inherited: &Inherited,
) -> Vec<Landed<V>> {
    let mut landed = Vec::with_capacity(led.len());
    let mut loaded = led.into_iter().zip(answers);
    loop {
        let mut piece = Vec::new();
        for (led, answer) in loaded.by_ref().take(CALLS) {
            piece.push(approach(shelf, time, led, answer, inherited).await);
        }
        if piece.is_empty() {
            return landed;
        }
        landed.extend(land(shelf, time, piece).await);
    }
}

async fn approach<V: Send + Sync + 'static>(
    shelf: &Arc<Shelf<V>>,
    time: Time,
    led: Led<V>,
    answer: Result<Loaded<V>, Error>,
    inherited: &Inherited,
) -> Landing<V> {
    let Led {
        index,
        at,
        permit,
        grant,
    } = led;
    let (load, token) = (time.load(shelf, &at, &permit), grant.token());
    // A codec of the user's, or a `Serialize` of the value's, may panic too.
    let judged = AssertUnwindSafe(load.judge(grant, answer, inherited)).catch_unwind();
    let settling = judged
        .await
        .unwrap_or_else(|panic| Settling::release(token, Err(Error::panicked(&*panic))));
    let (rest, fill, token) = match settling {
        Settling::Done(answer) => (Rest::Answer(answer), None, None),
        Settling::Release(token, answer) => (Rest::Answer(answer), None, Some(token)),
        Settling::Fill(fill, filling) => (Rest::Filling(filling, fill.token), Some(fill), None),
    };
    Landing {
        index,
        at,
        permit,
        rest,
        fill,
        token,
    }
}

async fn land<V: Send + Sync + 'static>(
    shelf: &Arc<Shelf<V>>,
    time: Time,
    mut piece: Vec<Landing<V>>,
) -> Vec<Landed<V>> {
    let (mut fills, mut leases) = (Vec::new(), Vec::new());
    for Landing {
        at, fill, token, ..
    } in &mut piece
    {
        fills.extend(fill.take().map(|fill| (&*at, fill)));
        leases.extend(token.map(|token| (&*at, token)));
    }
    let (filled, ()) = join!(shelf.remote.fill_many(fills), release_many(shelf, &leases));
    let mut filled = filled.into_iter();
    let mut landed = Vec::with_capacity(piece.len());
    for landing in piece {
        let answer = match landing.rest {
            Rest::Answer(answer) => answer,
            Rest::Filling(filling, token) => {
                let missing = Err(RemoteError::Nonsense("the number of answers to fills"));
                let filled = filled.next().unwrap_or(missing);
                if filled.is_err() {
                    // The fill would have given the lease back.
                    release_later(shelf, &landing.at, token);
                }
                let load = time.load(shelf, &landing.at, &landing.permit);
                Ok(load.filled(filling, filled))
            }
        };
        landing.permit.complete(answer.clone());
        landed.push((landing.index, landing.at, answer));
    }
    landed
}

/// Keeps all leases as long as the load goes on; from here on their events detach no flight of theirs.
pub(super) fn keep_leases<V: Send + Sync + 'static>(
    shelf: &Arc<Shelf<V>>,
    led: &[Led<V>],
) -> Option<AbortOnDrop> {
    led.iter()
        .for_each(|led| loads_under(&led.permit, &led.grant));
    let lease = |led: &Led<V>| Some((led.at.clone(), led.grant.token()?));
    let leases: Vec<_> = led.iter().filter_map(lease).collect();
    if leases.is_empty() {
        return None;
    }
    let keep = keep_many(Arc::clone(shelf), leases);
    Some(AbortOnDrop(shelf.tasks.spawn(keep)))
}

async fn keep_many<V: Send + Sync + 'static>(shelf: Arc<Shelf<V>>, leases: Vec<(Address, u64)>) {
    let leases: Vec<_> = leases.iter().map(|(at, token)| (at, *token)).collect();
    loop {
        sleep(LEASE / 3).await;
        for answer in shelf.remote.renew_many(&leases, LEASE).await {
            if let Err(error) = answer {
                tracing::debug!(%error, "a lease could not be renewed");
            }
        }
    }
}
