//! The remote tier of a run: a redis-server of its own, a given one, or none.

use crate::{
    arguments::RemoteChoice,
    failure::Failure,
    redis_probe::{Held, Probe},
    redis_server::RedisServer,
};

/// The remote tier, started and reachable. Dropping it ends the redis-server that was started for it.
#[derive(Debug)]
pub(crate) struct Remote {
    redis: Option<Redis>,
    namespace: String,
}

#[derive(Debug)]
struct Redis {
    url: String,
    /// Bytes that Redis used before the run.
    before: i64,
    /// Whether it is ours, so that it goes with the run.
    own: Option<RedisServer>,
}

impl Remote {
    /// Starts what is to be started, and checks that Redis can be reached.
    ///
    /// # Errors
    /// When there is no redis-server, or the given Redis does not answer.
    pub(crate) async fn start(choice: RemoteChoice<'_>) -> Result<Self, Failure> {
        let redis = match choice {
            RemoteChoice::InProcess => None,
            RemoteChoice::Redis(url) => Some(Redis::reach(url.to_owned(), None).await?),
            RemoteChoice::OwnRedis => {
                let server = RedisServer::start().await?;
                Some(Redis::reach(server.url(), Some(server)).await?)
            }
        };
        // Rows of an earlier run would look newer than this run's store: every run has keys of its own.
        let namespace = format!("load-{:08x}", fastrand::u32(..));
        Ok(Self { redis, namespace })
    }

    /// Where Redis is; `None`: the nodes share a hub in this process.
    pub(crate) fn url(&self) -> Option<&str> {
        self.redis.as_ref().map(|redis| redis.url.as_str())
    }

    /// The namespace of this run's keys.
    pub(crate) fn namespace(&self) -> &str {
        &self.namespace
    }

    /// What Redis holds for this run; `None` without Redis.
    ///
    /// # Errors
    /// When Redis does not answer any more.
    pub(crate) async fn measure(&self) -> Result<Option<Held>, Failure> {
        let Some(redis) = &self.redis else {
            return Ok(None);
        };
        // A new connection: Redis may have been away in between.
        let mut probe = Probe::connect(&redis.url).await?;
        let bytes = probe.used_memory().await? - redis.before;
        let keys_without_ttl = probe.keys_without_ttl(&self.namespace).await?;
        Ok(Some(Held {
            bytes,
            keys_without_ttl,
        }))
    }

    /// Kills the redis-server of this run.
    ///
    /// # Errors
    /// When there is none, or it cannot be killed.
    pub(crate) fn kill(&mut self) -> Result<(), Failure> {
        self.own()?.kill()
    }

    /// Starts the redis-server of this run again, with nothing in it, where it was before.
    ///
    /// # Errors
    /// When there is none, or it does not come up.
    pub(crate) async fn revive(&mut self) -> Result<(), Failure> {
        self.own()?.revive().await
    }

    fn own(&mut self) -> Result<&mut RedisServer, Failure> {
        let own = self.redis.as_mut().and_then(|redis| redis.own.as_mut());
        own.ok_or_else(|| Failure::plain("only a redis-server of the run's own is killed"))
    }

    /// Removes this run's keys from a Redis that is not its own.
    ///
    /// # Errors
    /// When Redis does not answer any more.
    pub(crate) async fn clear(&self) -> Result<(), Failure> {
        match &self.redis {
            Some(Redis { url, own: None, .. }) => {
                Probe::connect(url).await?.remove(&self.namespace).await
            }
            _ => Ok(()),
        }
    }
}

impl Redis {
    async fn reach(url: String, own: Option<RedisServer>) -> Result<Self, Failure> {
        let before = Probe::connect(&url).await?.used_memory().await?;
        Ok(Self { url, before, own })
    }
}
