//! The layer around an axum router.

use crate::support::{Shop, assert_not_shared, assert_shared};
use axum::{Router, body::Body, extract::State, routing::get};
use http::{HeaderMap, Method, Request, StatusCode, header::ACCEPT_LANGUAGE};
use tower::ServiceExt;
use tricache_middleware::{EdgeLayer, Profile, Public};

#[tokio::test]
async fn a_handler_marks_its_own_response() {
    let (status, headers) = ask(Method::GET, "/by-handler").await;

    assert_eq!(status, StatusCode::OK);
    assert_shared(&headers, 60, "product.1");
}

#[tokio::test]
async fn a_layer_marks_the_route() {
    assert_shared(&ask(Method::GET, "/by-layer").await.1, 60, "product.2");
    assert_shared(&ask(Method::HEAD, "/by-layer").await.1, 60, "product.2");
}

#[tokio::test]
async fn a_handler_names_what_its_page_depends_on() {
    let (_, headers) = ask(Method::GET, "/by-language").await;

    assert_shared(&headers, 60, "product.4");
    let vary: Vec<_> = headers.get_all("vary").iter().collect();
    assert_eq!(vary, ["accept", "accept-language"]);
}

#[tokio::test]
async fn other_methods_and_routes_stay_private() {
    assert_not_shared(&ask(Method::PUT, "/by-layer").await.1);
    assert_not_shared(&ask(Method::GET, "/unmarked").await.1);
}

#[tokio::test]
async fn a_path_that_no_route_matches_is_private() {
    let (status, headers) = ask(Method::GET, "/nowhere").await;

    assert_eq!(status, StatusCode::NOT_FOUND);
    assert_not_shared(&headers);
}

async fn ask(method: Method, path: &str) -> (StatusCode, HeaderMap) {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .body(Body::empty())
        .unwrap();
    let (head, _) = app(Shop::open().await)
        .oneshot(request)
        .await
        .unwrap()
        .into_parts();
    (head.status, head.headers)
}

fn app(shop: Shop) -> Router {
    Router::new()
        .route(
            "/by-handler",
            get(async |State(shop): State<Shop>| (Public, read(shop, 1).await)),
        )
        .route(
            "/by-layer",
            get(async |State(shop): State<Shop>| read(shop, 2).await)
                .layer(Public)
                .put(async || "done"),
        )
        .route(
            "/by-language",
            get(async |State(shop): State<Shop>| {
                let mark = Public.varies_on(ACCEPT_LANGUAGE);
                (mark, [("vary", "accept")], read(shop, 4).await)
            }),
        )
        .route(
            "/unmarked",
            get(async |State(shop): State<Shop>| read(shop, 3).await),
        )
        .layer(EdgeLayer::new(Profile::fastly()))
        .with_state(shop)
}

async fn read(shop: Shop, id: u64) -> &'static str {
    shop.read_product(id).await;
    "lamp"
}
