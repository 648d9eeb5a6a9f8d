//! CloudFront: invalidations by cache tag. There are no soft ones, and each key costs.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use super::{
    batch::Batch,
    error::PurgeError,
    http::{Endpoint, Plain, Reply, check_id},
    limits::{Limits, Quota},
    secret::Secret,
    signature::{Unsigned, sign},
    vendor::{Answer, Failure, Purge, PurgeFuture},
};

/// A distribution of CloudFront. Tested against a fake that keeps to the documented limits, not against CloudFront.
///
/// Its `CacheTagConfig` must name the header in which pages have their keys, between commas. AWS counts each key of each call as
/// one path, of which a thousand in a month are free: purge once, by a [`Purger`](crate::purge::Purger) of its own with no second purge.
#[derive(Clone)]
pub struct CloudFront {
    distribution: String,
    credentials: Credentials,
    endpoint: Endpoint,
    quota: Quota,
}

type Credentials = Arc<dyn Fn() -> AwsCredentials + Send + Sync>;

/// Who asks AWS.
#[derive(Clone, Debug)]
pub struct AwsCredentials {
    pub(crate) id: Secret,
    pub(crate) secret: Secret,
    pub(crate) session: Option<Secret>,
}

impl AwsCredentials {
    /// An access key: its id, and its secret part.
    #[must_use]
    pub fn new(id: Secret, secret: Secret) -> Self {
        Self {
            id,
            secret,
            session: None,
        }
    }

    /// The token that temporary credentials of a role have beside the key. Default: none.
    #[must_use]
    pub fn session_token(mut self, token: Secret) -> Self {
        self.session = Some(token);
        self
    }
}

impl CloudFront {
    /// Starts to describe the distribution with this id. `credentials` is asked before each call, because those of a role change
    /// every few hours; it must answer at once. They need the right `cloudfront:CreateInvalidation` for this distribution.
    pub fn builder(
        distribution: impl Into<String>,
        credentials: impl Fn() -> AwsCredentials + Send + Sync + 'static,
    ) -> CloudFrontBuilder {
        CloudFrontBuilder {
            distribution: distribution.into(),
            credentials: Arc::new(credentials),
            address: "https://cloudfront.amazonaws.com".to_owned(),
            timeout: Duration::from_secs(10),
            quota: Quota::keys(3000, Duration::from_millis(100)),
        }
    }

    async fn call(&self, batch: &Batch) -> Result<Reply, Failure> {
        let url = self.endpoint.at(&format!(
            "2020-05-31/distribution/{}/invalidation",
            self.distribution
        ));
        let body = invalidation(batch);
        let request = Unsigned {
            host: &self.endpoint.host(),
            path: url.path(),
            body: &body,
        };
        let signature = sign(&request, &(self.credentials)(), SystemTime::now());
        self.endpoint
            .send(|client| {
                let request = client
                    .post(url.clone())
                    .header(http::header::CONTENT_TYPE, "application/xml");
                let signed = signature
                    .into_iter()
                    .fold(request, |request, (name, value)| {
                        request.header(name, value)
                    });
                signed.body(body)
            })
            .await
    }
}

/// The body of a call. A reference is never used twice, so that AWS takes no batch for one from before.
fn invalidation(batch: &Batch) -> String {
    let paths: Vec<_> = if batch.is_everything() {
        vec!["/*".to_owned()]
    } else {
        batch
            .keys()
            .map(|key| format!("#{}", escaped(key)))
            .collect()
    };
    let items: String = paths
        .iter()
        .map(|path| format!("<Path>{path}</Path>"))
        .collect();
    format!(
        "<InvalidationBatch xmlns=\"http://cloudfront.amazonaws.com/doc/2020-05-31/\">\
         <Paths><Quantity>{}</Quantity><Items>{items}</Items></Paths>\
         <CallerReference>tricache-{:032x}</CallerReference></InvalidationBatch>",
        paths.len(),
        fastrand::u128(..)
    )
}

fn escaped(key: &str) -> String {
    key.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

/// What AWS wants to be asked again later, it often refuses with a 400.
fn answer(reply: &Reply) -> Answer {
    let says = |code: &str| {
        reply
            .body
            .windows(code.len())
            .any(|part| part == code.as_bytes())
    };
    match reply.status.as_u16() {
        400 if says("TooManyInvalidationsInProgress") || says("Throttling") => Answer::failed(
            reply.passing("it answered 400: too many invalidations at once".to_owned()),
        ),
        400 if says("ExpiredToken")
            || says("InvalidClientTokenId")
            || says("IncompleteSignature") =>
        {
            Answer::failed(Failure::locked_out(
                "it answered 400: it does not accept the credentials",
            ))
        }
        _ => reply.answer(),
    }
}

impl Purge for CloudFront {
    fn name(&self) -> &str {
        "cloudfront"
    }

    fn limits(&self) -> Limits {
        Limits::new(1000)
            .longest_key(256)
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

impl fmt::Debug for CloudFront {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CloudFront")
            .field("distribution", &self.distribution)
            .finish_non_exhaustive()
    }
}

/// A distribution of CloudFront, and how to speak to it.
#[derive(Clone)]
#[must_use]
pub struct CloudFrontBuilder {
    distribution: String,
    credentials: Credentials,
    address: String,
    timeout: Duration,
    quota: Quota,
}

impl CloudFrontBuilder {
    /// Where the interface is. Default: `https://cloudfront.amazonaws.com`.
    pub fn address(mut self, url: impl Into<String>) -> Self {
        self.address = url.into();
        self
    }

    /// How long one call may take. Default: 10 s.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = limit;
        self
    }

    /// How many keys may be purged. Where several nodes purge, give each its share. Default: 3,000 at once, which is what AWS lets
    /// be in progress, then 10 in a second.
    pub fn quota(mut self, quota: Quota) -> Self {
        self.quota = quota;
        self
    }

    /// # Errors
    /// The distribution's id or the address is not one, or the machine trusts no certificate.
    pub fn build(self) -> Result<CloudFront, PurgeError> {
        check_id(&self.distribution, "CloudFront distribution")?;
        Ok(CloudFront {
            endpoint: Endpoint::new(&self.address, Plain::Loopback, self.timeout)?,
            distribution: self.distribution,
            credentials: self.credentials,
            quota: self.quota,
        })
    }
}

impl fmt::Debug for CloudFrontBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CloudFrontBuilder")
            .field("distribution", &self.distribution)
            .finish_non_exhaustive()
    }
}
