//! What Varnish answers by itself, for how long, and what its visitors see of it.

use std::time::Duration;

use tricache_middleware::{EdgeLayer, Profile};
use tricache_test_support::eventually;

use super::site::Site;
use crate::visitor::Seen;

#[tokio::test]
async fn the_second_visitor_is_answered_by_varnish() {
    let site = Site::open().await;
    site.store.put(1, "lamp", ["lamps"]);

    let first = site.visitor().get("/products/1").await;
    let second = site.visitor().get("/products/1").await;

    assert_eq!((first.is_hit(), second.is_hit()), (false, true));
    assert_eq!((&*first.body, &*second.body), ("lamp", "lamp"));
    assert_eq!(site.origin.answers("/products/1"), [200]);
    for seen in [first, second] {
        assert_tells_visitors_what_is_theirs(&seen);
    }
}

/// Products live for 60 seconds; 40 of them are over when the page is made.
#[tokio::test]
async fn varnish_keeps_a_page_for_what_is_left_of_its_data() {
    let site = Site::open().await;
    site.store.put(1, "lamp", []);
    site.store.put(2, "sofa", []);
    site.visitor().get("/products/1").await;
    site.clock.advance(Duration::from_secs(40));

    for (path, at_most) in [("/pairs/1/2", 20.0), ("/products/2", 60.0)] {
        let seen = site.visitor().get(path).await;
        let left: f64 = seen.header("x-left").parse().unwrap();

        assert!(at_most - 10.0 < left && left <= at_most, "{path}: {left}");
    }
}

#[tokio::test]
async fn a_page_leaves_varnish_when_its_data_ends() {
    let site = Site::with(EdgeLayer::new(Profile::varnish()), |tiers| tiers).await;
    site.store.put(1, "old", []);
    site.visitor().get("/products/1").await;
    site.clock.advance(Duration::from_secs(59));
    site.store.put(1, "new", []);
    assert_eq!(site.visitor().get("/pairs/1/1").await.body, "old old");
    site.clock.advance(Duration::from_secs(1));

    eventually("the page is made anew", async || {
        site.visitor().get("/pairs/1/1").await.body == "new new"
    })
    .await;

    assert_eq!(site.origin.answers("/pairs/1/1"), [200, 200]);
}

#[tokio::test]
async fn a_visitor_who_has_the_page_is_told_so_by_varnish() {
    let site = Site::open().await;
    site.store.put(1, "lamp", []);
    let first = site.visitor().get("/products/1").await;

    let asked = http::Request::get("/products/1").header("if-none-match", first.header("etag"));
    let second = site.visitor().ask(&asked.body(()).unwrap()).await;

    assert_eq!((second.status.as_u16(), second.is_hit()), (304, true));
    assert_eq!(second.header("etag"), first.header("etag"));
    assert_tells_visitors_what_is_theirs(&second);
    assert_eq!(site.origin.answers("/products/1"), [200]);
}

#[track_caller]
fn assert_tells_visitors_what_is_theirs(seen: &Seen) {
    let policy = "public, max-age=0, must-revalidate";
    assert_eq!(seen.header("cache-control"), policy);
    assert!(seen.header("age").parse::<u64>().is_ok());
    for name in ["surrogate-control", "surrogate-key", "xkey"] {
        assert_eq!(seen.header(name), "", "{name}");
    }
}
