//! What Redis holds for a run: how many bytes, and which keys without a time to live.

use std::{collections::BTreeMap, time::Duration};

use redis::{AsyncConnectionConfig, Client, aio::MultiplexedConnection};

use crate::failure::Failure;

/// What Redis holds for a run.
#[derive(Debug)]
pub(crate) struct Held {
    /// How many bytes more than before the run.
    pub(crate) bytes: i64,
    /// How many keys do not expire, by kind: the letter after the hash tag, `c` in `tc1:{shop:7}:c`.
    pub(crate) keys_without_ttl: BTreeMap<String, u64>,
}

/// A connection of the tool's own, which takes no part in the load.
pub(crate) struct Probe(MultiplexedConnection);

impl Probe {
    /// Connects to the Redis at `url`.
    ///
    /// # Errors
    /// When the URL is wrong or nothing answers there.
    pub(crate) async fn connect(url: &str) -> Result<Self, Failure> {
        let client = Client::open(url)
            .map_err(|error| Failure::new("cannot use the URL of Redis", error))?;
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT))
            .set_response_timeout(Some(RESPONSE));
        // The address alone: a URL may hold a password.
        let address = client.get_connection_info().addr().to_string();
        let connection = client
            .get_multiplexed_async_connection_with_config(&config)
            .await;
        connection
            .map(Self)
            .map_err(|error| Failure::new(format!("cannot reach Redis at {address}"), error))
    }

    /// The bytes that Redis uses for everything.
    ///
    /// # Errors
    /// When Redis does not answer.
    pub(crate) async fn used_memory(&mut self) -> Result<i64, Failure> {
        self.number_in("memory", "used_memory").await
    }

    /// The process id of the server.
    ///
    /// # Errors
    /// When Redis does not answer.
    pub(crate) async fn process_id(&mut self) -> Result<u32, Failure> {
        self.number_in("server", "process_id").await
    }

    /// Counts the namespace's keys without a time to live, by kind.
    ///
    /// # Errors
    /// When Redis does not answer.
    pub(crate) async fn keys_without_ttl(
        &mut self,
        namespace: &str,
    ) -> Result<BTreeMap<String, u64>, Failure> {
        let mut kinds = BTreeMap::new();
        let mut scan = Scan::new(namespace);
        while let Some(keys) = scan.next(self).await? {
            let lives = self.each::<i64>("PTTL", &keys).await?;
            for (key, _) in keys
                .iter()
                .zip(lives)
                .filter(|(_, life)| *life == NEVER_EXPIRES)
            {
                *kinds.entry(kind(key)).or_default() += 1;
            }
        }
        Ok(kinds)
    }

    /// Removes the namespace's keys.
    ///
    /// # Errors
    /// When Redis does not answer.
    pub(crate) async fn remove(&mut self, namespace: &str) -> Result<(), Failure> {
        let mut scan = Scan::new(namespace);
        while let Some(keys) = scan.next(self).await? {
            self.each::<i64>("UNLINK", &keys).await?;
        }
        Ok(())
    }

    async fn number_in<T: std::str::FromStr>(
        &mut self,
        section: &str,
        field: &str,
    ) -> Result<T, Failure> {
        let info: String = redis::cmd("INFO")
            .arg(section)
            .query_async(&mut self.0)
            .await
            .map_err(silent)?;
        let value = info
            .lines()
            .filter_map(|line| line.split_once(':'))
            .find(|(name, _)| *name == field);
        value
            .and_then(|(_, value)| value.trim().parse().ok())
            .ok_or_else(|| Failure::plain(format!("Redis does not tell its {field}")))
    }

    async fn each<T: redis::FromRedisValue>(
        &mut self,
        command: &str,
        keys: &[Vec<u8>],
    ) -> Result<Vec<T>, Failure> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let mut pipe = redis::pipe();
        for key in keys {
            pipe.cmd(command).arg(key);
        }
        pipe.query_async(&mut self.0).await.map_err(silent)
    }
}

/// A walk over the keys of a namespace, in parts.
struct Scan {
    pattern: String,
    cursor: Option<u64>,
}

impl Scan {
    fn new(namespace: &str) -> Self {
        Self {
            pattern: format!("tc*:{{{namespace}[:}}]*"),
            cursor: Some(0),
        }
    }

    /// The next part, which may be empty; `None` at the end.
    async fn next(&mut self, probe: &mut Probe) -> Result<Option<Vec<Vec<u8>>>, Failure> {
        let Some(cursor) = self.cursor else {
            return Ok(None);
        };
        let mut scan = redis::cmd("SCAN");
        scan.arg(cursor)
            .arg("MATCH")
            .arg(&self.pattern)
            .arg("COUNT")
            .arg(PART);
        let (next, keys): (u64, Vec<Vec<u8>>) =
            scan.query_async(&mut probe.0).await.map_err(silent)?;
        self.cursor = (next != 0).then_some(next);
        Ok(Some(keys))
    }
}

fn kind(key: &[u8]) -> String {
    let key = String::from_utf8_lossy(key);
    let after_tag = key.split_once("}:").map_or(key.as_ref(), |(_, rest)| rest);
    after_tag.split(':').next().unwrap_or_default().to_owned()
}

fn silent(error: redis::RedisError) -> Failure {
    Failure::new("cannot measure what Redis holds", error)
}

const CONNECT: Duration = Duration::from_secs(2);
const RESPONSE: Duration = Duration::from_secs(10);
const NEVER_EXPIRES: i64 = -1;
const PART: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kind_is_the_letter_after_the_hash_tag() {
        assert_eq!(kind(b"tc1:{shop:7}:c"), "c");
        assert_eq!(kind(b"tc1:{shop:7}:p:product/42"), "p");
        assert_eq!(kind(b"tc1:{shop:7}:v:1f2e:product/4}:2"), "v");
        assert_eq!(kind(b"foreign"), "foreign");
    }
}
