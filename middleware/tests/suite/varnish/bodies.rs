//! Bodies that stream, break off or are parts, at a Varnish in front.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    response::{IntoResponse, Response},
    routing::get,
};
use futures_util::stream;
use http::{
    HeaderMap, HeaderValue, Request, StatusCode,
    header::{CONTENT_RANGE, RANGE},
};
use tricache_middleware::{EdgeLayer, Profile, Public};
use tricache_test_support::VarnishServer;

use super::varnish_before;
use crate::{origin::Origin, support::Shop, visitor::Visitor};

#[tokio::test]
async fn a_body_that_streams_is_kept_whole() {
    let (origin, varnish) = site().await;
    let mut visitor = Visitor::of(varnish.address());

    let first = visitor.get("/streamed").await;
    let second = visitor.get("/streamed").await;

    assert_eq!((&*first.body, first.is_hit()), ("one two three", false));
    assert_eq!((&*second.body, second.is_hit()), ("one two three", true));
    assert_eq!(origin.answers("/streamed"), [200]);
}

#[tokio::test]
async fn a_body_that_breaks_off_is_not_kept() {
    let (origin, varnish) = site().await;
    let mut visitor = Visitor::of(varnish.address());

    let broken = visitor.get("/breaks-off-once").await;
    let whole = visitor.get("/breaks-off-once").await;
    let kept = visitor.get("/breaks-off-once").await;

    assert!(!broken.is_whole || broken.status == 503, "{broken:?}");
    assert_eq!((&*whole.body, whole.is_hit()), ("one two three", false));
    assert_eq!((&*kept.body, kept.is_hit()), ("one two three", true));
    assert_eq!(origin.answers("/breaks-off-once"), [200, 200]);
}

/// Varnish fetches the whole page, and answers parts of it by itself.
#[tokio::test]
async fn who_asks_for_a_part_is_answered_out_of_the_whole_page() {
    let (origin, varnish) = site().await;
    let mut visitor = Visitor::of(varnish.address());
    let part = |range| {
        let request = Request::get("/whole").header("range", range);
        request.body(()).unwrap()
    };

    for (range, expected) in [("bytes=0-2", "one"), ("bytes=4-6", "two")] {
        let seen = visitor.ask(&part(range)).await;
        assert_eq!((seen.status.as_u16(), &*seen.body), (206, expected));
    }

    let whole = visitor.get("/whole").await;
    assert_eq!((&*whole.body, whole.is_hit()), ("one two three", true));
    assert_eq!(origin.answers("/whole"), [200]);
}

/// What Varnish passes on it passes on with its range: the part that comes back is that visitor's alone.
#[tokio::test]
async fn a_part_that_a_handler_makes_is_not_kept() {
    let (origin, varnish) = site().await;
    let mut visitor = Visitor::of(varnish.address());
    let part = Request::get("/ranges")
        .header("range", "bytes=0-2")
        .header("authorization", "Bearer x");

    let part = visitor.ask(&part.body(()).unwrap()).await;
    let whole = visitor.get("/ranges").await;

    assert_eq!((part.status.as_u16(), &*part.body), (206, "one"));
    assert_eq!(
        (whole.status.as_u16(), &*whole.body),
        (200, "one two three")
    );
    assert!(visitor.get("/ranges").await.is_hit());
    assert_eq!(origin.answers("/ranges"), [206, 200]);
}

/// Varnish has asked for all of it, and takes the answer for a mistake.
#[tokio::test]
async fn a_part_that_nobody_has_asked_for_is_an_error_and_not_kept() {
    let (origin, varnish) = site().await;
    let mut visitor = Visitor::of(varnish.address());

    for _ in 0..2 {
        assert_eq!(visitor.get("/parts-only").await.status, 503);
    }

    assert_eq!(origin.answers("/parts-only"), [206, 206]);
}

async fn site() -> (Origin, VarnishServer) {
    let pages = Pages {
        shop: Shop::open().await,
        broken: Arc::default(),
    };
    let router = Router::new()
        .route("/streamed", get(streamed))
        .route("/breaks-off-once", get(breaks_off_once))
        .route("/whole", get(whole))
        .route("/ranges", get(ranges))
        .route("/parts-only", get(part))
        .layer(Public)
        .layer(EdgeLayer::new(Profile::varnish()))
        .with_state(pages);
    let origin = Origin::start(router).await;
    let varnish = varnish_before(&origin);
    (origin, varnish)
}

#[derive(Clone)]
struct Pages {
    shop: Shop,
    broken: Arc<AtomicUsize>,
}

async fn streamed(State(pages): State<Pages>) -> Body {
    pages.shop.read_product(1).await;
    body([Ok("one "), Ok("two "), Ok("three")])
}

async fn breaks_off_once(State(pages): State<Pages>) -> Body {
    pages.shop.read_product(1).await;
    if pages.broken.fetch_add(1, SeqCst) == 0 {
        let gone = io::Error::from(io::ErrorKind::BrokenPipe);
        return body([Ok("one "), Ok("two "), Err(gone)]);
    }
    body([Ok("one "), Ok("two "), Ok("three")])
}

async fn whole(State(pages): State<Pages>) -> &'static str {
    pages.shop.read_product(1).await;
    "one two three"
}

/// It knows one range.
async fn ranges(pages: State<Pages>, asked: HeaderMap) -> Response {
    if asked.contains_key(RANGE) {
        part(pages).await
    } else {
        whole(pages).await.into_response()
    }
}

async fn part(State(pages): State<Pages>) -> Response {
    pages.shop.read_product(1).await;
    let mut response = (StatusCode::PARTIAL_CONTENT, "one").into_response();
    let range = HeaderValue::from_static("bytes 0-2/13");
    response.headers_mut().insert(CONTENT_RANGE, range);
    response
}

fn body(parts: [io::Result<&'static str>; 3]) -> Body {
    let parts = parts.map(|part| part.map(Bytes::from));
    Body::from_stream(stream::iter(parts))
}
