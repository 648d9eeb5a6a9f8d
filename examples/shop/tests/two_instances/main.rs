//! Two instances on one database: what one writes, the other answers, over real sockets.

mod browser;
mod instance;

use browser::Answer;
use instance::{Database, Instance, instances_in_one_process};
use serde_json::{Value, json};
use shop::{Store, Tiers};
use tricache_test_support::RedisServer;

#[tokio::test]
async fn the_first_reader_loads_and_the_second_hits() {
    let (a, _b) = instances_in_one_process("hit").await;

    let first = a.browser.get("/products/42").await;
    let second = a.browser.get("/products/42").await;

    assert_eq!(
        (first.status, first.header("x-cache")),
        (200, Some("loaded"))
    );
    assert_eq!(second.status, 200);
    assert_ne!(second.header("x-cache"), Some("loaded"));
    assert_eq!(first.json(), second.json());
    assert_eq!(first.json()["name"], "Lamp 42");
    a.browser.hits("/products/42").await;
}

#[tokio::test]
async fn a_page_tells_the_edge_what_it_shows_and_for_how_long() {
    let (a, _b) = instances_in_one_process("headers").await;

    assert_shared(&a.browser.get("/products/42").await, "product.42", 60);
    assert_shared(
        &a.browser.get("/products?category=lamps").await,
        "list.lamps",
        30,
    );
}

#[tokio::test]
async fn everything_else_is_kept_from_the_edge() {
    let (a, _b) = instances_in_one_process("private").await;

    assert_not_shared(&a.browser.get("/report").await, 200);
    assert_not_shared(&a.browser.get("/products/424242").await, 404);
    assert_not_shared(&a.browser.get("/products?category=none").await, 404);
    assert_not_shared(&a.browser.get("/nowhere").await, 404);
    assert_not_shared(&a.browser.put("/products/424242", &json!({})).await, 404);
    assert_not_shared(
        &a.browser
            .put("/products/42", &json!({ "price_cents": 4200 }))
            .await,
        204,
    );
}

#[tokio::test]
async fn an_update_travels_within_one_process() {
    let (a, b) = instances_in_one_process("in_process").await;

    an_update_travels(&a, &b).await;
    a_move_changes_both_listings(&a, &b).await;
}

#[tokio::test]
async fn an_update_travels_over_redis() {
    let redis = RedisServer::start();
    let database = Database::new("redis");
    let over_redis = async || {
        Tiers::builder("shop")
            .redis(&redis.url())
            .build()
            .await
            .unwrap()
    };
    let a = Instance::start(&database, over_redis().await).await;
    let b = Instance::start(&database, over_redis().await).await;

    an_update_travels(&a, &b).await;
    a_move_changes_both_listings(&a, &b).await;

    a.stop().await;
    b.stop().await;
}

#[tokio::test]
async fn two_instances_that_start_at_once_fill_the_database_once() {
    let database = Database::new("race");

    let (one, two) = tokio::join!(Store::open(&database.path), Store::open(&database.path));

    let (one, two) = (one.unwrap(), two.unwrap());
    assert_eq!(
        one.product(3_000).await.unwrap(),
        two.product(3_000).await.unwrap()
    );
    assert_eq!(
        one.listing("lamps".to_owned())
            .await
            .unwrap()
            .unwrap()
            .products
            .len(),
        300
    );
}

/// B has the product in its memory; A renames it; B shows the new name within a second, and then hits again.
async fn an_update_travels(a: &Instance, b: &Instance) {
    b.browser.hits("/products/7").await;

    let changed = a
        .browser
        .put("/products/7", &json!({ "name": "Lantern" }))
        .await;

    assert_eq!(changed.status, 204);
    assert_eq!(a.browser.get("/products/7").await.json()["name"], "Lantern");
    b.browser
        .shows("/products/7", |page| page["name"] == "Lantern")
        .await;
    b.browser.hits("/products/7").await;
}

/// Both listings are in B's memory; A moves product 8 from one to the other.
async fn a_move_changes_both_listings(a: &Instance, b: &Instance) {
    let (before, after) = ("/products?category=sofas", "/products?category=lamps");
    assert!(lists(&b.browser.get(before).await.json(), 8));
    assert!(!lists(&b.browser.get(after).await.json(), 8));

    a.browser
        .put("/products/8", &json!({ "category": "lamps" }))
        .await;

    b.browser.shows(before, |page| !lists(page, 8)).await;
    b.browser.shows(after, |page| lists(page, 8)).await;
}

fn lists(page: &Value, id: u64) -> bool {
    page["products"]
        .as_array()
        .unwrap()
        .iter()
        .any(|line| line["id"] == id)
}

#[track_caller]
fn assert_shared(page: &Answer, key: &str, at_most: u64) {
    assert_eq!(
        page.header("cache-control"),
        Some("public, max-age=0, must-revalidate")
    );
    assert_eq!(page.header("surrogate-key"), Some(key));
    let life = page
        .header("surrogate-control")
        .and_then(|policy| policy.strip_prefix("max-age="))
        .unwrap();
    assert!(
        (1..=at_most).contains(&life.parse().unwrap()),
        "{life} seconds"
    );
}

#[track_caller]
fn assert_not_shared(page: &Answer, status: u16) {
    assert_eq!(page.status, status);
    assert_eq!(page.header("cache-control"), Some("private, no-store"));
    assert_eq!(page.header("surrogate-control"), Some("private, no-store"));
    assert_eq!(page.header("surrogate-key"), None);
}
