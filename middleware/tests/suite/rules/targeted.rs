//! T1 to T10, and F6, F16: fields that control edges alone, read by a parser of its own.

use http::HeaderName;
use tricache_middleware::{Control, KeyField, Separator};

use super::*;
use crate::structured::{Bare, dictionary};

#[tokio::test]
async fn t1_a_policy_is_a_dictionary_of_integers_and_flags() {
    for (profile, field) in with_fields_of_their_own() {
        let profile = profile
            .stale_while_revalidate(Duration::from_millis(30_900))
            .stale_if_error(Duration::from_secs(600));

        let policy = policy(page().profile(profile), field).await;

        assert_eq!(
            policy,
            [
                ("max-age".to_owned(), Bare::Integer(60)),
                ("stale-while-revalidate".to_owned(), Bare::Integer(30)),
                ("stale-if-error".to_owned(), Bare::Integer(600)),
            ],
            "{field}"
        );
    }
}

#[tokio::test]
async fn t1_what_nobody_may_keep_is_a_dictionary_of_flags() {
    for (profile, field) in with_fields_of_their_own() {
        let policy = policy(page().unmarked().profile(profile), field).await;

        let flags = ["private", "no-store"].map(|flag| (flag.to_owned(), Bare::Boolean(true)));
        assert_eq!(policy, flags, "{field}");
    }
}

#[tokio::test]
async fn t3_whatever_the_handler_says_an_edge_can_read_the_field() {
    for said in [
        "max-age=\"60\"",
        "max-age=5,",
        "MAX-AGE=30",
        "=",
        "a=(",
        "no-store=1",
        "\u{7f}",
    ] {
        let Ok(_) = http::HeaderValue::from_str(said) else {
            continue;
        };
        let own = page()
            .says("cdn-cache-control", said)
            .profile(Profile::cdn());

        assert!(!policy(own, "cdn-cache-control").await.is_empty(), "{said}");
    }
}

#[tokio::test]
async fn t4_each_field_is_complete_on_its_own() {
    let layer = EdgeLayer::new(Profile::cloudflare()).and(Profile::vercel());
    let own = [
        ("cache-control", "private, max-age=60"),
        ("cache-control", "no-store"),
    ];
    for (name, value) in own {
        let answer = page().layer(layer.clone()).says(name, value).answer().await;

        for field in ["cloudflare-cdn-cache-control", "vercel-cdn-cache-control"] {
            assert!(
                answer.contains(&format!("{field}: private, no-store")),
                "{answer:?}"
            );
        }
    }
}

#[tokio::test]
async fn t5_a_field_of_an_edge_that_nobody_named_says_the_shortest_lifetime() {
    let layer = EdgeLayer::new(Profile::cloudflare().max_shared_ttl(Duration::from_secs(40)))
        .and(Profile::vercel());
    let own = page().layer(layer).says("acme-cache-control", "max-age=50");

    let answer = own.answer().await;

    for line in [
        "acme-cache-control: max-age=40",
        "cloudflare-cdn-cache-control: max-age=40",
        "vercel-cdn-cache-control: max-age=50",
    ] {
        assert!(answer.contains(&line.to_owned()), "{answer:?}");
    }
}

#[tokio::test]
async fn t6_what_must_not_be_kept_needs_no_directive_that_a_cache_may_not_know() {
    for (profile, field) in with_fields_of_their_own() {
        let profile = profile.stale_while_revalidate(Duration::from_secs(30));
        let dead = page().takes(60_000).profile(profile);

        let policy = policy(dead, field).await;

        assert_eq!(
            policy,
            [("max-age".to_owned(), Bare::Integer(0))],
            "{field}"
        );
    }
}

#[tokio::test]
async fn t7_no_key_comes_twice() {
    let own = page()
        .says("cdn-cache-control", "max-age=9, max-age=7")
        .profile(Profile::cdn());

    // The reader refuses a key that comes twice.
    assert_eq!(
        policy(own, "cdn-cache-control").await,
        [("max-age".to_owned(), Bare::Integer(7))]
    );
}

#[tokio::test]
async fn t8_browsers_ask_each_time_however_long_the_edge_may_keep_a_page() {
    for (profile, _) in with_fields_of_their_own() {
        let answer = page().profile(profile).answer().await;

        assert!(answer.contains(&SHARED[0].to_owned()), "{answer:?}");
    }
}

#[tokio::test]
async fn t9_a_field_of_any_name_is_written_and_read() {
    let control = Control::Field(HeaderName::from_static("acme-control"));
    let keys = KeyField::new(HeaderName::from_static("acme-tags"), Separator::Comma);
    let acme = Profile::new("acme", control).key_field(keys);

    let shared = page()
        .profile(acme.clone())
        .says("acme-control", "max-age=20");
    let denied = page().profile(acme).says("acme-control", "no-store");

    assert_eq!(
        shared.says("acme-tags", "front").answer().await,
        [
            "acme-control: max-age=20",
            "acme-tags: front,product.42",
            SHARED[0]
        ]
    );
    assert_eq!(
        denied.answer().await,
        [
            "acme-control: private, no-store",
            "cache-control: private, no-store"
        ]
    );
}

#[tokio::test]
async fn t10_a_field_stands_in_one_line() {
    let own = page()
        .says("surrogate-control", "max-age=50")
        .says("surrogate-control", "max-age=40");
    let response = own
        .layer(EdgeLayer::new(Profile::fastly()).and(Profile::varnish()))
        .ask()
        .await;

    let lines: Vec<_> = response
        .headers()
        .get_all("surrogate-control")
        .iter()
        .collect();

    assert_eq!(lines, ["max-age=40"]);
}

#[tokio::test]
async fn f6_no_stale_window_stands_where_the_handler_demands_revalidation() {
    let lenient = Profile::fastly().stale_while_revalidate(Duration::from_secs(30));
    for demand in ["must-revalidate", "public, Proxy-Revalidate"] {
        let own = page()
            .profile(lenient.clone())
            .says("cache-control", demand);

        assert_eq!(own.answer().await, SHARED, "{demand}");
    }
}

#[tokio::test]
async fn f16_a_stale_window_is_in_whole_seconds_and_two_layers_say_what_one_says() {
    let lenient = Profile::fastly().stale_while_revalidate(Duration::from_millis(30_900));
    let layer = EdgeLayer::new(lenient);
    let router = page().layer(layer.clone()).router().await.layer(layer);

    let request = Request::builder().uri("/page").body(Body::empty()).unwrap();
    let response = router.oneshot(request).await.unwrap();

    assert_eq!(
        response.headers()["surrogate-control"],
        "max-age=60, stale-while-revalidate=30"
    );
}

async fn policy(page: Page, field: &str) -> Vec<(String, Bare)> {
    let response = page.ask().await;
    let text = response.headers()[field].to_str().unwrap();
    let members = dictionary(text).unwrap_or_else(|| panic!("{field}: {text}"));
    members
        .into_iter()
        .map(|(key, item)| (key, item.bare))
        .collect()
}

fn with_fields_of_their_own() -> [(Profile, &'static str); 6] {
    [
        (Profile::fastly(), "surrogate-control"),
        (Profile::varnish(), "surrogate-control"),
        (Profile::cloudflare(), "cloudflare-cdn-cache-control"),
        (Profile::netlify(), "netlify-cdn-cache-control"),
        (Profile::vercel(), "vercel-cdn-cache-control"),
        (Profile::cdn(), "cdn-cache-control"),
    ]
}
