//! What a purge takes out of Varnish, and what stays.

use std::time::Duration;

use http::Request;
use tricache_middleware::{EdgeLayer, Profile, purge::Mode};
use tricache_test_support::eventually;

use super::{
    TOKEN,
    site::{Site, What, layer},
};
use crate::visitor::Visitor;

#[tokio::test]
async fn a_purge_takes_the_pages_that_show_a_product_and_no_other() {
    let site = Site::open().await;
    site.store.put(1, "lamp", []);
    site.store.put(2, "sofa", []);
    let mut visitor = site.visitor();
    let pages = ["/products/1", "/products/2", "/pairs/1/2", "/pairs/2/3"];
    for path in pages {
        visitor.get(path).await;
    }

    site.store.put(1, "lantern", []);
    site.changed(What::Product(1), Mode::Hard).await;

    let mut shown = Vec::new();
    for path in pages {
        let seen = visitor.get(path).await;
        shown.push((seen.body.clone(), seen.is_hit()));
    }
    let shown: Vec<_> = shown.iter().map(|(body, hit)| (&**body, *hit)).collect();
    let made_anew = [("lantern", false), ("lantern sofa", false)];
    let kept = [("sofa", true), ("sofa", true)];
    assert_eq!(shown, [made_anew[0], kept[0], made_anew[1], kept[1]]);
}

/// Its products have one key together, that of their cache: more would not fit.
#[tokio::test]
async fn a_page_of_more_products_than_its_keys_have_room_for_is_purged_with_each() {
    for profile in [Profile::varnish(), Profile::varnish_xkey()] {
        let layer = EdgeLayer::new(profile);
        let site = Site::with(layer.clone(), |tiers| tiers).await;
        (1..=400).for_each(|id| site.store.put(id, &format!("product-with-{id}"), []));
        let mut visitor = site.visitor();
        visitor.get("/first/400").await;
        assert!(visitor.get("/first/400").await.is_hit());
        assert_eq!(layer.report().coarsened(), 1);

        for id in [1, 217, 400] {
            site.changed(What::Product(id), Mode::Hard).await;

            assert!(!visitor.get("/first/400").await.is_hit(), "{id}");
        }
    }
}

/// 200 keys in one line: as many as there is room for.
#[tokio::test]
async fn a_page_of_200_products_is_purged_with_each_and_with_no_other() {
    for profile in [Profile::varnish(), Profile::varnish_xkey()] {
        let layer = EdgeLayer::new(profile);
        let site = Site::with(layer.clone(), |tiers| tiers).await;
        (1..=201).for_each(|id| site.store.put(id, "lamp", []));
        let mut visitor = site.visitor();

        for (id, is_shown) in [(1, true), (117, true), (200, true), (201, false)] {
            visitor.get("/first/200").await;
            site.changed(What::Product(id), Mode::Hard).await;

            assert_eq!(visitor.get("/first/200").await.is_hit(), !is_shown, "{id}");
        }
        assert_eq!(layer.report().coarsened(), 0);
    }
}

#[tokio::test]
async fn after_a_soft_purge_the_old_page_is_served_while_one_fetch_brings_the_new_one() {
    let site = Site::open().await;
    site.store.put(1, "old", []);
    let mut visitor = site.visitor();
    visitor.get("/products/1").await;
    let gate = site.hold_renders();

    site.store.put(1, "new", []);
    site.changed(What::Product(1), Mode::Soft).await;
    for _ in 0..5 {
        let seen = visitor.get("/products/1").await;
        assert_eq!((&*seen.body, seen.is_hit()), ("old", true));
    }
    gate.reached().await;
    assert_eq!(site.origin.answers("/products/1"), [200]);
    gate.open();

    eventually("the new page is served", async || {
        visitor.get("/products/1").await.body == "new"
    })
    .await;
    assert_eq!(site.origin.answers("/products/1"), [200, 200]);
}

#[tokio::test]
async fn without_a_stale_window_a_soft_purge_lets_the_next_visitor_wait_for_the_new_page() {
    let layer = EdgeLayer::new(Profile::varnish());
    let site = Site::with(layer, |tiers| tiers).await;
    site.store.put(1, "old", []);
    let mut visitor = site.visitor();
    visitor.get("/products/1").await;

    site.store.put(1, "new", []);
    site.changed(What::Product(1), Mode::Soft).await;

    assert_eq!(visitor.get("/products/1").await.body, "new");
}

/// The old page is not what is shown instead, for the rest of its stale window. Varnish lets go of it when it is done with the
/// new one, which may be a moment after it has answered: so more than one attempt.
#[tokio::test]
async fn a_page_that_may_no_longer_be_kept_takes_the_old_one_with_it() {
    let site = Site::open().await;
    let mut visitor = site.visitor();

    eventually("the old page is gone with the new one", async || {
        let kept = becomes_one_users(&site, &mut visitor).await;
        kept == "0"
    })
    .await;
}

/// A page that Varnish still shows has become one user's. How many pages it holds when it has been told.
async fn becomes_one_users(site: &Site, visitor: &mut Visitor) -> String {
    site.store.put(1, "everybody's", []);
    site.changed(What::Product(1), Mode::Hard).await;
    // Long enough that nothing counts as changed lately.
    site.clock.advance(Duration::from_secs(30));
    visitor.get("/products/1").await;
    assert_eq!(purged(visitor, "xkey-softpurge").await, "1");

    site.store.put_for_one_user(1, "one user's");
    What::Product(1)
        .invalidate(&site.tiers, &site.products)
        .await;
    assert_eq!(visitor.get("/products/1").await.body, "everybody's");
    eventually("the page that comes may not be kept", async || {
        !visitor.get("/products/1").await.is_hit()
    })
    .await;
    purged(visitor, "xkey-purge").await
}

/// How many pages of product 1 Varnish had, by one of its calls.
async fn purged(visitor: &mut Visitor, call: &str) -> String {
    let request = Request::builder().method("PURGE").uri("/");
    let request = request.header("x-purge-token", TOKEN);
    let request = request.header(call, "product.1").body(()).unwrap();
    visitor.ask(&request).await.header("x-purged").to_owned()
}

/// What has changed may change again at once: for ten seconds its pages are kept for two, and not past them.
#[tokio::test]
async fn a_page_that_was_made_right_after_a_change_is_kept_for_two_seconds() {
    let site = Site::with(layer(), |tiers| tiers).await;
    site.store.put(1, "lamp", []);
    site.changed(What::Product(1), Mode::Hard).await;

    let seen = site.visitor().get("/products/1").await;

    let left: f64 = seen.header("x-left").parse().unwrap();
    assert!(left <= 2.0, "{left}");
}

#[tokio::test]
async fn creating_a_thing_purges_the_page_that_says_it_is_missing() {
    let site = Site::open().await;
    let mut visitor = site.visitor();
    for path in ["/products/7", "/pairs/8/9"] {
        assert_eq!(visitor.get(path).await.status, 404);
        let kept = visitor.get(path).await;
        assert_eq!((kept.status.as_u16(), kept.is_hit()), (404, true));
    }

    site.store.put(7, "desk", []);
    site.changed(What::Product(7), Mode::Hard).await;

    let created = visitor.get("/products/7").await;
    assert_eq!((created.status.as_u16(), &*created.body), (200, "desk"));
    assert!(visitor.get("/pairs/8/9").await.is_hit());
}

/// The tag that the missing ones would have.
#[tokio::test]
async fn a_page_that_says_something_is_missing_is_purged_by_the_tag_it_would_have() {
    let site = Site::open().await;
    let mut visitor = site.visitor();
    site.store.put(1, "lamp", ["lamps"]);
    visitor.get("/products/1").await;
    visitor.get("/products/7").await;

    site.store.put(7, "desk", ["joins"]);
    site.changed(What::Tag("joins"), Mode::Hard).await;

    assert_eq!(visitor.get("/products/7").await.body, "desk");
    assert!(visitor.get("/products/1").await.is_hit());
}
