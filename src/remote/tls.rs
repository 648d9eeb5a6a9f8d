//! TLS to Redis: one configuration, made at the start, for all connections.
//!
//! redis-rs' own reads the machine's certificates again at each connection, inside the limit of connecting, and panics where the
//! process has two providers of cryptography. So the stream is made here, and redis-rs gets it ready to use.

use super::way::{Driver, lasting};
use crate::error::Error;
use futures_util::{FutureExt, future::select_ok};
use redis::{
    AsyncConnectionConfig, ConnectionInfo, RedisError, aio::MultiplexedConnection,
    io::tcp::socket2::SockRef,
};
use rustls_platform_verifier::BuilderVerifierExt;
use std::{error::Error as StdError, fmt, io, sync::Arc, time::Duration};
use tokio::{
    net::{TcpStream, lookup_host},
    time::timeout,
};
use tokio_rustls::{
    TlsConnector,
    rustls::{
        self, ClientConfig, RootCertStore,
        crypto::ring,
        pki_types::{
            CertificateDer, PrivateKeyDer, ServerName,
            pem::{self, PemObject},
        },
    },
};

/// The certificates of TLS connections to Redis, for [`TiersBuilder::redis_tls`](crate::TiersBuilder::redis_tls).
///
/// # Examples
/// ```no_run
/// use tricache::{Tiers, Tls};
///
/// # fn example() -> std::io::Result<()> {
/// let tls = Tls::new().roots(std::fs::read("redis-ca.pem")?);
/// let tiers = Tiers::builder("shop").redis("rediss://redis.internal").redis_tls(tls);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
pub struct Tls {
    roots: Option<Vec<u8>>,
    client: Option<(Vec<u8>, Vec<u8>)>,
}

impl Tls {
    /// The roots that the machine trusts, and no certificate of one's own.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Trusts these roots, one or more certificates in PEM, and no others. Default: those that the machine trusts.
    #[must_use]
    pub fn roots(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.roots = Some(pem.into());
        self
    }

    /// Shows this certificate to servers that ask for one, in PEM with those that it was signed by, and proves it by this key, in
    /// PEM without a password. Default: none.
    #[must_use]
    pub fn client(mut self, certificate: impl Into<Vec<u8>>, key: impl Into<Vec<u8>>) -> Self {
        self.client = Some((certificate.into(), key.into()));
        self
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The key is a secret.
        f.debug_struct("Tls")
            .field("own_roots", &self.roots.is_some())
            .field("client", &self.client.is_some())
            .finish()
    }
}

type BoxedError = dyn StdError + Send + Sync;

/// How TLS connections begin.
#[derive(Clone)]
pub(super) struct Handshake(TlsConnector);

impl Handshake {
    pub(super) fn new(settings: &Tls) -> Result<Self, Error> {
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| refused("configuration", &error))?;
        let builder = match &settings.roots {
            Some(pem) => builder.with_root_certificates(roots(pem)?),
            None => builder
                .with_platform_verifier()
                .map_err(|error| refused("machine's list of trusted roots", &error))?,
        };
        let config = match &settings.client {
            Some((certificate, key)) => builder
                .with_client_auth_cert(certificates("client certificate", certificate)?, own(key)?)
                .map_err(|error| refused("client certificate", &error))?,
            None => builder.with_no_client_auth(),
        };
        Ok(Self(TlsConnector::from(Arc::new(config))))
    }

    /// A connection that is ready for commands. It may take as long as its caller waits.
    pub(super) async fn connect(
        &self,
        (host, port): (&str, u16),
        settings: &ConnectionInfo,
        config: AsyncConnectionConfig,
    ) -> Result<(MultiplexedConnection, Driver), RedisError> {
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| lasting(format!("{host} is no name that a certificate can have")))?;
        let stream = dial(host, port, settings).await?;
        let stream = match timeout(HANDSHAKE, self.0.connect(name, stream)).await {
            Ok(stream) => stream.map_err(told)?,
            // A Redis without TLS may wait for the rest of what it takes for a command.
            Err(_) => return Err(io::Error::new(io::ErrorKind::TimedOut, UNANSWERED).into()),
        };
        let made =
            MultiplexedConnection::new_with_config(settings.redis_settings(), stream, config);
        let (connection, driver) = made.await.map_err(behind)?;
        Ok((connection, Driver::spawn(driver)))
    }
}

/// To the first address of the host that takes it, as redis-rs does.
async fn dial(host: &str, port: u16, settings: &ConnectionInfo) -> io::Result<TcpStream> {
    let addresses = lookup_host((host, port)).await?;
    let attempts: Vec<_> = addresses
        .map(|address| TcpStream::connect(address).boxed())
        .collect();
    if attempts.is_empty() {
        return Err(io::Error::new(
            io::ErrorKind::NotFound,
            "the host has no address",
        ));
    }
    let (stream, _) = select_ok(attempts).await?;
    let (socket, tcp) = (SockRef::from(&stream), settings.tcp_settings());
    socket.set_tcp_nodelay(tcp.nodelay())?;
    if let Some(keepalive) = tcp.keepalive() {
        socket.set_tcp_keepalive(keepalive)?;
    }
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(tcp.user_timeout())?;
    Ok(stream)
}

/// What TLS refuses stays refused until somebody changes a certificate or a setting.
fn told(error: io::Error) -> RedisError {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    match inner {
        Some(rustls::Error::InvalidMessage(_)) => {
            lasting("the server does not speak TLS there".to_owned())
        }
        Some(refusal) => lasting(format!("TLS is refused: {refusal}")),
        None => error.into(),
    }
}

/// A server that wants another certificate of us says so behind the handshake.
fn behind(error: RedisError) -> RedisError {
    // It shares the errors of others between its clones.
    let source = error
        .source()
        .and_then(|source| source.downcast_ref::<Arc<BoxedError>>());
    let io = source.and_then(|source| source.downcast_ref::<io::Error>());
    let inner = io.and_then(io::Error::get_ref);
    match inner.and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(refusal) => lasting(format!("TLS is refused: {refusal}")),
        None => error,
    }
}

fn roots(pem: &[u8]) -> Result<RootCertStore, Error> {
    let mut roots = RootCertStore::empty();
    for root in certificates("roots", pem)? {
        roots.add(root).map_err(|error| refused("roots", &error))?;
    }
    Ok(roots)
}

fn certificates(what: &str, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, Error> {
    let found: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|error| refused(what, &error))?;
    if found.is_empty() {
        return Err(refused(what, &pem::Error::NoItemsFound));
    }
    Ok(found)
}

fn own(key: &[u8]) -> Result<PrivateKeyDer<'static>, Error> {
    PrivateKeyDer::from_pem_slice(key).map_err(|error| refused("client key", &error))
}

fn refused(what: &str, error: &dyn StdError) -> Error {
    Error::config(format!("the {what} of redis_tls is refused: {error}"))
}

const UNANSWERED: &str = "no answer to the beginning of TLS: does the server speak TLS there?";
/// Within the limit of connecting, so that the error says what was waited for.
const HANDSHAKE: Duration = Duration::from_millis(250);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_certificate_is_named() {
        for (settings, named) in [
            (Tls::new().roots(""), "roots"),
            (Tls::new().roots("not PEM"), "roots"),
            (Tls::new().client("", ""), "client certificate"),
        ] {
            let error = Handshake::new(&settings).map(|_| "made").unwrap_err();

            assert!(
                error.is_config() && error.to_string().contains(named),
                "{error}"
            );
        }
    }

    #[test]
    fn a_key_is_not_shown() {
        let settings = Tls::new().client("certificate", "hunter2");

        assert!(!format!("{settings:?}").contains("hunter2"));
    }
}
