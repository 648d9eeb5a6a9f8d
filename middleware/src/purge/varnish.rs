//! Varnish with the `xkey` module: each node is a vendor of its own, because nodes know nothing of each other.
//!
//! What a purge is, Varnish's configuration says; `docs/purging.md` has the part that this client speaks to.

use std::time::Duration;

use http::{HeaderName, Method};

use super::{
    batch::{Batch, Mode},
    error::PurgeError,
    http::{Endpoint, Plain, Reply},
    limits::{Limits, Quota},
    secret::Secret,
    vendor::{Answer, Failure, Purge, PurgeFuture},
};

/// One node of Varnish. A farm is several: a purge is acknowledged when each node has answered, and each is retried on its own.
///
/// A call is `PURGE /` with the keys in `xkey-purge`, or in `xkey-softpurge`, and the token in `x-purge-token`. The answer must be a
/// 200 with the header `x-purged`: a Varnish that does not know such calls would pass them on to the application, whose 200 means nothing.
#[derive(Clone, Debug)]
pub struct Varnish {
    name: String,
    endpoint: Endpoint,
    token: Option<Secret>,
    quota: Option<Quota>,
}

impl Varnish {
    /// Starts to describe the nodes, by addresses such as `http://10.0.0.1:6081`.
    ///
    /// The token travels as the address says: without TLS, anyone between can read it.
    pub fn builder(nodes: impl IntoIterator<Item = impl Into<String>>) -> VarnishBuilder {
        VarnishBuilder {
            nodes: nodes.into_iter().map(Into::into).collect(),
            token: None,
            timeout: Duration::from_secs(2),
            quota: None,
        }
    }

    async fn call(&self, batch: &Batch) -> Result<Reply, Failure> {
        let (name, value) = named(batch);
        self.endpoint
            .send(|client| {
                let purge = Method::from_bytes(b"PURGE").expect("a token of RFC 9110");
                let request = client
                    .request(purge, self.endpoint.url.clone())
                    .header(name, value);
                match &self.token {
                    Some(token) => request.header(TOKEN, token.header("")),
                    None => request,
                }
            })
            .await
    }
}

/// The header that says what to purge, and how.
fn named(batch: &Batch) -> (HeaderName, String) {
    if batch.is_everything() {
        return (EVERYTHING, "1".to_owned());
    }
    let header = match batch.mode() {
        Mode::Hard => HARD,
        Mode::Soft => SOFT,
    };
    (header, batch.joined(" "))
}

impl Purge for Varnish {
    fn name(&self) -> &str {
        &self.name
    }

    fn limits(&self) -> Limits {
        let limits = Limits::new(1000)
            .bytes(HEADER_BUDGET, 1)
            .soft()
            .everything();
        match self.quota {
            Some(quota) => limits.quota(quota),
            None => limits,
        }
    }

    fn purge<'a>(&'a self, batch: &'a Batch) -> PurgeFuture<'a> {
        Box::pin(async move {
            match self.call(batch).await {
                Ok(reply) if reply.status.is_success() && !reply.headers.contains_key(PURGED) => {
                    Answer::failed(Failure::locked_out(
                        "it answered a purge without x-purged: its configuration does not know such calls",
                    ))
                }
                Ok(reply) => reply.answer(),
                Err(failure) => Answer::failed(failure),
            }
        })
    }
}

/// The nodes of a farm.
#[derive(Clone, Debug)]
#[must_use]
pub struct VarnishBuilder {
    nodes: Vec<String>,
    token: Option<Secret>,
    timeout: Duration,
    quota: Option<Quota>,
}

impl VarnishBuilder {
    /// What proves that we may purge, in `x-purge-token`. Default: none; the configuration goes by address.
    pub fn token(mut self, token: Secret) -> Self {
        self.token = Some(token);
        self
    }

    /// How long one call to one node may take. Default: 2 s.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = limit;
        self
    }

    /// How often one node may be called. Default: as often as there is something to purge.
    pub fn quota(mut self, quota: Quota) -> Self {
        self.quota = Some(quota);
        self
    }

    /// One vendor for each node, named `varnish` and its address.
    ///
    /// # Errors
    /// There is no node, or an address is not one.
    pub fn build(self) -> Result<Vec<Varnish>, PurgeError> {
        if self.nodes.is_empty() {
            return Err(PurgeError::config("a farm of Varnish has no node"));
        }
        self.nodes.iter().map(|node| self.node(node)).collect()
    }

    fn node(&self, address: &str) -> Result<Varnish, PurgeError> {
        let endpoint = Endpoint::new(address, Plain::Anywhere, self.timeout)?;
        let host = endpoint.url.host_str().unwrap_or_default();
        let port = endpoint.url.port_or_known_default().unwrap_or_default();
        Ok(Varnish {
            name: format!("varnish {host}:{port}"),
            endpoint,
            token: self.token.clone(),
            quota: self.quota,
        })
    }
}

const HARD: HeaderName = HeaderName::from_static("xkey-purge");
const SOFT: HeaderName = HeaderName::from_static("xkey-softpurge");
const EVERYTHING: HeaderName = HeaderName::from_static("xkey-purge-everything");
const TOKEN: HeaderName = HeaderName::from_static("x-purge-token");
const PURGED: HeaderName = HeaderName::from_static("x-purged");

/// Varnish takes header lines of 8 KiB, name included, unless it was told otherwise.
const HEADER_BUDGET: usize = 7 * 1024;
