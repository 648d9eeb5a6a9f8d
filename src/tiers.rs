//! A set of tiers: start, caches, report, shutdown.

use crate::{
    cache::TieredCache,
    codec::{Bincode, Codec, Of, ValueCodec, encoded_len},
    engine::{Engine, Parts, Protections},
    error::Error,
    feed::Ready,
    load::Shelf,
    local::Local,
    model::{CacheKey, CacheName, Clock, Level, Policy, SystemClock, checked_name},
    observe::Counters,
    remote::{InProcess, Layout, RedisRemote, Remote},
};
use serde::{Serialize, de::DeserializeOwned};
use std::{fmt, marker::PhantomData, sync::Arc, time::Duration};
use tokio::{sync::watch, time::timeout};

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
        TiersBuilder {
            namespace: namespace.to_owned(),
            place: Place::Hub(InProcess::new()),
            start_without_redis: false,
            remote_timeout: Duration::from_millis(100),
            heartbeat: Duration::from_millis(500),
            clock: Arc::new(SystemClock::new()),
            protections: Protections {
                stale_fill: true,
                chain: true,
            },
        }
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
            weigh: encoded_len::<V>,
            keys: PhantomData,
        }
    }

    /// What it is doing, and what it can promise right now.
    #[must_use]
    pub fn report(&self) -> Report {
        let now = crate::model::millis(self.engine.clock.now());
        Report {
            level: Level::Eventual,
            remote: if self.engine.remote.is_up() {
                RemoteState::Up
            } else {
                RemoteState::Away
            },
            pending: self.engine.journal().len(),
            proven_buckets: self.engine.proofs.live(now),
            buckets: usize::from(self.engine.layout.feeds()),
            counters: self.engine.observer.counters(),
        }
    }

    /// Refuses further calls, waits up to `within` for pending invalidations, and ends all tasks of these tiers.
    ///
    /// Loads in progress go on; their callers are answered.
    ///
    /// # Cancel safety
    /// Dropped early, calls are refused all the same, and the tasks end with the last clone of these tiers.
    pub async fn shutdown(&self, within: Duration) -> Drained {
        Drained {
            pending: self.engine.shutdown(within).await,
        }
    }
}

impl fmt::Debug for Tiers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tiers")
            .field("report", &self.report())
            .finish_non_exhaustive()
    }
}

/// Settings of [`Tiers`]; begun by [`Tiers::builder`].
#[must_use = "a builder does nothing until it is built"]
pub struct TiersBuilder {
    namespace: String,
    place: Place,
    start_without_redis: bool,
    remote_timeout: Duration,
    heartbeat: Duration,
    clock: Arc<dyn Clock>,
    protections: Protections,
}

enum Place {
    Redis(String),
    Hub(InProcess),
}

/// A part of the protocol that tests switch off, to show what it is good for.
#[cfg(feature = "proof")]
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Protection {
    /// A value loaded before an invalidation is refused after it.
    StaleFill,
    /// A lost event is noticed.
    Chain,
}

impl TiersBuilder {
    /// Uses this Redis, version 7 or newer. Default: none, a hub of its own in memory.
    pub fn redis(mut self, url: &str) -> Self {
        self.place = Place::Redis(url.to_owned());
        self
    }

    /// Uses a hub in memory, which other `Tiers` of this process may share. Default: a hub of its own.
    pub fn in_process(mut self, hub: &InProcess) -> Self {
        self.place = Place::Hub(hub.clone());
        self
    }

    /// Starts although Redis does not answer within a second: reads go to the store until it does. Default: false, that is an error.
    pub fn start_without_redis(mut self, yes: bool) -> Self {
        self.start_without_redis = yes;
        self
    }

    /// How long one call to Redis may take; five times that for large values. Default: 100 ms.
    pub fn remote_timeout(mut self, limit: Duration) -> Self {
        self.remote_timeout = limit;
        self
    }

    /// How often Redis is asked where the feeds stand. A lost event is noticed within one heartbeat, and a feed counts as
    /// live for two. Default: 500 ms.
    pub fn heartbeat(mut self, every: Duration) -> Self {
        self.heartbeat = every;
        self
    }

    /// Reads time from this clock. Default: the machine's.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Switches a protection off.
    #[cfg(feature = "proof")]
    #[doc(hidden)]
    pub fn without(mut self, protection: Protection) -> Self {
        match protection {
            Protection::StaleFill => self.protections.stale_fill = false,
            Protection::Chain => self.protections.chain = false,
        }
        self
    }

    /// Starts.
    ///
    /// # Errors
    /// If a setting is refused; if Redis does not answer within five seconds, or not as one of version 7 or newer does.
    ///
    /// # Cancel safety
    /// Dropped early, nothing is left running.
    pub async fn build(self) -> Result<Tiers, Error> {
        let namespace = checked_name("namespace", &self.namespace)?;
        check_range(
            "remote_timeout",
            self.remote_timeout,
            Duration::from_millis(1),
        )?;
        check_range("heartbeat", self.heartbeat, Duration::from_millis(10))?;
        let layout = Layout::new(namespace, BUCKETS);
        let (remote, answers) = match &self.place {
            Place::Hub(hub) => (Remote::Memory(hub.attach(namespace, layout.clone())), true),
            Place::Redis(url) => self.redis_remote(url, &layout).await?,
        };
        if !answers {
            tracing::warn!("started without redis: reads go to the store");
        }
        let (engine, ready) = Engine::start(Parts {
            layout,
            remote,
            remote_limit: self.remote_timeout,
            clock: self.clock,
            heartbeat: self.heartbeat,
            protections: self.protections,
        });
        if answers && timeout(START, until_ready(ready)).await.is_err() {
            engine.shutdown(Duration::ZERO).await;
            return Err(Error::unavailable(
                "subscribe to the feed of the remote tier",
                None,
            ));
        }
        Ok(Tiers { engine })
    }

    /// The remote tier in Redis, and whether it answers.
    async fn redis_remote(&self, url: &str, layout: &Layout) -> Result<(Remote, bool), Error> {
        let redis = RedisRemote::new(url, layout.clone(), self.remote_timeout)?;
        let limit = if self.start_without_redis {
            START_WITHOUT
        } else {
            START
        };
        let answers = match redis.check_server(limit).await {
            Err(error) if error.is_unavailable() && self.start_without_redis => false,
            checked => checked.map(|()| true)?,
        };
        Ok((Remote::Redis(redis), answers))
    }
}

impl fmt::Debug for TiersBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The URL may hold a password.
        f.debug_struct("TiersBuilder")
            .field("namespace", &self.namespace)
            .finish_non_exhaustive()
    }
}

async fn until_ready(mut ready: watch::Receiver<Ready>) {
    // The sender lives in a task of the engine; where it ends, the limit around this does.
    if ready
        .wait_for(|ready| ready.subscribed && ready.beaten)
        .await
        .is_err()
    {
        std::future::pending::<()>().await;
    }
}

fn check_range(setting: &str, value: Duration, shortest: Duration) -> Result<(), Error> {
    if value < shortest || value > LONGEST {
        return Err(Error::config(format!(
            "the {setting} of {value:?} is refused: it must be {shortest:?} to {LONGEST:?}"
        )));
    }
    Ok(())
}

/// Settings of one cache; begun by [`Tiers::cache_builder`].
#[must_use = "a builder does nothing until it is built"]
pub struct CacheBuilder<K, V> {
    engine: Arc<Engine>,
    name: String,
    policy: Policy,
    schema: Option<u32>,
    codec: Box<dyn ValueCodec<V>>,
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

    /// Writes and reads values by this codec. Default: [`Bincode`].
    pub fn codec(mut self, codec: impl Codec) -> Self {
        self.codec = Box::new(Of(codec));
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
        let schema = self.fingerprint()?;
        let engine = &self.engine;
        let guarded = engine.protections.stale_fill;
        let shelf = Shelf {
            name,
            policy,
            schema,
            codec: self.codec,
            weigh: self.weigh,
            local: Local::new(
                policy.local_capacity,
                policy.ttl,
                engine.layout.buckets(),
                guarded,
            ),
            remote: Arc::clone(&engine.remote),
            clock: Arc::clone(&engine.clock),
            server_time: Arc::clone(&engine.server_time),
            remote_limit: crate::model::millis(engine.remote_limit),
            observer: Arc::clone(&engine.observer),
            circles: Arc::clone(&engine.circles),
            large: false.into(),
            told: false.into(),
            told_of_foreign: false.into(),
            guarded,
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

/// What a [`Tiers`] is doing, at one moment.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    level: Level,
    remote: RemoteState,
    pending: usize,
    proven_buckets: usize,
    buckets: usize,
    counters: Counters,
}

impl Report {
    /// The level that every read can rely on.
    #[must_use]
    pub fn level(&self) -> Level {
        self.level
    }

    /// Whether Redis answers.
    #[must_use]
    pub fn remote(&self) -> RemoteState {
        self.remote
    }

    /// Invalidations that Redis did not take yet.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.pending
    }

    /// Buckets whose feed is proven to be live; entries of the others are confirmed by Redis at each read.
    #[must_use]
    pub fn proven_buckets(&self) -> usize {
        self.proven_buckets
    }

    /// All buckets, that of the tags among them. A bucket that nobody has used yet is not proven.
    #[must_use]
    pub fn buckets(&self) -> usize {
        self.buckets
    }

    /// What happened so far.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }
}

/// Whether the remote tier answers, as far as known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RemoteState {
    /// It answers.
    Up,
    /// It failed three times in a row, or did not answer yet: reads go to the store, a probe looks for it.
    Away,
}

/// What a shutdown left behind.
#[derive(Clone, Copy, Debug)]
pub struct Drained {
    pending: usize,
}

impl Drained {
    /// Whether nothing was left.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.pending == 0
    }

    /// Invalidations that Redis never took: other nodes keep the old values up to their TTL.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.pending
    }
}

/// Slices of the key space with a feed each. Part of the key format: all nodes must agree.
const BUCKETS: u16 = 64;
/// How long a start waits for the remote tier.
const START: Duration = Duration::from_secs(5);
/// How long a start waits for a Redis that it can do without.
const START_WITHOUT: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(60);
