//! Whatever may have changed, and whatever is not certain, is the handler's to answer.

use super::*;

#[tokio::test]
async fn what_was_invalidated_in_this_process_is_not_answered_for() {
    let front = Front::open().await;
    let tag = front.first("/front").await;

    let receipt = front.products.invalidate(&2).await.unwrap();

    assert!(!receipt.is_pending());
    front.assert_asked(&tag).await;
}

#[tokio::test]
async fn what_another_node_invalidated_is_not_answered_for() {
    let front = Front::open().await;
    let tag = front.first("/front").await;
    let (other, products) = node(&front.hub, &front.clock, |tiers| tiers).await;

    products.invalidate(&2).await.unwrap();
    front.tiers.until_caught_up().await.unwrap();

    front.assert_asked(&tag).await;
    other.shutdown(Duration::ZERO).await;
}

/// The node has not heard, so it would serve the value; the last question finds out, as for any page.
#[tokio::test]
async fn what_this_node_was_not_told_of_is_found_by_the_last_question() {
    let front = Front::open().await;
    let tag = front.first("/front").await;
    front.invalidate_unheard().await;

    let answer = front.assert_asked(&tag).await;

    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.headers()["cache-control"], "private, no-store");
    assert_eq!(front.layer.report().moved(), 1);
}

/// What the last question is good for: without it an edge would keep the old page for another life.
#[tokio::test]
async fn without_the_last_question_it_is_answered_for() {
    let unasked = |tiers: TiersBuilder| tiers.without(Protection::Guard);
    let front = Front::on(layer(), Public.reads_only_caches(), &[], unasked).await;
    let tag = front.first("/front").await;
    front.invalidate_unheard().await;

    front.assert_ahead("/front", &tag).await;
}

#[tokio::test]
async fn what_the_remote_tier_does_not_confirm_is_not_answered_for() {
    let front = Front::open().await;
    let tag = front.first("/front").await;

    front.hub.refuse(true);

    front.assert_asked(&tag).await;
}

#[tokio::test]
async fn a_page_of_which_a_tag_was_bumped_is_not_answered_for() {
    let front = Front::open().await;
    let tag = front.first("/front").await;

    let lamps = [Tag::new("lamps")];
    front.tiers.invalidate_tags(lamps).await.unwrap();

    front.assert_asked(&tag).await;
}

#[tokio::test]
async fn a_page_of_a_cache_that_was_cleared_is_not_answered_for() {
    let front = Front::open().await;
    let tag = front.first("/front").await;

    front.products.clear().await.unwrap();

    front.assert_asked(&tag).await;
}

#[tokio::test]
async fn past_its_ttl_a_page_is_not_answered_for() {
    let front = Front::open().await;
    let tag = front.first("/front").await;

    front.clock.advance(Duration::from_secs(61));
    front.tiers.until_caught_up().await.unwrap();

    front.assert_asked(&tag).await;
}

#[tokio::test]
async fn while_the_feed_is_not_proven_nothing_is_answered_for() {
    let front = Front::open().await;
    let tag = front.first("/front").await;

    front.clock.advance(Duration::from_secs(5));

    front.assert_asked(&tag).await;
}

/// An equal value is another one: that which it took the place of may have had other tags.
#[tokio::test]
async fn a_value_that_was_loaded_anew_is_remembered_anew() {
    let front = Front::open().await;
    let tag = front.first("/front").await;
    front.products.invalidate(&1).await.unwrap();
    front.settle().await;

    front.assert_asked(&tag).await;
    front.assert_ahead("/front", &tag).await;
}

#[tokio::test]
async fn a_route_that_does_not_declare_it_is_not_answered_for() {
    let front = Front::open().await;
    let tag = front.first("/undeclared").await;

    let asks = [("if-none-match", &*tag)];
    let answer = front.assert_handled("/undeclared", &asks).await;

    assert_eq!(answer.status(), StatusCode::NOT_MODIFIED);
}

#[tokio::test]
async fn what_its_handler_keeps_private_or_dates_is_not_answered_for() {
    for own in [
        &[("cache-control", "private"), ("etag", "\"own\"")][..],
        &[("cache-control", "no-store"), ("etag", "\"own\"")],
        &[("set-cookie", "a=b"), ("etag", "\"own\"")],
        &[("age", "5")],
        &[("expires", "Thu, 01 Jan 2099 00:00:00 GMT")],
        &[("vary", "*"), ("etag", "\"own\"")],
    ] {
        let front = Front::with(layer(), Public.reads_only_caches(), own).await;
        let tag = front.first("/front").await;

        front.assert_asked(&tag).await;
    }
}

#[tokio::test]
async fn who_is_authorized_is_not_answered_for() {
    let front = Front::open().await;
    let tag = front.first("/front").await;

    let asks = [("if-none-match", &*tag), ("authorization", "Basic eA==")];
    let answer = front.assert_handled("/front", &asks).await;

    assert_eq!(answer.status(), StatusCode::OK);
}

/// A layer outside, such as one that looks at who asks, comes first.
#[tokio::test]
async fn what_a_layer_outside_refuses_is_refused() {
    let front = Front::open().await;
    let tag = front.first("/front").await;
    let refuse = async |_: axum::extract::Request, _: axum::middleware::Next| StatusCode::FORBIDDEN;
    let guarded = front.router.clone();
    let guarded = guarded.layer(axum::middleware::from_fn(refuse));
    let request = Request::get("/front").header("if-none-match", &tag);

    let answer = guarded.oneshot(request.body(Body::empty()).unwrap()).await;

    assert_eq!(answer.unwrap().status(), StatusCode::FORBIDDEN);
    assert_eq!(front.ahead(), 0);
}

#[tokio::test]
async fn other_conditions_and_methods_are_the_handlers() {
    let front = Front::open().await;
    let tag = front.first("/front").await;

    for other in ["if-match", "if-unmodified-since", "range"] {
        let asks = [("if-none-match", &*tag), (other, "x")];
        front.assert_handled("/front", &asks).await;
    }
    front.assert_asked("\"another\"").await;
    let asks = [("if-modified-since", "x")];
    front.assert_handled("/front", &asks).await;
    let asks = [("if-none-match", &*tag)];
    let answer = front.ask_by("POST", "/front", &asks).await;
    assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(front.ahead(), 0);
}

#[tokio::test]
async fn who_is_told_why_is_told_by_the_handlers_page() {
    let layer = layer().explain_to("sesame");
    let front = Front::with(layer, Public.reads_only_caches(), &[]).await;
    let tag = front.first("/front").await;

    let asks = [("if-none-match", &*tag), ("tricache-debug", "sesame")];
    let answer = front.assert_handled("/front", &asks).await;

    assert!(answer.headers().contains_key("tricache-edge"));
}

/// It shows that there is no such product, which no cache remembers: the next look may find one.
#[tokio::test]
async fn a_page_that_looked_in_vain_is_not_remembered() {
    let front = Front::open().await;
    let tag = front.first("/front?misses").await;

    let asks = [("if-none-match", &*tag)];
    front.assert_handled("/front?misses", &asks).await;
}

/// The first answer has loaded what it shows; who asks next finds all of it in this process.
#[tokio::test]
async fn a_page_that_had_to_wait_for_its_data_is_remembered_the_next_time() {
    let front = Front::open().await;
    front.products.invalidate(&1).await.unwrap();
    let tag = front.first("/front").await;
    front.settle().await;

    front.assert_asked(&tag).await;
    front.assert_ahead("/front", &tag).await;
}

#[tokio::test]
async fn what_an_outer_request_asks_for_is_the_handlers() {
    let front = Front::open().await;
    let tag = front.first("/front").await;

    RequestScope::new().run(front.assert_asked(&tag)).await;
}
