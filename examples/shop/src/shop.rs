//! Reads through the caches. What is written, and what that makes old, is in `writes`.

use std::time::Duration;

use serde::Serialize;
use tricache::{
    BatchContext, Cached, Error, Loaded, Policy, Report, Tag, TieredCache, Tiers, Visibility,
};
use tricache_middleware::purge::Purger;

use crate::{
    model::{Account, Product, Review},
    store::{Store, StoreError},
};

/// One instance of the shop: a store, and the caches in front of it. Clones share both.
#[derive(Clone)]
pub struct Shop {
    pub(crate) store: Store,
    pub(crate) tiers: Tiers,
    pub(crate) purger: Option<Purger>,
    pub(crate) products: TieredCache<u32, Product>,
    pub(crate) reviews: TieredCache<u32, Vec<Review>>,
    lists: TieredCache<(String, u32), Vec<u32>>,
    newest: TieredCache<&'static str, Vec<Review>>,
    accounts: TieredCache<u32, Account>,
}

/// A page of a category. Its list and each of its products are cached for themselves: a product stands once in the
/// cache, whatever lists it.
#[derive(Serialize)]
pub struct Page {
    pub(crate) category: String,
    pub(crate) page: u32,
    pub(crate) products: Vec<Cached<Product>>,
}

/// What a customer sees of themselves: their account, and the products that everybody sees.
pub(crate) struct Own {
    pub(crate) account: Cached<Account>,
    pub(crate) products: Vec<Cached<Product>>,
}

impl Shop {
    /// A shop that reads `store` through caches in `tiers`.
    ///
    /// # Errors
    /// `tiers` already holds a cache of the same name.
    pub fn open(store: Store, tiers: Tiers) -> Result<Self, Error> {
        let minute = Policy::ttl(Duration::from_secs(60));
        Ok(Self {
            store,
            purger: None,
            products: tiers.cache("product", minute)?,
            reviews: tiers.cache("reviews", minute)?,
            lists: tiers.cache("list", Policy::ttl(Duration::from_secs(30)))?,
            newest: tiers.cache("newest", minute)?,
            accounts: tiers.cache("account", minute.visibility(Visibility::User))?,
            tiers,
        })
    }

    /// The same shop whose tiers purge an edge by this purger: writes wait for it, and it is closed with the shop.
    #[must_use]
    pub fn behind(self, purger: Purger) -> Self {
        Self {
            purger: Some(purger),
            ..self
        }
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
        Ok(Page {
            category: category.to_owned(),
            page,
            products: self.those(&ids).await?,
        })
    }

    /// The newest reviews of the product `id`: none if there is no such product.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn reviews(&self, id: u32) -> Result<Cached<Vec<Review>>, Error> {
        let store = self.store.clone();
        self.reviews
            .get_or_load(
                &id,
                |cx| async move { store.reviews_of(cx.into_key()).await },
            )
            .await
    }

    /// The newest reviews of all products: a list, with the tag of such lists.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn newest_reviews(&self) -> Result<Cached<Vec<Review>>, Error> {
        let store = self.store.clone();
        self.newest
            .get_or_load(&"reviews", |_| async move {
                let reviews = store.newest_reviews().await?;
                Ok::<_, StoreError>(Loaded::new(reviews).tag(lists_of_reviews()))
            })
            .await
    }

    /// What a customer sees of themselves. The account is for their eyes alone, and so is every page that shows it; the
    /// products are those that all pages share.
    ///
    /// # Errors
    /// There is no such customer ([`Error::is_absent`]), or the store does not answer.
    pub(crate) async fn own(&self, customer: u32) -> Result<Own, Error> {
        let store = self.store.clone();
        let load = |_| async move { store.account(customer).await };
        let account = self.accounts.get_or_load(&customer, load).await?;
        let ids: Vec<u32> = account.bought.iter().map(|line| line.product).collect();
        let products = self.those(&ids).await?;
        Ok(Own { account, products })
    }

    /// Those of the products that there are, in one query for all that no tier holds.
    async fn those(&self, ids: &[u32]) -> Result<Vec<Cached<Product>>, Error> {
        let load = |cx: BatchContext<u32>| {
            let store = self.store.clone();
            async move { store.products(cx.into_keys()).await }
        };
        let products = self.products.get_or_load_many(ids, load).await?;
        let found = products.into_found()?.into_iter();
        Ok(found.map(|(_, product)| product).collect())
    }

    /// The products on a page of `category`, by number. A page that is missing has the tag, too: it may come to be.
    async fn list(&self, category: &str, page: u32) -> Result<Cached<Vec<u32>>, Error> {
        let store = self.store.clone();
        self.lists
            .get_or_load(&(category.to_owned(), page), |cx| async move {
                let (category, page) = cx.into_key();
                let tag = lists_of(&category);
                let ids = store.listing(category, page).await?;
                let list = Some(ids).filter(|ids| !ids.is_empty());
                Ok::<_, StoreError>(Loaded::from(list).tag(tag))
            })
            .await
    }

    /// What the caches are doing.
    pub fn report(&self) -> Report {
        self.tiers.report()
    }

    /// Tells what is still to be told to other instances and to Varnish, for at most five seconds each.
    pub async fn close(&self) {
        let drained = self.tiers.shutdown(LONGEST_CLOSE).await;
        if !drained.is_complete() {
            tracing::warn!(
                pending = drained.pending(),
                "closed before every invalidation was told"
            );
        }
        if let Some(purger) = &self.purger {
            let left = purger.shutdown(LONGEST_CLOSE).await;
            if left > 0 {
                tracing::warn!(left, "closed before Varnish was told all that is old");
            }
        }
    }
}

/// Which lists a category has is known to nobody; that they all have this tag is.
pub(crate) fn lists_of(category: &str) -> Tag {
    Tag::list_of(&format!("product/{category}"))
}

/// The tag of every list that a new review may join.
pub(crate) fn lists_of_reviews() -> Tag {
    Tag::list_of("review")
}

const LONGEST_CLOSE: Duration = Duration::from_secs(5);
