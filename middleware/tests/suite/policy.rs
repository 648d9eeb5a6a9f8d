//! What of a page's headers the profile and the handler choose.

use crate::support::*;
use http::StatusCode;
use tricache_middleware::{EdgeLayer, Profile};

#[tokio::test]
async fn an_entity_that_is_read_twice_is_named_once() {
    let shop = Shop::open().await;
    let reads = async move {
        shop.read_product(42).await;
        shop.read_product(42).await;
    };

    let headers = headers_after(Profile::fastly(), reads).await;

    assert_shared(&headers, 60, "product.42");
}

#[tokio::test]
async fn no_transform_survives() {
    let headers = headers_for(
        get(),
        public(StatusCode::OK, &[("cache-control", "no-transform")]),
    )
    .await;
    assert_eq!(
        only(&headers, "cache-control"),
        "public, max-age=0, must-revalidate, no-transform"
    );

    let headers = headers_for(
        get(),
        unmarked(StatusCode::OK, &[("cache-control", "no-transform")]),
    )
    .await;
    assert_eq!(
        only(&headers, "cache-control"),
        "private, no-store, no-transform"
    );
}

#[tokio::test]
async fn the_handlers_own_surrogate_keys_are_kept() {
    let headers = headers_for(
        get(),
        public(StatusCode::OK, &[("surrogate-key", "front product.42")]),
    )
    .await;

    assert_shared(&headers, 60, "front product.42");
}

#[tokio::test]
async fn the_profile_sets_what_browsers_may_keep() {
    let shop = Shop::open().await;
    let profile = Profile::fastly().browser_ttl(std::time::Duration::from_secs(5));
    let reads = async move { shop.read_product(42).await };

    let headers = headers_after(profile, reads).await;

    assert_eq!(
        only(&headers, "cache-control"),
        "public, max-age=5, must-revalidate"
    );
    assert_eq!(only(&headers, "surrogate-control"), "max-age=60");
}

#[tokio::test]
async fn the_profile_bounds_what_the_edge_may_keep() {
    let shop = Shop::open().await;
    let profile = Profile::varnish().max_shared_ttl(std::time::Duration::from_secs(15));
    let reads = async move { shop.read_product(42).await };

    let headers = headers_after(profile, reads).await;

    assert_shared(&headers, 15, "product.42");
}

#[tokio::test]
async fn names_are_written_in_the_portable_alphabet() {
    let shop = Shop::open().await;
    let reads = async move { shop.read_list("Table Lamps, red").await };

    let headers = headers_after(Profile::fastly(), reads).await;

    let keys = only(&headers, "surrogate-key");
    assert!(keys.starts_with("list._table"), "{keys}");
    assert!(
        keys.bytes()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-')),
        "{keys}"
    );
}

#[tokio::test]
async fn too_many_entities_are_one_key_for_their_cache_and_counted() {
    let layer = EdgeLayer::new(Profile::fastly());
    for (products, coarsened) in [(200, 0), (300, 1)] {
        let shop = Shop::open().await;
        let reads = async move {
            for id in 1..=products {
                shop.read_product(id).await;
            }
            shop.read_list("lamps").await;
        };

        let page = page(|| reads, public(StatusCode::OK, &[]));
        let headers = headers(layer.clone(), page, get()).await;

        if coarsened == 0 {
            assert_eq!(only(&headers, "surrogate-key").split(' ').count(), 201);
        } else {
            assert_shared(&headers, 20, "product._1 list.lamps");
        }
        assert_eq!(layer.report().coarsened(), coarsened);
    }
    assert_eq!(
        (layer.report().shared(), layer.report().over_budget()),
        (2, 0)
    );
}

#[tokio::test]
async fn the_profile_bounds_the_keys_and_what_does_not_fit_is_not_shared() {
    let layer = EdgeLayer::new(Profile::fastly().key_budget(20));
    let shop = Shop::open().await;
    let own = [("surrogate-key", "front-page-in-full")];
    let reads = async move { shop.read_product(42).await };

    let page = page(|| reads, public(StatusCode::OK, &own));
    let headers = headers(layer.clone(), page, get()).await;

    assert_not_shared(&headers);
    assert_eq!(
        (layer.report().over_budget(), layer.report().not_shared()),
        (1, 1)
    );
}
