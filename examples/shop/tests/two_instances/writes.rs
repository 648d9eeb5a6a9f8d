//! What one instance writes, it answers itself at once, and the other within a second: it has the old page in its memory.

use serde_json::{Value, json};
use tricache_test_support::RedisServer;

use crate::instance::{Instance, instances_in_one_process, instances_over};

#[tokio::test]
async fn what_one_instance_writes_the_other_shows_within_one_process() {
    let (a, b) = instances_in_one_process("in_process").await;

    a_rename_changes_the_page_of_the_product_and_of_its_category(&a, &b).await;
    a_move_changes_every_page_of_both_categories(&a, &b).await;
    a_creation_ends_what_was_missing(&a, &b).await;
}

#[tokio::test]
async fn a_rename_travels_over_redis() {
    let redis = RedisServer::start();
    let (a, b) = instances_over(&redis, "rename").await;

    a_rename_changes_the_page_of_the_product_and_of_its_category(&a, &b).await;

    stop(a, b).await;
}

#[tokio::test]
async fn a_move_between_categories_travels_over_redis() {
    let redis = RedisServer::start();
    let (a, b) = instances_over(&redis, "move").await;

    a_move_changes_every_page_of_both_categories(&a, &b).await;

    stop(a, b).await;
}

#[tokio::test]
async fn a_creation_travels_over_redis() {
    let redis = RedisServer::start();
    let (a, b) = instances_over(&redis, "create").await;

    a_creation_ends_what_was_missing(&a, &b).await;

    stop(a, b).await;
}

#[tokio::test]
async fn what_one_instance_has_loaded_costs_the_other_no_query() {
    let redis = RedisServer::start();
    let (a, b) = instances_over(&redis, "shared").await;

    for path in ["/products?category=lamps", "/products/424242"] {
        a.browser.get(path).await;

        assert_eq!(b.queries_for(path).await, 0, "{path}");
    }

    stop(a, b).await;
}

async fn a_rename_changes_the_page_of_the_product_and_of_its_category(a: &Instance, b: &Instance) {
    let (product, list) = ("/products/7", "/products?category=vases");
    b.keeps(product).await;
    b.keeps(list).await;

    let renamed = a.browser.put(product, &json!({ "name": "Amphora" })).await;

    assert_eq!(renamed.status, 204);
    assert!(is_called(&a.browser.get(product).await.json(), "Amphora"));
    assert!(lists_name(&a.browser.get(list).await.json(), "Amphora"));
    b.browser
        .shows(product, |page| is_called(page, "Amphora"))
        .await;
    b.browser
        .shows(list, |page| lists_name(page, "Amphora"))
        .await;
    b.keeps(product).await;
}

/// Product 8 leaves the sofas and becomes the second of the lamps, so that lamp 192 is no longer on their first page.
async fn a_move_changes_every_page_of_both_categories(a: &Instance, b: &Instance) {
    let (sofas, lamps) = ("/products?category=sofas", "/products?category=lamps");
    let more_lamps = "/products?category=lamps&page=1";
    for path in [sofas, lamps, more_lamps] {
        b.keeps(path).await;
    }
    assert!(lists(&b.browser.get(sofas).await.json(), 8));
    assert!(lists(&b.browser.get(lamps).await.json(), 192));

    a.browser
        .put("/products/8", &json!({ "category": "lamps" }))
        .await;

    assert!(!lists(&a.browser.get(sofas).await.json(), 8));
    assert!(lists(&a.browser.get(lamps).await.json(), 8));
    assert!(lists(&a.browser.get(more_lamps).await.json(), 192));
    b.browser.shows(sofas, |page| !lists(page, 8)).await;
    b.browser
        .shows(lamps, |page| lists(page, 8) && !lists(page, 192))
        .await;
    b.browser.shows(more_lamps, |page| lists(page, 192)).await;
}

/// The first desk will be product 3001. B remembers that there is no such product, and no desk.
async fn a_creation_ends_what_was_missing(a: &Instance, b: &Instance) {
    let (product, list) = ("/products/3001", "/products?category=desks");
    for path in [product, list] {
        assert_eq!(a.browser.get(path).await.status, 404);
        b.keeps(path).await;
        assert_eq!(b.browser.get(path).await.status, 404);
    }

    let desk = json!({ "name": "Desk", "category": "desks", "price_cents": 19_900 });
    let created = a.browser.post("/products", &desk).await;

    assert_eq!(
        (created.status, created.header("location")),
        (201, Some(product))
    );
    assert!(is_called(&a.browser.get(product).await.json(), "Desk"));
    assert!(lists(&a.browser.get(list).await.json(), 3001));
    b.browser
        .shows(product, |page| is_called(page, "Desk"))
        .await;
    b.browser.shows(list, |page| lists(page, 3001)).await;
}

fn is_called(product: &Value, name: &str) -> bool {
    product["name"] == name
}

fn lists(page: &Value, id: u64) -> bool {
    on_page(page).any(|product| product["id"] == id)
}

fn lists_name(page: &Value, name: &str) -> bool {
    on_page(page).any(|product| is_called(product, name))
}

fn on_page(page: &Value) -> impl Iterator<Item = &Value> {
    page["products"].as_array().unwrap().iter()
}

async fn stop(a: Instance, b: Instance) {
    a.stop().await;
    b.stop().await;
}
