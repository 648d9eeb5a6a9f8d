//! Fastly: purges by surrogate key, soft ones too.

use std::time::Duration;

use http::HeaderName;
use serde_json::json;

use super::{
    batch::{Batch, Mode},
    error::PurgeError,
    http::{Endpoint, Plain, Reply, check_id},
    limits::{Limits, Quota},
    secret::Secret,
    vendor::{Answer, Failure, Purge, PurgeFuture},
};

/// A service at Fastly. Tested against a fake that keeps to Fastly's documented limits, not against Fastly.
#[derive(Clone, Debug)]
pub struct Fastly {
    service: String,
    token: Secret,
    endpoint: Endpoint,
    quota: Quota,
}

impl Fastly {
    /// Starts to describe the service with this id. The token needs the scope `purge_select`, and `purge_all` for the case that
    /// the queue becomes too long.
    pub fn builder(service: impl Into<String>, token: Secret) -> FastlyBuilder {
        FastlyBuilder {
            service: service.into(),
            token,
            address: "https://api.fastly.com".to_owned(),
            timeout: Duration::from_secs(10),
            // 100,000 in an hour, for all of an account.
            quota: Quota::keys(10_000, Duration::from_millis(36)),
        }
    }

    async fn call(&self, batch: &Batch) -> Result<Reply, Failure> {
        let what = if batch.is_everything() {
            "purge_all"
        } else {
            "purge"
        };
        let url = self
            .endpoint
            .at(&format!("service/{}/{what}", self.service));
        self.endpoint
            .send(|client| {
                let request = client
                    .post(url)
                    .header(TOKEN, self.token.header(""))
                    .header(http::header::ACCEPT, "application/json");
                if batch.is_everything() {
                    return request;
                }
                let keys: Vec<_> = batch.keys().collect();
                let request = request
                    .header(http::header::CONTENT_TYPE, "application/json")
                    .body(json!({ "surrogate_keys": keys }).to_string());
                match batch.mode() {
                    Mode::Hard => request,
                    Mode::Soft => request.header(SOFT, "1"),
                }
            })
            .await
    }
}

impl Purge for Fastly {
    fn name(&self) -> &str {
        "fastly"
    }

    fn limits(&self) -> Limits {
        Limits::new(256)
            .longest_key(1024)
            .quota(self.quota)
            .soft()
            .everything()
    }

    fn purge<'a>(&'a self, batch: &'a Batch) -> PurgeFuture<'a> {
        Box::pin(async move {
            let reply = self.call(batch).await;
            reply.map_or_else(Answer::failed, |reply| reply.answer())
        })
    }
}

/// A service at Fastly, and how to speak to it.
#[derive(Clone, Debug)]
#[must_use]
pub struct FastlyBuilder {
    service: String,
    token: Secret,
    address: String,
    timeout: Duration,
    quota: Quota,
}

impl FastlyBuilder {
    /// Where the interface is. Default: `https://api.fastly.com`.
    pub fn address(mut self, url: impl Into<String>) -> Self {
        self.address = url.into();
        self
    }

    /// How long one call may take. Default: 10 s.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = limit;
        self
    }

    /// How much may be purged. Fastly counts for the whole account: where several nodes purge, give each its share.
    /// Default: 10,000 keys at once, then one in 36 ms, which is 100,000 in an hour.
    pub fn quota(mut self, quota: Quota) -> Self {
        self.quota = quota;
        self
    }

    /// # Errors
    /// The service's id or the address is not one, or the machine trusts no certificate.
    pub fn build(self) -> Result<Fastly, PurgeError> {
        check_id(&self.service, "Fastly service")?;
        Ok(Fastly {
            endpoint: Endpoint::new(&self.address, Plain::Loopback, self.timeout)?,
            service: self.service,
            token: self.token,
            quota: self.quota,
        })
    }
}

const TOKEN: HeaderName = HeaderName::from_static("fastly-key");
const SOFT: HeaderName = HeaderName::from_static("fastly-soft-purge");
