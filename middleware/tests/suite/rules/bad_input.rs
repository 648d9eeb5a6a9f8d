//! Malformed and contradictory headers of the handler's, and names that are made to break out.

use http::HeaderValue;

use super::*;
use crate::support::{get, headers, headers_after, only, public};

#[tokio::test]
async fn what_cannot_be_read_for_certain_is_not_shared() {
    for policy in [
        "max-age=oops",
        "max-age",
        "max-age=",
        "max-age=-1",
        "max-age=+60",
        "max-age=60.5",
        "max-age=\"60\"",
        "max-age=99999999999999999999",
        "s-maxage=oops, max-age=60",
        "max-age=60, max-age=oops",
        "max-age=60;public",
        "public, extension=\"a, no-store\"",
    ] {
        let own = page().says("cache-control", policy);

        assert_eq!(own.answer().await, NOT_SHARED, "{policy}");
    }
}

#[tokio::test]
async fn of_contradictions_the_stricter_holds() {
    for policy in [
        "private, public",
        "private, s-maxage=60",
        "private=\"set-cookie\", max-age=3600",
        "public, max-age=60, no-store",
        ",, private ,public,,",
    ] {
        let own = page()
            .says("cache-control", policy)
            .says("surrogate-control", "max-age=60");

        for own in [own.clone(), own.reads_nothing()] {
            assert_eq!(own.answer().await, NOT_SHARED, "{policy}");
        }
    }
}

#[tokio::test]
async fn a_contradiction_over_two_lines_is_one_too() {
    let own = page()
        .says("cache-control", "public, max-age=60")
        .says("cache-control", "No-Store");

    assert_eq!(own.answer().await, NOT_SHARED);
}

#[tokio::test]
async fn a_targeted_field_that_cannot_be_read_is_not_shared() {
    for value in [
        "max-age=60, max-age=oops",
        "max-age=60;varnish",
        "\u{7f}",
        "",
        "max-age=60, must-revalidate",
    ] {
        let Ok(value) = HeaderValue::from_str(value) else {
            continue;
        };
        let mut response = public(http::StatusCode::OK, &[]);
        response
            .headers_mut()
            .insert("surrogate-control", value.clone());
        let shop = Shop::open().await;
        let page =
            crate::support::page(move || async move { shop.read_product(42).await }, response);

        let headers = headers(EdgeLayer::new(Profile::varnish()), page, get()).await;

        let expected = if value.is_empty() {
            "max-age=60"
        } else {
            "private, no-store"
        };
        assert_eq!(only(&headers, "surrogate-control"), expected, "{value:?}");
    }
}

#[tokio::test]
async fn bytes_that_are_not_text_are_not_shared() {
    for name in [
        "cache-control",
        "surrogate-control",
        "cdn-cache-control",
        "surrogate-key",
        "age",
    ] {
        let mut response = public(http::StatusCode::OK, &[]);
        let bytes = HeaderValue::from_bytes(b"max-age=60\xff").unwrap();
        response.headers_mut().insert(name, bytes);
        let shop = Shop::open().await;
        let page =
            crate::support::page(move || async move { shop.read_product(42).await }, response);

        let headers = headers(EdgeLayer::new(Profile::varnish()), page, get()).await;

        assert_eq!(
            only(&headers, "cache-control"),
            "private, no-store",
            "{name}"
        );
        assert_eq!(
            only(&headers, "surrogate-control"),
            "private, no-store",
            "{name}"
        );
        assert_eq!(only(&headers, "surrogate-key"), "", "{name}");
    }
}

#[tokio::test]
async fn no_name_can_break_out_of_its_header() {
    let shop = Shop::open().await;
    let names = [
        "a,b",
        "a b",
        "a\r\nset-cookie: x=1",
        "caf\u{e9}",
        "\0",
        "",
        "\u{1f4a1}",
    ];
    let reads = async move {
        for name in names {
            shop.read_list(name).await;
        }
    };

    let headers = headers_after(Profile::varnish(), reads).await;

    assert_eq!(headers.len(), 3);
    let keys: Vec<&str> = only(&headers, "surrogate-key").split(' ').collect();
    assert_eq!(keys.len(), names.len());
    let plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-');
    assert!(
        keys.iter()
            .all(|key| key.starts_with("list.") && key.bytes().all(plain)),
        "{keys:?}"
    );
}

#[tokio::test]
async fn own_keys_in_odd_spacing_are_one_line_of_keys() {
    let own = page()
        .says("surrogate-key", " front\t list  front ")
        .says("surrogate-key", "product.42");

    assert_eq!(
        own.answer().await,
        [SHARED[0], SHARED[1], "surrogate-key: front list product.42"]
    );
}
