//! The HTTP client of all vendors: a limit of time, no redirects, and statuses as answers.
//!
//! A redirect would carry the token to another host, so it is refused as a wrong address. Bodies are read up to a bound. No text
//! of a vendor's reaches an error: it could repeat what we sent.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use http::{HeaderMap, StatusCode};
use reqwest::{Client, RequestBuilder, Response, Url, redirect};
use rustls::{ClientConfig, RootCertStore, crypto::ring};
use rustls_platform_verifier::BuilderVerifierExt;

use super::{
    error::PurgeError,
    retry_after::retry_after,
    vendor::{Answer, Failure},
};

/// An address of a vendor, checked, with a client for it.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint {
    pub(crate) url: Url,
    client: Client,
}

/// Who may be spoken to without TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Plain {
    /// Any address: the caller's own network.
    Anywhere,
    /// This machine only.
    Loopback,
}

/// The id of `what` at a vendor, which becomes a part of a path.
///
/// # Errors
/// It is empty, or has anything but letters and digits.
pub(crate) fn check_id(id: &str, what: &str) -> Result<(), PurgeError> {
    if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        let message = format!("the id of a {what} has letters and digits only");
        return Err(PurgeError::config(message));
    }
    Ok(())
}

/// What a vendor answered.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Endpoint {
    /// # Errors
    /// The text is no address that may be spoken to, or the machine trusts no certificate.
    pub(crate) fn new(text: &str, plain: Plain, limit: Duration) -> Result<Self, PurgeError> {
        let url = checked(text, plain)?;
        let mut client = Client::builder()
            .timeout(limit)
            .connect_timeout(limit)
            .redirect(redirect::Policy::none())
            .user_agent(concat!("tricache/", env!("CARGO_PKG_VERSION")))
            .tls_backend_preconfigured(tls(&url)?);
        if is_loopback(&url) || plain == Plain::Anywhere {
            client = client.no_proxy();
        }
        let client = client.build().map_err(|error| wrong(&url, &error))?;
        Ok(Self { url, client })
    }

    /// The address with a path below it.
    pub(crate) fn at(&self, path: &str) -> Url {
        let mut url = self.url.clone();
        let path = format!("{}/{path}", url.path().trim_end_matches('/'));
        url.set_path(&path);
        url
    }

    /// As the client writes it into `Host`.
    pub(crate) fn host(&self) -> String {
        let host = self.url.host_str().unwrap_or_default();
        self.url
            .port()
            .map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }

    /// Sends a request and reads the whole answer.
    ///
    /// # Errors
    /// There was no whole answer in time.
    pub(crate) async fn send(
        &self,
        request: impl FnOnce(&Client) -> RequestBuilder,
    ) -> Result<Reply, Failure> {
        let response = request(&self.client)
            .send()
            .await
            .map_err(|error| lost(&error))?;
        read(response).await.map_err(|error| lost(&error))
    }
}

impl Reply {
    /// What the status means, where a success means that the batch is done.
    pub(crate) fn answer(&self) -> Answer {
        if self.status.is_success() {
            return Answer::done();
        }
        Answer::failed(self.failure())
    }

    /// Why there was no success.
    pub(crate) fn failure(&self) -> Failure {
        let text = format!("it answered {}", self.status.as_u16());
        match self.status {
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS => {
                self.passing(text)
            }
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Failure::locked_out(
                text + ": it does not accept the credentials, or they lack a right",
            ),
            StatusCode::NOT_FOUND => Failure::locked_out(
                text + ": it does not know this account, or the address is wrong",
            ),
            status if status.is_redirection() => Failure::locked_out(
                text + ": it redirects, and a token is not sent to another address",
            ),
            status if status.is_client_error() => Failure::refused(text),
            _ => self.passing(text),
        }
    }

    /// A failure that may pass, after as long as the answer wants.
    pub(crate) fn passing(&self, text: String) -> Failure {
        let failure = Failure::passing(text);
        match retry_after(&self.headers, SystemTime::now()) {
            Some(pause) => failure.retry_after(pause),
            None => failure,
        }
    }
}

fn checked(text: &str, plain: Plain) -> Result<Url, PurgeError> {
    // The text is not repeated: it may hold a password.
    let url = Url::parse(text)
        .map_err(|error| PurgeError::config(format!("a vendor's address is no URL: {error}")))?;
    let wrong = |why: &str| {
        PurgeError::config(format!(
            "the address of {} {why}",
            url.host_str().unwrap_or("a vendor")
        ))
    };
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("has a name or password in it; pass a Secret"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(wrong("has a query or fragment"));
    }
    match url.scheme() {
        "https" => Ok(url),
        "http" if plain == Plain::Anywhere || is_loopback(&url) => Ok(url),
        "http" => Err(wrong(
            "is not https, and the token would be readable on the way",
        )),
        _ => Err(wrong("is neither http nor https")),
    }
}

fn is_loopback(url: &Url) -> bool {
    url.host_str().is_some_and(|host| {
        let address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
        address.map_or(host == "localhost", |address| address.is_loopback())
    })
}

/// With ring, whatever else the process has installed. Where no TLS is spoken, a machine without certificates will do.
fn tls(url: &Url) -> Result<ClientConfig, PurgeError> {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong(url, &error))?;
    if url.scheme() == "http" {
        return Ok(builder
            .with_root_certificates(RootCertStore::empty())
            .with_no_client_auth());
    }
    let builder = builder
        .with_platform_verifier()
        .map_err(|error| wrong(url, &error))?;
    Ok(builder.with_no_client_auth())
}

fn wrong(url: &Url, error: &dyn std::error::Error) -> PurgeError {
    let host = url.host_str().unwrap_or("a vendor");
    PurgeError::config(format!("no client could be made for {host}: {error}"))
}

/// Says what happened in words of ours: an error of the client's may show the whole request.
fn lost(error: &reqwest::Error) -> Failure {
    Failure::passing(if error.is_timeout() {
        "it did not answer in time"
    } else if error.is_connect() {
        "it could not be connected to"
    } else {
        "the connection broke"
    })
}

async fn read(mut response: Response) -> Result<Reply, reqwest::Error> {
    let mut body = Vec::new();
    while body.len() < LONGEST_BODY
        && let Some(chunk) = response.chunk().await?
    {
        body.extend_from_slice(&chunk);
    }
    Ok(Reply {
        status: response.status(),
        headers: response.headers().clone(),
        body,
    })
}

/// Answers of purges are short. What is longer is not read to its end, and then is not understood.
const LONGEST_BODY: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_not_sent_over_the_net_without_tls() {
        assert!(checked("https://api.example.com", Plain::Loopback).is_ok());
        assert!(checked("http://127.0.0.1:9", Plain::Loopback).is_ok());
        assert!(checked("http://[::1]:9", Plain::Loopback).is_ok());
        assert!(checked("http://10.0.0.1:6081", Plain::Anywhere).is_ok());
        assert!(
            checked("http://10.0.0.1:6081", Plain::Loopback)
                .unwrap_err()
                .is_config()
        );
        assert!(checked("http://127.0.0.1.example.com", Plain::Loopback).is_err());
    }

    #[test]
    fn an_address_that_is_wrong_says_what_is_wrong_and_no_password() {
        let wrong = [
            "",
            "10.0.0.1:6081",
            "ftp://a",
            "https://",
            "https://me:hunter2@a",
            "https://a?b=hunter2",
        ];

        for text in wrong {
            let error = checked(text, Plain::Anywhere).unwrap_err();
            assert!(error.is_config());
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn every_status_says_whether_it_is_worth_another_try() {
        let kinds = [
            (200, None),
            (201, None),
            (301, Some((false, true))),
            (400, Some((false, false))),
            (401, Some((false, true))),
            (403, Some((false, true))),
            (404, Some((false, true))),
            (408, Some((true, false))),
            (413, Some((false, false))),
            (429, Some((true, false))),
            (500, Some((true, false))),
            (503, Some((true, false))),
        ];

        for (status, expected) in kinds {
            let answer = reply(status, &[]).answer();
            let kind = answer
                .failure()
                .map(|failure| (failure.is_passing(), failure.is_locked_out()));
            assert_eq!(kind, expected, "{status}");
        }
    }

    #[test]
    fn the_wish_of_a_429_and_of_a_503_is_heard() {
        for status in [429, 503] {
            let answer = reply(status, &[("retry-after", "7")]).answer();

            assert_eq!(
                answer.failure().unwrap().pause(),
                Some(Duration::from_secs(7))
            );
        }
    }

    fn reply(status: u16, fields: &[(&'static str, &'static str)]) -> Reply {
        let fields = fields
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        Reply {
            status: StatusCode::from_u16(status).unwrap(),
            headers: fields.collect(),
            body: Vec::new(),
        }
    }
}
