//! The handle on one cache.
//!
//! The read path from top to bottom is in `core.rs` and, on a miss, in `fly.rs`; that of many keys at once in `many.rs` and `loading.rs`;
//! what is served past its TTL is in `stale.rs` and `renewing.rs`, and what a call gets that is late in `deadline.rs`;
//! a cache that knows its loader is in `loaders.rs`, with `collecting.rs` and `warm.rs`;
//! invalidations and inserts are in `write.rs`; what a cache says of itself is in `about.rs`; what is left of a read while the cache is off is in `bypass.rs`.

mod about;
mod batch;
mod bypass;
mod collecting;
mod core;
mod deadline;
mod fly;
mod loaders;
mod loading;
mod many;
mod pinned;
mod renewing;
mod stale;
mod traced;
mod warm;
mod write;

pub use self::{
    batch::{Batch, BatchContext},
    collecting::Collect,
    loaders::LoadingCache,
    pinned::Pinned,
    warm::{WarmUp, Warmed},
};

pub(crate) use self::traced::carried_through;

use self::core::Core;
use crate::{
    cached::{Cached, Found},
    engine::Engine,
    error::{BoxError, Error},
    invalidate::Receipt,
    load::{LoadContext, Loaded, Shelf},
    model::{CacheKey, StoreVersion, Strength},
    observe::Traced,
};
use std::{borrow::Borrow, fmt, future::Future, marker::PhantomData, sync::Arc};
use tokio::task::{JoinError, JoinHandle};
use tracing::Instrument;

/// A cache in front of a store: values of type `V` by keys of type `K`.
///
/// Made by [`Tiers::cache`](crate::Tiers::cache). Cloning it shares it.
///
/// ```
/// # async fn serve() -> Result<(), tricache::Error> {
/// use std::time::Duration;
/// use tricache::{Policy, Tiers};
///
/// let tiers = Tiers::builder("shop").build().await?;
/// let names = tiers.cache::<u64, String>("name", Policy::ttl(Duration::from_secs(600)))?;
///
/// let name = names.get_or_load(&42, |_| async { Ok::<_, std::io::Error>("Lamp".to_owned()) }).await?;
/// assert_eq!(*name, "Lamp");
///
/// // … the store has committed another name …
/// let receipt = names.invalidate(&42).await?;
/// assert!(!receipt.is_pending());
/// # Ok(()) }
/// ```
pub struct TieredCache<K, V> {
    core: Arc<Core<V>>,
    keys: PhantomData<fn() -> K>,
}

impl<K, V: Send + Sync + 'static> TieredCache<K, V> {
    pub(crate) fn new(engine: Arc<Engine>, shelf: Shelf<V>) -> Self {
        Self {
            core: Core::new(engine, shelf),
            keys: PhantomData,
        }
    }

    /// The value of `key` if some tier holds it; nothing is loaded.
    ///
    /// # Errors
    /// [`is_absent`](Error::is_absent) if some tier remembers that there is no such value, and after a shutdown. Redis
    /// not answering is a miss.
    ///
    /// # Cancel safety
    /// Dropping this future has no effect.
    pub async fn get<Q>(&self, key: &Q) -> Result<Option<Cached<V>>, Error>
    where
        K: Borrow<Q>,
        Q: CacheKey + ?Sized,
    {
        self.core.engine.check_open()?;
        if !self.core.engine.enabled {
            self.core.missed();
            return Ok(None);
        }
        let key = self.core.render(key);
        if let Some(found) = self.core.local(&key) {
            return self.core.hit(Traced::Get, &key, found).map(Some);
        }
        let at = self.core.shelf.address(key);
        // On the heap, so that a hit need not carry the room for a miss.
        let found = Box::pin(self.core.traced_find(&at)).await;
        found.map(Found::into_result).transpose()
    }

    /// The value of `key`, loaded on a miss.
    ///
    /// The closure may borrow, and runs at most once: only on a miss, and only if no other call loads the key already,
    /// in this process or in another. Its future is spawned and therefore owns what it needs.
    ///
    /// # Errors
    /// The loader's error or panic, shared by all that waited for it; [`is_absent`](Error::is_absent) if it found no
    /// such value; [`is_timeout`](Error::is_timeout) at the [deadline](crate::Policy::hard_timeout) of the call, or if the load
    /// [was stopped](crate::Policy::load_timeout); [`is_overloaded`](Error::is_overloaded) if too many loads run and
    /// [queue](crate::Policy::max_loads); [`is_circular`](Error::is_circular) if this call is part of a load that would
    /// wait for itself; and after a shutdown. Redis not answering is not an error: the loader is asked.
    ///
    /// # Cancel safety
    /// Dropping this future does not stop a load in progress; its result still fills the cache. Dropped before the
    /// load began, it hands over to another caller that waits.
    pub async fn get_or_load<Q, F, Fut, R, E>(&self, key: &Q, load: F) -> Result<Cached<V>, Error>
    where
        K: Borrow<Q>,
        Q: CacheKey + ToOwned<Owned = K> + ?Sized,
        F: FnOnce(LoadContext<K, V>) -> Fut,
        Fut: Future<Output = Result<R, E>> + Send + 'static,
        R: Into<Loaded<V>> + 'static,
        E: Into<BoxError> + 'static,
    {
        self.core.engine.check_open()?;
        let rendered = self.core.render(key);
        if !self.core.engine.enabled {
            let at = self.core.shelf.address(rendered);
            let load = |previous| load(LoadContext::new(key.to_owned(), previous));
            let bypass = Arc::clone(&self.core).bypass(at.clone(), load);
            return Box::pin(self.core.traced(&at, bypass)).await?.into_result();
        }
        let load = |previous| load(LoadContext::new(key.to_owned(), previous));
        let late = match self.core.local_or_late(&rendered) {
            Ok(found) => {
                if self.core.is_early(&found) {
                    let at = self.core.shelf.address(rendered.clone());
                    self.core.refresh(&at, &found.entry, load);
                }
                return self.core.hit(Traced::GetOrLoad, &rendered, found);
            }
            Err(late) => late,
        };
        if let Some(stale) = self.core.stale_here(&rendered, late) {
            if stale.entry.wants_load(stale.read_at) {
                let at = self.core.shelf.address(rendered.clone());
                self.core.refresh(&at, &stale.entry, load);
            }
            return self.core.hit(Traced::GetOrLoad, &rendered, stale);
        }
        let at = self.core.shelf.address(rendered);
        let miss = self.core.miss(&at, load);
        Box::pin(self.core.traced(&at, miss)).await?.into_result()
    }

    /// The values of those `keys` that some tier holds; nothing is loaded.
    ///
    /// This process is asked for all of them first, then Redis for the rest, in one round trip for up to a thousand.
    /// A key that no tier holds is not in the batch; one that is asked for twice is in it once.
    ///
    /// # Errors
    /// Only after a shutdown. Redis not answering is a miss.
    ///
    /// # Cancel safety
    /// Dropping this future has no effect.
    pub async fn get_many<'q, Q>(
        &self,
        keys: impl IntoIterator<Item = &'q Q>,
    ) -> Result<Batch<K, V>, Error>
    where
        K: CacheKey + Borrow<Q>,
        Q: CacheKey + ToOwned<Owned = K> + ?Sized + 'q,
    {
        self.core.engine.check_open()?;
        if !self.core.engine.enabled {
            return Ok(self.core.no_batch(keys));
        }
        let keys = keys.into_iter();
        let span = (self.core).span_of_many(Traced::GetMany, keys.size_hint().0);
        Ok(self.core.get_many(keys).instrument(span).await)
    }

    /// The values of `keys`, those that no tier holds loaded by one call of `load`.
    ///
    /// The closure is given the keys to load and answers pairs of a key and what was found for it: a `HashMap`, a
    /// `Vec` of pairs. A key that it leaves out is absent. A key that some other call loads already is not loaded
    /// again but waited for. If that other load comes to nothing, because its caller or its node went away, the
    /// closure runs again for what is still missing: so it is `FnMut`, and nearly always runs once, or not at all if
    /// nothing is missing.
    ///
    /// ```
    /// # async fn serve(names: tricache::TieredCache<u64, String>) -> Result<(), tricache::Error> {
    /// # use std::{collections::HashMap, io};
    /// # async fn select(ids: Vec<u64>) -> io::Result<HashMap<u64, String>> { Ok(HashMap::new()) }
    /// let batch = names.get_or_load_many(&[1, 2, 3], |cx| select(cx.into_keys())).await?;
    ///
    /// for (id, name) in batch.into_found()? {
    ///     println!("{id}: {}", *name);
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// After a shutdown. Whatever happens to a key is that key's result in the batch: the loader's error or panic,
    /// shared by all keys of that call; [`is_absent`](Error::is_absent); [`is_circular`](Error::is_circular);
    /// [`is_overloaded`](Error::is_overloaded);
    /// [`is_timeout`](Error::is_timeout) for those that were not answered by the deadline.
    ///
    /// # Cancel safety
    /// As for [`get_or_load`](Self::get_or_load): dropping this future does not stop a load in progress. Keys that were
    /// not yet being loaded are handed over to other callers that wait for them.
    pub async fn get_or_load_many<F, Fut, I, R, E>(
        &self,
        keys: &[K],
        load: F,
    ) -> Result<Batch<K, V>, Error>
    where
        K: CacheKey + Clone + Send + 'static,
        F: FnMut(BatchContext<K>) -> Fut,
        Fut: Future<Output = Result<I, E>> + Send + 'static,
        I: IntoIterator<Item = (K, R)> + 'static,
        R: Into<Loaded<V>> + 'static,
        E: Into<BoxError> + 'static,
    {
        self.core.engine.check_open()?;
        if !self.core.engine.enabled {
            return Ok(Arc::clone(&self.core).bypass_many(keys, load).await);
        }
        let span = (self.core).span_of_many(Traced::GetOrLoadMany, keys.len());
        Ok(Box::pin(Core::get_or_load_many(&self.core, keys, load).instrument(span)).await)
    }

    /// Tells Redis and every node that the value of `key` has changed. Call it after the commit.
    ///
    /// When it answers without [pending](Receipt::is_pending), no load that began before will be served to a read that
    /// begins from now on: by this node at once, by the others as far as the cache's
    /// [`Level`](crate::Level) says.
    ///
    /// # Errors
    /// Only after a shutdown. Redis not answering is no error: the receipt is pending then.
    ///
    /// # Cancel safety
    /// Once it was polled, dropping this future does not stop the invalidation.
    pub async fn invalidate<Q>(&self, key: &Q) -> Result<Receipt, Error>
    where
        K: Borrow<Q>,
        Q: CacheKey + ?Sized,
    {
        self.core.engine.check_open()?;
        let at = self.core.shelf.address(self.core.render(key));
        let span = self.core.span(Traced::Invalidate, &at.key);
        let invalidate = Arc::clone(&self.core).invalidate(vec![at], Strength::Hard);
        carried_through(&self.core.engine.tasks, span, invalidate).await
    }

    /// Tells Redis and every node that the value of `key` is past its TTL: a soft invalidation. Call it where an old value is better
    /// than a slow answer.
    ///
    /// It is served inside the stale windows of the [`Policy`](crate::Policy), counted from this moment, while one load of the fleet
    /// replaces it; then [`Cached::is_stale`] says so. Without windows, and where Redis does not know the key, it is as if
    /// [`invalidate`](Self::invalidate) had been called.
    ///
    /// # Errors
    /// As for [`invalidate`](Self::invalidate). While it is [pending](Receipt::is_pending), this node loads the key.
    ///
    /// # Cancel safety
    /// As for [`invalidate`](Self::invalidate).
    pub async fn expire<Q>(&self, key: &Q) -> Result<Receipt, Error>
    where
        K: Borrow<Q>,
        Q: CacheKey + ?Sized,
    {
        self.expire_many([key]).await
    }

    /// [`expire`](Self::expire) for many keys, 64 in one round trip.
    ///
    /// # Errors
    /// As for one key. The others are expired all the same.
    ///
    /// # Cancel safety
    /// As for one key.
    pub async fn expire_many<'q, Q>(
        &self,
        keys: impl IntoIterator<Item = &'q Q>,
    ) -> Result<Receipt, Error>
    where
        K: Borrow<Q>,
        Q: CacheKey + ?Sized + 'q,
    {
        self.end_many(keys, Strength::Soft).await
    }

    /// [`invalidate`](Self::invalidate) for many keys, 64 in one round trip.
    ///
    /// # Errors
    /// As for one key. The others are invalidated all the same.
    ///
    /// # Cancel safety
    /// As for one key.
    pub async fn invalidate_many<'q, Q>(
        &self,
        keys: impl IntoIterator<Item = &'q Q>,
    ) -> Result<Receipt, Error>
    where
        K: Borrow<Q>,
        Q: CacheKey + ?Sized + 'q,
    {
        self.end_many(keys, Strength::Hard).await
    }

    async fn end_many<'q, Q>(
        &self,
        keys: impl IntoIterator<Item = &'q Q>,
        strength: Strength,
    ) -> Result<Receipt, Error>
    where
        K: Borrow<Q>,
        Q: CacheKey + ?Sized + 'q,
    {
        self.core.engine.check_open()?;
        let at: Vec<_> = keys
            .into_iter()
            .map(|key| self.core.shelf.address(self.core.render(key)))
            .collect();
        let call = match strength {
            Strength::Hard => Traced::Invalidate,
            Strength::Soft => Traced::Expire,
        };
        let span = match at.as_slice() {
            [at] => self.core.span(call, &at.key),
            all => self.core.span_of_many(call, all.len()),
        };
        let invalidate = Arc::clone(&self.core).invalidate(at, strength);
        carried_through(&self.core.engine.tasks, span, invalidate).await
    }

    /// Tells Redis and every node of the new value of `key`: an invalidation that brings the value along.
    ///
    /// Call it after the commit, with what the store now holds, and only where writers of one key take turns from
    /// before the commit until this returns (a row lock, one writer per key). Two that race may insert in the other order than they
    /// committed; [`invalidate`](Self::invalidate) has no such condition.
    ///
    /// The value is refused, and the insert is an invalidation only, if the key was invalidated meanwhile. It is never
    /// sent again.
    ///
    /// # Errors
    /// As for [`invalidate`](Self::invalidate).
    ///
    /// # Cancel safety
    /// Once it was polled, dropping this future stops neither the invalidation nor the fill.
    pub async fn insert<Q>(&self, key: &Q, value: impl Into<Loaded<V>>) -> Result<Receipt, Error>
    where
        K: Borrow<Q>,
        Q: CacheKey + ?Sized,
    {
        self.core.engine.check_open()?;
        let loaded = brought(value.into())?;
        let at = self.core.shelf.address(self.core.render(key));
        let span = self.core.span(Traced::Insert, &at.key);
        let insert = Arc::clone(&self.core).insert(at, loaded, None);
        carried_through(&self.core.engine.tasks, span, insert).await
    }

    /// [`insert`](Self::insert) of a value with the version that the store gave it: of two that race the newer wins,
    /// whatever their order, so writers need not take turns.
    ///
    /// The versions of one key must grow with each commit: a row version, a commit number. The value is stored only if
    /// Redis knows the version before it, from a load that [said so](Loaded::at_version) or from another `insert_at`.
    /// Where the key is new to Redis, was evicted, or was last invalidated without a version, that is unknown, and this is an
    /// invalidation only. A value older than what is known changes nothing: what is kept is of a later commit already.
    ///
    /// # Errors
    /// As for [`invalidate`](Self::invalidate).
    ///
    /// # Cancel safety
    /// As for [`insert`](Self::insert). What Redis does not take is sent again as an invalidation, never as a value.
    pub async fn insert_at<Q>(
        &self,
        key: &Q,
        version: impl Into<StoreVersion>,
        value: impl Into<Loaded<V>>,
    ) -> Result<Receipt, Error>
    where
        K: Borrow<Q>,
        Q: CacheKey + ?Sized,
    {
        self.core.engine.check_open()?;
        let at = self.core.shelf.address(self.core.render(key));
        let version = version.into();
        let loaded = brought(value.into())?.at_version(version);
        let span = self.core.span(Traced::Insert, &at.key);
        let insert = Arc::clone(&self.core).insert(at, loaded, Some(version));
        carried_through(&self.core.engine.tasks, span, insert).await
    }

    /// Invalidates every value of this cache, on every node, in one step however many there are; pinned ones too.
    ///
    /// # Errors
    /// As for [`invalidate`](Self::invalidate).
    ///
    /// # Cancel safety
    /// As for [`invalidate`](Self::invalidate).
    pub async fn clear(&self) -> Result<Receipt, Error> {
        self.core.engine.check_open()?;
        let span = Traced::Clear.of_all(self.name());
        carried_through(
            &self.core.engine.tasks,
            span,
            Arc::clone(&self.core).clear(),
        )
        .await
    }

    /// Reads of values whose version the caller knows: a row version, a content hash.
    ///
    /// The version is part of the key in every tier. Such a value never changes, so nobody invalidates it by its key: an
    /// update makes another key. Its tags and [`clear`](Self::clear) reach it.
    pub fn pinned(&self, version: impl Into<StoreVersion>) -> Pinned<K, V> {
        Pinned::new(self.clone(), version.into())
    }
}

impl<K, V> Clone for TieredCache<K, V> {
    fn clone(&self) -> Self {
        Self {
            core: Arc::clone(&self.core),
            keys: PhantomData,
        }
    }
}

impl<K, V> fmt::Debug for TieredCache<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TieredCache")
            .field("name", &self.core.shelf.name.as_str())
            .finish_non_exhaustive()
    }
}

/// What an insert brings is a value, or that there is none.
fn brought<V>(loaded: Loaded<V>) -> Result<Loaded<V>, Error> {
    if loaded.is_unconfirmed() {
        let message = "an insert brings a value: `Loaded::not_modified` is for loaders";
        return Err(Error::config(message));
    }
    Ok(loaded)
}

/// The result of a task that only a shutdown ends.
async fn finish<T>(task: JoinHandle<Option<Result<T, Error>>>) -> Result<T, Error> {
    match task.await {
        Ok(Some(result)) => result,
        Ok(None) => Err(Error::closed()),
        Err(error) => Err(lost(error)),
    }
}

/// Why a task did not end by itself: it panicked, or the runtime is shutting down.
fn lost(error: JoinError) -> Error {
    match error.try_into_panic() {
        Ok(panic) => Error::panicked(&*panic),
        Err(_) => Error::closed(),
    }
}
