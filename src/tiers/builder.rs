//! The settings of a `Tiers`, and its start.

use super::{Tiers, switch};
#[cfg(feature = "tls")]
use crate::remote::Tls;
use crate::{
    engine::{Engine, Parts, Protections},
    error::Error,
    feed::Ready,
    load::Limiter,
    model::{Clock, Recording, SystemClock, checked_name, millis},
    purge::Edge,
    remote::{InProcess, Layout, Quorum, RedisRemote, Remote, Target, Whereabouts},
};
use std::{fmt, sync::Arc, time::Duration};
use tokio::{sync::watch, time::timeout};

/// Settings of [`Tiers`]; begun by [`Tiers::builder`].
#[must_use = "a builder does nothing until it is built"]
pub struct TiersBuilder {
    namespace: String,
    key_prefix: Option<String>,
    place: Place,
    whereabouts: Whereabouts,
    enabled: bool,
    start_without_redis: bool,
    skip_slow_redis: bool,
    remote_timeout: Duration,
    heartbeat: Duration,
    replicas: usize,
    max_loads: usize,
    max_queued_loads: Option<usize>,
    clock: Arc<dyn Clock>,
    protections: Protections,
    edge: Option<Arc<dyn Edge>>,
    records_purges: bool,
    purge_record_ttl: Duration,
}

enum Place {
    Redis,
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
    /// A page of what was invalidated meanwhile is noticed before it leaves.
    Guard,
    /// A purge whose node has died is carried out by another one.
    PurgeRecord,
    /// Data that came back on another server are refused.
    Fence,
}

impl TiersBuilder {
    pub(super) fn new(namespace: &str) -> Self {
        Self {
            namespace: namespace.to_owned(),
            key_prefix: None,
            place: Place::Hub(InProcess::new()),
            whereabouts: Whereabouts::default(),
            enabled: true,
            start_without_redis: false,
            skip_slow_redis: false,
            remote_timeout: Duration::from_millis(50),
            heartbeat: Duration::from_millis(500),
            replicas: 0,
            max_loads: MAX_LOADS,
            max_queued_loads: None,
            clock: Arc::new(SystemClock::new()),
            protections: Protections {
                stale_fill: true,
                chain: true,
                guard: true,
                purge_record: true,
                fence: true,
            },
            edge: None,
            records_purges: false,
            purge_record_ttl: Duration::from_secs(24 * 60 * 60),
        }
    }

    /// Uses this Redis, version 7 or newer: `redis://user:password@host:6379/0`, or `rediss://` for TLS, which needs the feature
    /// `tls`. Default: none, a hub of its own in memory.
    pub fn redis(mut self, url: &str) -> Self {
        self.place = Place::Redis;
        self.whereabouts.url = url.to_owned();
        self.whereabouts.sentinels = None;
        self.whereabouts.cluster = None;
        self
    }

    /// Uses the Redis that these sentinels name as the master, and follows them when they name another: `redis://host:26379`, each
    /// with the credentials of the sentinel, if it wants any.
    ///
    /// `master` is its name, `"mymaster"`, or a URL whose host is that name, with the credentials and the database of the server:
    /// `"rediss://user:password@mymaster/2"`. A port in it does not count.
    ///
    /// Every sentinel is asked once in a [`heartbeat`](Self::heartbeat), and before each connection. A master that hangs or was cut
    /// off is left when they have elected another. Default: none.
    pub fn redis_sentinel<S: AsRef<str>>(
        mut self,
        sentinels: impl IntoIterator<Item = S>,
        master: &str,
    ) -> Self {
        let urls = sentinels.into_iter().map(|url| url.as_ref().to_owned());
        self.place = Place::Redis;
        self.whereabouts.sentinels = Some(urls.collect());
        self.whereabouts.cluster = None;
        self.whereabouts.url = if master.contains("://") {
            master.to_owned()
        } else {
            format!("redis://{master}")
        };
        self
    }

    /// Says whom TLS connections to Redis trust, and who this process is. Default: the roots that the machine trusts, and no
    /// certificate of its own.
    #[cfg(feature = "tls")]
    pub fn redis_tls(mut self, tls: Tls) -> Self {
        self.whereabouts.tls = tls;
        self
    }

    /// Uses this Redis Cluster, of version 7 or newer: the addresses of some of its nodes, which lead to the others. User and
    /// password are those of the first address, for all nodes. Each bucket is asked for where it is at present; nodes that
    /// are away take only their own buckets with them. Default: none, a hub of its own in memory.
    ///
    /// ```
    /// # async fn start() -> Result<(), tricache::Error> {
    /// use tricache::Tiers;
    ///
    /// let seeds = ["redis://10.0.0.1:6379", "redis://10.0.0.2:6379"];
    /// let tiers = Tiers::builder("shop").redis_cluster(seeds).build().await?;
    /// # Ok(()) }
    /// ```
    pub fn redis_cluster<U: Into<String>>(mut self, urls: impl IntoIterator<Item = U>) -> Self {
        self.place = Place::Redis;
        self.whereabouts.sentinels = None;
        self.whereabouts.cluster = Some(urls.into_iter().map(Into::into).collect());
        self
    }

    /// Uses a hub in memory, which other `Tiers` of this process may share. Default: a hub of its own.
    pub fn in_process(mut self, hub: &InProcess) -> Self {
        self.place = Place::Hub(hub.clone());
        self
    }

    /// Puts this in front of every Redis key and channel, `staging:tc1:{shop:7}:c`, so that environments may share a
    /// server: 1 to 64 of `[A-Za-z0-9._-]`. All nodes that are to see each other's invalidations have the same.
    /// Default: none.
    pub fn key_prefix(mut self, prefix: &str) -> Self {
        self.key_prefix = Some(prefix.to_owned());
        self
    }

    /// Switches the cache off, for the night when nobody trusts it: a read runs its loader and nothing else, nothing
    /// is stored, and a Redis that is away does not keep it from starting. Invalidations are still sent, since other
    /// nodes may be on.
    ///
    /// The environment does the same without a deploy: `TRICACHE=off` (or `0`, or `false`) wins over this setting.
    /// Default: true.
    pub fn enabled(mut self, yes: bool) -> Self {
        self.enabled = yes;
        self
    }

    /// Starts although Redis does not answer within a second: reads go to the store until it does. Default: false, that is an error.
    pub fn start_without_redis(mut self, yes: bool) -> Self {
        self.start_without_redis = yes;
        self
    }

    /// Lets reads go to the store while Redis answers later than the store's median load, and later than a fifth of
    /// [`remote_timeout`](Self::remote_timeout). Invalidations are sent and heard as ever, and three quick heartbeats in a row end it;
    /// [`Report::remote`](crate::Report::remote) says `Slow` meanwhile.
    ///
    /// Whatever is loaded then stays in this process for a second, so the store gets more loads: turn it on where the store can
    /// take them, and where this process and Redis do not compete for the same processors. Default: false.
    pub fn skip_slow_redis(mut self, yes: bool) -> Self {
        self.skip_slow_redis = yes;
        self
    }

    /// How long one call to Redis may take; five times that for batches and for caches of large values. After the first call
    /// that takes longer no new one waits: a probe decides whether Redis is away. Default: 50 ms.
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

    /// How many loads of all caches together may run at once, in this process; at least 1. Further ones queue in turn; see
    /// [`Policy::max_loads`](crate::Policy::max_loads), which limits one cache. Choose about as many as the store has
    /// connections for this process. Default: 1024.
    pub fn max_loads(mut self, loads: usize) -> Self {
        self.max_loads = loads;
        self
    }

    /// How many loads may queue; what comes beyond is shed with an error that
    /// [`is_overloaded`](crate::Error::is_overloaded), or a stale value. Zero: nothing queues. Default: a hundred times
    /// [`max_loads`](Self::max_loads).
    pub fn max_queued_loads(mut self, loads: usize) -> Self {
        self.max_queued_loads = Some(loads);
        self
    }

    /// Tells this edge of whatever is invalidated, once Redis and this process know of it; [`Receipt::edge`](crate::Receipt::edge)
    /// waits for it. `Purger` of `tricache-middleware` is one.
    ///
    /// Each bump also notes in Redis what is to be purged, until it is. If this process dies on the way, another one with an edge
    /// finds the note, and purges; this one does the same for others. Default: none, and no notes.
    pub fn edge(mut self, edge: impl Edge) -> Self {
        self.edge = Some(Arc::new(edge));
        self
    }

    /// Notes what the edge has to purge for others to find, though this process has no edge itself: for a job or an importer
    /// that has no credentials of the edge. Some node with an [`edge`](Self::edge) purges within two heartbeats or so.
    /// Default: false, but true with an edge.
    pub fn record_purges(mut self, yes: bool) -> Self {
        self.records_purges = yes;
        self
    }

    /// How long a note is kept that nobody comes for, counted from the last one in its bucket: as long as the edge may keep a
    /// page, after which there is nothing to purge. 1 s to 30 days. Default: 24 hours.
    pub fn purge_record_ttl(mut self, ttl: Duration) -> Self {
        self.purge_record_ttl = ttl;
        self
    }

    /// How many replicas of Redis must have an invalidation (`WAIT`) before it is acknowledged; until then it is
    /// [pending](crate::Receipt::is_pending), and sent again. Also how many must follow the server that this process speaks to before
    /// caches of the levels [`Bounded`](crate::Level::Bounded) and [`Strict`](crate::Level::Strict) believe it.
    ///
    /// Say here how many replicas the master has, all of them, and the same on all nodes: fewer would be no proof, since one that did not
    /// confirm may be promoted. So a master that was replaced, and does not know it yet, is not believed: its replicas follow another
    /// one. While fewer follow than that, caches of those levels ask the store.
    /// 0 to 16. Default: 0, for a server without replicas.
    pub fn replicas(mut self, all: usize) -> Self {
        self.replicas = all;
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
            Protection::Guard => self.protections.guard = false,
            Protection::PurgeRecord => self.protections.purge_record = false,
            Protection::Fence => self.protections.fence = false,
        }
        self
    }

    /// Starts.
    ///
    /// # Errors
    /// If a setting is refused, or the environment variable `TRICACHE` is neither `on` nor `off`; if Redis does not
    /// answer within five seconds, or no sentinel does; if the server or a sentinel refuses the user or the certificate, or is refused
    /// for its own; if no sentinel knows the master's name; if it is one that the protocol cannot run on: older than version 7, a replica, a
    /// cluster, or one that forbids a command that is needed; and if nodes of another release or setting use the same
    /// namespace. What is only unwise is told by [`Report::advice`](super::Report::advice).
    ///
    /// # Cancel safety
    /// Dropped early, nothing is left running.
    pub async fn build(self) -> Result<Tiers, Error> {
        let layout = self.checked_layout()?;
        let record = self.recording();
        let enabled = switch::in_environment()?.unwrap_or(true) && self.enabled;
        let start = Start::of(enabled, self.start_without_redis);
        let quorum = Quorum {
            replicas: self.replicas,
            clock: Arc::clone(&self.clock),
        };
        let remote = match &self.place {
            Place::Hub(hub) => Remote::Memory(Box::new(hub.attach(
                layout.clone(),
                self.remote_timeout,
                self.protections.fence,
                quorum,
            ))),
            Place::Redis => {
                let target = Target {
                    at: &self.whereabouts,
                    limit: self.remote_timeout,
                    skip_slow: self.skip_slow_redis,
                    fenced: self.protections.fence,
                    quorum,
                };
                Remote::Redis(Box::new(RedisRemote::new(target, layout.clone())?))
            }
        };
        let answers = start.check(&remote).await?;
        let (engine, ready) = Engine::start(Parts {
            enabled,
            layout,
            remote,
            remote_limit: self.remote_timeout,
            clock: self.clock,
            heartbeat: self.heartbeat,
            loads: Limiter::new(self.max_loads, self.max_queued_loads),
            protections: self.protections,
            edge: self.edge,
            record,
        });
        if answers && enabled && timeout(START, until_ready(ready)).await.is_err() {
            engine.shutdown(Duration::ZERO).await;
            return Err(Error::unavailable(
                "subscribe to the feed of the remote tier",
                None,
            ));
        }
        Ok(Tiers { engine })
    }

    fn recording(&self) -> Option<Recording> {
        let attended = self.edge.is_some();
        let wanted = (attended || self.records_purges) && self.protections.purge_record;
        wanted.then(|| Recording {
            attended,
            life: millis(self.purge_record_ttl),
        })
    }

    fn checked_layout(&self) -> Result<Layout, Error> {
        let namespace = checked_name("namespace", &self.namespace)?;
        let prefix = match &self.key_prefix {
            Some(prefix) => Some(checked_name("key_prefix", prefix)?),
            None => None,
        };
        check_range(
            "remote_timeout",
            self.remote_timeout,
            Duration::from_millis(1),
        )?;
        check_range("heartbeat", self.heartbeat, Duration::from_millis(10))?;
        if self.replicas > MOST_REPLICAS {
            return Err(Error::config(format!(
                "the replicas of {} are refused: it must be 0 to {MOST_REPLICAS}",
                self.replicas
            )));
        }
        let ttl = self.purge_record_ttl;
        if !(SHORTEST_RECORD..=LONGEST_RECORD).contains(&ttl) {
            return Err(Error::config(format!(
                "the purge_record_ttl of {ttl:?} is refused: it must be {SHORTEST_RECORD:?} to {LONGEST_RECORD:?}"
            )));
        }
        if self.max_loads == 0 {
            return Err(Error::config(
                "the max_loads is zero: nothing could be loaded",
            ));
        }
        Ok(Layout::new(prefix, namespace, BUCKETS))
    }
}

/// How much a start asks of the remote tier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Start {
    With,
    /// A Redis that answers must be right; one that does not is waited for later.
    Without,
    /// Nothing that is wrong with it matters: it is only told of invalidations.
    Off,
}

impl Start {
    fn of(enabled: bool, start_without_redis: bool) -> Self {
        match (enabled, start_without_redis) {
            (false, _) => Self::Off,
            (true, true) => Self::Without,
            (true, false) => Self::With,
        }
    }

    /// Whether the remote tier answers.
    async fn check(self, remote: &Remote) -> Result<bool, Error> {
        let limit = match self {
            Self::With => START,
            Self::Without | Self::Off => START_WITHOUT,
        };
        match (self, remote.check_start(limit).await) {
            (_, Ok(())) if self != Self::Off => Ok(true),
            (Self::Off, checked) => {
                tracing::warn!("the cache is off: every read runs its loader");
                Ok(checked.is_ok())
            }
            (Self::Without, Err(error)) if error.is_unavailable() => {
                tracing::warn!("started without redis: reads go to the store");
                Ok(false)
            }
            (_, checked) => checked.map(|()| true),
        }
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

/// Slices of the key space with a feed each. Part of the key format: all nodes must agree.
const BUCKETS: u16 = 64;
/// How long a start waits for the remote tier.
const START: Duration = Duration::from_secs(5);
/// How long a start waits for a Redis that it can do without.
const START_WITHOUT: Duration = Duration::from_secs(1);
/// Above what any pool of connections to a store has: it ends a flood, and nobody else meets it.
const MAX_LOADS: usize = 1024;
const SHORTEST_RECORD: Duration = Duration::from_secs(1);
const LONGEST_RECORD: Duration = Duration::from_secs(30 * 24 * 60 * 60);
const LONGEST: Duration = Duration::from_secs(60);
const MOST_REPLICAS: usize = 16;
