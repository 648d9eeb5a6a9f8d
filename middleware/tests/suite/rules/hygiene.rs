//! G3, G5, G6, G8: groups. M5 to M7: what must not leak or break out. F7, F15 to F23: directives of the handler's.

use http::header::VIA;

use super::*;
use crate::structured::{Bare, list};
use crate::support::{Shop, get, headers, public};

#[tokio::test]
async fn g3_groups_are_a_list_of_texts() {
    let response = page()
        .layer(grouped())
        .says("surrogate-key", "front")
        .ask()
        .await;

    assert_eq!(
        response.headers()["cache-groups"],
        "\"front\", \"product.42\""
    );
}

#[tokio::test]
async fn g5_groups_are_at_most_32_of_at_most_32_bytes() {
    for products in [3, 32, 33, 100] {
        let shop = Shop::open().await;
        let reads = async move {
            for id in 1..=products {
                shop.read_product(id).await;
            }
            shop.read_list(&"x".repeat(60)).await;
        };
        let page = crate::support::page(|| reads, public(http::StatusCode::OK, &[]));

        let headers = headers(grouped(), page, get()).await;

        let groups = list(headers["cache-groups"].to_str().unwrap()).unwrap();
        assert!(groups.len() <= 32, "{}", groups.len());
        for group in groups {
            assert!(
                matches!(&group.bare, Bare::Text(text) if text.len() <= 32),
                "{group:?}"
            );
        }
    }
}

#[tokio::test]
async fn g5_groups_that_do_not_fit_are_left_out_as_a_whole() {
    let response = page()
        .layer(grouped())
        .says("surrogate-key", "a-key-of-more-than-thirty-two-bytes")
        .ask()
        .await;

    assert!(!response.headers().contains_key("cache-groups"));
    assert_eq!(response.headers()["surrogate-control"], "max-age=60");
}

#[tokio::test]
async fn g6_no_read_says_that_a_group_is_invalid() {
    for method in ["GET", "HEAD", "POST"] {
        let response = page().method(method).layer(grouped()).ask().await;

        assert!(
            !response.headers().contains_key("cache-group-invalidation"),
            "{method}"
        );
    }
}

#[tokio::test]
async fn g8_a_group_of_odd_characters_is_escaped_or_left_out() {
    let response = page()
        .layer(grouped())
        .says("surrogate-key", "a\"b\\")
        .ask()
        .await;

    let groups = list(response.headers()["cache-groups"].to_str().unwrap()).unwrap();
    assert_eq!(groups[0].bare, Bare::Text("a\"b\\".to_owned()));
}

#[tokio::test]
async fn groups_are_off_and_no_private_page_has_them() {
    assert!(!page().ask().await.headers().contains_key("cache-groups"));
    let private = page()
        .unmarked()
        .layer(grouped())
        .says("cache-groups", "\"a\"");
    assert_eq!(private.answer().await, NOT_SHARED);
}

#[tokio::test]
async fn m5_no_key_breaks_out_of_its_header_at_any_edge() {
    let names = [
        "a,b",
        "a b",
        "a\r\nset-cookie: x=1",
        "caf\u{e9}",
        "\0",
        "",
        "\u{1f4a1}",
        "\"a\"",
        "a;b",
    ];
    for profile in [
        Profile::cloudflare(),
        Profile::akamai(),
        Profile::keycdn(),
        Profile::bunny(),
    ] {
        let shop = Shop::open().await;
        let field = if profile == Profile::akamai() {
            "edge-cache-tag"
        } else if profile == Profile::bunny() {
            "cdn-tag"
        } else {
            "cache-tag"
        };
        let reads = async move {
            for name in names {
                shop.read_list(name).await;
            }
        };
        let page = crate::support::page(|| reads, public(http::StatusCode::OK, &[]));

        let headers = headers(EdgeLayer::new(profile), page, get()).await;

        assert!(!headers.contains_key("set-cookie"));
        let keys: Vec<&str> = headers[field].to_str().unwrap().split([',', ' ']).collect();
        assert_eq!(keys.len(), names.len(), "{keys:?}");
        assert!(keys.iter().all(|key| key.starts_with("list.")), "{keys:?}");
    }
}

#[tokio::test]
async fn m6_who_does_not_come_through_the_edge_sees_no_key_and_no_policy_of_edges() {
    let layer = EdgeLayer::new(Profile::fastly())
        .and(Profile::shared_cache())
        .only_through(VIA, "sesame");
    let own = page()
        .layer(layer)
        .says("surrogate-key", "front")
        .says("cdn-cache-control", "max-age=5");

    for stranger in [own.clone(), own.clone().asks("via", "wrong")] {
        assert_eq!(
            stranger.answer().await,
            ["cache-control: private, max-age=0, must-revalidate"]
        );
    }
    let through = own.asks("via", "sesame").answer().await;
    assert!(
        through.contains(&"surrogate-key: front product.42".to_owned()),
        "{through:?}"
    );
}

#[tokio::test]
async fn m7_surrogate_control_has_no_target_and_is_written_only_for_who_reads_it() {
    let fastly = page().profile(Profile::fastly()).ask().await;
    let cloudflare = page().profile(Profile::cloudflare()).ask().await;
    let denied = page().unmarked().profile(Profile::cloudflare()).ask().await;

    assert_eq!(fastly.headers()["surrogate-control"], "max-age=60");
    for other in [cloudflare, denied] {
        assert!(!other.headers().contains_key("surrogate-control"));
    }
}

#[tokio::test]
async fn f7_expires_that_is_earlier_shortens_and_is_not_written() {
    let date = "Thu, 01 Jan 2026 00:00:00 GMT";
    let dated = page()
        .says("date", date)
        .says("expires", "Thu, 01 Jan 2026 00:00:20 GMT");
    let line = format!("date: {date}");

    let shortened: Vec<String> = shared_for(20);
    let expected: Vec<&str> = shortened.iter().map(String::as_str).collect();
    assert_eq!(dated.clone().answer().await, and(&expected, &[&line]));
    let overruled = dated.says("cache-control", "max-age=600");
    assert_eq!(overruled.answer().await, and(&SHARED, &[&line]));
}

#[tokio::test]
async fn f15_immutable_is_not_written_on_what_can_change() {
    let own = page().says("cache-control", "public, max-age=600, immutable");

    assert_eq!(own.answer().await, SHARED);
}

#[tokio::test]
async fn f17_no_transform_survives_wherever_it_is_decided() {
    for (page, expected) in [
        (
            page(),
            "cache-control: public, max-age=0, must-revalidate, No-Transform",
        ),
        (
            page().unmarked(),
            "cache-control: private, no-store, no-transform",
        ),
    ] {
        let answer = page.says("cache-control", "No-Transform").answer().await;

        assert_eq!(answer[0], expected);
    }
}

#[tokio::test]
async fn f18_what_is_not_known_is_kept_and_what_is_known_is_read_in_any_case() {
    let own = page().says("cache-control", "PUBLIC, Max-Age=20, Acme-Hint=7");

    let answer = own.answer().await;

    assert_eq!(
        answer[0],
        "cache-control: public, max-age=0, must-revalidate, Acme-Hint=7"
    );
    assert_eq!(answer[1], "surrogate-control: max-age=20");
}

#[tokio::test]
async fn f19_of_a_directive_that_comes_twice_the_stricter_counts_and_the_unreadable_forbids() {
    let twice = page().says("cache-control", "max-age=50, max-age=10");
    assert_eq!(twice.answer().await, shared_for(10));
    let unreadable = page().says("cache-control", "max-age=50, max-age=soon");
    assert_eq!(unreadable.answer().await, NOT_SHARED);
}

#[tokio::test]
async fn f20_a_qualified_prohibition_counts_as_one_of_the_whole() {
    for policy in [
        "private=\"x-user\", max-age=60",
        "no-cache=\"set-cookie\", max-age=60",
    ] {
        let own = page().says("cache-control", policy);

        assert_eq!(own.answer().await, NOT_SHARED, "{policy}");
    }
}

#[tokio::test]
async fn f21_no_pragma_is_written() {
    for page in [page(), page().unmarked()] {
        assert!(!page.ask().await.headers().contains_key("pragma"));
    }
}

#[tokio::test]
async fn f23_must_understand_is_not_written_and_no_store_beside_it_is_final() {
    let understood = page().says("cache-control", "must-understand, max-age=60");
    assert_eq!(understood.answer().await, SHARED);
    let final_word = page().says("cache-control", "must-understand, no-store, max-age=60");
    assert_eq!(final_word.answer().await, NOT_SHARED);
}

fn grouped() -> EdgeLayer {
    EdgeLayer::new(Profile::varnish()).cache_groups()
}
