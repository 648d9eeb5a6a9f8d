//! A cache that knows its loader.

use super::{
    Batch, BatchContext, TieredCache,
    collecting::{Collect, Collector},
    many::Results,
};
use crate::{
    cached::Cached,
    error::{BoxError, Error},
    load::{LoadContext, Loaded, sorted},
    model::CacheKey,
};
use futures_util::{StreamExt, future::BoxFuture, stream};
use std::{borrow::Borrow, fmt, future::Future, mem::take, ops::Deref, sync::Arc};

/// A cache with the loader of its values: [`get`](Self::get) loads what no tier holds.
///
/// Made by [`TieredCache::with_loader`], [`with_batch_loader`](TieredCache::with_batch_loader) or
/// [`with_collecting_loader`](TieredCache::with_collecting_loader). Cloning it shares it.
///
/// It is a [`TieredCache`] too, by `Deref`: `invalidate`, `expire`, `insert`, `clear` and the rest are that cache's. Only
/// `get` and `get_many` are its own; those that load nothing are at [`cache`](Self::cache).
///
/// ```
/// # async fn serve() -> Result<(), tricache::Error> {
/// use std::time::Duration;
/// use tricache::{LoadContext, Policy, Tiers};
///
/// # #[derive(Clone)]
/// # struct Repo;
/// # impl Repo { async fn name(&self, _: u64) -> Result<String, std::io::Error> { Ok("Lamp".into()) } }
/// # let repo = Repo;
/// let tiers = Tiers::builder("shop").build().await?;
/// let policy = Policy::ttl(Duration::from_secs(600)).stale_while_revalidate(Duration::from_secs(60));
/// let names = tiers.cache::<u64, String>("name", policy)?.with_loader(move |cx: LoadContext<u64, String>| {
///     let repo = repo.clone();
///     async move { repo.name(cx.into_key()).await }
/// });
///
/// assert_eq!(*names.get(&42).await?, "Lamp");
/// names.invalidate(&42).await?;
/// # Ok(()) }
/// ```
pub struct LoadingCache<K, V> {
    cache: TieredCache<K, V>,
    loader: Given<K, V>,
}

/// A loader as it was given.
enum Given<K, V> {
    One(OneLoader<K, V>),
    Many(ManyLoader<K, V>),
    Collecting(Arc<Collector<K, V>>),
}

type OneLoader<K, V> =
    Arc<dyn Fn(LoadContext<K, V>) -> BoxFuture<'static, Result<Loaded<V>, BoxError>> + Send + Sync>;

pub(super) type ManyLoader<K, V> = Arc<
    dyn Fn(BatchContext<K>) -> BoxFuture<'static, Result<Vec<(K, Loaded<V>)>, BoxError>>
        + Send
        + Sync,
>;

impl<K, V> TieredCache<K, V>
where
    K: CacheKey + Clone + Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    /// This cache with a loader that loads one key; see [`LoadingCache`].
    ///
    /// The loader answers what that of [`get_or_load`](Self::get_or_load) does: a value, an `Option`, or a [`Loaded`].
    pub fn with_loader<F, Fut, R, E>(&self, loader: F) -> LoadingCache<K, V>
    where
        F: Fn(LoadContext<K, V>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<R, E>> + Send + 'static,
        R: Into<Loaded<V>> + 'static,
        E: Into<BoxError> + 'static,
    {
        let loader: OneLoader<K, V> = Arc::new(move |context| {
            let load = loader(context);
            Box::pin(async move { load.await.map(Into::into).map_err(Into::into) })
        });
        self.with(Given::One(loader))
    }

    /// This cache with a loader that loads many keys by one call; see [`LoadingCache`].
    ///
    /// The loader answers what that of [`get_or_load_many`](Self::get_or_load_many) does: pairs of a key and what was
    /// found for it. [`get`](LoadingCache::get) calls it with one key.
    pub fn with_batch_loader<F, Fut, I, R, E>(&self, loader: F) -> LoadingCache<K, V>
    where
        F: Fn(BatchContext<K>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<I, E>> + Send + 'static,
        I: IntoIterator<Item = (K, R)> + 'static,
        R: Into<Loaded<V>> + 'static,
        E: Into<BoxError> + 'static,
    {
        self.with(Given::Many(many(loader)))
    }

    /// The same, where [`get`](LoadingCache::get)s that miss at about the same time are collected: one call of the loader for
    /// all of them.
    ///
    /// ```
    /// # async fn serve(names: tricache::TieredCache<u64, String>) -> Result<(), tricache::Error> {
    /// # use std::{collections::HashMap, io, time::Duration};
    /// # async fn select(ids: Vec<u64>) -> io::Result<HashMap<u64, String>> { Ok(HashMap::new()) }
    /// use tricache::{BatchContext, Collect};
    ///
    /// let collect = Collect::within(Duration::from_millis(2)).at_most(200);
    /// let names = names.with_collecting_loader(collect, |cx: BatchContext<u64>| select(cx.into_keys()))?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`is_config`](Error::is_config) if a setting of `collect` is refused.
    pub fn with_collecting_loader<F, Fut, I, R, E>(
        &self,
        collect: Collect,
        loader: F,
    ) -> Result<LoadingCache<K, V>, Error>
    where
        F: Fn(BatchContext<K>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<I, E>> + Send + 'static,
        I: IntoIterator<Item = (K, R)> + 'static,
        R: Into<Loaded<V>> + 'static,
        E: Into<BoxError> + 'static,
    {
        let collector = Collector::new(Arc::clone(&self.core), many(loader), collect.checked()?);
        Ok(self.with(Given::Collecting(Arc::new(collector))))
    }

    fn with(&self, loader: Given<K, V>) -> LoadingCache<K, V> {
        LoadingCache {
            cache: self.clone(),
            loader,
        }
    }
}

impl<K, V> LoadingCache<K, V>
where
    K: CacheKey + Clone + Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    /// The value of `key`, loaded on a miss, and again in the background inside the stale windows of the
    /// [`Policy`](crate::Policy); see [`TieredCache::get_or_load`].
    ///
    /// # Errors
    /// As for [`TieredCache::get_or_load`].
    ///
    /// # Cancel safety
    /// As for [`TieredCache::get_or_load`]: dropping this future does not stop a load in progress, nor one that waits to be
    /// collected.
    pub async fn get<Q>(&self, key: &Q) -> Result<Cached<V>, Error>
    where
        K: Borrow<Q>,
        Q: CacheKey + ToOwned<Owned = K> + ?Sized,
    {
        let load = |context| self.load_one(context);
        self.cache.get_or_load(key, load).await
    }

    /// The values of `keys`, those that no tier holds loaded; see [`TieredCache::get_or_load_many`].
    ///
    /// A batch loader is called once for all that is missing, without waiting for others. A loader of one key is called
    /// for each, up to 64 at a time; the reads share their round trips, and each key has its own error.
    ///
    /// # Errors
    /// As for [`TieredCache::get_or_load_many`].
    ///
    /// # Cancel safety
    /// As for [`TieredCache::get_or_load_many`].
    pub async fn get_many(&self, keys: &[K]) -> Result<Batch<K, V>, Error> {
        match &self.loader {
            Given::One(_) => self.get_each(keys).await,
            Given::Many(load) => self.cache.get_or_load_many(keys, |cx| load(cx)).await,
            Given::Collecting(collector) => {
                let load = |context| collector.load_now(context);
                self.cache.get_or_load_many(keys, load).await
            }
        }
    }

    /// The cache without its loader: its `get` and `get_many` load nothing.
    #[must_use]
    pub fn cache(&self) -> &TieredCache<K, V> {
        &self.cache
    }

    /// Whether many keys are better loaded by one call.
    pub(super) fn loads_many(&self) -> bool {
        !matches!(self.loader, Given::One(_))
    }

    fn load_one(
        &self,
        context: LoadContext<K, V>,
    ) -> BoxFuture<'static, Result<Loaded<V>, BoxError>> {
        match &self.loader {
            Given::One(load) => load(context),
            Given::Many(load) => {
                let key = context.into_key();
                let (core, load) = (Arc::clone(&self.core), Arc::clone(load));
                Box::pin(async move {
                    let at = core.shelf.address(core.render(&key));
                    let records = load(BatchContext::new(vec![key])).await?;
                    let answer = sorted(&core.shelf, std::iter::once(&at), records).pop();
                    Ok(answer.unwrap_or_else(Loaded::absent).after(None)?)
                })
            }
            Given::Collecting(collector) => {
                Box::pin(Arc::clone(collector).load(context.into_key()))
            }
        }
    }

    async fn get_each(&self, keys: &[K]) -> Result<Batch<K, V>, Error> {
        self.core.engine.check_open()?;
        let mut results = Results::in_background(keys.len());
        for key in keys {
            if self.core.is_new(&mut results, &self.core.render(key)) {
                results.keys.push(key.clone());
            }
        }
        let (keys, places) = (take(&mut results.keys), take(&mut results.places));
        let reads: Vec<_> = keys.iter().map(|key| self.get(key)).collect();
        let found: Vec<_> = stream::iter(reads).buffered(AT_ONCE).collect().await;
        let keyed = keys.into_iter().zip(found).collect();
        Ok(Batch::new(keyed, places, self.core.shelf.name.seed))
    }
}

/// A loader of many keys, with its conversions.
fn many<K, V, F, Fut, I, R, E>(loader: F) -> ManyLoader<K, V>
where
    F: Fn(BatchContext<K>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<I, E>> + Send + 'static,
    I: IntoIterator<Item = (K, R)> + 'static,
    R: Into<Loaded<V>> + 'static,
    E: Into<BoxError> + 'static,
{
    Arc::new(move |context| {
        let load = loader(context);
        Box::pin(async move {
            let records = load.await.map_err(Into::into)?.into_iter();
            Ok(records.map(|(key, record)| (key, record.into())).collect())
        })
    })
}

impl<K, V> Deref for LoadingCache<K, V> {
    type Target = TieredCache<K, V>;

    fn deref(&self) -> &Self::Target {
        &self.cache
    }
}

impl<K, V> Clone for LoadingCache<K, V> {
    fn clone(&self) -> Self {
        Self {
            cache: self.cache.clone(),
            loader: match &self.loader {
                Given::One(load) => Given::One(Arc::clone(load)),
                Given::Many(load) => Given::Many(Arc::clone(load)),
                Given::Collecting(collector) => Given::Collecting(Arc::clone(collector)),
            },
        }
    }
}

impl<K, V> fmt::Debug for LoadingCache<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoadingCache")
            .field("cache", &self.cache)
            .finish_non_exhaustive()
    }
}

/// Single reads of one call under way at a time.
const AT_ONCE: usize = 64;
