//! A layer around a service that does database calls: what it answered before is answered by the cache.
//!
//! The service is called on a miss only, in the load's own task; so it is made ready there, and not before.

use std::{
    fmt,
    future::{Future, poll_fn},
    pin::Pin,
    task::{Context, Poll},
};
use tower::{Layer, Service};
use tricache::{BoxError, CacheKey, Cached, Error, Loaded, TieredCache};

/// Caches the answers of a [`Service`], by a key that is made of the request.
///
/// The service answers what a loader does: a `V`, an `Option<V>` or a [`Loaded<V>`](Loaded). What comes out is a service that answers
/// [`Cached<V>`](Cached). Limits and timeouts belong under this layer, where they count what reaches the database; hits pass
/// none of them.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), tricache::Error> {
/// use std::{io, time::Duration};
/// use tower::{ServiceBuilder, ServiceExt, service_fn};
/// use tricache::{Policy, Tiers};
/// use tricache_middleware::CacheLayer;
///
/// #[derive(Clone)]
/// struct NameOf { shop: u64, product: u64 }
///
/// let tiers = Tiers::builder("shop").build().await?;
/// let names = tiers.cache::<(u64, u64), String>("name", Policy::ttl(Duration::from_secs(600)))?;
///
/// let database = service_fn(|ask: NameOf| async move {
///     Ok::<_, io::Error>(format!("product {} of shop {}", ask.product, ask.shop))
/// });
/// let service = ServiceBuilder::new()
///     // Whatever the answer depends on is part of the key.
///     .layer(CacheLayer::new(names.clone(), |ask: &NameOf| (ask.shop, ask.product)))
///     .service(database);
///
/// let name = service.oneshot(NameOf { shop: 1, product: 42 }).await?;
/// assert_eq!(*name, "product 42 of shop 1");
/// names.invalidate(&(1, 42)).await?;
/// # Ok(()) }
/// ```
pub struct CacheLayer<K, V, F> {
    cache: TieredCache<K, V>,
    key: F,
}

impl<K, V, F> CacheLayer<K, V, F> {
    /// Answers come from `cache`, under the key that `key` makes of a request.
    ///
    /// Whatever the answer depends on must be in that key: the tenant, the user, the language.
    pub fn new(cache: TieredCache<K, V>, key: F) -> Self {
        Self { cache, key }
    }
}

impl<S, K, V, F: Clone> Layer<S> for CacheLayer<K, V, F> {
    type Service = CacheService<S, K, V, F>;

    fn layer(&self, inner: S) -> Self::Service {
        CacheService {
            inner,
            cache: self.cache.clone(),
            key: self.key.clone(),
        }
    }
}

/// A service whose answers are cached; made by [`CacheLayer`].
///
/// # Errors
/// Those of [`TieredCache::get_or_load`]: the service's own error, also that of not being ready, is at
/// [`Error::loader`]; it is shared by all that waited for it, and not kept.
///
/// # Cancel safety
/// Dropping the answer's future does not stop a call in progress; its answer still fills the cache.
pub struct CacheService<S, K, V, F> {
    inner: S,
    cache: TieredCache<K, V>,
    key: F,
}

impl<S, K, V, F, Request> Service<Request> for CacheService<S, K, V, F>
where
    S: Service<Request> + Clone + Send + 'static,
    S::Future: Send + 'static,
    S::Response: Into<Loaded<V>> + 'static,
    S::Error: Into<BoxError> + 'static,
    F: Fn(&Request) -> K,
    Request: Send + 'static,
    K: CacheKey + Clone + Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    type Response = Cached<V>;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Cached<V>, Error>> + Send>>;

    /// Always ready: whether the service within is matters on a miss only.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let key = (self.key)(&request);
        let (cache, mut inner) = (self.cache.clone(), self.inner.clone());
        Box::pin(async move {
            let load = |_| async move {
                poll_fn(|cx| inner.poll_ready(cx)).await?;
                inner.call(request).await
            };
            cache.get_or_load(&key, load).await
        })
    }
}

impl<K, V, F: Clone> Clone for CacheLayer<K, V, F> {
    fn clone(&self) -> Self {
        Self {
            cache: self.cache.clone(),
            key: self.key.clone(),
        }
    }
}

impl<S: Clone, K, V, F: Clone> Clone for CacheService<S, K, V, F> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            cache: self.cache.clone(),
            key: self.key.clone(),
        }
    }
}

impl<K, V, F> fmt::Debug for CacheLayer<K, V, F>
where
    TieredCache<K, V>: fmt::Debug,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CacheLayer")
            .field("cache", &self.cache)
            .finish_non_exhaustive()
    }
}

impl<S, K, V, F> fmt::Debug for CacheService<S, K, V, F>
where
    TieredCache<K, V>: fmt::Debug,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CacheService")
            .field("cache", &self.cache)
            .finish_non_exhaustive()
    }
}
