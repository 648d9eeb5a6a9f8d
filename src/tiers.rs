//! A set of tiers: start, caches, report, shutdown.

mod builder;
mod edge_report;
mod node_report;
mod report;
mod switch;
#[cfg(feature = "test-util")]
mod testing;

#[cfg(feature = "proof")]
pub use self::builder::Protection;
pub use self::{
    builder::TiersBuilder,
    edge_report::EdgeReport,
    node_report::NodeReport,
    report::{Drained, Outage, RemoteState, Report},
};

use crate::{
    cache::{TieredCache, carried_through},
    codec::{Bincode, Codec, Limits, Of, ValueCodec, encoded_len},
    engine::Engine,
    error::Error,
    invalidate::{OldTag, Receipt},
    load::{Gate, Limiter, Shelf},
    local::Local,
    model::{CacheKey, CacheName, EdgeSubject, Policy, Strength, Tag, everything_tag},
    observe::{ALL_CACHES, Traced},
};
use serde::{Serialize, de::DeserializeOwned};
use std::{
    fmt,
    marker::PhantomData,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

/// Local and remote tier of a service, and the feed between its nodes. Cloning it shares it.
///
/// One per process is usual: its caches share the connections and the feed. Every node that is to see the others'
/// invalidations has the same namespace and the same Redis.
#[derive(Clone)]
pub struct Tiers {
    engine: Arc<Engine>,
}

impl Tiers {
    /// Begins a set of tiers. The namespace is part of every Redis key: 1 to 64 of `[A-Za-z0-9._-]`.
    ///
    /// ```
    /// # async fn start() -> Result<(), tricache::Error> {
    /// use tricache::Tiers;
    ///
    /// let tiers = Tiers::builder("shop").redis("redis://127.0.0.1:6379").build().await?;
    /// # Ok(()) }
    /// ```
    pub fn builder(namespace: &str) -> TiersBuilder {
        TiersBuilder::new(namespace)
    }

    /// A cache of values of type `V` by keys of type `K`.
    ///
    /// Caches of one name share their entities: an invalidation through one reaches all of them, on every node. Values of
    /// different types never mix, since the type's fingerprint is part of the Redis key.
    ///
    /// # Errors
    /// If the name or a setting of the policy is refused, or if the fingerprint of `V` cannot be found; the error says
    /// what to do then.
    pub fn cache<K, V>(&self, name: &str, policy: Policy) -> Result<TieredCache<K, V>, Error>
    where
        K: CacheKey,
        V: Serialize + DeserializeOwned + Send + Sync + 'static,
    {
        self.cache_builder(name, policy).build()
    }

    /// A cache with settings of its own; see [`cache`](Self::cache).
    pub fn cache_builder<K, V>(&self, name: &str, policy: Policy) -> CacheBuilder<K, V>
    where
        K: CacheKey,
        V: Serialize + DeserializeOwned + Send + Sync + 'static,
    {
        CacheBuilder {
            engine: Arc::clone(&self.engine),
            name: name.to_owned(),
            policy,
            schema: None,
            codec: Box::new(Of(Bincode)),
            limits: Limits::default(),
            weigh: encoded_len::<V>,
            keys: PhantomData,
        }
    }

    /// Invalidates whatever carries one of these tags, in every cache and on every node, in one step for each tag however
    /// many values there are.
    ///
    /// When it answers without [pending](Receipt::is_pending), no load that began before will be served to a read that
    /// begins from now on: by this node at once, by the others as far as the cache's [`Level`](crate::Level) says.
    ///
    /// # Errors
    /// Only after a shutdown. Redis not answering is no error: the receipt is pending then.
    ///
    /// # Cancel safety
    /// Once it was polled, dropping this future does not stop the invalidation.
    pub async fn invalidate_tags<T: Into<Tag>>(
        &self,
        tags: impl IntoIterator<Item = T>,
    ) -> Result<Receipt, Error> {
        let tags = tags.into_iter().map(|tag| old(tag.into())).collect();
        self.invalidate_all(tags, Strength::Hard).await
    }

    /// Softly invalidates whatever carries one of these tags: it is past its TTL from here on, and served inside the stale
    /// windows of its [`Policy`], counted from this moment, while it is loaded again. Without windows it is as if
    /// [`invalidate_tags`](Self::invalidate_tags) had been called.
    ///
    /// # Errors
    /// As for [`invalidate_tags`](Self::invalidate_tags).
    ///
    /// # Cancel safety
    /// As for [`invalidate_tags`](Self::invalidate_tags).
    pub async fn expire_tags<T: Into<Tag>>(
        &self,
        tags: impl IntoIterator<Item = T>,
    ) -> Result<Receipt, Error> {
        let tags = tags.into_iter().map(|tag| old(tag.into())).collect();
        self.invalidate_all(tags, Strength::Soft).await
    }

    /// Invalidates every value of every cache, on every node.
    ///
    /// # Errors
    /// As for [`invalidate_tags`](Self::invalidate_tags).
    ///
    /// # Cancel safety
    /// As for [`invalidate_tags`](Self::invalidate_tags).
    pub async fn clear(&self) -> Result<Receipt, Error> {
        self.invalidate_all(vec![OldTag::everything()], Strength::Hard)
            .await
    }

    async fn invalidate_all(
        &self,
        mut tags: Vec<OldTag>,
        strength: Strength,
    ) -> Result<Receipt, Error> {
        self.engine.check_open()?;
        tags.sort_unstable_by_key(|tag| tag.hash);
        tags.dedup_by_key(|tag| tag.hash);
        if tags.is_empty() {
            return Ok(self.engine.no_receipt());
        }
        let span = match strength {
            _ if tags[0].hash == everything_tag() && tags.len() == 1 => {
                Traced::Clear.of_all(ALL_CACHES)
            }
            Strength::Hard => Traced::InvalidateTags.of_many(ALL_CACHES, tags.len()),
            Strength::Soft => Traced::ExpireTags.of_many(ALL_CACHES, tags.len()),
        };
        let engine = Arc::clone(&self.engine);
        let tasks = engine.tasks.clone();
        let invalidate = async move { engine.invalidate_tags(&tags, strength).await };
        carried_through(&tasks, span, invalidate).await
    }

    /// Hands to the facade `metrics` what was counted since the last time. It is done by itself with each heartbeat, at the
    /// shutdown and with the last handle; call it where a scrape is to be exact to the last read.
    ///
    /// Durations are handed on as they are measured.
    #[cfg(feature = "metrics")]
    pub fn publish_metrics(&self) {
        self.engine.observers.publish();
    }

    /// What it is doing, and what it can promise right now.
    #[must_use]
    pub fn report(&self) -> Report {
        Report::of(&self.engine)
    }

    /// Refuses further calls, waits up to `within` for what is under way, and ends all tasks of these tiers.
    ///
    /// Loads in progress go on meanwhile, those in the background too, and may read other values; what they load still
    /// fills Redis, and pending invalidations are sent. What is not done by then is ended: the callers of a load get an
    /// error with [`is_closed`](Error::is_closed), and [`Drained`] tells how many there were. A task that does not yield
    /// is waited for a second longer, and then left to the runtime.
    ///
    /// # Cancel safety
    /// Dropped early, calls are refused all the same, and the tasks end with the last clone of these tiers.
    pub async fn shutdown(&self, within: Duration) -> Drained {
        self.engine.shutdown(within).await.into()
    }
}

impl fmt::Debug for Tiers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tiers")
            .field("report", &self.report())
            .finish_non_exhaustive()
    }
}

fn old(tag: Tag) -> OldTag {
    OldTag {
        hash: tag.hash(),
        edge: Some(EdgeSubject::Tag(tag)),
        purges: true,
    }
}

/// Settings of one cache; begun by [`Tiers::cache_builder`].
#[must_use = "a builder does nothing until it is built"]
pub struct CacheBuilder<K, V> {
    engine: Arc<Engine>,
    name: String,
    policy: Policy,
    schema: Option<u32>,
    codec: Box<dyn ValueCodec<V>>,
    limits: Limits,
    weigh: fn(&V) -> Option<usize>,
    keys: PhantomData<fn() -> K>,
}

impl<K, V> CacheBuilder<K, V>
where
    K: CacheKey,
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    /// Numbers the type of the values by hand. Change it whenever the type changes.
    ///
    /// Default: a fingerprint, found by following the type's `Deserialize`.
    pub fn schema(mut self, number: u32) -> Self {
        self.schema = Some(number);
        self
    }

    /// Writes values by this codec, and reads what it or any built-in one wrote. Default: [`Bincode`].
    pub fn codec(mut self, codec: impl Codec) -> Self {
        self.codec = Box::new(Of(codec));
        self
    }

    /// Compresses encoded values longer than this (lz4) where that saves at least 15 %; `usize::MAX`: none. Values are
    /// read either way. Default: 1 KiB.
    pub fn compress_above(mut self, bytes: usize) -> Self {
        self.limits.compress_above = bytes;
        self
    }

    /// The longest encoded value, before compression: 1 byte to 16 MiB. A longer one is answered to those who wait for
    /// it and kept nowhere, and none is accepted from Redis; so it should be the same on every node. Default: 1 MiB.
    pub fn max_value_bytes(mut self, bytes: usize) -> Self {
        self.limits.max_value_bytes = bytes;
        self
    }

    /// Makes the cache.
    ///
    /// # Errors
    /// As for [`Tiers::cache`].
    pub fn build(self) -> Result<TieredCache<K, V>, Error> {
        self.engine.check_open()?;
        let name = Arc::new(CacheName::new(&self.name)?);
        let policy = self.policy.checked()?;
        let limits = self.limits.checked()?;
        let schema = self.fingerprint()?;
        let engine = &self.engine;
        let guarded = engine.protections.stale_fill;
        let name_tag = name.tag;
        engine
            .longest
            .fetch_max(policy.pointer_ttl(), Ordering::Relaxed);
        engine.keep(policy.level);
        let own = policy.max_loads;
        let own = own.map(|loads| Limiter::new(loads, policy.max_queued_loads));
        let shelf = Shelf {
            name,
            policy,
            schema,
            codec: self.codec,
            limits,
            weigh: self.weigh,
            local: Local::new(
                policy.local_capacity,
                policy.ttl + policy.stale_while_revalidate.max(policy.stale_if_error),
                engine.layout.buckets(),
                guarded,
            ),
            remote: Arc::clone(&engine.remote),
            tags: Arc::clone(&engine.tags),
            implied: [everything_tag(), name_tag],
            clock: Arc::clone(&engine.clock),
            server_time: Arc::clone(&engine.server_time),
            remote_limit: crate::model::millis(engine.remote_limit),
            observer: engine.observers.of(&self.name),
            tasks: engine.tasks.clone(),
            circles: Arc::clone(&engine.circles),
            gate: Gate::new(own, Arc::clone(&engine.loads)),
            large: false.into(),
            told: false.into(),
            told_large: false.into(),
            told_of_foreign: false.into(),
            guarded,
            reach: policy
                .level
                .reach(policy.when_deaf, engine.proofs.horizon()),
            buckets: engine.layout.buckets(),
        };
        Ok(TieredCache::new(Arc::clone(engine), shelf))
    }

    fn fingerprint(&self) -> Result<u64, Error> {
        match self.schema {
            // Apart from the fingerprints, which are hashes and so nearly never this small.
            Some(number) => Ok(u64::from(number)),
            None => self.codec.fingerprint().map_err(|error| {
                Error::config(format!(
                    "the cache {:?} needs to know when its type changes: {error}",
                    self.name
                ))
            }),
        }
    }
}

impl<K, V> fmt::Debug for CacheBuilder<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CacheBuilder")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
