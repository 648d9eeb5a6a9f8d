//! What a 304 ahead of the handler says, and which pages are remembered.

use http::header::{ACCEPT_LANGUAGE, CONTENT_LENGTH, HOST};

use super::*;

#[tokio::test]
async fn a_client_that_has_the_page_is_answered_without_its_handler() {
    let front = Front::open().await;
    let tag = front.first("/front").await;

    front.assert_ahead("/front", &tag).await;
    front.assert_ahead("/front", &tag).await;

    assert_eq!(front.handled(), 1);
}

#[tokio::test]
async fn it_says_what_the_handlers_own_304_says_with_the_life_of_now() {
    let own = &[
        ("content-location", "/front.html"),
        ("surrogate-key", "own"),
    ];
    let front = Front::with(layer(), Public.reads_only_caches(), own).await;
    let tag = front.first("/front").await;
    front.clock.advance(Duration::from_millis(7_500));
    front.settle().await;

    let ahead = headers_of(front.again("/front", &tag).await);
    assert_eq!((front.handled(), front.ahead()), (1, 1));
    let asks = [("if-none-match", &*tag), ("range", "bytes=0-1")];
    let slow = front.assert_handled("/front", &asks).await;

    assert_eq!(slow.status(), StatusCode::NOT_MODIFIED);
    assert_eq!(ahead, headers_of(slow));
    assert_eq!(ahead["surrogate-control"], "max-age=52");
    assert_eq!(ahead["surrogate-key"], "own product.1 product.2 lamps");
    assert_eq!(ahead[CONTENT_LENGTH], "8");
}

#[tokio::test]
async fn head_is_answered_alike_and_is_not_remembered_itself() {
    let front = Front::open().await;
    let head = front.ask_by("HEAD", "/front", &[]).await;
    let tag = tag_of(&head);
    let asks = [("if-none-match", &*tag)];
    front.assert_handled("/front", &asks).await;

    let answer = front.ask_by("HEAD", "/front", &asks).await;

    assert_eq!(answer.status(), StatusCode::NOT_MODIFIED);
    assert_eq!((front.handled(), front.ahead()), (2, 1));
}

#[tokio::test]
async fn what_the_page_varies_on_is_a_part_of_its_place() {
    let mark = Public.varies_on(ACCEPT_LANGUAGE).reads_only_caches();
    let front = Front::with(layer(), mark, &[]).await;
    let tag = tag_of(&front.ask("/front", &[("accept-language", "de")]).await);
    let has_it = ("if-none-match", &*tag);

    let french = [has_it, ("accept-language", "fr")];
    front.assert_handled("/front", &french).await;
    front.assert_handled("/front", &[has_it]).await;
    let ahead = front
        .ask("/front", &[has_it, ("accept-language", "de")])
        .await;

    assert_eq!(ahead.status(), StatusCode::NOT_MODIFIED);
    assert_eq!(ahead.headers()["vary"], "accept-language");
    assert_eq!(front.ahead(), 1);
}

#[tokio::test]
async fn another_host_path_or_query_is_another_page() {
    let front = Front::open().await;
    let tag = front.first("/front").await;
    let has_it = ("if-none-match", &*tag);

    for path in ["/other", "/front?page=2"] {
        front.assert_handled(path, &[has_it]).await;
    }
    let host = [has_it, (HOST.as_str(), "shop.example")];
    front.assert_handled("/front", &host).await;
}

#[tokio::test]
async fn a_full_map_forgets_a_page_and_never_answers_for_another() {
    let layer = layer().remembered_pages(1);
    let front = Front::with(layer, Public.reads_only_caches(), &[]).await;
    let tag = front.first("/front").await;
    front.assert_ahead("/front", &tag).await;

    front.first("/other").await;

    front.assert_ahead("/other", &tag).await;
    front
        .assert_handled("/front", &[("if-none-match", &tag)])
        .await;
}

#[tokio::test]
async fn nothing_is_remembered_where_no_page_may_be() {
    let layer = layer().remembered_pages(0);
    let front = Front::with(layer, Public.reads_only_caches(), &[]).await;
    let tag = front.first("/front").await;

    front
        .assert_handled("/front", &[("if-none-match", &tag)])
        .await;
}

#[tokio::test]
async fn two_services_of_one_layer_do_not_answer_for_each_other() {
    let front = Front::open().await;
    let tag = front.first("/front").await;
    let another = get(async || "another").layer(Public.reads_only_caches());
    let other = Router::new()
        .route("/front", another)
        .layer(front.layer.clone());
    let request = Request::get("/front").header("if-none-match", &tag);

    let answer = other.oneshot(request.body(Body::empty()).unwrap()).await;

    assert_eq!(answer.unwrap().status(), StatusCode::OK);
    assert_eq!(front.ahead(), 0);
}

#[tokio::test]
async fn what_is_asked_for_past_the_edge_is_answered_for_its_browser_alone() {
    let through = http::HeaderName::from_static("x-edge");
    let layer = layer().only_through(through, "sesame");
    let front = Front::with(layer, Public.reads_only_caches(), &[]).await;
    let tag = tag_of(&front.ask("/front", &[("x-edge", "sesame")]).await);

    let answer = front.again("/front", &tag).await;

    assert_eq!(answer.status(), StatusCode::NOT_MODIFIED);
    assert_eq!(front.ahead(), 1);
    let policy = "private, max-age=0, must-revalidate";
    assert_eq!(answer.headers()["cache-control"], policy);
    assert!(!answer.headers().contains_key("surrogate-key"));
}

#[tokio::test]
async fn cache_status_tells_of_a_hit() {
    let layer = layer().cache_status();
    let front = Front::with(layer, Public.reads_only_caches(), &[]).await;
    let tag = front.first("/front").await;

    let answer = front.again("/front", &tag).await;

    assert_eq!(front.ahead(), 1);
    assert_eq!(answer.headers()["cache-status"], "tricache;hit");
}
