//! A small shop behind the layer: caches on a clock that the test moves, and requests that answer headers.

use std::{convert::Infallible, future::Future, sync::Arc, time::Duration};

use http::{HeaderMap, Request, Response, StatusCode};
use tower::{Service, ServiceExt, service_fn};
use tricache::{InProcess, ManualClock, Policy, TieredCache, Tiers};
use tricache_middleware::{EdgeLayer, Profile, Public};

/// Two caches: products live for 60 seconds, lists for 20.
#[derive(Clone)]
pub(crate) struct Shop {
    pub(crate) clock: ManualClock,
    pub(crate) tiers: Tiers,
    pub(crate) products: TieredCache<u64, String>,
    pub(crate) lists: TieredCache<String, String>,
}

impl Shop {
    pub(crate) async fn open() -> Self {
        let clock = ManualClock::new();
        let hub = InProcess::with_clock(Arc::new(clock.clone()));
        let tiers = Tiers::builder("test")
            .in_process(&hub)
            .clock(Arc::new(clock.clone()))
            .build()
            .await
            .unwrap();
        Self {
            clock,
            tiers: tiers.clone(),
            products: tiers.cache("product", lasting(60)).unwrap(),
            lists: tiers.cache("list", lasting(20)).unwrap(),
        }
    }

    pub(crate) async fn read_product(&self, id: u64) {
        self.products
            .get_or_load(&id, |_| async { Ok::<_, Infallible>("lamp".to_owned()) })
            .await
            .unwrap();
    }

    pub(crate) async fn read_list(&self, name: &str) {
        self.lists
            .get_or_load(name, |_| async { Ok::<_, Infallible>("lamps".to_owned()) })
            .await
            .unwrap();
    }

    /// One more cache.
    pub(crate) fn cache(&self, name: &str, policy: Policy) -> TieredCache<u64, String> {
        self.tiers.cache(name, policy).unwrap()
    }

    pub(crate) fn after(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }
}

/// The policy of what lives for so many seconds, to the second.
pub(crate) fn lasting(seconds: u64) -> Policy {
    Policy::ttl(Duration::from_secs(seconds)).jitter(0.0)
}

/// What the layer wrote on the response of a route that reads product 42 and answers `response`.
pub(crate) async fn headers_for(request: Request<()>, response: Response<String>) -> HeaderMap {
    let shop = Shop::open().await;
    let page = page(move || async move { shop.read_product(42).await }, response);
    headers(EdgeLayer::new(Profile::fastly()), page, request).await
}

/// What the layer wrote on the response of a marked route that does `reads`, for the edge of `profile`.
pub(crate) async fn headers_after(
    profile: Profile,
    reads: impl Future<Output = ()> + Send,
) -> HeaderMap {
    let page = page(|| reads, public(StatusCode::OK, &[]));
    headers(EdgeLayer::new(profile), page, get()).await
}

/// A service that does `work` and then answers `response`.
pub(crate) fn page<F, Fut>(
    work: F,
    response: Response<String>,
) -> impl Service<Request<()>, Response = Response<String>, Error = Infallible, Future: Send>
where
    F: FnOnce() -> Fut,
    Fut: Future<Output = ()> + Send,
{
    let mut once = Some((work, response));
    service_fn(move |_| {
        let (work, response) = once.take().expect("asked once");
        let work = work();
        async move {
            work.await;
            Ok(response)
        }
    })
}

pub(crate) async fn headers<S>(layer: EdgeLayer, page: S, request: Request<()>) -> HeaderMap
where
    S: Service<Request<()>, Response = Response<String>, Error = Infallible>,
{
    tower::Layer::layer(&layer, page)
        .oneshot(request)
        .await
        .unwrap()
        .into_parts()
        .0
        .headers
}

pub(crate) fn get() -> Request<()> {
    Request::new(())
}

/// A response of a marked route, with `fields` set by its handler.
pub(crate) fn public(
    status: StatusCode,
    fields: &[(&'static str, &'static str)],
) -> Response<String> {
    let mut response = unmarked(status, fields);
    response.extensions_mut().insert(Public);
    response
}

/// A response of a route without a mark, with `fields` set by its handler.
pub(crate) fn unmarked(
    status: StatusCode,
    fields: &[(&'static str, &'static str)],
) -> Response<String> {
    let response = fields
        .iter()
        .fold(Response::builder().status(status), |r, (name, value)| {
            r.header(*name, *value)
        });
    response.body(String::new()).unwrap()
}

/// A header's only value; empty if there is none.
#[track_caller]
pub(crate) fn only<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    assert!(
        headers.get_all(name).iter().count() <= 1,
        "{name} stands there twice"
    );
    headers
        .get(name)
        .map_or("", |value| value.to_str().unwrap())
}

/// Asserts that nobody may keep the response, and that it names no entity.
#[track_caller]
pub(crate) fn assert_not_shared(headers: &HeaderMap) {
    assert_eq!(only(headers, "cache-control"), "private, no-store");
    assert_eq!(only(headers, "surrogate-control"), "private, no-store");
    assert_eq!(only(headers, "surrogate-key"), "");
}

/// Asserts that an edge may keep the response for `seconds`, under `keys`.
#[track_caller]
pub(crate) fn assert_shared(headers: &HeaderMap, seconds: u64, keys: &str) {
    assert_eq!(
        only(headers, "cache-control"),
        "public, max-age=0, must-revalidate"
    );
    assert_eq!(
        only(headers, "surrogate-control"),
        format!("max-age={seconds}")
    );
    assert_eq!(only(headers, "surrogate-key"), keys);
}
