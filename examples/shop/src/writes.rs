//! Writes: commit, then invalidate; the tiers purge Varnish by themselves.
//!
//! What is old after a write: the thing itself, by its key, and the lists that it stands in, joins or leaves, by their tag. Nobody
//! has to know which pages are cached, or on which of them it stands.

use std::{future::Future, time::Duration};

use tokio::time::timeout;
use tricache::{Error, Receipt};

use crate::{
    model::{Change, NewProduct, NewReview},
    shop::{Shop, lists_of, lists_of_reviews},
    store::StoreError,
};

impl Shop {
    /// Adds a product and answers its number. Whoever has asked for that number before need not wait to see it.
    ///
    /// # Errors
    /// The store does not answer.
    ///
    /// # Cancel safety
    /// Dropping this future stops nothing: what was committed is invalidated too.
    pub async fn create(&self, product: NewProduct) -> Result<u32, StoreError> {
        let shop = self.clone();
        to_its_end(async move {
            let category = product.category.clone();
            let id = shop.store.create(product).await?;
            shop.product_changed(id, &[category]).await;
            Ok(id)
        })
        .await
    }

    /// Changes the product `id`, here and in every cache that shows it. Answers whether there is such a product.
    ///
    /// # Errors
    /// The store does not answer.
    ///
    /// # Cancel safety
    /// Dropping this future stops nothing: what was committed is invalidated too.
    pub async fn change(&self, id: u32, change: Change) -> Result<bool, StoreError> {
        let shop = self.clone();
        to_its_end(async move {
            let Some(moved) = shop.store.change(id, change).await? else {
                return Ok(false);
            };
            shop.product_changed(id, &moved.categories()).await;
            Ok(true)
        })
        .await
    }

    /// Adds a review of the product `id`. Answers whether there is such a product.
    ///
    /// # Errors
    /// The store does not answer.
    ///
    /// # Cancel safety
    /// Dropping this future stops nothing: what was committed is invalidated too.
    pub async fn review(&self, id: u32, review: NewReview) -> Result<bool, StoreError> {
        let shop = self.clone();
        to_its_end(async move {
            let found = shop.store.review(id, review).await?;
            if found {
                shop.reviews_changed(id).await;
            }
            Ok(found)
        })
        .await
    }

    /// The product, and all lists of the categories that it left or entered. Nobody shall see an old price.
    async fn product_changed(&self, id: u32, categories: &[String]) {
        let lists = categories.iter().map(|name| lists_of(name));
        let (product, lists) = tokio::join!(
            self.products.invalidate(&id),
            self.tiers.invalidate_tags(lists)
        );
        self.told(id, [product, lists]).await;
    }

    /// The reviews of a product, and all lists of reviews. Softly: one more visitor may miss the newest.
    async fn reviews_changed(&self, id: u32) {
        let (reviews, lists) = tokio::join!(
            self.reviews.expire(&id),
            self.tiers.expire_tags([lists_of_reviews()])
        );
        self.told(id, [reviews, lists]).await;
    }

    /// All tiers are told, and Varnish last. The client of a write waits for it, but not for ever: what Varnish did not take is
    /// sent again, by whichever instance is there then.
    async fn told(&self, id: u32, receipts: [Result<Receipt, Error>; 2]) {
        for receipt in receipts {
            let receipt = match receipt {
                Ok(receipt) => receipt,
                Err(error) => {
                    tracing::error!(%error, id, "committed, but not invalidated: caches show what was until its TTL");
                    continue;
                }
            };
            if self.purger.is_none() {
                continue;
            }
            match timeout(PATIENCE, receipt.edge()).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::error!(%error, id, "Varnish did not purge what is old"),
                Err(_) => tracing::warn!(id, "Varnish takes its time to purge what is old"),
            }
        }
    }
}

/// Runs a write in a task of its own: a handler is dropped when its client hangs up, between commit and invalidation
/// too.
async fn to_its_end<T: Send + 'static>(
    write: impl Future<Output = Result<T, StoreError>> + Send + 'static,
) -> Result<T, StoreError> {
    tokio::spawn(write).await.map_err(|_| StoreError::Stopped)?
}

/// How long a write waits for Varnish.
const PATIENCE: Duration = Duration::from_secs(2);
