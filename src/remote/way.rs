//! How a connection begins: where it leads, what is said before the first command, and whether in the clear.

use super::sentinel::{Enough, Sentinels};
use crate::error::Error;
use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, ErrorKind, IntoConnectionInfo,
    ProtocolVersion, RedisError,
    aio::MultiplexedConnection,
    io::tcp::{TcpSettings, socket2::TcpKeepalive},
};
use std::{io, sync::Arc, time::Duration};
use tokio::{task::AbortHandle, time::timeout};

#[cfg(feature = "tls")]
use super::tls::{Handshake, Tls};

/// Where Redis is, as the builder was told. The URLs may hold passwords.
#[derive(Clone, Default)]
pub(crate) struct Whereabouts {
    /// Of the server, or of the master, and then its host is the master's name.
    pub(crate) url: String,
    /// The URLs of those that know the master.
    pub(crate) sentinels: Option<Vec<String>>,
    /// The URLs of some nodes of a cluster.
    pub(crate) cluster: Option<Vec<String>>,
    #[cfg(feature = "tls")]
    pub(crate) tls: Tls,
}

/// The way to one server, or to whoever is the master.
#[derive(Clone)]
pub(super) struct Way {
    /// Their address does not count where there are sentinels.
    settings: ConnectionInfo,
    sentinels: Option<Arc<Sentinels>>,
    #[cfg(feature = "tls")]
    tls: Option<Handshake>,
}

/// One connection, and whatever has to stay alive with it.
#[derive(Clone)]
pub(super) struct Line {
    pub(super) connection: MultiplexedConnection,
    // Shared, since each call clones it.
    kept: Arc<Kept>,
}

struct Kept {
    to: ConnectionAddr,
    _driver: Option<Driver>,
}

/// The task that drives a connection of ours; it ends with the last handle.
pub(super) struct Driver(AbortHandle);

impl Whereabouts {
    /// # Errors
    /// If a URL is none, or wants TLS of another kind than there is.
    pub(super) fn way(&self) -> Result<Way, Error> {
        let mut way = self.to(&self.url)?;
        let Some(sentinels) = &self.sentinels else {
            return Ok(way);
        };
        let ConnectionAddr::Tcp(master, _) = way.settings.addr() else {
            return Err(Error::config("a master is named, not a file"));
        };
        let ways: Vec<_> = sentinels
            .iter()
            .map(|url| self.to_sentinel(url))
            .collect::<Result<_, _>>()?;
        if ways.is_empty() {
            return Err(Error::config(
                "no sentinels are given that could name the master",
            ));
        }
        way.sentinels = Some(Arc::new(Sentinels::new(master, ways)));
        Ok(way)
    }

    /// The ways to the nodes of a cluster that are known from the start, if it is one.
    ///
    /// # Errors
    /// As for [`way`](Self::way).
    pub(super) fn seeds(&self) -> Result<Option<Vec<Way>>, Error> {
        let ways = |urls: &Vec<String>| urls.iter().map(|url| self.to(url)).collect();
        self.cluster.as_ref().map(ways).transpose()
    }

    fn to_sentinel(&self, url: &str) -> Result<(String, Way), Error> {
        let way = self.to(url)?;
        if way.settings.redis_settings().db() != 0 {
            return Err(Error::config(
                "the URL of a sentinel names a database, and it has none",
            ));
        }
        Ok((way.settings.addr().to_string(), way))
    }

    fn to(&self, url: &str) -> Result<Way, Error> {
        let (secure, url) = match url.split_once("://") {
            Some(("rediss" | "valkeys", rest)) => (true, format!("redis://{rest}")),
            _ => (false, url.to_owned()),
        };
        if secure {
            check_secure(&url)?;
        }
        Ok(Way {
            settings: checked(&url)?.set_tcp_settings(tcp_settings()),
            sentinels: None,
            #[cfg(feature = "tls")]
            tls: secure.then(|| Handshake::new(&self.tls)).transpose()?,
        })
    }
}

impl Way {
    /// The same way over RESP3, which pushes need.
    pub(super) fn pushing(&self) -> Self {
        let over_resp3 = self.settings.redis_settings().clone();
        let over_resp3 = over_resp3.set_protocol(ProtocolVersion::RESP3);
        let mut way = self.clone();
        way.settings = way.settings.set_redis_settings(over_resp3);
        way
    }

    /// The same way to another server.
    pub(super) fn at(&self, host: &str, port: u16) -> Self {
        let mut way = self.clone();
        way.settings = way
            .settings
            .set_addr(ConnectionAddr::Tcp(host.to_owned(), port));
        way
    }

    /// Host and port, unless it leads to a file.
    pub(super) fn place(&self) -> Option<(&str, u16)> {
        match self.settings.addr() {
            ConnectionAddr::Tcp(host, port) => Some((host, *port)),
            _ => None,
        }
    }

    /// Where it leads, without credentials.
    pub(super) fn address(&self) -> String {
        self.settings.addr().to_string()
    }

    pub(super) fn sentinels(&self) -> Option<&Arc<Sentinels>> {
        self.sentinels.as_ref()
    }

    /// Whether a connection that was made leads where a new one would.
    pub(super) fn leads_to(&self, line: &Line) -> bool {
        let sentinels = self.sentinels.as_ref();
        sentinels.is_none_or(|sentinels| sentinels.name(&line.kept.to))
    }

    /// Waits until it does not.
    pub(super) async fn leads_elsewhere(&self, line: &Line) {
        if let Some(sentinels) = &self.sentinels {
            let elsewhere = |named: &Option<ConnectionAddr>| named.as_ref() != Some(&line.kept.to);
            // It is sent by who is borrowed here.
            let _ = sentinels.named().wait_for(elsewhere).await;
        } else {
            std::future::pending::<()>().await;
        }
    }

    /// Connects, within [`CONNECT`], after the sentinels have said where to.
    pub(super) async fn connect(&self, config: AsyncConnectionConfig) -> Result<Line, RedisError> {
        // The response limit is the caller's: theirs does not cover the wait for a connection.
        let config = config
            .set_connection_timeout(Some(CONNECT))
            .set_response_timeout(None);
        let address = match &self.sentinels {
            Some(sentinels) => sentinels.look(Enough::Most).await?,
            None => self.settings.addr().clone(),
        };
        match timeout(CONNECT, self.connect_to(&address, config)).await {
            Ok(made) => made,
            Err(_) => Err(io::Error::from(io::ErrorKind::TimedOut).into()),
        }
    }

    async fn connect_to(
        &self,
        address: &ConnectionAddr,
        config: AsyncConnectionConfig,
    ) -> Result<Line, RedisError> {
        #[cfg(feature = "tls")]
        if let (Some(tls), ConnectionAddr::Tcp(host, port)) = (&self.tls, address) {
            let made = tls.connect((host, *port), &self.settings, config).await;
            let (connection, driver) = made?;
            return Ok(Line::new(connection, address, Some(driver)));
        }
        let settings = self.settings.clone().set_addr(address.clone());
        let connection = Client::open(settings)?
            .get_multiplexed_async_connection_with_config(&config)
            .await?;
        Ok(Line::new(connection, address, None))
    }
}

impl Line {
    fn new(connection: MultiplexedConnection, to: &ConnectionAddr, driver: Option<Driver>) -> Self {
        let kept = Kept {
            to: to.clone(),
            _driver: driver,
        };
        Self {
            connection,
            kept: Arc::new(kept),
        }
    }
}

#[cfg(feature = "tls")]
impl Driver {
    pub(super) fn spawn(driver: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(tokio::spawn(driver).abort_handle())
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// An error that lasts until somebody changes a setting.
pub(super) fn lasting(what: String) -> RedisError {
    (ErrorKind::InvalidClientConfig, "no connection", what).into()
}

fn checked(url: &str) -> Result<ConnectionInfo, Error> {
    url.into_connection_info()
        .map_err(|error| Error::config(format!("the Redis URL is refused: {error}")))
}

#[cfg(feature = "tls")]
fn check_secure(url: &str) -> Result<(), Error> {
    // redis-rs would read it, and check no certificate.
    if url.contains('#') {
        return Err(Error::config(
            "the Redis URL is refused: nothing may follow a `#`, and certificates are always checked",
        ));
    }
    Ok(())
}

#[cfg(not(feature = "tls"))]
fn check_secure(_: &str) -> Result<(), Error> {
    Err(Error::config(
        "the Redis URL is refused: it asks for TLS, and that needs the feature `tls` of tricache",
    ))
}

fn tcp_settings() -> TcpSettings {
    let keepalive = TcpKeepalive::new()
        .with_time(Duration::from_secs(5))
        .with_interval(Duration::from_secs(2));
    let settings = TcpSettings::default()
        .set_nodelay(true)
        .set_keepalive(keepalive);
    #[cfg(target_os = "linux")]
    let settings = settings.set_user_timeout(Duration::from_secs(5));
    settings
}

/// How long a connection, and the first answer over it, may take.
pub(super) const CONNECT: Duration = Duration::from_millis(300);

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(not(feature = "tls"))]
    #[test]
    fn without_the_feature_nothing_is_sent_in_the_clear_instead() {
        for url in ["rediss://127.0.0.1", "valkeys://127.0.0.1"] {
            let error = at(url).way().map(|_| "a way").unwrap_err();

            assert!(error.is_config() && error.to_string().contains("feature `tls`"));
        }
    }

    #[cfg(feature = "tls")]
    #[test]
    fn each_url_says_for_itself_whether_it_is_in_the_clear() {
        for (url, secure) in [("rediss://host", true), ("redis://host", false)] {
            let way = at(url).way().unwrap();

            assert_eq!(way.tls.is_some(), secure, "{url}");
        }
    }

    #[test]
    fn the_masters_name_is_the_host_and_keeps_its_capitals() {
        let mut whereabouts = at("redis://user:password@Shop_Master.1/2");
        whereabouts.sentinels = Some(vec!["redis://sentinel:26379".to_owned()]);
        let way = whereabouts.way().unwrap();

        assert_eq!(way.settings.addr().to_string(), "Shop_Master.1:6379");
        assert_eq!(way.settings.redis_settings().db(), 2);
        assert!(way.sentinels().is_some());
    }

    fn at(url: &str) -> Whereabouts {
        Whereabouts {
            url: url.to_owned(),
            ..Whereabouts::default()
        }
    }
}
