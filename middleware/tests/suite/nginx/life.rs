//! For how long nginx keeps a page, and what becomes of it at its end.

use tricache_test_support::eventually;

use super::site::{Site, USE_STALE, cache, layer, short};

#[tokio::test]
async fn the_second_visitor_is_answered_by_nginx() {
    let site = Site::open(layer()).await;

    let first = site.visitor().get("/page").await;
    let second = site.visitor().get("/page").await;

    assert_eq!((cache(&first), cache(&second)), ("MISS", "HIT"));
    assert_eq!((&*first.body, &*second.body), ("page", "page"));
    assert_eq!(site.origin.answers("/page"), [200]);
    let policy = "public, max-age=0, s-maxage=60, must-revalidate";
    assert_eq!(second.header("cache-control"), policy);
}

#[tokio::test]
async fn a_page_at_the_end_of_its_life_is_renewed_by_a_304() {
    let site = Site::open(short().etags("1")).await;
    let mut visitor = site.visitor();
    let first = visitor.get("/page").await;

    let mut renewed = None;
    eventually("the page is renewed", async || {
        let seen = visitor.get("/page").await;
        renewed = (cache(&seen) == "REVALIDATED").then_some(seen);
        renewed.is_some()
    })
    .await;

    let renewed = renewed.unwrap();
    assert_eq!(site.origin.answers("/page"), [200, 304]);
    assert_eq!((renewed.status.as_u16(), &*renewed.body), (200, "page"));
    assert_eq!(renewed.header("etag"), first.header("etag"));
}

#[tokio::test]
async fn nothing_is_served_past_its_life() {
    let site = Site::open(short()).await;
    site.gate.open();
    let mut visitor = site.visitor();
    let mut answers = Vec::new();

    eventually("the page has ended", async || {
        let seen = visitor.get("/numbered").await;
        answers.push(cache(&seen).to_owned());
        seen.body == "2"
    })
    .await;

    assert_eq!(answers.first().unwrap(), "MISS");
    assert_eq!(answers.last().unwrap(), "EXPIRED");
    assert!(
        !answers
            .iter()
            .any(|cache| cache == "STALE" || cache == "UPDATING"),
        "{answers:?}"
    );
}

#[tokio::test]
async fn where_the_configuration_says_so_the_old_page_is_served_while_one_fetch_brings_the_new_one()
{
    let site = Site::with(short(), &[USE_STALE]).await;

    let stale = site.stale_while_fetched("/numbered").await;

    assert_eq!(stale, "1");
    assert_eq!(site.origin.answers("/numbered").len(), 1);
}

#[tokio::test]
async fn a_stale_window_that_a_handler_states_is_kept() {
    let site = Site::open(layer()).await;

    let stale = site.stale_while_fetched("/own-window").await;

    assert_eq!(stale, "1");
    assert_eq!(site.origin.answers("/own-window").len(), 1);
}
