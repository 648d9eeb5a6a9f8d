//! What the shop sells, as it is stored, cached and sent.

use serde::{Deserialize, Serialize};

/// A product with everything its page shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Product {
    /// Its number: 1 and up.
    pub id: u32,
    /// What it is called.
    pub name: String,
    /// The category that lists it.
    pub category: String,
    /// Its price in cents.
    pub price_cents: u32,
    /// How many pieces were ordered so far. Counted over all orders, which is what makes the page slow.
    pub sold: u32,
}

/// A category's products, as its page lists them. One entity in the cache: a page of a thousand products has one key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listing {
    /// The category.
    pub category: String,
    /// Its products, by number.
    pub products: Vec<Line>,
}

/// One line of a [`Listing`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// The product's number.
    pub id: u32,
    /// The product's name.
    pub name: String,
    /// The product's price in cents.
    pub price_cents: u32,
}

/// What an update changes; what is missing stays.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// A new name.
    pub name: Option<String>,
    /// A new category.
    pub category: Option<String>,
    /// A new price in cents.
    pub price_cents: Option<u32>,
}

/// A committed update: where the product was listed before, and where it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved {
    /// Its category before the update.
    pub from: String,
    /// Its category since.
    pub to: String,
}
