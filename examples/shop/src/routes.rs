//! What there is, and what of it is public; and the answers for programs, in JSON.

use std::{future::Future, io, time::Duration};

use axum::{
    Json, Router,
    extract::{Path, Query, State},
    http::{StatusCode, header::LOCATION},
    response::{IntoResponse, Response},
    routing::get,
};
use serde::Deserialize;
use tokio::net::TcpListener;
use tricache::{Cached, Report};
use tricache_middleware::{EdgeLayer, Profile, Public};

use crate::{
    failure::Failure,
    model::{Change, NewProduct, NewReview, Review},
    pages,
    shop::{Page, Shop},
};

/// The shop's pages. One layer for all; only those that are the same for everyone are marked.
pub fn routes(shop: Shop) -> Router {
    let varnish = Profile::varnish().stale_while_revalidate(STALE);
    Router::new()
        .route("/", get(pages::front).layer(Public))
        .route("/p/{id}", get(pages::product).layer(Public))
        .route("/c/{category}", get(pages::listing).layer(Public))
        .route("/account", get(pages::account))
        .route("/products", get(listing).layer(Public).post(create))
        .route("/products/{id}", get(product).layer(Public).put(change))
        .route(
            "/products/{id}/reviews",
            get(reviews).layer(Public).post(review),
        )
        .route("/report", get(report))
        .layer(EdgeLayer::new(varnish).etags(env!("CARGO_PKG_VERSION")))
        .with_state(shop)
}

/// Answers requests on `listener` until `stop`, then closes the shop.
///
/// # Errors
/// The listener breaks.
pub async fn serve(
    shop: Shop,
    listener: TcpListener,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    axum::serve(listener, routes(shop.clone()))
        .with_graceful_shutdown(stop)
        .await?;
    shop.close().await;
    Ok(())
}

async fn product(State(shop): State<Shop>, Path(id): Path<u32>) -> Result<Response, Failure> {
    let product = shop.product(id).await?;
    Ok(([("x-cache", product.outcome().as_str())], Json(product)).into_response())
}

#[derive(Deserialize)]
struct Wanted {
    category: String,
    #[serde(default)]
    page: u32,
}

async fn listing(
    State(shop): State<Shop>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Page>, Failure> {
    Ok(Json(shop.page(&wanted.category, wanted.page).await?))
}

async fn reviews(
    State(shop): State<Shop>,
    Path(id): Path<u32>,
) -> Result<Json<Cached<Vec<Review>>>, Failure> {
    let (product, reviews) = tokio::join!(shop.product(id), shop.reviews(id));
    product?;
    Ok(Json(reviews?))
}

async fn create(
    State(shop): State<Shop>,
    Json(product): Json<NewProduct>,
) -> Result<Response, Failure> {
    let id = shop.create(product).await?;
    Ok((StatusCode::CREATED, [(LOCATION, format!("/products/{id}"))]).into_response())
}

async fn change(
    State(shop): State<Shop>,
    Path(id): Path<u32>,
    Json(change): Json<Change>,
) -> Result<StatusCode, Failure> {
    let found = shop.change(id, change).await?;
    Ok(if found {
        StatusCode::NO_CONTENT
    } else {
        StatusCode::NOT_FOUND
    })
}

async fn review(
    State(shop): State<Shop>,
    Path(id): Path<u32>,
    Json(review): Json<NewReview>,
) -> Result<StatusCode, Failure> {
    if !(1..=5).contains(&review.stars) {
        return Ok(StatusCode::UNPROCESSABLE_ENTITY);
    }
    let found = shop.review(id, review).await?;
    Ok(if found {
        StatusCode::CREATED
    } else {
        StatusCode::NOT_FOUND
    })
}

async fn report(State(shop): State<Shop>) -> Json<Report> {
    Json(shop.report())
}

/// How long past its life, or past a soft purge, Varnish may show a page while it fetches the new one.
const STALE: Duration = Duration::from_secs(60);
