//! What a new thing makes old at an edge: the pages that say it is missing, and the lists that it joins.

use std::{
    collections::BTreeSet,
    convert::Infallible,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    extract::{Path, State},
    routing::get,
};
use http::StatusCode;
use tricache::{Loaded, OptionalExt, Tag, TieredCache, Tiers};
use tricache_middleware::{EdgeLayer, Profile, Public, purge_keys, purge_keys_of_tag};

use crate::{fake_edge::FakeEdge, support::lasting};

#[tokio::test]
async fn what_is_created_purges_the_page_of_its_absence_and_the_lists_that_it_joins() {
    let shop = Shop::open().await;
    let edge = shop.edge();
    assert_eq!(edge.get("/products/7").await, "none");
    assert_eq!(edge.get("/products").await, "1");
    assert!(edge.keeps("/products/7") && edge.keeps("/products"));

    edge.purge(&shop.create(7).await);

    assert_eq!(edge.get("/products/7").await, "7");
    assert_eq!(edge.get("/products").await, "1 7");
}

/// Why the tag is there: an old list does not name what is new.
#[tokio::test]
async fn without_the_tag_of_lists_an_old_list_stays() {
    let shop = Shop::open().await;
    let edge = shop.edge();
    edge.get("/products").await;
    let mut purged = shop.create(7).await;
    purged.retain(|key| !purge_keys_of_tag(&Tag::list_of("product")).contains(key));

    edge.purge(&purged);

    assert_eq!(edge.get("/products").await, "1");
}

#[derive(Clone)]
struct Shop {
    tiers: Tiers,
    products: TieredCache<u64, u64>,
    lists: TieredCache<String, String>,
    store: Arc<Mutex<BTreeSet<u64>>>,
}

impl Shop {
    async fn open() -> Self {
        let tiers = Tiers::builder("test").build().await.unwrap();
        Self {
            products: tiers.cache("product", lasting(60)).unwrap(),
            lists: tiers.cache("list", lasting(60)).unwrap(),
            store: Arc::new(Mutex::new(BTreeSet::from([1]))),
            tiers,
        }
    }

    fn edge(&self) -> FakeEdge {
        let router = Router::new()
            .route("/products/{id}", get(product))
            .route("/products", get(list))
            .layer(Public)
            .layer(EdgeLayer::new(Profile::fastly()))
            .with_state(self.clone());
        FakeEdge::before(router)
    }

    /// A new product; answers what is to be purged.
    async fn create(&self, id: u64) -> Vec<String> {
        self.store.lock().unwrap().insert(id);
        let all = Tag::list_of("product");
        self.products.invalidate(&id).await.unwrap();
        self.tiers.invalidate_tags([&all]).await.unwrap();
        let mut purged = purge_keys(&format!("product/{id}"));
        purged.extend(purge_keys_of_tag(&all));
        purged
    }
}

async fn product(State(shop): State<Shop>, Path(id): Path<u64>) -> (StatusCode, String) {
    let store = Arc::clone(&shop.store);
    let load = |_| async move {
        let found = store.lock().unwrap().get(&id).copied();
        Ok::<_, Infallible>(found)
    };
    match shop
        .products
        .get_or_load(&id, load)
        .await
        .optional()
        .unwrap()
    {
        Some(product) => (StatusCode::OK, product.to_string()),
        None => (StatusCode::NOT_FOUND, "none".to_owned()),
    }
}

async fn list(State(shop): State<Shop>) -> String {
    let store = Arc::clone(&shop.store);
    let load = |_| async move {
        let ids: Vec<_> = store.lock().unwrap().iter().map(u64::to_string).collect();
        let list = Loaded::new(ids.join(" "));
        Ok::<_, Infallible>(list.tag(Tag::list_of("product")))
    };
    let list = shop.lists.get_or_load("all", load).await.unwrap();
    list.to_string()
}
