//! V1 to V17: validators, 304, HEAD.

use std::{convert::Infallible, future::Future, pin::Pin};

use tricache::{Loaded, TieredCache};

use super::*;
use crate::support::{get, lasting, public};
use http::header::{ACCEPT_LANGUAGE, CONTENT_LENGTH, ETAG};

#[tokio::test]
async fn v1_a_validator_is_quoted_and_of_visible_characters() {
    let tag = tag(&page().validated("1").ask().await);

    let opaque = tag.strip_prefix("W/\"").unwrap().strip_suffix('"').unwrap();
    assert!(
        !opaque.is_empty() && opaque.bytes().all(|byte| byte.is_ascii_hexdigit()),
        "{tag}"
    );
}

#[tokio::test]
async fn v2_a_validator_of_contents_is_weak_and_the_handlers_own_stands() {
    assert!(tag(&page().validated("1").ask().await).starts_with("W/"));
    let own = page().validated("1").says("etag", "\"own\"").ask().await;
    assert_eq!(tag(&own), "\"own\"");
}

#[tokio::test]
async fn v3_equal_contents_have_equal_validators_and_another_build_has_others() {
    let one = tag(&page().validated("1").ask().await);

    assert_eq!(tag(&page().validated("1").takes(30_000).ask().await), one);
    assert_ne!(tag(&page().validated("2").ask().await), one);
    let tagged = page().validated("1").says("surrogate-key", "front");
    assert_ne!(tag(&tagged.ask().await), one);
}

#[tokio::test]
async fn v3_each_variant_has_a_validator_of_its_own() {
    let varying = page()
        .validated("1")
        .varies_on(Public.varies_on(ACCEPT_LANGUAGE));

    let german = tag(&varying.clone().asks("accept-language", "de").ask().await);
    let french = tag(&varying.clone().asks("accept-language", "fr").ask().await);
    let again = varying
        .asks("accept-language", "de")
        .asks("accept", "text/html");

    assert_ne!(german, french);
    assert_eq!(tag(&again.ask().await), german);
}

#[tokio::test]
async fn v3_a_refill_with_another_content_changes_the_validator_and_one_with_the_same_does_not() {
    let shop = Shop::open().await;
    let notes = shop.cache("note", lasting(60));

    let mut tags = Vec::new();
    for text in ["one", "one", "two"] {
        let response = page_of(vec![read(&notes, 1, text)]).await;
        tags.push(tag(&response));
        shop.after(61);
    }

    assert_eq!(tags[0], tags[1]);
    assert_ne!(tags[1], tags[2]);
}

#[tokio::test]
async fn v3_the_order_of_reads_does_not_count_and_what_is_missing_does() {
    let shop = Shop::open().await;
    let notes = shop.cache("note", lasting(60));
    let one = || read(&notes, 1, "one");
    let empty = || read(&notes, 2, "");
    let missing = || {
        let notes = notes.clone();
        Box::pin(async move {
            let absent = notes.get_or_load(&3, |_| async { Ok::<_, Infallible>(Loaded::absent()) });
            assert!(absent.await.unwrap_err().is_absent());
        }) as Reads
    };

    let forth = tag(&page_of(vec![one(), empty()]).await);
    let back = tag(&page_of(vec![empty(), one()]).await);
    let more = tag(&page_of(vec![one(), empty(), missing()]).await);

    assert_eq!(forth, back);
    assert_ne!(forth, more);
}

#[tokio::test]
async fn v3_what_is_missing_is_not_what_is_empty() {
    let shop = Shop::open().await;
    let marks = shop.tiers.cache::<u64, ()>("mark", lasting(60)).unwrap();

    let mut validators = Vec::new();
    for loaded in [Some(()), None] {
        let marks = marks.clone();
        let reads = Box::pin(async move {
            let load = |_| async move { Ok::<_, Infallible>(loaded) };
            let _ = marks.get_or_load(&1, load).await;
        });
        validators.push(tag(&page_of(vec![reads]).await));
        shop.after(61);
    }

    assert_ne!(validators[0], validators[1]);
}

#[tokio::test]
async fn v3_other_tags_of_the_same_content_change_the_validator() {
    let shop = Shop::open().await;
    let notes = shop.cache("note", lasting(60));

    let mut validators = Vec::new();
    for tags in [["lamps"], ["chairs"]] {
        let notes = notes.clone();
        let reads = Box::pin(async move {
            let note = Loaded::new("one".to_owned()).tags(tags);
            let load = |_| async { Ok::<_, Infallible>(note) };
            notes.get_or_load(&1, load).await.unwrap();
        });
        validators.push(tag(&page_of(vec![reads]).await));
        shop.after(61);
    }

    assert_ne!(validators[0], validators[1]);
}

#[tokio::test]
async fn v3_a_page_that_read_one_thing_twice_and_changed_has_no_validator() {
    let shop = Shop::open().await;
    let notes = shop.cache("note", lasting(60));
    let later = shop.clone();
    let passes = Box::pin(async move { later.after(61) }) as Reads;

    let reads = vec![read(&notes, 1, "one"), passes, read(&notes, 1, "two")];

    assert!(!page_of(reads).await.headers().contains_key(ETAG));
}

#[tokio::test]
async fn v4_a_validator_that_does_not_know_the_encoding_is_weak() {
    let encoded = page().validated("1").says("content-encoding", "gzip");

    assert!(tag(&encoded.ask().await).starts_with("W/"));
}

#[tokio::test]
async fn v5_a_list_a_star_and_a_strong_form_match() {
    let tag = tag(&page().validated("1").ask().await);
    let strong = tag.strip_prefix("W/").unwrap().to_owned();
    for asked in [
        tag.clone(),
        strong,
        "*".to_owned(),
        format!("\"a,b\", {tag}"),
    ] {
        let page = page().validated("1").asks("if-none-match", &asked);

        assert_eq!(page.ask().await.status(), 304, "{asked}");
    }
    for asked in ["\"other\"", "", "W/", "\"", "\"*\""] {
        let page = page().validated("1").asks("if-none-match", asked);

        assert_eq!(page.ask().await.status(), 200, "{asked}");
    }
}

#[tokio::test]
async fn v6_other_methods_are_left_to_their_handler() {
    for method in ["POST", "PUT", "DELETE"] {
        let asked = page()
            .method(method)
            .validated("1")
            .asks("if-none-match", "*");

        let response = asked.says("etag", "\"1\"").ask().await;

        assert_eq!(response.status(), 200, "{method}");
    }
}

#[tokio::test]
async fn v7_a_date_does_not_count_beside_a_validator() {
    let asked = page()
        .validated("1")
        .says("last-modified", "Thu, 01 Jan 2026 00:00:00 GMT")
        .asks("if-none-match", "\"other\"")
        .asks("if-modified-since", "Fri, 02 Jan 2026 00:00:00 GMT");

    assert_eq!(asked.ask().await.status(), 200);
}

#[tokio::test]
async fn v8_an_error_or_a_redirect_is_never_a_304() {
    for status in [206, 301, 302, 308, 400, 404, 410, 412, 500, 503] {
        let asked = page()
            .status(status)
            .validated("1")
            .asks("if-none-match", "*");

        let response = asked.says("etag", "\"1\"").ask().await;

        assert_eq!(response.status(), status);
    }
}

#[tokio::test]
async fn v9_what_is_refused_or_personal_is_not_answered_for() {
    for refused in [
        page().status(401),
        page().status(403),
        page().unmarked(),
        page().asks("authorization", "Bearer x"),
        page().says("set-cookie", "a=b"),
        page().says("cache-control", "private, max-age=60"),
    ] {
        let status = refused.status;
        let asked = refused.validated("1").asks("if-none-match", "*");

        let response = asked.ask().await;

        assert_eq!(response.status(), status);
        assert!(!response.headers().contains_key(ETAG));
    }
}

#[tokio::test]
async fn v10_a_304_has_the_policy_and_the_keys_of_its_200() {
    let layer = EdgeLayer::new(Profile::cloudflare()).and(Profile::varnish());
    let layer = layer.etags("1").cache_groups();
    let page = page()
        .layer(layer)
        .says("vary", "accept-encoding")
        .says("x-own", "1");
    let whole = page.clone().ask().await;

    let short = page.asks("if-none-match", "*").ask().await;

    assert_eq!(short.status(), 304);
    assert_eq!(lines(short.headers()), lines(whole.headers()));
    for name in [
        "surrogate-key",
        "cache-tag",
        "cache-groups",
        "etag",
        "cloudflare-cdn-cache-control",
    ] {
        assert!(short.headers().contains_key(name), "{name}");
    }
}

#[tokio::test]
async fn v11_a_304_has_no_body_and_the_length_of_what_it_stands_for() {
    let asked = page()
        .validated("1")
        .says("content-type", "text/html")
        .says("content-encoding", "gzip")
        .asks("if-none-match", "*");

    let (head, body) = asked.ask().await.into_parts();

    assert_eq!(axum::body::to_bytes(body, 10).await.unwrap().len(), 0);
    assert_eq!(head.headers[CONTENT_LENGTH], "4");
    for about_the_body in ["content-type", "content-encoding"] {
        assert!(!head.headers.contains_key(about_the_body));
    }
}

#[tokio::test]
async fn v12_head_says_what_get_says() {
    let get = page().validated("1").ask().await;
    let head = page().method("HEAD").validated("1");

    assert_eq!(
        lines(head.clone().ask().await.headers()),
        lines(get.headers())
    );
    assert_eq!(head.asks("if-none-match", "*").ask().await.status(), 304);
}

#[tokio::test]
async fn v15_no_date_of_modification_is_made_up() {
    assert!(
        !page()
            .validated("1")
            .ask()
            .await
            .headers()
            .contains_key("last-modified")
    );
}

#[tokio::test]
async fn v16_no_ranges_are_offered() {
    let response = page().validated("1").asks("range", "bytes=0-1").ask().await;

    assert_eq!(response.status(), 200);
    assert!(!response.headers().contains_key("accept-ranges"));
}

#[tokio::test]
async fn v17_if_match_is_left_to_the_handler() {
    let asked = page()
        .validated("1")
        .asks("if-match", "\"other\"")
        .asks("if-unmodified-since", "Thu, 01 Jan 1970 00:00:00 GMT");

    assert_eq!(asked.ask().await.status(), 200);
}

#[tokio::test]
async fn without_a_build_there_is_no_validator_and_no_304() {
    let response = page()
        .asks("if-none-match", "*")
        .says("etag", "\"1\"")
        .ask()
        .await;

    assert_eq!(response.status(), 200);
    assert!(!page().ask().await.headers().contains_key(ETAG));
}

type Reads = Pin<Box<dyn Future<Output = ()> + Send>>;

fn read(cache: &TieredCache<u64, String>, id: u64, text: &'static str) -> Reads {
    let cache = cache.clone();
    Box::pin(async move {
        let load = |_| async { Ok::<_, Infallible>(text.to_owned()) };
        cache.get_or_load(&id, load).await.unwrap();
    })
}

/// The answer of a marked page that reads these, one after the other.
async fn page_of(reads: Vec<Reads>) -> Response<Body> {
    let all = async move {
        for read in reads {
            read.await;
        }
    };
    let page = crate::support::page(|| all, public(http::StatusCode::OK, &[]));
    let layer = EdgeLayer::new(Profile::varnish()).etags("1");
    let response = tower::Layer::layer(&layer, page)
        .oneshot(get())
        .await
        .unwrap();
    response.map(Body::from)
}

fn tag(response: &Response<Body>) -> String {
    response.headers()[ETAG].to_str().unwrap().to_owned()
}

impl Page {
    fn validated(self, build: &str) -> Self {
        self.layer(EdgeLayer::new(Profile::varnish()).etags(build))
    }
}
