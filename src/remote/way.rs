//! How a connection begins: where it leads, what is said before the first command, and whether in the clear.

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

/// Where Redis is, as the builder was told.
#[derive(Clone, Debug, Default)]
pub(crate) struct Whereabouts {
    pub(crate) url: String,
    #[cfg(feature = "tls")]
    pub(crate) tls: Tls,
}

/// The way to one server.
#[derive(Clone)]
pub(super) struct Way {
    settings: ConnectionInfo,
    #[cfg(feature = "tls")]
    tls: Option<Handshake>,
}

/// One connection, and whatever has to stay alive with it.
#[derive(Clone)]
pub(super) struct Line {
    pub(super) connection: MultiplexedConnection,
    _driver: Option<Arc<Driver>>,
}

/// The task that drives a connection of ours; it ends with the last handle.
pub(super) struct Driver(AbortHandle);

impl Whereabouts {
    /// # Errors
    /// If the URL is none, or wants TLS of another kind than there is.
    pub(super) fn way(&self) -> Result<Way, Error> {
        let (secure, url) = match self.url.split_once("://") {
            Some(("rediss" | "valkeys", rest)) => (true, format!("redis://{rest}")),
            _ => (false, self.url.clone()),
        };
        if secure {
            check_secure(&url)?;
        }
        Ok(Way {
            settings: checked(&url)?.set_tcp_settings(tcp_settings()),
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

    /// Connects, within [`CONNECT`].
    pub(super) async fn connect(&self, config: AsyncConnectionConfig) -> Result<Line, RedisError> {
        // The response limit is the caller's: theirs does not cover the wait for a connection.
        let config = config
            .set_connection_timeout(Some(CONNECT))
            .set_response_timeout(None);
        match timeout(CONNECT, self.connect_to(self.settings.addr(), config)).await {
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
            return tls.connect((host, *port), &self.settings, config).await;
        }
        let settings = self.settings.clone().set_addr(address.clone());
        let connection = Client::open(settings)?
            .get_multiplexed_async_connection_with_config(&config)
            .await?;
        Ok(Line {
            connection,
            _driver: None,
        })
    }
}

#[cfg(feature = "tls")]
impl Line {
    pub(super) fn driven(connection: MultiplexedConnection, driver: Driver) -> Self {
        Self {
            connection,
            _driver: Some(Arc::new(driver)),
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
