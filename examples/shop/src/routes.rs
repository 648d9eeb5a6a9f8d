//! The pages, and what of them is public.

use std::{future::Future, io};

use axum::{
    Json, Router,
    extract::{Path, Query, State},
    http::{StatusCode, header::LOCATION},
    response::{IntoResponse, Response},
    routing::get,
};
use serde::Deserialize;
use tokio::net::TcpListener;
use tricache::Report;
use tricache_middleware::{EdgeLayer, Profile, Public};

use crate::{
    model::{Change, NewProduct},
    shop::{Page, Shop},
    store::StoreError,
};

/// The shop's pages. One layer for all; only the two that are the same for everyone are marked.
pub fn routes(shop: Shop) -> Router {
    Router::new()
        .route("/products", get(listing).layer(Public).post(create))
        .route("/products/{id}", get(product).layer(Public).put(change))
        .route("/report", get(report))
        .layer(EdgeLayer::new(Profile::varnish()))
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

async fn report(State(shop): State<Shop>) -> Json<Report> {
    Json(shop.report())
}

/// Why there is no page.
enum Failure {
    Cache(tricache::Error),
    Store(StoreError),
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        match self {
            Self::Cache(error) if error.is_absent() => StatusCode::NOT_FOUND,
            Self::Cache(error) => unavailable(&error),
            Self::Store(error) => unavailable(&error),
        }
        .into_response()
    }
}

fn unavailable(error: &(dyn std::error::Error + 'static)) -> StatusCode {
    tracing::error!(error, "a page could not be made");
    StatusCode::SERVICE_UNAVAILABLE
}

impl From<tricache::Error> for Failure {
    fn from(error: tricache::Error) -> Self {
        Self::Cache(error)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}
