//! Nothing that was made for one user is served to another, and what is everybody's is kept.

use axum::{middleware::map_response, response::Response};
use http::{
    HeaderValue, Method, Request,
    header::{AUTHORIZATION, CACHE_CONTROL},
};
use tricache_middleware::{EdgeLayer, Profile};

use super::{site::Site, varnish_before};
use crate::{
    onlookers::{SHARED, look, pages, shapes, unlayered_pages},
    origin::Origin,
};

/// Cookies × authorization × methods × `Set-Cookie` × status × mark × visibility: 3,240 pages, and two onlookers for each.
#[tokio::test]
async fn varnish_shows_nobody_what_was_made_for_another() {
    let origin = Origin::start(pages(EdgeLayer::new(Profile::varnish())).await).await;
    let varnish = varnish_before(&origin);

    let outcome = look(varnish.address(), &shapes()).await;

    assert!(outcome.wrong.is_empty(), "{:#?}", outcome.wrong);
    assert_eq!(outcome.shared, SHARED);
}

/// What the onlookers would see: so the test before this one can fail.
#[tokio::test]
async fn a_policy_that_says_public_everywhere_is_found_out() {
    let router = unlayered_pages().await.layer(map_response(say_public));
    let origin = Origin::start(router).await;
    let varnish = varnish_before(&origin);
    let mut plain = shapes();
    plain.retain(|shape| {
        let asks = shape.method == Method::GET && shape.authorization.is_empty();
        asks && shape.sets_cookie == "nobody" && shape.status == 200
    });

    let outcome = look(varnish.address(), &plain).await;

    // For each of 3 cookies both onlookers see one marked page and two others; one sees a page that varies and is not marked.
    assert_eq!(outcome.wrong.len(), 3 * 3 * 2 + 1, "{:#?}", outcome.wrong);
}

#[tokio::test]
async fn who_sends_authorization_is_answered_by_the_service() {
    let site = Site::open().await;
    site.store.put(1, "lamp", []);
    let mut visitor = site.visitor();
    visitor.get("/products/1").await;
    let asks = Request::get("/products/1").header(AUTHORIZATION, "Bearer x");

    let seen = visitor.ask(&asks.body(()).unwrap()).await;

    assert!(!seen.is_hit());
    assert_eq!(seen.header("cache-control"), "private, no-store");
    assert_eq!(site.origin.answers("/products/1"), [200, 200]);
    assert!(visitor.get("/products/1").await.is_hit());
}

async fn say_public(mut response: Response) -> Response {
    let policy = HeaderValue::from_static("public, s-maxage=60");
    response.headers_mut().insert(CACHE_CONTROL, policy);
    response
}
