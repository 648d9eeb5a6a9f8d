//! C1 to C9: `Cache-Status`; and what is explained, to whom.

use super::*;
use crate::structured::{Bare, Item, list};
use tricache_middleware::LastLook;

#[tokio::test]
async fn c1_the_member_stands_behind_those_of_caches_further_inside() {
    let own = page().layer(told()).says("cache-status", "Inner; hit");

    let members = status(&own.ask().await);

    assert_eq!(
        members
            .iter()
            .map(|member| &member.bare)
            .collect::<Vec<_>>(),
        [
            &Bare::Token("Inner".to_owned()),
            &Bare::Token("tricache".to_owned())
        ]
    );
}

#[tokio::test]
async fn c2_a_member_is_a_hit_or_was_forwarded_never_both() {
    let (first, second) = ask_twice(told(), &[]).await;

    assert_eq!(
        first[0].parameter("fwd"),
        Some(&Bare::Token("miss".to_owned()))
    );
    assert_eq!(first[0].parameter("hit"), None);
    assert_eq!(second[0].parameter("hit"), Some(&Bare::Boolean(true)));
    assert_eq!(second[0].parameter("fwd"), None);
}

#[tokio::test]
async fn c3_why_it_was_forwarded_is_one_of_the_words_of_the_rfc() {
    let (first, _) = ask_twice(told(), &SECRET).await;
    for member in first {
        assert_eq!(
            member.parameter("fwd"),
            Some(&Bare::Token("miss".to_owned()))
        );
    }
}

#[tokio::test]
async fn c3_a_cache_that_is_switched_off_is_bypassed() {
    let tiers = tricache::Tiers::builder("test")
        .enabled(false)
        .build()
        .await
        .unwrap();
    let notes = tiers
        .cache::<u64, String>("note", crate::support::lasting(60))
        .unwrap();
    let reads = async move {
        let load = |_| async { Ok::<_, std::convert::Infallible>("one".to_owned()) };
        notes.get_or_load(&1, load).await.unwrap();
    };
    let page = crate::support::page(|| reads, crate::support::public(http::StatusCode::OK, &[]));

    let headers = crate::support::headers(told(), page, crate::support::get()).await;

    assert_eq!(headers["cache-status"], "tricache;fwd=bypass");
}

#[tokio::test]
async fn c4_no_parameter_of_a_forwarded_request_stands_on_a_hit() {
    let (first, second) = ask_twice(told(), &SECRET).await;
    for member in first.iter().chain(&second) {
        let forwarded = member.parameter("fwd").is_some();
        for name in ["fwd-status", "stored", "collapsed"] {
            assert!(forwarded || member.parameter(name).is_none());
        }
    }
}

#[tokio::test]
async fn c5_a_hit_says_how_many_seconds_it_has_left() {
    let (_, second) = ask_twice(told(), &SECRET).await;

    assert_eq!(second[0].parameter("ttl"), Some(&Bare::Integer(60)));
}

#[tokio::test]
async fn c6_detail_is_a_text_and_no_key_is_named() {
    let (first, second) = ask_twice(told(), &SECRET).await;

    assert_eq!(
        first.last().unwrap().parameter("detail"),
        Some(&Bare::Text("0 of 1".to_owned()))
    );
    assert_eq!(
        second[0].parameter("detail"),
        Some(&Bare::Text("1 of 1".to_owned()))
    );
    assert!(
        first
            .iter()
            .chain(&second)
            .all(|member| member.parameter("key").is_none())
    );
}

#[tokio::test]
async fn c7_what_read_no_cache_has_no_member() {
    let idle = page().reads_nothing().layer(told()).ask().await;

    assert!(!idle.headers().contains_key("cache-status"));
}

#[tokio::test]
async fn c7_a_304_has_a_member() {
    let asked = page()
        .layer(told().etags("1"))
        .asks("if-none-match", "*")
        .ask()
        .await;

    assert_eq!((asked.status().as_u16(), status(&asked).len()), (304, 1));
}

#[tokio::test]
async fn c8_strangers_are_told_little_and_nothing_unless_it_is_asked_for() {
    let stranger = page()
        .layer(told())
        .asks("tricache-debug", "wrong")
        .ask()
        .await;

    assert_eq!(stranger.headers()["cache-status"], "tricache;fwd=miss");
    assert!(!page().ask().await.headers().contains_key("cache-status"));
}

#[tokio::test]
async fn c9_each_tier_has_a_member_with_what_it_answered_of_all() {
    let (first, second) = ask_twice(told(), &SECRET).await;

    let names = |members: &[Item]| {
        members
            .iter()
            .map(|member| member.bare.clone())
            .collect::<Vec<_>>()
    };
    let token = |name: &str| Bare::Token(name.to_owned());
    assert_eq!(
        names(&first),
        [token("tricache-remote"), token("tricache-local")]
    );
    assert_eq!(names(&second), [token("tricache-local")]);
}

#[tokio::test]
async fn one_who_knows_the_secret_is_told_why_and_no_cache_keeps_the_answer() {
    let [(name, secret)] = SECRET;
    for (page, why) in [
        (page(), "cloudflare;shared;ttl=60, varnish;shared;ttl=60"),
        (
            page().says("vary", "accept"),
            "cloudflare;why=ignores-vary, varnish;shared;ttl=60",
        ),
        (page().says("set-cookie", "a=b"), "all;why=set-cookie"),
        (page().unmarked(), "all;why=not-public"),
        (page().status(500), "all;why=error-status"),
        (
            page().says("cache-control", "private, max-age=5"),
            "all;why=handler",
        ),
        (
            page().asks("authorization", "Bearer x"),
            "all;why=authorization",
        ),
    ] {
        let response = page
            .layer(told().and(Profile::varnish()))
            .asks(name, secret)
            .ask()
            .await;

        let explained = response.headers()["tricache-edge"].to_str().unwrap();
        assert_eq!(explained, why);
        assert!(list(explained).is_some());
        assert_eq!(response.headers()["cache-control"], "private, no-store");
        assert_eq!(response.headers()["surrogate-control"], "private, no-store");
        assert!(!response.headers().contains_key("surrogate-key"));
    }
}

#[tokio::test]
async fn nobody_else_is_told_why() {
    let layers = [
        told(),
        EdgeLayer::new(Profile::varnish()),
        EdgeLayer::new(Profile::varnish()).explain_to(""),
    ];
    for layer in layers {
        for given in ["", "wrong", "sesam"] {
            let response = page()
                .layer(layer.clone())
                .asks("tricache-debug", given)
                .ask()
                .await;

            assert!(!response.headers().contains_key("tricache-edge"), "{given}");
        }
    }
}

#[tokio::test]
async fn a_debug_build_explains_by_choice_and_changes_nothing_else() {
    let layer = EdgeLayer::new(Profile::varnish()).explain_in_debug_builds();

    let answer = page().layer(layer).answer().await;

    let explained = cfg!(debug_assertions).then_some("tricache-edge: varnish;shared;ttl=60");
    assert_eq!(answer, and(&SHARED, explained.as_slice()));
}

#[tokio::test]
async fn a_layer_shows_no_secret() {
    let layer = told().only_through(http::header::VIA, SECRET[0].1);

    assert!(!format!("{layer:?}").contains(SECRET[0].1));
}

#[tokio::test]
async fn s2_a_cookie_that_a_layer_outside_sets_is_found_by_the_last_look() {
    for (name, value) in [
        ("set-cookie", "session=1"),
        ("cache-control", "private, max-age=60"),
    ] {
        let adds = move |mut response: Response<Body>| async move {
            response.headers_mut().append(name, value.parse().unwrap());
            response
        };
        let outer = axum::middleware::map_response(adds);
        let router = page().router().await.layer(outer).layer(LastLook);

        let request = Request::builder().uri("/page").body(Body::empty()).unwrap();
        let headers = router.oneshot(request).await.unwrap().headers().clone();

        let kept = lines(&headers)
            .into_iter()
            .filter(|line| !line.starts_with("set-cookie"));
        assert_eq!(kept.collect::<Vec<_>>(), NOT_SHARED, "{name}");
    }
}

#[tokio::test]
async fn the_last_look_changes_nothing_on_a_page_that_nobody_made_personal() {
    let router = page().router().await.layer(LastLook);

    let request = Request::builder().uri("/page").body(Body::empty()).unwrap();
    let response = router.oneshot(request).await.unwrap();

    assert_eq!(lines(response.headers()), SHARED);
}

const SECRET: [(&str, &str); 1] = [("tricache-debug", "sesame")];

fn told() -> EdgeLayer {
    EdgeLayer::new(Profile::cloudflare())
        .cache_status()
        .explain_to("sesame")
}

/// What is said when the page is loaded, and when it is in this process.
async fn ask_twice(layer: EdgeLayer, asks: &[(&str, &str)]) -> (Vec<Item>, Vec<Item>) {
    let router = page().layer(layer).router().await;
    let mut told = Vec::new();
    for _ in 0..2 {
        let mut request = Request::builder().uri("/page");
        for (name, value) in asks {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::empty()).unwrap();
        told.push(status(&router.clone().oneshot(request).await.unwrap()));
    }
    let second = told.pop().unwrap();
    (told.pop().unwrap(), second)
}

/// The members of all lines.
fn status(response: &Response<Body>) -> Vec<Item> {
    let lines = response.headers().get_all("cache-status").iter();
    lines
        .flat_map(|line| list(line.to_str().unwrap()).unwrap())
        .collect()
}
