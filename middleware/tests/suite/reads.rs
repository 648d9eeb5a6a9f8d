//! What real reads bring along to an axum router: who may see them, what is known to be missing, and the tags of
//! values that were made of other values.

use std::{convert::Infallible, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::Path,
    routing::{MethodRouter, get},
};
use http::{HeaderMap, Request, StatusCode};
use tower::ServiceExt;
use tricache::{BoxError, Loaded, OptionalExt, TieredCache, Visibility};
use tricache_middleware::{EdgeLayer, Profile, Public, purge_keys};

use crate::support::{Shop, assert_not_shared, assert_shared, lasting, only};

#[tokio::test]
async fn s5_a_page_that_reads_what_is_for_one_user_is_private_whatever_its_handler_says() {
    let shop = Shop::open().await;
    let baskets = shop.cache("basket", lasting(60).visibility(Visibility::User));
    let page = async move |Path(user): Path<u64>| {
        shop.read_product(42).await;
        if user != NOBODY {
            load(&baskets, user, text("a lamp")).await;
        }
        [("cache-control", "public, s-maxage=60")]
    };
    let router = serve(get(page));

    let (_, for_all) = ask(&router, NOBODY).await;
    let (_, loaded) = ask(&router, 7).await;
    let (_, hit) = ask(&router, 7).await;

    assert_shared(&for_all, 60, "product.42");
    assert_not_shared(&loaded);
    assert_not_shared(&hit);
}

#[tokio::test]
async fn s5_what_a_loader_says_of_one_value_makes_its_page_private() {
    let shop = Shop::open().await;
    let reviews = shop.cache("review", lasting(60));
    let page = async move |Path(id): Path<u64>| {
        let review = if id == DRAFT {
            text("bright").visibility(Visibility::User)
        } else {
            text("bright")
        };
        load(&reviews, id, review).await;
    };
    let router = serve(get(page));

    assert_shared(&ask(&router, 1).await.1, 60, "review.1");
    assert_not_shared(&ask(&router, DRAFT).await.1);
    assert_not_shared(&ask(&router, DRAFT).await.1);
}

#[tokio::test]
async fn s5_a_page_made_of_what_is_for_one_user_is_private() {
    let shop = Shop::open().await;
    let baskets = shop.cache("basket", lasting(60).visibility(Visibility::User));
    let fronts = shop.cache("front", lasting(60));
    let page = async move |Path(user): Path<u64>| {
        let front = fronts.get_or_load(&user, |_| {
            let baskets = baskets.clone();
            async move {
                load(&baskets, user, text("a lamp")).await;
                Ok::<_, Infallible>("welcome".to_owned())
            }
        });
        front.await.unwrap();
    };
    let router = serve(get(page));

    assert_not_shared(&ask(&router, 7).await.1);
    assert_not_shared(&ask(&router, 7).await.1);
}

#[tokio::test]
async fn s11_a_remembered_absence_is_shared_for_its_remaining_life_under_its_key_and_would_be_tags()
{
    let shop = Shop::open().await;
    let router = found_or_not(shop.products.clone());

    let (status, loaded) = ask(&router, 7).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert_shared(&loaded, 10, "product.7 category-lamps sale");

    shop.after(4);
    let (status, remembered) = ask(&router, 7).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert_shared(&remembered, 6, "product.7 category-lamps sale");
    assert_eq!(shop.tiers.report().counters().loads, 1);
}

#[tokio::test]
async fn s11_creating_what_was_missing_ends_its_404() {
    let shop = Shop::open().await;
    let router = found_or_not(shop.products.clone());
    assert_eq!(ask(&router, 7).await.0, StatusCode::NOT_FOUND);

    let lamp = text("lamp").tag("category-lamps");
    shop.products.insert(&7, lamp).await.unwrap();

    let (status, headers) = ask(&router, 7).await;
    assert_eq!(status, StatusCode::OK);
    // It has changed a moment ago, so it is not kept for its whole life.
    assert_shared(&headers, 2, "product.7 category-lamps");
}

#[tokio::test]
async fn s11_an_absence_that_its_cache_does_not_remember_is_private() {
    let shop = Shop::open().await;
    let orders = shop.cache("order", lasting(60).absent_ttl(Duration::ZERO));
    let router = found_or_not(orders);

    for _ in 0..2 {
        let (status, headers) = ask(&router, 7).await;

        assert_eq!(status, StatusCode::NOT_FOUND);
        assert_not_shared(&headers);
    }
    assert_eq!(shop.tiers.report().counters().loads, 2);
}

#[tokio::test]
async fn a_page_of_nested_loads_carries_their_names_their_tags_and_the_shortest_life() {
    let shop = Shop::open().await;
    let (fronts, lamps) = (
        shop.cache("front", lasting(60)),
        shop.cache("lamp", lasting(20)),
    );
    let page = async move |Path(id): Path<u64>| {
        let front = fronts.get_or_load(&id, |_| {
            let lamps = lamps.clone();
            async move {
                for lamp in [1, 2] {
                    let tags = ["lamps".to_owned(), format!("maker-{lamp}")];
                    load(&lamps, lamp, text("lamp").tags(tags)).await;
                }
                Ok::<_, BoxError>(text("two lamps").tag("front"))
            }
        });
        front.await.unwrap();
    };
    let router = serve(get(page));

    let (_, loaded) = ask(&router, 1).await;
    shop.after(5);
    let (_, hit) = ask(&router, 1).await;

    for (headers, seconds) in [(&loaded, 20), (&hit, 15)] {
        let keys = only(headers, "surrogate-key");
        assert_shared(headers, seconds, keys);
        assert!(
            keys.starts_with("front.1 front lamps maker-1 maker-2 _3"),
            "{keys}"
        );
        for inner in ["lamp/1", "lamp/2"] {
            assert!(is_found(keys, inner), "{inner}: {keys}");
        }
        assert!(!is_found(keys, "lamp/3"), "{keys}");
    }
    assert_eq!(shop.tiers.report().counters().loads, 3);
}

/// An edge that learns new keys from a whole response only must not be told that nothing has changed.
#[tokio::test]
async fn v3_what_a_value_shows_changes_the_validator_though_its_content_does_not() {
    let shop = Shop::open().await;
    let (fronts, lamps) = (
        shop.cache("front", lasting(60)),
        shop.cache("lamp", lasting(60)),
    );
    let changed = fronts.clone();
    let page = async move |Path(lamp): Path<u64>| {
        let front = fronts.get_or_load(&1, |_| {
            let lamps = lamps.clone();
            async move {
                load(&lamps, lamp, text("lamp")).await;
                Ok::<_, BoxError>("a lamp".to_owned())
            }
        });
        front.await.unwrap();
    };
    let layer = EdgeLayer::new(Profile::fastly()).etags("1");
    let router = Router::new()
        .route("/{id}", get(page).layer(Public))
        .layer(layer);

    let mut validators = Vec::new();
    for lamp in [1, 2, 1] {
        changed.invalidate(&1).await.unwrap();
        let (_, headers) = ask(&router, lamp).await;
        validators.push(only(&headers, "etag").to_owned());
    }

    assert_ne!(validators[0], validators[1]);
    assert_eq!(validators[0], validators[2]);
    assert!(validators[0].starts_with("W/"), "{}", validators[0]);
}

/// Whose page shows no basket.
const NOBODY: u64 = 0;

/// The review that only its author may see.
const DRAFT: u64 = 2;

/// A page of what `cache` holds, and a 404 of what it does not: its loader never finds anything.
fn found_or_not(cache: TieredCache<u64, String>) -> Router {
    serve(get(async move |Path(id): Path<u64>| {
        let read = cache.get_or_load(&id, |_| async {
            Ok::<_, Infallible>(Loaded::absent().tags(["category-lamps", "sale"]))
        });
        match read.await.optional().unwrap() {
            Some(_) => StatusCode::OK,
            None => StatusCode::NOT_FOUND,
        }
    }))
}

/// Whether a purge of `entity` finds the page of these keys.
fn is_found(keys: &str, entity: &str) -> bool {
    let purged = purge_keys(entity);
    keys.split(' ')
        .any(|key| purged.iter().any(|purged| purged == key))
}

fn text(text: &str) -> Loaded<String> {
    Loaded::new(text.to_owned())
}

async fn load(cache: &TieredCache<u64, String>, id: u64, loaded: Loaded<String>) {
    let read = cache.get_or_load(&id, |_| async { Ok::<_, Infallible>(loaded) });
    read.await.unwrap();
}

/// A marked route below the layer.
fn serve(page: MethodRouter) -> Router {
    Router::new()
        .route("/{id}", page.layer(Public))
        .layer(EdgeLayer::new(Profile::fastly()))
}

async fn ask(router: &Router, id: u64) -> (StatusCode, HeaderMap) {
    let request = Request::builder().uri(format!("/{id}"));
    let request = request.body(Body::empty()).unwrap();
    let (head, _) = router.clone().oneshot(request).await.unwrap().into_parts();
    (head.status, head.headers)
}
