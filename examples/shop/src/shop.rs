//! Reads through the caches; writes, and then invalidates.

use std::time::Duration;

use tricache::{Cached, Error, Policy, Report, TieredCache, Tiers};

use crate::{
    model::{Change, Listing, Product},
    store::{Store, StoreError},
};

/// One instance of the shop: a store, and the caches in front of it. Clones share both.
#[derive(Clone)]
pub struct Shop {
    store: Store,
    tiers: Tiers,
    products: TieredCache<u32, Product>,
    listings: TieredCache<String, Listing>,
}

impl Shop {
    /// A shop that reads `store` through caches in `tiers`.
    ///
    /// # Errors
    /// `tiers` already holds a cache of the same name.
    pub fn open(store: Store, tiers: Tiers) -> Result<Self, Error> {
        let products = tiers.cache("product", Policy::ttl(Duration::from_secs(60)))?;
        let listings = tiers.cache("list", Policy::ttl(Duration::from_secs(30)))?;
        Ok(Self {
            store,
            tiers,
            products,
            listings,
        })
    }

    /// The product `id`.
    ///
    /// # Errors
    /// There is none ([`Error::is_absent`]), or the store does not answer.
    pub async fn product(&self, id: u32) -> Result<Cached<Product>, Error> {
        let store = self.store.clone();
        self.products
            .get_or_load(&id, |cx| async move { store.product(cx.into_key()).await })
            .await
    }

    /// The products of `category`.
    ///
    /// # Errors
    /// There are none ([`Error::is_absent`]), or the store does not answer.
    pub async fn listing(&self, category: &str) -> Result<Cached<Listing>, Error> {
        let store = self.store.clone();
        self.listings
            .get_or_load(
                category,
                |cx| async move { store.listing(cx.into_key()).await },
            )
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
        // A handler is dropped when its client hangs up; a task of its own is not.
        let changing = tokio::spawn(async move { shop.commit_and_invalidate(id, change).await });
        changing.await.map_err(|_| StoreError::Stopped)?
    }

    async fn commit_and_invalidate(&self, id: u32, change: Change) -> Result<bool, StoreError> {
        let Some(moved) = self.store.change(id, change).await? else {
            return Ok(false);
        };
        self.invalidate(id, [&moved.from, &moved.to]).await.unwrap_or_else(|error| {
            tracing::error!(%error, id, "committed, but not invalidated: caches show the old product until its TTL");
        });
        Ok(true)
    }

    async fn invalidate(&self, id: u32, categories: [&String; 2]) -> Result<(), Error> {
        self.products.invalidate(&id).await?;
        self.listings.invalidate_many(categories).await?;
        Ok(())
    }

    /// What the caches are doing.
    pub fn report(&self) -> Report {
        self.tiers.report()
    }

    /// Tells what is still to be told to other instances, for at most five seconds.
    pub async fn close(&self) {
        let drained = self.tiers.shutdown(Duration::from_secs(5)).await;
        if !drained.is_complete() {
            tracing::warn!(
                pending = drained.pending(),
                "closed before every invalidation was told"
            );
        }
    }
}
