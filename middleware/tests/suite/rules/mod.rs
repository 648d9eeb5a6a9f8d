//! Every named rule, seen from outside: a page behind an axum router, and all headers that leave it.
//!
//! S rules say whether a response may be shared, F rules for how long and in which words, T rules how that stands in the
//! fields of edges, V rules when a 304 will do, C rules how the tiers' answers are told, G and M rules how keys are.
//! `docs/http.md` lists them.
//! Rules that look at the visibility of data, or at tags, have their tests beside the layer, and with real reads in
//! `reads`.

mod bad_input;
mod book;
mod freshness;
mod hygiene;
mod profiles;
mod sharing;
mod status;
mod targeted;
mod validators;

use std::time::Duration;

use axum::{Router, body::Body, routing::any};
use http::{HeaderMap, Request, Response};
use tower::ServiceExt;
use tricache_middleware::{EdgeLayer, Profile, Public, PublicVarying};

use crate::support::Shop;

/// What is written on a page that may be shared for a minute.
const SHARED: [&str; 3] = [
    "cache-control: public, max-age=0, must-revalidate",
    "surrogate-control: max-age=60",
    "surrogate-key: product.42",
];

/// What is written on a page that nobody may keep.
const NOT_SHARED: [&str; 2] = [
    "cache-control: private, no-store",
    "surrogate-control: private, no-store",
];

/// `SHARED`, but for another lifetime.
fn shared_for(seconds: u64) -> Vec<String> {
    let lifetime = format!("surrogate-control: max-age={seconds}");
    [SHARED[0], &lifetime, SHARED[2]]
        .map(str::to_owned)
        .to_vec()
}

/// The expected lines and some more, in the order in which a page answers them.
fn and(expected: &[&str], more: &[&str]) -> Vec<String> {
    let mut lines: Vec<String> = [expected, more]
        .concat()
        .into_iter()
        .map(str::to_owned)
        .collect();
    lines.sort();
    lines
}

/// A request and the page that answers it. By default a marked page that reads product 42, which lives for a minute.
#[derive(Clone)]
struct Page {
    method: &'static str,
    asks: Vec<(&'static str, String)>,
    status: u16,
    mark: Mark,
    says: Vec<(&'static str, &'static str)>,
    reads: bool,
    /// Milliseconds from the read to the headers.
    takes: u64,
    layer: EdgeLayer,
}

#[derive(Clone)]
enum Mark {
    None,
    Public,
    Varying(PublicVarying),
}

fn page() -> Page {
    Page {
        method: "GET",
        asks: Vec::new(),
        status: 200,
        mark: Mark::Public,
        says: Vec::new(),
        reads: true,
        takes: 0,
        layer: EdgeLayer::new(Profile::varnish()),
    }
}

impl Page {
    fn method(self, method: &'static str) -> Self {
        Self { method, ..self }
    }

    fn asks(mut self, name: &'static str, value: &str) -> Self {
        self.asks.push((name, value.to_owned()));
        self
    }

    fn status(self, status: u16) -> Self {
        Self { status, ..self }
    }

    fn unmarked(self) -> Self {
        Self {
            mark: Mark::None,
            ..self
        }
    }

    fn varies_on(self, mark: PublicVarying) -> Self {
        Self {
            mark: Mark::Varying(mark),
            ..self
        }
    }

    fn says(mut self, name: &'static str, value: &'static str) -> Self {
        self.says.push((name, value));
        self
    }

    fn reads_nothing(self) -> Self {
        Self {
            reads: false,
            ..self
        }
    }

    fn takes(self, milliseconds: u64) -> Self {
        Self {
            takes: milliseconds,
            ..self
        }
    }

    fn profile(self, profile: Profile) -> Self {
        self.layer(EdgeLayer::new(profile))
    }

    fn layer(self, layer: EdgeLayer) -> Self {
        Self { layer, ..self }
    }

    /// All headers of the answer, sorted; but for the length, which the router adds.
    async fn answer(self) -> Vec<String> {
        lines(self.ask().await.headers())
    }

    async fn ask(self) -> Response<Body> {
        let mut request = Request::builder().method(self.method).uri("/page");
        for (name, value) in &self.asks {
            request = request.header(*name, value);
        }
        let request = request.body(Body::empty()).unwrap();
        self.router().await.oneshot(request).await.unwrap()
    }

    async fn router(self) -> Router {
        let shop = Shop::open().await;
        let (layer, mark) = (self.layer.clone(), self.mark.clone());
        let handler = move || async move {
            if self.reads {
                shop.read_product(42).await;
            }
            shop.clock.advance(Duration::from_millis(self.takes));
            self.response()
        };
        let route = any(handler);
        let route = match mark {
            Mark::None => route,
            Mark::Public => route.layer(Public),
            Mark::Varying(varying) => route.layer(varying),
        };
        Router::new().route("/page", route).layer(layer)
    }

    fn response(&self) -> Response<Body> {
        let mut response = Response::builder().status(self.status);
        for (name, value) in &self.says {
            response = response.header(*name, *value);
        }
        response.body(Body::from("page")).unwrap()
    }
}

/// All headers, sorted; but for the length, which the router adds.
fn lines(headers: &HeaderMap) -> Vec<String> {
    let mut lines: Vec<String> = headers
        .iter()
        .filter(|(name, _)| *name != "content-length")
        .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
        .collect();
    lines.sort();
    lines
}
