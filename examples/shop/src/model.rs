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

/// A product that is about to be: all that its maker decides.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewProduct {
    /// What it is called.
    pub name: String,
    /// The category that will list it.
    pub category: String,
    /// Its price in cents.
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

/// What somebody thinks of a product.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Review {
    /// The number of the product.
    pub product: u32,
    /// Who wrote it.
    pub author: String,
    /// From 1 to 5.
    pub stars: u8,
    /// What they wrote.
    pub text: String,
}

/// A review that is about to be.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewReview {
    /// Who writes it.
    pub author: String,
    /// From 1 to 5.
    pub stars: u8,
    /// What they write.
    pub text: String,
}

/// What a customer sees of themselves. Nobody else does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// What they are called.
    pub name: String,
    /// What they bought last, the newest first.
    pub bought: Vec<Bought>,
}

/// A line of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bought {
    /// The number of the product.
    pub product: u32,
    /// How many pieces of it.
    pub pieces: u32,
}

/// A committed update: where the product was listed before, and where it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved {
    /// Its category before the update.
    pub from: String,
    /// Its category since.
    pub to: String,
}

impl Moved {
    /// The categories whose lists it changed: the one it left and the one it entered; none if it stayed.
    #[must_use]
    pub fn categories(self) -> Vec<String> {
        if self.from == self.to {
            Vec::new()
        } else {
            vec![self.from, self.to]
        }
    }
}
