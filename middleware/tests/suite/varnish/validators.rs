//! Pages that Varnish asks about again: what a 304 spares, what it changes, and when there must be none.

use std::time::Duration;

use tricache::Version;
use tricache_middleware::{EdgeLayer, Profile, purge::Mode};
use tricache_test_support::eventually;

use super::site::{Site, What};
use crate::visitor::{Seen, Visitor};

#[tokio::test]
async fn a_page_that_has_not_changed_is_revalidated_with_a_304_and_can_still_be_purged() {
    let site = Site::open().await;
    site.store.put(1, "lamp", ["lamps"]);
    let mut visitor = site.visitor();
    let first = visitor.get("/products/1").await;

    let again = revalidated(&site, &mut visitor, "/products/1").await;

    assert_eq!(site.origin.answers("/products/1"), [200, 304]);
    assert_eq!((&*again.body, again.is_hit()), ("lamp", true));
    assert_eq!(again.header("etag"), first.header("etag"));
    for what in [What::Product(1), What::Tag("lamps")] {
        site.purge(what, Mode::Hard).await;
        assert!(!visitor.get("/products/1").await.is_hit(), "{what:?}");
    }
}

/// The tags of what is read are in our validator: the page comes as a whole, with its new keys.
#[tokio::test]
async fn a_page_whose_tags_alone_have_changed_is_sent_anew_and_purged_by_the_new_tag() {
    let site = Site::open().await;
    site.store.put(1, "lamp", ["lamps"]);
    let mut visitor = site.visitor();
    visitor.get("/products/1").await;

    site.store.put(1, "lamp", ["sale"]);
    site.clock.advance(Duration::from_secs(60));
    revalidated(&site, &mut visitor, "/products/1").await;

    assert_eq!(site.origin.answers("/products/1"), [200, 200]);
    assert_is_found_by_its_new_tag_alone(&site, &mut visitor, "/products/1").await;
}

/// A handler's own validator may know nothing of tags. Varnish takes the keys of a 304, and forgets those of before.
#[tokio::test]
async fn varnish_takes_new_keys_from_a_304() {
    let site = Site::open().await;
    site.store.put(1, "lamp", ["lamps"]);
    let mut visitor = site.visitor();
    visitor.get("/named/1").await;

    site.store.put(1, "lamp", ["sale"]);
    site.clock.advance(Duration::from_secs(60));
    revalidated(&site, &mut visitor, "/named/1").await;

    assert_eq!(site.origin.answers("/named/1"), [200, 304]);
    assert_is_found_by_its_new_tag_alone(&site, &mut visitor, "/named/1").await;
}

/// Nobody has invalidated it: the loader simply finds something else after the TTL.
#[tokio::test]
async fn a_refill_with_another_content_under_the_same_version_has_another_validator() {
    let site = Site::open().await;
    site.store.put(1, "lamp", []);
    let mut visitor = site.visitor();
    let first = visitor.get("/products/1").await;
    let version = version(&site).await;

    site.store.put(1, "lantern", []);
    site.clock.advance(Duration::from_secs(60));
    let second = revalidated(&site, &mut visitor, "/products/1").await;

    assert_eq!(version, self::version(&site).await);
    assert_eq!(site.origin.answers("/products/1"), [200, 200]);
    assert_eq!(second.body, "lantern");
    assert_ne!(second.header("etag"), first.header("etag"));
    assert_ne!(second.header("etag"), "");
}

/// Past its life and its stale window a page is of use for one thing: to ask whether it is still the same.
#[tokio::test]
async fn a_page_without_a_stale_window_is_revalidated_too() {
    let layer = EdgeLayer::new(Profile::varnish());
    let site = Site::with(layer.etags("1"), |tiers| tiers).await;
    site.store.put(1, "lamp", []);
    let mut visitor = site.visitor();
    visitor.get("/products/1").await;

    site.purge(What::Product(1), Mode::Soft).await;
    let again = visitor.get("/products/1").await;

    assert_eq!(site.origin.answers("/products/1"), [200, 304]);
    assert_eq!((again.status.as_u16(), &*again.body), (200, "lamp"));
    assert!(visitor.get("/products/1").await.is_hit());
}

/// Makes the page stale at Varnish, has it ask the site again, and answers what it then shows.
async fn revalidated(site: &Site, visitor: &mut Visitor, path: &str) -> Seen {
    let before = site.origin.answers(path).len();
    site.purge(What::Product(1), Mode::Soft).await;
    visitor.get(path).await;
    let mut seen = None;
    eventually("the page is fresh again", async || {
        let now = visitor.get(path).await;
        let is_fresh = now.is_hit() && !now.header("x-left").starts_with('-');
        seen = is_fresh.then_some(now);
        seen.is_some()
    })
    .await;
    assert_eq!(site.origin.answers(path).len(), before + 1);
    seen.unwrap()
}

async fn assert_is_found_by_its_new_tag_alone(site: &Site, visitor: &mut Visitor, path: &str) {
    site.purge(What::Tag("lamps"), Mode::Hard).await;
    assert!(visitor.get(path).await.is_hit(), "it has the old tag");
    site.purge(What::Tag("sale"), Mode::Hard).await;
    assert!(!visitor.get(path).await.is_hit(), "it has not the new tag");
}

async fn version(site: &Site) -> Version {
    let product = site.products.get(&1).await.unwrap().unwrap();
    product.version().unwrap()
}
