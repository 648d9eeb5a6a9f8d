//! The two races of a purge with a refill, at a real Varnish: without the guard it ends with the old page, with it never.

use std::time::Duration;

use tricache::{Protection, TiersBuilder};
use tricache_middleware::purge::Mode;
use tricache_test_support::eventually;

use super::site::{Site, What, layer, node};

/// A render begins, what it shows is changed and purged, and the old page arrives.
#[tokio::test]
async fn a_render_under_way_does_not_bring_the_old_page_to_varnish() {
    let site = Site::with(layer(), |tiers| tiers).await;

    for what in [What::Product(1), What::Tag("lamps")] {
        assert_eq!(after_a_slow_render(&site, what).await, ("new".into(), 2));
    }
}

#[tokio::test]
async fn without_the_guard_it_does() {
    let site = Site::with(layer(), unguarded).await;

    for what in [What::Product(1), What::Tag("lamps")] {
        assert_eq!(after_a_slow_render(&site, what).await, ("old".into(), 1));
    }
}

/// What a page shows is changed and purged, but the node that is asked next still holds it and was not told.
#[tokio::test]
async fn varnish_is_not_refilled_from_a_node_that_has_not_heard() {
    let site = Site::with(layer(), |tiers| tiers).await;

    for what in [What::Product(1), What::Tag("lamps")] {
        assert_eq!(after_a_lost_push(&site, what).await, "new");
    }
}

#[tokio::test]
async fn without_the_guard_varnish_is_refilled() {
    let site = Site::with(layer(), unguarded).await;

    for what in [What::Product(1), What::Tag("lamps")] {
        assert_eq!(after_a_lost_push(&site, what).await, "old");
    }
}

/// The refill is a fetch in the background, behind the old page that Varnish still serves.
#[tokio::test]
async fn a_soft_purge_does_not_freshen_the_old_page() {
    let site = Site::with(layer(), |tiers| tiers).await;

    assert_eq!(after_a_soft_purge(&site).await, "new");
}

#[tokio::test]
async fn without_the_guard_a_soft_purge_freshens_the_old_page() {
    let site = Site::with(layer(), unguarded).await;

    assert_eq!(after_a_soft_purge(&site).await, "old");
}

/// A render of product 1 waits; the product changes, and is invalidated and purged; the render ends. What Varnish shows then,
/// and how many renders that took.
async fn after_a_slow_render(site: &Site, what: What) -> (String, usize) {
    site.store.put(1, "old", ["lamps"]);
    site.changed(What::Product(1), Mode::Hard).await;
    let before = site.origin.answers(PAGE).len();
    let gate = site.hold_renders();
    let mut slow = site.visitor();
    let slow = tokio::spawn(async move { slow.get(PAGE).await });
    gate.reached().await;

    site.store.put(1, "new", ["lamps"]);
    site.changed(what, Mode::Hard).await;
    gate.open();
    assert_eq!(slow.await.unwrap().body, "old");

    let seen = site.visitor().get(PAGE).await;
    (seen.body, site.origin.answers(PAGE).len() - before)
}

/// Product 1 changes at another node, whose push is lost, and is purged. The next request comes to this node. What Varnish
/// shows to the one after it, when this node has heard.
async fn after_a_lost_push(site: &Site, what: What) -> String {
    prepare(site).await;
    change_elsewhere(site, what).await;
    site.purge(what, Mode::Hard).await;

    let refill = site.visitor().get(PAGE).await;
    hear(site).await;

    // It was not told, and a node that is not told serves what it holds.
    assert_eq!((&*refill.body, refill.is_hit()), ("old", false));
    site.visitor().get(PAGE).await.body
}

/// The same, purged softly: the next request gets the page that Varnish still has, and Varnish fetches another.
async fn after_a_soft_purge(site: &Site) -> String {
    let what = What::Product(1);
    prepare(site).await;
    change_elsewhere(site, what).await;
    site.purge(what, Mode::Soft).await;

    let stale = site.visitor().get(PAGE).await;
    eventually("the page is fetched", async || {
        site.origin.answers(PAGE).len() == 2
    })
    .await;
    hear(site).await;
    assert_eq!((&*stale.body, stale.is_hit()), ("old", true));

    // What Varnish got is in its memory once it answers something else than the stale page.
    eventually("Varnish has dealt with what it fetched", async || {
        let seen = site.visitor().get(PAGE).await;
        !seen.header("x-left").starts_with('-')
    })
    .await;
    site.visitor().get(PAGE).await.body
}

async fn prepare(site: &Site) {
    site.store.put(1, "old", ["lamps"]);
    site.changed(What::Product(1), Mode::Hard).await;
    // Long enough that nothing counts as changed lately.
    site.clock.advance(Duration::from_secs(30));
    site.visitor().get(PAGE).await;
    site.tiers.until_caught_up().await.unwrap();
    assert!(site.visitor().get(PAGE).await.is_hit());
}

async fn change_elsewhere(site: &Site, what: What) {
    let (other, products) = node(&site.hub, &site.clock, |tiers| tiers).await;
    site.hub.lose_pushes(true);
    site.store.put(1, "new", ["lamps"]);
    what.invalidate(&other, &products).await;
}

async fn hear(site: &Site) {
    site.hub.lose_pushes(false);
    site.tiers.until_caught_up().await.unwrap();
}

fn unguarded(tiers: TiersBuilder) -> TiersBuilder {
    tiers.without(Protection::Guard)
}

const PAGE: &str = "/products/1";
