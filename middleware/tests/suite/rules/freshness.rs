//! F1 to F5, F10, F13, F14 and F22: for how long, and in which words. The cap of F2 is tested beside the layer.

use http::{Method, Request};

use super::*;
use crate::support::{get, headers, headers_after, only, public, unmarked};

#[tokio::test]
async fn f1_lifetimes_are_digits_and_nothing_else() {
    let profile = Profile::varnish().browser_ttl(Duration::from_millis(7_900));

    assert_eq!(
        page().takes(500).profile(profile).answer().await,
        [
            "cache-control: public, max-age=7, must-revalidate",
            "surrogate-control: max-age=59",
            "surrogate-key: product.42",
        ]
    );
}

#[tokio::test]
async fn f2_a_lifetime_that_no_cache_can_read_is_read_as_a_long_one() {
    for policy in [
        "max-age=2147483648",
        "max-age=4294967356",
        "max-age=18446744073709551615",
    ] {
        let own = page().says("cache-control", policy);

        assert_eq!(own.answer().await, SHARED, "{policy}");
    }
}

#[tokio::test]
async fn f3_life_is_what_remains_when_the_headers_are_written() {
    assert_eq!(page().takes(15_000).answer().await, shared_for(45));
}

#[tokio::test]
async fn f3_a_fraction_of_a_second_is_dropped() {
    assert_eq!(page().takes(1).answer().await, shared_for(59));
    assert_eq!(page().takes(58_001).answer().await, shared_for(1));
    assert_eq!(page().takes(59_001).answer().await, shared_for(0));
}

#[tokio::test]
async fn f3_the_entity_that_dies_first_decides() {
    let shop = Shop::open().await;
    let reads = async move {
        shop.read_product(1).await;
        shop.read_list("lamps").await;
        shop.read_product(2).await;
    };

    let headers = headers_after(Profile::varnish(), reads).await;

    assert_eq!(only(&headers, "surrogate-control"), "max-age=20");
    assert_eq!(
        only(&headers, "surrogate-key"),
        "product.1 list.lamps product.2"
    );
}

#[tokio::test]
async fn f3_the_age_of_an_entry_is_taken_off() {
    let shop = Shop::open().await;
    shop.read_product(42).await;
    shop.after(10);
    let reads = async move { shop.read_product(42).await };

    let headers = headers_after(Profile::varnish(), reads).await;

    assert_eq!(only(&headers, "surrogate-control"), "max-age=50");
}

#[tokio::test]
async fn f4_data_that_died_while_the_page_was_made_is_asked_for_each_time() {
    for late in [60_000, 90_000] {
        assert_eq!(page().takes(late).answer().await, shared_for(0));
    }
}

#[tokio::test]
async fn f4_a_page_that_is_asked_for_each_time_does_not_count_as_shared() {
    let (layer, shop) = (EdgeLayer::new(Profile::varnish()), Shop::open().await);
    let reads = async move {
        shop.read_product(42).await;
        shop.after(60);
    };

    let page = crate::support::page(|| reads, public(http::StatusCode::OK, &[]));
    headers(layer.clone(), page, get()).await;

    let report = layer.report();
    assert_eq!((report.shared(), report.not_shared()), (0, 1));
}

#[tokio::test]
async fn f5_no_s_maxage_and_no_stale_window_is_written() {
    for policy in [
        "max-age=60, s-maxage=60, stale-while-revalidate=600, stale-if-error=600",
        "s-maxage=60, stale-if-error=600",
    ] {
        let own = page().says("cache-control", policy);

        assert_eq!(own.answer().await, SHARED, "{policy}");
    }
}

#[tokio::test]
async fn f10_no_age_is_sent_and_the_handlers_is_taken_off_its_lifetime() {
    let aged = page()
        .says("age", "50")
        .says("cache-control", "public, max-age=90");

    assert_eq!(aged.answer().await, shared_for(40));
    assert_eq!(page().says("age", "50").answer().await, SHARED);
}

#[tokio::test]
async fn f13_every_response_says_how_long_or_that_nobody_may() {
    for vague in [
        "public",
        "no-transform, public",
        "must-revalidate",
        "max-age=oops",
    ] {
        let own = page().reads_nothing().says("cache-control", vague);
        let answer = own.answer().await;

        assert!(
            answer[0].starts_with("cache-control: private, no-store"),
            "{answer:?}"
        );
        assert_eq!(answer[1..], NOT_SHARED[1..], "{vague}");
    }
    let unmatched = Request::builder().uri("/nowhere").method(Method::GET);
    let response = page()
        .router()
        .await
        .oneshot(unmatched.body(Body::empty()).unwrap())
        .await
        .unwrap();
    assert_eq!(
        only(response.headers(), "cache-control"),
        "private, no-store"
    );
}

#[tokio::test]
async fn f14_no_cache_stands_beside_a_validator() {
    for (name, value) in [
        ("etag", "\"1\""),
        ("last-modified", "Thu, 01 Jan 2026 00:00:00 GMT"),
    ] {
        let validator = format!("{name}: {value}");
        let own = page()
            .says(name, value)
            .says("cache-control", "public, no-cache, max-age=60");

        for own in [
            own.clone(),
            own.clone().unmarked(),
            own.clone().reads_nothing(),
            own.method("POST"),
        ] {
            assert_eq!(
                own.answer().await,
                and(
                    &["cache-control: private, no-cache", NOT_SHARED[1]],
                    &[&validator]
                )
            );
        }
    }
}

#[tokio::test]
async fn f14_no_cache_without_a_validator_becomes_no_store() {
    for policy in [
        "no-cache",
        "no-cache, max-age=60",
        "private, no-cache",
        "no-cache=\"x-user\"",
    ] {
        let own = page().says("cache-control", policy);

        for own in [own.clone(), own.clone().unmarked(), own.reads_nothing()] {
            assert_eq!(own.answer().await, NOT_SHARED, "{policy}");
        }
    }
}

#[tokio::test]
async fn f22_do_not_share_is_said_without_any_lifetime_in_every_control_header() {
    let own = page()
        .unmarked()
        .says(
            "cache-control",
            "public, max-age=3600, s-maxage=3600, stale-while-revalidate=60",
        )
        .says("surrogate-control", "max-age=3600")
        .says("cdn-cache-control", "max-age=3600")
        .says("cloudflare-cdn-cache-control", "max-age=3600")
        .says("expires", "Thu, 01 Jan 2099 00:00:00 GMT")
        .says("x-accel-expires", "3600")
        .says("edge-control", "max-age=1h");

    assert_eq!(
        own.answer().await,
        [
            "cache-control: private, no-store",
            "cdn-cache-control: private, no-store",
            "cloudflare-cdn-cache-control: private, no-store",
            "surrogate-control: private, no-store",
        ]
    );
}

#[tokio::test]
async fn f22_two_layers_say_what_one_says() {
    let own = [("cache-control", "no-cache"), ("etag", "\"1\"")];
    for response in [
        unmarked(http::StatusCode::OK, &own),
        public(http::StatusCode::OK, &own[1..]),
    ] {
        let answer = |layers: usize| {
            let response = response.clone();
            async move {
                let shop = Shop::open().await;
                let handler = move || async move {
                    shop.read_product(42).await;
                    response.map(Body::from)
                };
                let mut router = Router::new().route("/", any(handler));
                for _ in 0..layers {
                    router = router.layer(EdgeLayer::new(Profile::varnish()));
                }
                let request = Request::new(Body::empty());
                router.oneshot(request).await.unwrap().headers().clone()
            }
        };

        assert_eq!(answer(1).await, answer(2).await);
    }
}
