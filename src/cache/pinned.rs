//! Reads of values whose version the caller knows.

use super::TieredCache;
use crate::{
    cached::{Cached, Found},
    error::{BoxError, Error},
    load::{LoadContext, Loaded},
    model::{CacheKey, StoreVersion},
    observe::Traced,
};
use std::{borrow::Borrow, fmt, future::Future, sync::Arc};

/// A cache, seen at one version of the store; made by [`TieredCache::pinned`]. Cloning it shares it.
///
/// ```
/// # async fn page(pages: tricache::TieredCache<u64, String>) -> Result<(), tricache::Error> {
/// use tricache::Loaded;
///
/// # async fn load(id: u64) -> Result<(String, u64), std::io::Error> { Ok(("text".to_owned(), 9)) }
/// // The row says that page 42 is at version 9.
/// let page = pages.pinned(9_u64).get_or_load(&42, |_| async {
///     let (text, version) = load(42).await?;
///     Ok::<_, std::io::Error>(Loaded::new(text).at_version(version))
/// }).await?;
/// # Ok(()) }
/// ```
pub struct Pinned<K, V> {
    cache: TieredCache<K, V>,
    version: StoreVersion,
}

impl<K, V: Send + Sync + 'static> Pinned<K, V> {
    pub(super) fn new(cache: TieredCache<K, V>, version: StoreVersion) -> Self {
        Self { cache, version }
    }

    /// The version.
    #[must_use]
    pub fn version(&self) -> StoreVersion {
        self.version
    }

    /// The value of `key` at this version if some tier holds it; see [`TieredCache::get`].
    ///
    /// # Errors
    /// As for [`TieredCache::get`].
    ///
    /// # Cancel safety
    /// Dropping this future has no effect.
    pub async fn get<Q>(&self, key: &Q) -> Result<Option<Cached<V>>, Error>
    where
        K: Borrow<Q>,
        Q: CacheKey + ?Sized,
    {
        let core = &self.cache.core;
        core.engine.check_open()?;
        if !core.engine.enabled {
            core.missed();
            return Ok(None);
        }
        let at = core.pinned(key, self.version);
        if let Some(found) = core.local(&at.key) {
            return core.hit(Traced::Get, &at.key, found).map(Some);
        }
        let found = Box::pin(core.traced_find(&at)).await;
        found.map(Found::into_result).transpose()
    }

    /// The value of `key` at this version, loaded on a miss; see [`TieredCache::get_or_load`].
    ///
    /// The loader confirms by [`Loaded::at_version`] which version it has read. One that read another, or does not say,
    /// answers this call, and its value is kept nowhere.
    ///
    /// # Errors
    /// As for [`TieredCache::get_or_load`].
    ///
    /// # Cancel safety
    /// As for [`TieredCache::get_or_load`].
    pub async fn get_or_load<Q, F, Fut, R, E>(&self, key: &Q, load: F) -> Result<Cached<V>, Error>
    where
        K: Borrow<Q>,
        Q: CacheKey + ToOwned<Owned = K> + ?Sized,
        F: FnOnce(LoadContext<K, V>) -> Fut,
        Fut: Future<Output = Result<R, E>> + Send + 'static,
        R: Into<Loaded<V>> + 'static,
        E: Into<BoxError> + 'static,
    {
        let core = &self.cache.core;
        core.engine.check_open()?;
        let at = core.pinned(key, self.version);
        if !core.engine.enabled {
            let load = |previous| load(LoadContext::new(key.to_owned(), previous));
            let bypass = Arc::clone(core).bypass(at.clone(), load);
            return Box::pin(core.traced(&at, bypass)).await?.into_result();
        }
        let load = |previous| load(LoadContext::new(key.to_owned(), previous));
        let late = match core.local_or_late(&at.key) {
            Ok(found) => {
                if core.is_early(&found) {
                    core.refresh(&at, &found.entry, load);
                }
                return core.hit(Traced::GetOrLoad, &at.key, found);
            }
            Err(late) => late,
        };
        if let Some(stale) = core.stale_here(&at.key, late) {
            core.refresh(&at, &stale.entry, load);
            return core.hit(Traced::GetOrLoad, &at.key, stale);
        }
        let miss = core.miss(&at, load);
        Box::pin(core.traced(&at, miss)).await?.into_result()
    }
}

impl<K, V> Clone for Pinned<K, V> {
    fn clone(&self) -> Self {
        Self {
            cache: self.cache.clone(),
            version: self.version,
        }
    }
}

impl<K, V> fmt::Debug for Pinned<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pinned")
            .field("cache", &self.cache)
            .field("version", &self.version)
            .finish()
    }
}
