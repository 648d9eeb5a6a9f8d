//! What the headers of a response say: each rule about sharing, seen from outside.

use crate::support::*;
use http::{Method, Request, StatusCode};
use tricache_middleware::{EdgeLayer, Profile};

#[tokio::test]
async fn a_marked_route_is_shared_for_what_remains_of_what_it_read() {
    let headers = headers_for(get(), public(StatusCode::OK, &[])).await;

    assert_shared(&headers, 60, "product.42");
}

#[tokio::test]
async fn the_entity_that_dies_first_decides() {
    let shop = Shop::open().await;
    let reads = {
        let shop = shop.clone();
        async move {
            shop.read_product(1).await;
            shop.read_list("lamps").await;
            shop.read_product(2).await;
        }
    };

    let headers = headers_after(Profile::varnish(), reads).await;

    assert_shared(&headers, 20, "product.1 list.lamps product.2");
}

#[tokio::test]
async fn life_is_what_remains_when_the_headers_are_written() {
    let shop = Shop::open().await;
    shop.read_product(42).await;
    shop.after(10);
    let reads = async move {
        shop.read_product(42).await;
        shop.after(5);
    };

    let headers = headers_after(Profile::fastly(), reads).await;

    assert_shared(&headers, 45, "product.42");
}

#[tokio::test]
async fn a_page_whose_data_died_while_it_was_made_is_not_shared() {
    let shop = Shop::open().await;
    let reads = async move {
        shop.read_product(42).await;
        shop.after(60);
    };

    let headers = headers_after(Profile::fastly(), reads).await;

    assert_not_shared(&headers);
}

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
async fn a_route_without_the_mark_is_private() {
    let headers = headers_for(get(), unmarked(StatusCode::OK, &[])).await;

    assert_not_shared(&headers);
}

#[tokio::test]
async fn a_route_without_the_mark_is_private_even_if_its_handler_says_public() {
    let response = unmarked(StatusCode::OK, &[("cache-control", "public, max-age=3600")]);

    assert_not_shared(&headers_for(get(), response).await);
}

#[tokio::test]
async fn an_error_is_not_stored_though_entries_were_read() {
    for status in [401, 403, 407, 429, 500, 502, 503, 504] {
        let status = StatusCode::from_u16(status).unwrap();

        assert_not_shared(&headers_for(get(), public(status, &[])).await);
        let response = public(
            status,
            &[
                ("cache-control", "public, max-age=60"),
                ("surrogate-control", "max-age=60"),
            ],
        );
        assert_not_shared(&headers_for(get(), response).await);
    }
}

#[tokio::test]
async fn a_status_that_is_not_on_the_list_is_not_shared() {
    for status in [201, 204, 206, 302, 303, 307, 400, 405, 418, 501] {
        let status = StatusCode::from_u16(status).unwrap();

        assert_not_shared(&headers_for(get(), public(status, &[])).await);
    }
}

#[tokio::test]
async fn a_status_on_the_list_is_shared() {
    for status in [200, 203, 301, 304, 308, 404, 410] {
        let status = StatusCode::from_u16(status).unwrap();

        assert_shared(
            &headers_for(get(), public(status, &[])).await,
            60,
            "product.42",
        );
    }
}

#[tokio::test]
async fn a_response_that_sets_a_cookie_is_not_shared() {
    let response = public(
        StatusCode::OK,
        &[
            ("set-cookie", "session=1"),
            ("cache-control", "public, max-age=60"),
        ],
    );

    let headers = headers_for(get(), response).await;

    assert_not_shared(&headers);
    assert_eq!(only(&headers, "set-cookie"), "session=1");
}

#[tokio::test]
async fn an_authorized_request_is_not_shared() {
    let request = Request::builder()
        .header("authorization", "Basic eA==")
        .body(())
        .unwrap();

    assert_not_shared(&headers_for(request, public(StatusCode::OK, &[])).await);
}

#[tokio::test]
async fn a_head_request_says_what_a_get_says() {
    let request = Request::builder().method(Method::HEAD).body(()).unwrap();

    assert_shared(
        &headers_for(request, public(StatusCode::OK, &[])).await,
        60,
        "product.42",
    );
}

#[tokio::test]
async fn a_write_is_not_shared() {
    for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
        let request = Request::builder().method(method).body(()).unwrap();

        assert_not_shared(&headers_for(request, public(StatusCode::OK, &[])).await);
    }
}

#[tokio::test]
async fn a_response_that_varies_on_everything_is_not_shared() {
    let headers = headers_for(get(), public(StatusCode::OK, &[("vary", "accept, *")])).await;

    assert_not_shared(&headers);
    assert_eq!(only(&headers, "vary"), "accept, *");
}

#[tokio::test]
async fn a_handler_that_read_nothing_gets_no_policy_invented() {
    assert_not_shared(&headers_without_reads(public(StatusCode::OK, &[])).await);
    assert_not_shared(&headers_without_reads(unmarked(StatusCode::NOT_FOUND, &[])).await);
}

#[tokio::test]
async fn a_handler_that_read_nothing_keeps_its_own_policy() {
    let own = [
        ("cache-control", "public, max-age=31536000, immutable"),
        ("expires", "Thu, 01 Jan 2099 00:00:00 GMT"),
    ];

    let headers = headers_without_reads(unmarked(StatusCode::OK, &own)).await;

    assert_eq!(headers.len(), 2);
    assert_eq!(only(&headers, "cache-control"), own[0].1);
    assert_eq!(only(&headers, "expires"), own[1].1);
}

#[tokio::test]
async fn a_targeted_field_alone_does_not_count_as_a_policy() {
    let own = [
        ("surrogate-control", "max-age=60"),
        ("cdn-cache-control", "max-age=60"),
    ];

    let headers = headers_without_reads(public(StatusCode::OK, &own)).await;

    assert_not_shared(&headers);
    assert_eq!(only(&headers, "cdn-cache-control"), "private, no-store");
}

#[tokio::test]
async fn the_handlers_no_store_is_final() {
    for value in ["no-store", "no-store, max-age=60", "public, NO-STORE"] {
        let own = [
            ("cache-control", value),
            ("cdn-cache-control", "max-age=60"),
            ("surrogate-control", "max-age=60"),
        ];

        let headers = headers_for(get(), public(StatusCode::OK, &own)).await;

        assert_not_shared(&headers);
        assert_eq!(only(&headers, "cdn-cache-control"), "private, no-store");
    }
}

#[tokio::test]
async fn the_handlers_private_is_final_and_leaves_browsers_their_copy() {
    let own = [
        ("cache-control", "private, max-age=60"),
        ("surrogate-control", "max-age=60"),
        ("surrogate-key", "x"),
    ];

    let headers = headers_for(get(), public(StatusCode::OK, &own)).await;

    assert_eq!(only(&headers, "cache-control"), "private, max-age=60");
    assert_eq!(only(&headers, "surrogate-control"), "private, no-store");
    assert_eq!(only(&headers, "surrogate-key"), "");
}

#[tokio::test]
async fn a_private_that_names_a_field_does_not_stay() {
    let own = [("cache-control", "private=\"set-cookie\", max-age=3600")];

    assert_not_shared(&headers_for(get(), public(StatusCode::OK, &own)).await);
}

#[tokio::test]
async fn the_handlers_lifetime_shortens_and_never_lengthens() {
    for (own, seconds) in [
        ("public, max-age=30", 30),
        ("public, max-age=3600", 60),
        ("max-age=90, s-maxage=15", 15),
    ] {
        let headers = headers_for(get(), public(StatusCode::OK, &[("cache-control", own)])).await;

        assert_shared(&headers, seconds, "product.42");
    }
}

#[tokio::test]
async fn every_targeted_field_ends_up_with_the_shortest_lifetime() {
    let own = [
        ("cdn-cache-control", "max-age=3600"),
        ("vercel-cdn-cache-control", "max-age=30"),
    ];

    let headers = headers_for(get(), public(StatusCode::OK, &own)).await;

    assert_shared(&headers, 30, "product.42");
    assert_eq!(only(&headers, "cdn-cache-control"), "max-age=30");
    assert_eq!(only(&headers, "vercel-cdn-cache-control"), "max-age=30");
}

#[tokio::test]
async fn a_lifetime_in_a_form_that_is_not_read_is_a_refusal() {
    let own = [
        ("expires", "0"),
        ("x-accel-expires", "60"),
        ("edge-control", "max-age=60"),
        ("cache-control", "no-cache"),
    ];
    for field in own {
        let headers = headers_for(get(), public(StatusCode::OK, &[field])).await;

        assert_not_shared(&headers);
        assert_eq!(headers.len(), 2, "{field:?} is gone");
    }
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
async fn nothing_that_sharing_wrote_forbids_serving_or_counts_twice() {
    let headers = headers_for(get(), public(StatusCode::OK, &[])).await;

    assert_eq!(headers.len(), 3);
    assert!(!only(&headers, "cache-control").contains("s-maxage"));
    assert!(!headers.contains_key("age") && !headers.contains_key("expires"));
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
async fn too_many_keys_are_not_cut_but_not_shared_and_counted() {
    let layer = EdgeLayer::new(Profile::fastly());
    for (products, over_budget) in [(200, 0), (300, 1)] {
        let shop = Shop::open().await;
        let reads = async move {
            for id in 1..=products {
                shop.read_product(id).await;
            }
        };

        let headers = headers(
            layer.clone(),
            page(|| reads, public(StatusCode::OK, &[])),
            get(),
        )
        .await;

        if over_budget == 0 {
            assert_eq!(only(&headers, "surrogate-key").split(' ').count(), 200);
        } else {
            assert_not_shared(&headers);
        }
        assert_eq!(layer.report().over_budget(), over_budget);
    }
    assert_eq!(
        (layer.report().shared(), layer.report().not_shared()),
        (1, 1)
    );
}
