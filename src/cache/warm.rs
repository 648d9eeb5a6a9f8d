//! Filling a cache before it is asked.

use super::LoadingCache;
use crate::{cached::Cached, error::Error, model::CacheKey, outcome::Outcome};
use futures_util::{StreamExt, stream::FuturesUnordered};
use std::fmt;
use tokio::task::coop::consume_budget;

/// How [`LoadingCache::warm`] goes about it.
#[must_use = "settings do nothing by themselves"]
pub struct WarmUp {
    at_once: usize,
    keys: usize,
    progress: Box<dyn FnMut(&Warmed) + Send>,
}

impl WarmUp {
    /// Has this many calls of the loader under way at a time, 1 to 1,000.
    pub fn concurrency(calls: usize) -> Self {
        Self {
            at_once: calls,
            keys: 100,
            progress: Box::new(|_| ()),
        }
    }

    /// How many keys a batch loader is called for, 1 to 10,000. A loader of one key is called for one. Default: 100.
    pub fn keys_per_call(mut self, keys: usize) -> Self {
        self.keys = keys;
        self
    }

    /// Is told how far it is, after each call of the loader and after each piece that needed none. Default: nobody is.
    pub fn progress(mut self, told: impl FnMut(&Warmed) + Send + 'static) -> Self {
        self.progress = Box::new(told);
        self
    }

    fn checked(self) -> Result<Self, Error> {
        if !(1..=MOST_CALLS).contains(&self.at_once) {
            return Err(Error::config("a warm-up has 1 to 1,000 calls at once"));
        }
        if !(1..=MOST_KEYS).contains(&self.keys) {
            return Err(Error::config("a warm-up has 1 to 10,000 keys per call"));
        }
        Ok(self)
    }
}

impl fmt::Debug for WarmUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WarmUp")
            .field("at_once", &self.at_once)
            .field("keys", &self.keys)
            .finish_non_exhaustive()
    }
}

/// What became of the keys of a warm-up, so far or in the end.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Warmed {
    /// Loaded, by the warm-up or by somebody who did so meanwhile.
    pub loaded: u64,
    /// Held by some tier already; what only Redis held is in this process now.
    pub held: u64,
    /// The loader has no value for them, and that is remembered.
    pub absent: u64,
    /// The loader failed.
    pub failed: u64,
    /// The first of those errors.
    pub error: Option<Error>,
}

impl Warmed {
    /// How many keys that were.
    #[must_use]
    pub fn keys(&self) -> u64 {
        self.loaded + self.held + self.absent + self.failed
    }

    fn add<V>(&mut self, result: Result<Cached<V>, Error>) {
        match result {
            Ok(cached) if cached.outcome() == Outcome::Loaded => self.loaded += 1,
            Ok(_) => self.held += 1,
            Err(error) if error.is_absent() => self.absent += 1,
            Err(error) => {
                self.failed += 1;
                self.error.get_or_insert(error);
            }
        }
    }
}

impl<K, V> LoadingCache<K, V>
where
    K: CacheKey + Clone + Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    /// Loads those `keys` that no tier holds, a bounded number at a time, and takes into this process what Redis holds.
    ///
    /// The keys are asked for as they are needed: an iterator over millions of them is fine. Those that fail are counted,
    /// and the others go on. A cache that is switched off is left alone: nothing is counted then.
    ///
    /// ```
    /// # async fn warm(names: tricache::LoadingCache<u64, String>) -> Result<(), tricache::Error> {
    /// use tricache::WarmUp;
    ///
    /// let how = WarmUp::concurrency(4).progress(|so_far| println!("{} keys", so_far.keys()));
    /// let warmed = names.warm(1..=10_000, how).await?;
    /// println!("{} loaded, {} held, {} failed", warmed.loaded, warmed.held, warmed.failed);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`is_config`](Error::is_config) if a setting is refused; [`is_closed`](Error::is_closed) if a shutdown came first.
    ///
    /// # Cancel safety
    /// Dropping this future ends the warm-up: no other load is begun. Those in progress go on, and fill the cache.
    pub async fn warm(
        &self,
        keys: impl IntoIterator<Item = K>,
        how: WarmUp,
    ) -> Result<Warmed, Error> {
        let mut how = how.checked()?;
        let mut warmed = Warmed::default();
        if !self.core.engine.enabled {
            return Ok(warmed);
        }
        let piece = if self.loads_many() { how.keys } else { 1 };
        let (mut keys, mut running) = (keys.into_iter(), FuturesUnordered::new());
        loop {
            while running.len() < how.at_once {
                let piece: Vec<_> = keys.by_ref().take(piece).collect();
                if piece.is_empty() {
                    break;
                }
                running.push(self.warm_piece(piece));
            }
            let Some(results) = running.next().await else {
                return Ok(warmed);
            };
            for result in results? {
                warmed.add(result);
            }
            (how.progress)(&warmed);
            // What is held already is answered at once: others have their turn in between.
            consume_budget().await;
        }
    }

    async fn warm_piece(&self, keys: Vec<K>) -> Result<Vec<Result<Cached<V>, Error>>, Error> {
        let batch = self.get_many(&keys).await?;
        // What a shutdown has ended says nothing of the keys.
        self.core.engine.check_open()?;
        Ok(batch.into_iter().map(|(_, result)| result).collect())
    }
}

const MOST_CALLS: usize = 1_000;
const MOST_KEYS: usize = 10_000;
