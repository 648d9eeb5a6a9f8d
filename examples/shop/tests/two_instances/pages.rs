//! What a page shows, what it costs the store, and what it tells the edge.

use serde_json::json;
use shop::{PAGE, Store};

use crate::{
    browser::Answer,
    instance::{Database, instances_in_one_process},
};

#[tokio::test]
async fn the_first_reader_loads_and_the_second_hits() {
    let (a, _b) = instances_in_one_process("hit").await;

    let first = a.browser.get("/products/42").await;
    let second = a.browser.get("/products/42").await;
    a.keeps("/products/42").await;
    let third = a.browser.get("/products/42").await;

    assert_eq!(
        (first.status, first.header("x-cache")),
        (200, Some("loaded"))
    );
    assert_eq!(second.status, 200);
    assert_ne!(second.header("x-cache"), Some("loaded"));
    assert_eq!(first.json(), second.json());
    assert_eq!(first.json()["name"], "Lamp 42");
    assert_eq!(third.header("x-cache"), Some("local_hit"));
}

#[tokio::test]
async fn a_page_of_many_products_asks_the_store_for_the_list_and_for_all_that_is_missing() {
    let (a, _b) = instances_in_one_process("queries").await;
    let page = "/products?category=lamps";

    assert_eq!(a.queries_for(page).await, 2);
    assert_eq!(a.queries_for(page).await, 0);
    assert_eq!(a.queries_for("/products/42").await, 0);

    for id in [2, 42, 192] {
        let path = format!("/products/{id}");
        a.browser.put(&path, &json!({ "price_cents": 99 })).await;
    }
    assert_eq!(a.queries_for(page).await, 1);

    let products = a.browser.get(page).await.json()["products"].clone();
    assert_eq!(products.as_array().unwrap().len(), PAGE as usize);
    assert_eq!(
        products[0],
        json!({ "id": 2, "name": "Lamp 2", "category": "lamps", "price_cents": 99, "sold": 9 })
    );
}

#[tokio::test]
async fn what_there_is_not_is_asked_for_once() {
    let (a, _b) = instances_in_one_process("absent").await;

    for path in ["/products/424242", "/products?category=none"] {
        assert_eq!(a.queries_for(path).await, 1, "{path}");
        assert_eq!(a.queries_for(path).await, 0, "{path}");
    }
}

#[tokio::test]
async fn a_page_tells_the_edge_what_it_shows_and_for_how_long() {
    let (a, _b) = instances_in_one_process("headers").await;

    let list = a.browser.get("/products?category=lamps").await;
    let product = a.browser.get("/products/42").await;

    assert_shared(&product, 200, "product.42", 60);
    let lamps: Vec<String> = (0..PAGE)
        .map(|n| format!("product.{}", 10 * n + 2))
        .collect();
    let keys = format!("list.lamps_-2c0 {} product.lamps-list", lamps.join(" "));
    assert_shared(&list, 200, &keys, 30);
}

#[tokio::test]
async fn a_404_is_shared_for_its_short_life_under_what_its_creation_invalidates() {
    let (a, _b) = instances_in_one_process("missing").await;

    let product = a.browser.get("/products/424242").await;
    let list = a.browser.get("/products?category=none").await;

    assert_shared(&product, 404, "product.424242", 10);
    assert_shared(&list, 404, "list.none_-2c0 product.none-list", 10);
}

#[tokio::test]
async fn everything_else_is_kept_from_the_edge() {
    let (a, _b) = instances_in_one_process("private").await;
    let (lamp, cheaper) = (
        json!({ "name": "Lantern", "category": "lamps", "price_cents": 4900 }),
        json!({ "price_cents": 4200 }),
    );

    assert_not_shared(&a.browser.get("/report").await, 200);
    assert_not_shared(&a.browser.get("/nowhere").await, 404);
    assert_not_shared(&a.browser.put("/products/424242", &cheaper).await, 404);
    assert_not_shared(&a.browser.put("/products/42", &cheaper).await, 204);
    assert_not_shared(&a.browser.post("/products", &lamp).await, 201);
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
    let last_page = 300 / PAGE - 1;
    let of_lamps = async |page| one.listing("lamps".to_owned(), page).await.unwrap().len();
    assert_eq!(of_lamps(last_page).await, PAGE as usize);
    assert_eq!(of_lamps(last_page + 1).await, 0);
}

#[track_caller]
fn assert_shared(page: &Answer, status: u16, keys: &str, at_most: u64) {
    assert_eq!(page.status, status);
    assert_eq!(
        page.header("cache-control"),
        Some("public, max-age=0, must-revalidate")
    );
    assert_eq!(page.header("surrogate-key"), Some(keys));
    let life = page
        .header("surrogate-control")
        .and_then(|policy| policy.strip_prefix("max-age="))
        .and_then(|policy| policy.strip_suffix(", stale-while-revalidate=60"))
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
