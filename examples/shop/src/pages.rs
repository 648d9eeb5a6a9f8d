//! The pages for browsers. All but one are the same for everybody; that one is the account.

use axum::{
    extract::{Path, Query, State},
    http::{HeaderMap, StatusCode, header::COOKIE},
    response::{Html, IntoResponse, Response},
};
use serde::Deserialize;

use crate::{failure::Failure, html, shop::Shop};

pub(crate) async fn front(State(shop): State<Shop>) -> Result<Html<String>, Failure> {
    let newest = shop.newest_reviews().await?;
    Ok(Html(html::front(&newest)))
}

pub(crate) async fn product(
    State(shop): State<Shop>,
    Path(id): Path<u32>,
) -> Result<Html<String>, Failure> {
    let (product, reviews) = tokio::join!(shop.product(id), shop.reviews(id));
    Ok(Html(html::product(&*product?, &reviews?)))
}

#[derive(Deserialize)]
pub(crate) struct Which {
    #[serde(default)]
    page: u32,
}

pub(crate) async fn listing(
    State(shop): State<Shop>,
    Path(category): Path<String>,
    Query(which): Query<Which>,
) -> Result<Html<String>, Failure> {
    let page = shop.page(&category, which.page).await?;
    Ok(Html(html::listing(&page)))
}

/// It is not marked as public. If it were, nobody could keep it all the same: what it shows is one user's.
pub(crate) async fn account(
    State(shop): State<Shop>,
    asked: HeaderMap,
) -> Result<Response, Failure> {
    let Some(customer) = customer(&asked) else {
        let how = "Log in first: curl -H 'cookie: customer=7'\n";
        return Ok((StatusCode::UNAUTHORIZED, how).into_response());
    };
    let own = shop.own(customer).await?;
    Ok(Html(html::account(&own)).into_response())
}

/// Who has logged in. An example has no passwords: whoever says a number is that customer.
fn customer(asked: &HeaderMap) -> Option<u32> {
    let lines = asked.get_all(COOKIE).iter();
    let mut cookies = lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|cookie| cookie.trim().split_once('='));
    let (_, number) = cookies.find(|(name, _)| *name == "customer")?;
    number.parse().ok()
}
