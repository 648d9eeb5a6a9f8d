//! What a read of many keys answers, and what its loader is told.

use crate::{
    cached::Cached,
    error::Error,
    load::Places,
    model::{CacheKey, RenderedKey},
};
use std::{borrow::Borrow, fmt};

/// The results of a read of many keys: one for each distinct key, in the order asked.
///
/// What happened to one key is that key's result; the others have theirs.
pub struct Batch<K, V> {
    results: Vec<(K, Result<Cached<V>, Error>)>,
    places: Places,
    seed: u64,
}

impl<K: CacheKey, V> Batch<K, V> {
    /// `places` tells where each key stands in `results`; `seed` is that of the cache's keys.
    pub(super) fn new(
        results: Vec<(K, Result<Cached<V>, Error>)>,
        places: Places,
        seed: u64,
    ) -> Self {
        Self {
            results,
            places,
            seed,
        }
    }

    /// The result for `key`; `None` if it was not asked for, or, after
    /// [`get_many`](crate::TieredCache::get_many), if no tier holds it.
    #[must_use]
    pub fn get<Q>(&self, key: &Q) -> Option<Result<&Cached<V>, &Error>>
    where
        K: Borrow<Q>,
        Q: CacheKey + ?Sized,
    {
        let rendered = RenderedKey::new(key, self.seed);
        let is_at = |place: usize| RenderedKey::new(&self.results[place].0, self.seed) == rendered;
        let place = self.places.find(&rendered, is_at)?;
        Some(self.results[place].1.as_ref())
    }
}

impl<K, V> Batch<K, V> {
    /// How many keys have a result.
    #[must_use]
    pub fn len(&self) -> usize {
        self.results.len()
    }

    /// Whether no key has a result.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.results.is_empty()
    }

    /// Each key with its result.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&K, Result<&Cached<V>, &Error>)> {
        self.results
            .iter()
            .map(|(key, result)| (key, result.as_ref()))
    }

    /// The values that there are; absent ones are left out.
    ///
    /// # Errors
    /// The first error that is not [absent](Error::is_absent).
    pub fn into_found(self) -> Result<Vec<(K, Cached<V>)>, Error> {
        let found = self
            .results
            .into_iter()
            .filter_map(|(key, result)| match result {
                Ok(value) => Some(Ok((key, value))),
                Err(error) if error.is_absent() => None,
                Err(error) => Some(Err(error)),
            });
        found.collect()
    }
}

impl<K, V> IntoIterator for Batch<K, V> {
    type Item = (K, Result<Cached<V>, Error>);
    type IntoIter = std::vec::IntoIter<Self::Item>;

    fn into_iter(self) -> Self::IntoIter {
        self.results.into_iter()
    }
}

impl<K: fmt::Debug, V: fmt::Debug> fmt::Debug for Batch<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

/// What a batch's loader is told. Owned, so that it may move into the loader's future.
#[derive(Debug)]
pub struct BatchContext<K> {
    keys: Vec<K>,
}

impl<K> BatchContext<K> {
    pub(super) fn new(keys: Vec<K>) -> Self {
        Self { keys }
    }

    /// The keys to load, each once, in the order asked; never none.
    #[must_use]
    pub fn keys(&self) -> &[K] {
        &self.keys
    }

    /// The keys to load, owned.
    #[must_use]
    pub fn into_keys(self) -> Vec<K> {
        self.keys
    }
}
