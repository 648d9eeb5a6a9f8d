//! Who is shown what nginx keeps.

use http::{
    Method, Request,
    header::{ACCEPT_LANGUAGE, AUTHORIZATION},
};

use super::site::{Site, cache, layer, nginx_before};
use crate::{
    onlookers::{look, pages, shapes},
    origin::Origin,
};

#[tokio::test]
async fn nginx_shows_nobody_what_was_made_for_another() {
    let origin = Origin::start(pages(layer()).await).await;
    let nginx = nginx_before(&origin, &[]);

    let mut shapes = shapes();
    shapes.retain(|shape| {
        let is_read = [Method::GET, Method::HEAD].contains(&shape.method);
        is_read && [200, 404, 500].contains(&shape.status)
    });

    let outcome = look(nginx.address(), &shapes).await;

    assert!(outcome.wrong.is_empty(), "{:#?}", outcome.wrong);
    // Marked pages with status 200 or 404: after 6 requests that may be shared both onlookers, after 12 others the second; of those
    // that vary, after 2 requests without a cookie the first.
    assert_eq!(outcome.shared, 2 * (6 * 2 + 12) + 2 * 2);
}

#[tokio::test]
async fn each_language_has_a_page_of_its_own() {
    let site = Site::open(layer()).await;
    let mut visitor = site.visitor();
    let mut seen = Vec::new();

    for language in ["de", "en", "de", "en"] {
        let request = Request::get("/greeting").header(ACCEPT_LANGUAGE, language);
        let answer = visitor.ask(&request.body(()).unwrap()).await;
        seen.push((answer.body.clone(), cache(&answer).to_owned()));
    }

    let expected = [("de", "MISS"), ("en", "MISS"), ("de", "HIT"), ("en", "HIT")];
    assert_eq!(
        seen,
        expected.map(|(body, cache)| (body.to_owned(), cache.to_owned()))
    );
}

/// nginx alone would hand it what it keeps.
#[tokio::test]
async fn who_sends_authorization_is_answered_by_the_service() {
    let site = Site::open(layer()).await;
    let mut visitor = site.visitor();
    visitor.get("/page").await;
    let asks = Request::get("/page").header(AUTHORIZATION, "Bearer x");

    let seen = visitor.ask(&asks.body(()).unwrap()).await;

    assert_eq!(cache(&seen), "BYPASS");
    assert_eq!(seen.header("cache-control"), "private, no-store");
    assert_eq!(site.origin.answers("/page"), [200, 200]);
    assert_eq!(cache(&visitor.get("/page").await), "HIT");
}
