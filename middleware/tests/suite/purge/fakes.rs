//! Fakes of the vendors' purge interfaces: servers on loopback that keep to the documented limits and note what was purged.
//!
//! A request that breaks a rule of its vendor is answered as the vendor would, and counted apart from those that were obeyed. On
//! demand a fake answers 401, 429, 500, a redirect, or nothing at all.

mod rules;

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    response::{IntoResponse, Response},
};
use http::{Method, StatusCode, header::RETRY_AFTER, request::Parts};
use tokio::{net::TcpListener, task::AbortHandle};

pub(crate) use rules::{VENDORS, Vendor};

/// What every fake takes for the right token.
pub(crate) const TOKEN: &str = "hunter2-s3cret";

/// One vendor's purge interface.
pub(crate) struct Fake {
    address: SocketAddr,
    inner: Arc<Inner>,
    server: AbortHandle,
}

/// How a fake answers one request instead of obeying it.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    Status(u16),
    StatusWith(u16, &'static str, String),
    /// A body that says more than the status.
    Body(u16, &'static str),
    Silence,
    Hangup,
}

struct Inner {
    vendor: Vendor,
    faults: Mutex<VecDeque<Fault>>,
    purged: Mutex<Vec<String>>,
    requests: Mutex<Vec<StatusCode>>,
    quota: Mutex<Option<Quota>>,
}

/// So many calls, then none for a while of real time.
struct Quota {
    calls: usize,
    pause: Duration,
    used: usize,
    over_until: Option<Instant>,
}

impl Fake {
    pub(crate) async fn of(vendor: Vendor) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let inner = Arc::new(Inner {
            vendor,
            faults: Mutex::default(),
            purged: Mutex::default(),
            requests: Mutex::default(),
            quota: Mutex::default(),
        });
        let app = Router::new()
            .fallback(answer)
            .with_state(Arc::clone(&inner));
        let server = tokio::spawn(async move { axum::serve(listener, app).await });
        Self {
            address,
            inner,
            server: server.abort_handle(),
        }
    }

    /// The next requests meet with these, one each; all later ones are obeyed.
    pub(crate) fn failing(self, faults: impl IntoIterator<Item = Fault>) -> Self {
        self.inner.faults.lock().unwrap().extend(faults);
        self
    }

    /// After so many calls it answers 429 and a time, until that has passed.
    pub(crate) fn with_quota(self, calls: usize, pause: Duration) -> Self {
        *self.inner.quota.lock().unwrap() = Some(Quota {
            calls,
            pause,
            used: 0,
            over_until: None,
        });
        self
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What was purged, call by call, in words.
    pub(crate) fn purged(&self) -> Vec<String> {
        self.inner.purged.lock().unwrap().clone()
    }

    /// What each request was answered; 408 where nothing was, and 502 where the connection was broken.
    pub(crate) fn statuses(&self) -> Vec<u16> {
        let requests = self.inner.requests.lock().unwrap();
        requests.iter().map(StatusCode::as_u16).collect()
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn answer(State(fake): State<Arc<Inner>>, parts: Parts, body: Bytes) -> Response {
    let fault = fake.faults.lock().unwrap().pop_front();
    let response = match fault {
        Some(Fault::Silence) => {
            fake.note(StatusCode::REQUEST_TIMEOUT);
            std::future::pending().await
        }
        // The connection breaks with the handler.
        Some(Fault::Hangup) => {
            fake.note(StatusCode::BAD_GATEWAY);
            panic!("hung up, as the test wants")
        }
        Some(Fault::Status(status)) => StatusCode::from_u16(status).unwrap().into_response(),
        Some(Fault::StatusWith(status, name, value)) => {
            (StatusCode::from_u16(status).unwrap(), [(name, value)]).into_response()
        }
        Some(Fault::Body(status, body)) => {
            (StatusCode::from_u16(status).unwrap(), body).into_response()
        }
        None => fake.obey(&parts, &body),
    };
    fake.note(response.status());
    response
}

impl Inner {
    fn note(&self, status: StatusCode) {
        self.requests.lock().unwrap().push(status);
    }

    fn obey(&self, parts: &Parts, body: &[u8]) -> Response {
        if let Some(refusal) = self.over_quota() {
            return refusal;
        }
        match self.vendor.obey(parts, body) {
            Ok(purge) => {
                self.purged.lock().unwrap().push(purge.words());
                self.vendor.success(&purge)
            }
            Err(status) => self.vendor.refusal(status),
        }
    }

    fn over_quota(&self) -> Option<Response> {
        let mut quota = self.quota.lock().unwrap();
        let quota = quota.as_mut()?;
        if quota
            .over_until
            .is_some_and(|until| until <= Instant::now())
        {
            (quota.used, quota.over_until) = (0, None);
        }
        quota.used += 1;
        if quota.used <= quota.calls {
            return None;
        }
        quota.over_until.get_or_insert(Instant::now() + quota.pause);
        let seconds = quota.pause.as_secs().to_string();
        Some((StatusCode::TOO_MANY_REQUESTS, [(RETRY_AFTER, seconds)]).into_response())
    }
}

/// The method of Varnish's purges.
fn purge_method() -> Method {
    Method::from_bytes(b"PURGE").unwrap()
}
