//! Who reads for a page, and who may object to its being shared.

use crate::support::*;
use http::{HeaderMap, StatusCode};
use tokio::task::JoinSet;
use tricache::RequestScope;
use tricache_middleware::{EdgeLayer, Profile};

#[tokio::test]
async fn a_task_that_carries_the_scope_reads_for_the_page() {
    let shop = Shop::open().await;
    let page = async {
        let mut tasks = JoinSet::new();
        for id in [1, 2] {
            let shop = shop.clone();
            tasks.spawn(RequestScope::carry(async move {
                shop.read_product(id).await;
            }));
        }
        tasks.join_all().await;
    };

    let headers = ask(page).await;

    let mut keys: Vec<_> = only(&headers, "surrogate-key").split(' ').collect();
    keys.sort_unstable();
    assert_eq!(keys, ["product.1", "product.2"]);
}

/// The trap: the page is shared, and no purge of product 2 will find it.
#[tokio::test]
async fn a_task_that_does_not_is_missing_from_the_page() {
    let shop = Shop::open().await;
    let page = async {
        shop.read_product(1).await;
        let shop = shop.clone();
        let task = tokio::spawn(async move { shop.read_product(2).await });
        task.await.unwrap();
    };

    assert_shared(&ask(page).await, 60, "product.1");
}

#[tokio::test]
async fn what_was_objected_to_is_not_shared_wherever_the_objection_comes_from() {
    let shop = Shop::open().await;
    let layer = layer().explain_to("secret");
    let asked = |request| {
        let (shop, layer) = (shop.clone(), layer.clone());
        async move {
            let work = || async move {
                shop.read_product(1).await;
                let weather = RequestScope::carry(async {
                    RequestScope::current().unwrap().object("shows the weather");
                });
                tokio::spawn(weather).await.unwrap();
            };
            headers(layer, page(work, public(StatusCode::OK, &[])), request).await
        }
    };
    let mut explained = get();
    let secret = "secret".parse().unwrap();
    explained.headers_mut().insert("tricache-debug", secret);

    assert_not_shared(&asked(get()).await);
    let headers = asked(explained).await;
    assert_eq!(only(&headers, "tricache-edge"), "all;why=objection");
}

async fn ask(work: impl Future<Output = ()> + Send) -> HeaderMap {
    headers(layer(), page(|| work, public(StatusCode::OK, &[])), get()).await
}

fn layer() -> EdgeLayer {
    EdgeLayer::new(Profile::fastly())
}
