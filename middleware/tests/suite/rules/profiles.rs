//! What each edge is told, word for word: names of headers, separators and limits are the vendors', not ours to choose.

use http::HeaderName;
use tricache_middleware::{KeyField, Separator};

use super::*;
use crate::support::{Shop, get, headers, only, public};

const BROWSERS: &str = "cache-control: public, max-age=0, must-revalidate";
const PLAIN: &str = "cache-control: public, max-age=0, s-maxage=60, must-revalidate";

#[tokio::test]
async fn each_edge_is_told_in_its_own_words() {
    let tags = HeaderName::from_static("x-tags");
    for (profile, told) in [
        (
            Profile::fastly(),
            vec![
                BROWSERS,
                "surrogate-control: max-age=60",
                "surrogate-key: front product.42",
            ],
        ),
        (
            Profile::cloudflare(),
            vec![
                BROWSERS,
                "cache-tag: front,product.42",
                "cloudflare-cdn-cache-control: max-age=60",
            ],
        ),
        (
            Profile::akamai(),
            vec![PLAIN, "edge-cache-tag: front,product.42"],
        ),
        (
            Profile::cloudfront(tags),
            vec![PLAIN, "x-tags: front,product.42"],
        ),
        (
            Profile::google_cloud_cdn(),
            vec![PLAIN, "cache-tag: front,product.42"],
        ),
        (Profile::bunny(), vec![PLAIN, "cdn-tag: front,product.42"]),
        (
            Profile::keycdn(),
            vec![PLAIN, "cache-tag: front product.42"],
        ),
        (
            Profile::netlify(),
            vec![
                BROWSERS,
                "netlify-cache-tag: front,product.42",
                "netlify-cdn-cache-control: max-age=60",
            ],
        ),
        (
            Profile::vercel(),
            vec![
                BROWSERS,
                "vercel-cache-tag: front,product.42",
                "vercel-cdn-cache-control: max-age=60",
            ],
        ),
        (
            Profile::varnish(),
            vec![
                BROWSERS,
                "surrogate-control: max-age=60",
                "surrogate-key: front product.42",
            ],
        ),
        (
            Profile::varnish_xkey(),
            vec![
                BROWSERS,
                "surrogate-control: max-age=60",
                "xkey: front product.42",
            ],
        ),
        (Profile::shared_cache(), vec![PLAIN]),
        (
            Profile::cdn(),
            vec![BROWSERS, "cdn-cache-control: max-age=60"],
        ),
    ] {
        let own = page()
            .profile(profile.clone())
            .says("surrogate-key", "front");

        assert_eq!(own.answer().await, told, "{profile:?}");
    }
}

#[tokio::test]
async fn no_edge_is_given_more_keys_than_it_takes() {
    let tags = HeaderName::from_static("x-tags");
    for (profile, field, most) in [
        (Profile::akamai(), "edge-cache-tag", 128),
        (Profile::cloudfront(tags), "x-tags", 50),
        (Profile::google_cloud_cdn(), "cache-tag", 50),
        (Profile::netlify(), "netlify-cache-tag", 50),
        (Profile::vercel(), "vercel-cache-tag", 50),
    ] {
        let fits = after_reading(most, &EdgeLayer::new(profile.clone())).await;
        let one_more = after_reading(most + 1, &EdgeLayer::new(profile)).await;

        assert_eq!(
            only(&fits, field).split(',').count(),
            usize::try_from(most).unwrap()
        );
        assert_eq!(only(&one_more, field), "product._1");
    }
}

#[tokio::test]
async fn no_edge_is_given_more_bytes_than_it_takes() {
    let bunny = after_reading(100, &EdgeLayer::new(Profile::bunny())).await;

    assert_eq!(only(&bunny, "cdn-tag"), "product._1");
}

#[tokio::test]
async fn what_one_edge_cannot_take_is_denied_to_that_one_alone() {
    let layer = EdgeLayer::new(Profile::vercel().key_budget(8)).and(Profile::fastly());

    let headers = after_reading(2, &layer).await;

    assert_eq!(
        only(&headers, "vercel-cdn-cache-control"),
        "private, no-store"
    );
    assert_eq!(only(&headers, "vercel-cache-tag"), "");
    assert_eq!(only(&headers, "surrogate-control"), "max-age=60");
    assert_eq!(only(&headers, "surrogate-key"), "product.1 product.2");
    assert_eq!(
        (layer.report().shared(), layer.report().over_budget()),
        (1, 1)
    );
}

#[tokio::test]
async fn what_only_cache_control_could_deny_to_one_edge_is_denied_to_all() {
    let layer = EdgeLayer::new(Profile::fastly()).and(Profile::bunny().key_budget(8));

    let headers = after_reading(2, &layer).await;

    for (field, said) in [
        ("cache-control", "private, no-store"),
        ("surrogate-control", "private, no-store"),
        ("surrogate-key", ""),
    ] {
        assert_eq!(only(&headers, field), said);
    }
    assert_eq!(
        (layer.report().shared(), layer.report().over_budget()),
        (0, 1)
    );
}

#[tokio::test]
async fn each_edge_has_its_own_bound_and_one_field_says_the_shorter() {
    let seconds = Duration::from_secs;
    let layer = EdgeLayer::new(Profile::fastly().max_shared_ttl(seconds(40)))
        .and(Profile::varnish().max_shared_ttl(seconds(20)))
        .and(Profile::shared_cache().max_shared_ttl(seconds(5)));

    let answer = page().layer(layer).answer().await;

    assert_eq!(
        answer,
        [
            "cache-control: public, max-age=0, s-maxage=5, must-revalidate",
            "surrogate-control: max-age=20",
            "surrogate-key: product.42",
        ]
    );
}

#[tokio::test]
async fn an_edge_that_ignores_vary_gets_no_page_that_varies_on_more_than_its_encoding() {
    let layer = EdgeLayer::new(Profile::cloudflare()).and(Profile::fastly());
    for vary in ["accept-language", "Accept-Encoding, Cookie"] {
        let answer = page()
            .layer(layer.clone())
            .says("vary", vary)
            .answer()
            .await;

        assert!(answer.contains(&"cloudflare-cdn-cache-control: private, no-store".to_owned()));
        assert!(answer.contains(&"surrogate-control: max-age=60".to_owned()));
    }
    let encoded = page()
        .layer(layer)
        .says("vary", "Accept-Encoding")
        .answer()
        .await;
    assert!(encoded.contains(&"cloudflare-cdn-cache-control: max-age=60".to_owned()));
}

#[tokio::test]
async fn an_edge_that_folds_case_gets_own_keys_in_lower_case_once() {
    let own = page()
        .profile(Profile::cloudflare())
        .says("cache-tag", "Front,front, Product.42");

    assert!(
        own.answer()
            .await
            .contains(&"cache-tag: front,product.42".to_owned())
    );
}

#[tokio::test]
async fn an_own_key_that_an_edge_does_not_take_keeps_the_page_from_it() {
    for (profile, key) in [
        (Profile::akamai(), "product:42"),
        (Profile::cloudflare(), "a,b"),
    ] {
        let own = page().profile(profile).says("surrogate-key", key);

        assert!(
            own.answer().await.contains(&NOT_SHARED[0].to_owned()),
            "{key}"
        );
    }
}

#[tokio::test]
#[should_panic(expected = "two edges read `cache-tag` with different separators")]
async fn two_edges_that_read_one_header_differently_are_a_mistake() {
    let _ = EdgeLayer::new(Profile::cloudflare()).and(Profile::keycdn());
}

#[tokio::test]
async fn keys_may_go_on_in_another_line() {
    let keys = KeyField::new(HeaderName::from_static("xkey"), Separator::Space);
    let profile = Profile::varnish_xkey().key_field(keys.max_line_bytes(20));

    let headers = after_reading(3, &EdgeLayer::new(profile)).await;

    let lines: Vec<_> = headers.get_all("xkey").iter().collect();
    assert_eq!(lines, ["product.1 product.2", "product.3"]);
}

async fn after_reading(products: u64, layer: &EdgeLayer) -> HeaderMap {
    let shop = Shop::open().await;
    let reads = async move {
        for id in 1..=products {
            shop.read_product(id).await;
        }
    };
    let page = crate::support::page(|| reads, public(http::StatusCode::OK, &[]));
    headers(layer.clone(), page, get()).await
}
