//! S1 to S16: may the response be shared at all. S5 and the keys of S11 are tested beside the layer.

use http::header::{ACCEPT_ENCODING, ACCEPT_LANGUAGE, HeaderName};
use tricache_middleware::Public;

use super::*;

#[tokio::test]
async fn s1_only_get_and_head_are_shared() {
    for method in ["GET", "HEAD"] {
        assert_eq!(page().method(method).answer().await, SHARED, "{method}");
    }
    for method in ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PURGE"] {
        assert_eq!(page().method(method).answer().await, NOT_SHARED, "{method}");
        let idle = page().method(method).reads_nothing();
        assert_eq!(idle.answer().await, NOT_SHARED, "{method}");
    }
}

#[tokio::test]
async fn s1_what_another_method_says_of_itself_stands_but_not_for_edges() {
    let own = page()
        .method("POST")
        .says("cache-control", "public, max-age=60")
        .says("surrogate-control", "max-age=60")
        .says("cdn-cache-control", "max-age=60")
        .says("surrogate-key", "front");

    for own in [own.clone(), own.reads_nothing()] {
        assert_eq!(
            own.answer().await,
            [
                "cache-control: public, max-age=60",
                "cdn-cache-control: private, no-store",
                "surrogate-control: private, no-store",
            ]
        );
    }
}

#[tokio::test]
async fn s2_a_response_that_sets_a_cookie_is_not_shared() {
    let own = page()
        .says("set-cookie", "session=1")
        .says("cache-control", "public, max-age=60")
        .says("surrogate-control", "max-age=60")
        .says("cdn-cache-control", "max-age=60");
    let cookie = "set-cookie: session=1";
    let cdn = "cdn-cache-control: private, no-store";

    assert_eq!(own.clone().answer().await, and(&NOT_SHARED, &[cookie, cdn]));
    let idle = own.reads_nothing().unmarked().answer().await;
    assert_eq!(idle, and(&NOT_SHARED, &[cookie, cdn]));
    let write = page()
        .method("POST")
        .says("set-cookie", "session=1")
        .says("cache-control", "max-age=5");
    assert_eq!(write.answer().await, and(&NOT_SHARED, &[cookie]));
}

#[tokio::test]
async fn s3_an_authorized_request_is_not_shared_and_no_header_of_the_handlers_opts_in() {
    let asked = page().asks("authorization", "Bearer x");

    assert_eq!(asked.clone().answer().await, NOT_SHARED);
    for policy in [
        "public, max-age=60",
        "s-maxage=60",
        "must-revalidate, max-age=60",
        "private, max-age=60",
    ] {
        let own = asked.clone().says("cache-control", policy);
        assert_eq!(own.clone().answer().await, NOT_SHARED, "{policy}");
        assert_eq!(own.reads_nothing().answer().await, NOT_SHARED, "{policy}");
    }
}

#[tokio::test]
async fn s4_a_request_with_a_cookie_is_shared_only_if_the_route_is_marked() {
    let asked = page().asks("cookie", "session=1");

    assert_eq!(asked.clone().answer().await, SHARED);
    assert_eq!(asked.clone().unmarked().answer().await, NOT_SHARED);
    let own = asked.unmarked().says("cache-control", "public, max-age=60");
    assert_eq!(own.answer().await, NOT_SHARED);
}

#[tokio::test]
async fn s6_the_handlers_no_store_is_final() {
    for policy in [
        "no-store",
        "No-Store, max-age=60",
        "public, no-store, s-maxage=60",
    ] {
        let own = page()
            .says("cache-control", policy)
            .says("surrogate-control", "max-age=60")
            .says("vercel-cdn-cache-control", "max-age=60")
            .says("x-accel-expires", "60")
            .says("edge-control", "cache-maxage=1h")
            .says("expires", "Thu, 01 Jan 2099 00:00:00 GMT")
            .says("surrogate-key", "front");

        for own in [own.clone(), own.clone().unmarked(), own.reads_nothing()] {
            let vercel = "vercel-cdn-cache-control: private, no-store";
            assert_eq!(own.answer().await, and(&NOT_SHARED, &[vercel]), "{policy}");
        }
    }
}

#[tokio::test]
async fn s7_the_handlers_private_stands_and_no_targeted_field_publishes_it() {
    let own = page()
        .says("cache-control", "private, max-age=60")
        .says("surrogate-control", "max-age=60")
        .says("cdn-cache-control", "max-age=60")
        .says("x-accel-expires", "60")
        .says("surrogate-key", "front");

    for own in [own.clone(), own.clone().unmarked(), own.reads_nothing()] {
        assert_eq!(
            own.answer().await,
            [
                "cache-control: private, max-age=60",
                "cdn-cache-control: private, no-store",
                "surrogate-control: private, no-store",
            ]
        );
    }
}

#[tokio::test]
async fn s8_of_two_lifetimes_the_shorter_is_written() {
    for (policy, seconds) in [
        ("public, max-age=30", 30),
        ("public, max-age=3600", 60),
        ("max-age=90, s-maxage=15", 15),
        ("max-age=60, max-age=5", 5),
    ] {
        let own = page().says("cache-control", policy);

        assert_eq!(own.answer().await, shared_for(seconds), "{policy}");
    }
}

#[tokio::test]
async fn s8_every_targeted_field_ends_up_with_the_shortest_lifetime() {
    let own = page()
        .says("cdn-cache-control", "max-age=3600")
        .says("vercel-cdn-cache-control", "max-age=30");

    assert_eq!(
        own.answer().await,
        [
            "cache-control: public, max-age=0, must-revalidate",
            "cdn-cache-control: max-age=30",
            "surrogate-control: max-age=30",
            "surrogate-key: product.42",
            "vercel-cdn-cache-control: max-age=30",
        ]
    );
}

#[tokio::test]
async fn s8_what_the_handler_forbids_in_any_field_is_forbidden_in_all() {
    for (name, value) in [
        ("surrogate-control", "no-store"),
        ("surrogate-control", "private"),
        ("expires", "0"),
        ("x-accel-expires", "0"),
        ("edge-control", "no-store"),
    ] {
        assert_eq!(
            page().says(name, value).answer().await,
            NOT_SHARED,
            "{name}"
        );
    }
}

#[tokio::test]
async fn s9_only_statuses_on_the_list_are_shared() {
    for status in [200, 203, 301, 308, 404, 410] {
        assert_eq!(page().status(status).answer().await, SHARED, "{status}");
    }
    for status in [
        201, 202, 204, 205, 300, 302, 303, 307, 400, 405, 409, 412, 414, 418, 451,
    ] {
        let own = page().status(status);
        assert_eq!(own.clone().answer().await, NOT_SHARED, "{status}");
        let own = own.says("cache-control", "public, max-age=60");
        assert_eq!(own.answer().await, NOT_SHARED, "{status}");
    }
}

#[tokio::test]
async fn s9_a_304_says_what_its_200_would_say() {
    let own = page().status(304).says("etag", "\"1\"");

    assert_eq!(own.answer().await, and(&SHARED, &["etag: \"1\""]));
}

#[tokio::test]
async fn s10_errors_are_never_stored_though_entries_were_read() {
    for status in [401, 403, 407, 429, 500, 501, 502, 503, 504, 599] {
        let own = page()
            .status(status)
            .says("cache-control", "public, max-age=60")
            .says("surrogate-control", "max-age=60");

        assert_eq!(page().status(status).answer().await, NOT_SHARED, "{status}");
        assert_eq!(own.clone().answer().await, NOT_SHARED, "{status}");
        assert_eq!(own.reads_nothing().answer().await, NOT_SHARED, "{status}");
    }
}

#[tokio::test]
async fn s11_a_404_carries_the_key_of_what_it_misses_for_as_long_as_that_holds() {
    assert_eq!(
        page().status(404).takes(50_000).answer().await,
        shared_for(10)
    );
    assert_eq!(page().status(410).takes(60_000).answer().await, NOT_SHARED);
}

#[tokio::test]
async fn s12_interim_responses_carry_nothing_of_ours() {
    for status in [100, 101, 102, 103] {
        let own = page()
            .status(status)
            .says("link", "</style.css>; rel=preload");

        assert_eq!(
            own.answer().await,
            ["link: </style.css>; rel=preload"],
            "{status}"
        );
    }
    let varying = page()
        .status(103)
        .varies_on(Public.varies_on(ACCEPT_LANGUAGE));
    assert_eq!(varying.answer().await, [""; 0]);
}

#[tokio::test]
async fn s13_a_response_that_varies_on_everything_is_not_shared() {
    for vary in ["*", "accept, *", "accept,*"] {
        let line = format!("vary: {vary}");

        assert_eq!(
            page().says("vary", vary).answer().await,
            and(&NOT_SHARED, &[&line])
        );
    }
    let split = page().says("vary", "accept").says("vary", "*");
    assert_eq!(
        split.answer().await,
        and(&NOT_SHARED, &["vary: *", "vary: accept"])
    );
    let marked = page().varies_on(Public.varies_on(HeaderName::from_static("*")));
    assert_eq!(marked.answer().await, and(&NOT_SHARED, &["vary: *"]));
}

#[tokio::test]
async fn s14_the_handlers_vary_is_left_as_it_is() {
    let own = page()
        .says("vary", "Accept-Encoding")
        .says("vary", "accept");

    assert_eq!(
        own.answer().await,
        and(&SHARED, &["vary: Accept-Encoding", "vary: accept"])
    );
}

#[tokio::test]
async fn s14_what_the_mark_names_is_appended_once_in_any_case() {
    let mark = Public
        .varies_on(ACCEPT_LANGUAGE)
        .varies_on(ACCEPT_ENCODING)
        .varies_on(ACCEPT_LANGUAGE);
    let own = page()
        .varies_on(mark)
        .says("vary", "origin, ACCEPT-encoding");

    assert_eq!(
        own.answer().await,
        and(
            &SHARED,
            &["vary: accept-language", "vary: origin, ACCEPT-encoding"]
        )
    );
}

#[tokio::test]
async fn s14_nothing_is_appended_to_everything() {
    let own = page()
        .varies_on(Public.varies_on(ACCEPT_LANGUAGE))
        .says("vary", "*");

    assert_eq!(own.answer().await, and(&NOT_SHARED, &["vary: *"]));
}

#[tokio::test]
async fn s15_a_part_is_passed_through_and_not_shared() {
    let own = page().status(206).says("content-range", "bytes 0-9/100");

    assert_eq!(
        own.clone().answer().await,
        and(&NOT_SHARED, &["content-range: bytes 0-9/100"])
    );
    let own = own.says("cache-control", "public, max-age=3600");
    assert_eq!(
        own.answer().await,
        and(&NOT_SHARED, &["content-range: bytes 0-9/100"])
    );
}

#[tokio::test]
async fn s16_a_handler_that_read_nothing_gets_no_policy_invented() {
    for idle in [
        page().reads_nothing(),
        page().reads_nothing().unmarked().status(404),
    ] {
        assert_eq!(idle.answer().await, NOT_SHARED);
    }
    let targeted = page()
        .reads_nothing()
        .says("cdn-cache-control", "max-age=60");
    assert_eq!(
        targeted.answer().await,
        and(&NOT_SHARED, &["cdn-cache-control: private, no-store"])
    );
}

#[tokio::test]
async fn s16_a_handler_that_read_nothing_keeps_its_own_policy() {
    let own = page()
        .reads_nothing()
        .unmarked()
        .says("cache-control", "public, max-age=31536000, immutable")
        .says("expires", "Thu, 01 Jan 2099 00:00:00 GMT")
        .says("surrogate-control", "max-age=60, stale-if-error=600")
        .says("surrogate-key", "assets");

    assert_eq!(
        own.answer().await,
        [
            "cache-control: public, max-age=31536000, immutable",
            "expires: Thu, 01 Jan 2099 00:00:00 GMT",
            "surrogate-control: max-age=60, stale-if-error=600",
            "surrogate-key: assets",
        ]
    );
}
