//! Reads through the caches; writes, and then invalidates.
//!
//! What a write invalidates: the product, by its key, and the lists that it stands in, by the tag of their category.
//! Nobody has to know which pages of a category are cached, or on which of them the product stands.

use std::{future::Future, time::Duration};

use serde::Serialize;
use tricache::{BatchContext, Cached, Error, Loaded, Policy, Report, Tag, TieredCache, Tiers};

use crate::{
    model::{Change, NewProduct, Product},
    store::{Store, StoreError},
};

/// One instance of the shop: a store, and the caches in front of it. Clones share both.
#[derive(Clone)]
pub struct Shop {
    store: Store,
    tiers: Tiers,
    products: TieredCache<u32, Product>,
    lists: TieredCache<(String, u32), Vec<u32>>,
}

/// A page of a category. Its list and each of its products are cached for themselves: a product stands once in the
/// cache, whatever lists it.
#[derive(Serialize)]
pub struct Page {
    category: String,
    page: u32,
    products: Vec<Cached<Product>>,
}

impl Shop {
    /// A shop that reads `store` through caches in `tiers`.
    ///
    /// # Errors
    /// `tiers` already holds a cache of the same name.
    pub fn open(store: Store, tiers: Tiers) -> Result<Self, Error> {
        let products = tiers.cache("product", Policy::ttl(Duration::from_secs(60)))?;
        let lists = tiers.cache("list", Policy::ttl(Duration::from_secs(30)))?;
        Ok(Self {
            store,
            tiers,
            products,
            lists,
        })
    }

    /// The product `id`. That there is none is remembered, too: for ten seconds, or until it is created.
    ///
    /// # Errors
    /// There is none ([`Error::is_absent`]), or the store does not answer.
    pub async fn product(&self, id: u32) -> Result<Cached<Product>, Error> {
        let store = self.store.clone();
        self.products
            .get_or_load(&id, |cx| async move { store.product(cx.into_key()).await })
            .await
    }

    /// A page of `category`, from 0: at most two queries, one for the list and one for all products that no tier holds.
    ///
    /// # Errors
    /// There is none ([`Error::is_absent`]), or the store does not answer.
    pub async fn page(&self, category: &str, page: u32) -> Result<Page, Error> {
        let ids = self.list(category, page).await?;
        let load = |cx: BatchContext<u32>| {
            let store = self.store.clone();
            async move { store.products(cx.into_keys()).await }
        };
        let products = self.products.get_or_load_many(&ids, load).await?;
        let found = products.into_found()?.into_iter();
        Ok(Page {
            category: category.to_owned(),
            page,
            products: found.map(|(_, product)| product).collect(),
        })
    }

    /// The products on a page of `category`, by number. A page that is missing has the tag, too: it may come to be.
    async fn list(&self, category: &str, page: u32) -> Result<Cached<Vec<u32>>, Error> {
        let store = self.store.clone();
        self.lists
            .get_or_load(&(category.to_owned(), page), |cx| async move {
                let (category, page) = cx.into_key();
                let tag = category_tag(&category);
                let ids = store.listing(category, page).await?;
                let list = Some(ids).filter(|ids| !ids.is_empty());
                Ok::<_, StoreError>(Loaded::from(list).tag(tag))
            })
            .await
    }

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
            shop.invalidate(id, &[category]).await;
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
            shop.invalidate(id, &moved.categories()).await;
            Ok(true)
        })
        .await
    }

    /// After a commit: the product, and all lists of the categories that it left or entered.
    async fn invalidate(&self, id: u32, categories: &[String]) {
        let lists = categories.iter().map(|category| category_tag(category));
        let (product, lists) = tokio::join!(
            self.products.invalidate(&id),
            self.tiers.invalidate_tags(lists)
        );
        if let Err(error) = product.and(lists) {
            tracing::error!(%error, id, "committed, but not invalidated: caches show what was until its TTL");
        }
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

/// Which lists a category has is known to nobody; that they all have this tag is.
fn category_tag(category: &str) -> Tag {
    Tag::new(&format!("category-{category}"))
}

/// Runs a write in a task of its own: a handler is dropped when its client hangs up, between commit and invalidation
/// too.
async fn to_its_end<T: Send + 'static>(
    write: impl Future<Output = Result<T, StoreError>> + Send + 'static,
) -> Result<T, StoreError> {
    tokio::spawn(write).await.map_err(|_| StoreError::Stopped)?
}
