//! Cloudflare: purges by tag. There are no soft ones.

use std::time::Duration;

use http::header::{AUTHORIZATION, CONTENT_TYPE};
use serde_json::{Value, json};

use super::{
    batch::Batch,
    error::PurgeError,
    http::{Endpoint, Plain, Reply, check_id},
    limits::{Limits, Quota},
    secret::Secret,
    vendor::{Answer, Failure, Purge, PurgeFuture},
};

/// A zone at Cloudflare. Tested against a fake that keeps to Cloudflare's documented limits, not against Cloudflare.
///
/// Pages need their keys in `Cache-Tag`, between commas.
#[derive(Clone, Debug)]
pub struct Cloudflare {
    zone: String,
    token: Secret,
    endpoint: Endpoint,
    quota: Quota,
}

/// What an account pays for; it decides how often it may purge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CloudflarePlan {
    /// 25 calls at once, then 5 in a minute.
    Free,
    /// 25 calls at once, then 5 in a second.
    Pro,
    /// 50 calls at once, then 10 in a second.
    Business,
    /// 500 calls at once, then 50 in a second.
    Enterprise,
}

impl CloudflarePlan {
    const fn quota(self) -> Quota {
        match self {
            Self::Free => Quota::calls(25, Duration::from_secs(12)),
            Self::Pro => Quota::calls(25, Duration::from_millis(200)),
            Self::Business => Quota::calls(50, Duration::from_millis(100)),
            Self::Enterprise => Quota::calls(500, Duration::from_millis(20)),
        }
    }
}

impl Cloudflare {
    /// Starts to describe the zone with this id. The token needs the right *Zone · Cache Purge* for this zone.
    pub fn builder(zone: impl Into<String>, token: Secret) -> CloudflareBuilder {
        CloudflareBuilder {
            zone: zone.into(),
            token,
            address: "https://api.cloudflare.com".to_owned(),
            timeout: Duration::from_secs(10),
            quota: CloudflarePlan::Free.quota(),
        }
    }

    async fn call(&self, batch: &Batch) -> Result<Reply, Failure> {
        let url = self
            .endpoint
            .at(&format!("client/v4/zones/{}/purge_cache", self.zone));
        let body = if batch.is_everything() {
            json!({ "purge_everything": true })
        } else {
            json!({ "tags": batch.keys().collect::<Vec<_>>() })
        };
        self.endpoint
            .send(|client| {
                client
                    .post(url)
                    .header(AUTHORIZATION, self.token.header("Bearer "))
                    .header(CONTENT_TYPE, "application/json")
                    .body(body.to_string())
            })
            .await
    }
}

/// A 200 is a success only if the body says so too.
fn answer(reply: &Reply) -> Answer {
    if !reply.status.is_success() {
        return reply.answer();
    }
    let body: Option<Value> = serde_json::from_slice(&reply.body).ok();
    match body.as_ref().and_then(|body| body["success"].as_bool()) {
        Some(true) => Answer::done(),
        Some(false) => Answer::failed(Failure::refused(
            "it answered 200, and in the body that it did not purge",
        )),
        None => {
            Answer::failed(reply.passing("it answered 200, and not in its own words".to_owned()))
        }
    }
}

impl Purge for Cloudflare {
    fn name(&self) -> &str {
        "cloudflare"
    }

    fn limits(&self) -> Limits {
        Limits::new(100)
            .longest_key(1024)
            .quota(self.quota)
            .everything()
    }

    fn purge<'a>(&'a self, batch: &'a Batch) -> PurgeFuture<'a> {
        Box::pin(async move {
            let reply = self.call(batch).await;
            reply.map_or_else(Answer::failed, |reply| answer(&reply))
        })
    }
}

/// A zone at Cloudflare, and how to speak to it.
#[derive(Clone, Debug)]
#[must_use]
pub struct CloudflareBuilder {
    zone: String,
    token: Secret,
    address: String,
    timeout: Duration,
    quota: Quota,
}

impl CloudflareBuilder {
    /// Where the interface is. Default: `https://api.cloudflare.com`.
    pub fn address(mut self, url: impl Into<String>) -> Self {
        self.address = url.into();
        self
    }

    /// How long one call may take. Default: 10 s.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = limit;
        self
    }

    /// The account's plan, whose calls it may make. Default: [`CloudflarePlan::Free`].
    pub fn plan(self, plan: CloudflarePlan) -> Self {
        self.quota(plan.quota())
    }

    /// How often it may be called. Cloudflare counts for the whole account: where several nodes purge, give each its share.
    /// Default: that of the plan.
    pub fn quota(mut self, quota: Quota) -> Self {
        self.quota = quota;
        self
    }

    /// # Errors
    /// The zone's id or the address is not one, or the machine trusts no certificate.
    pub fn build(self) -> Result<Cloudflare, PurgeError> {
        check_id(&self.zone, "Cloudflare zone")?;
        Ok(Cloudflare {
            endpoint: Endpoint::new(&self.address, Plain::Loopback, self.timeout)?,
            zone: self.zone,
            token: self.token,
            quota: self.quota,
        })
    }
}
