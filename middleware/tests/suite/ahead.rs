//! The 304 ahead of the handler: what it says, and everything that leaves a request to the handler.

mod pages;
mod refusals;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use axum::{Router, body::Body, response::IntoResponse, routing::get};
use http::{HeaderMap, Request, Response, StatusCode, Uri, header};
use tower::ServiceExt;
use tricache::{
    InProcess, Loaded, ManualClock, Outcome, Protection, RequestScope, Tag, TieredCache, Tiers,
    TiersBuilder,
};
use tricache_middleware::{EdgeLayer, Profile, Public, PublicVarying};

use crate::support::lasting;

/// A node of a shop whose front page reads two products, and counts how often its handler runs.
struct Front {
    clock: ManualClock,
    hub: InProcess,
    tiers: Tiers,
    products: Products,
    layer: EdgeLayer,
    handled: Arc<AtomicU64>,
    router: Router,
}

type Products = TieredCache<u64, String>;

/// What a handler says beside its page.
type Own = &'static [(&'static str, &'static str)];

impl Front {
    async fn open() -> Self {
        Self::with(layer(), Public.reads_only_caches(), &[]).await
    }

    /// A page of this mark, whose handler says `own`.
    async fn with(layer: EdgeLayer, mark: PublicVarying, own: Own) -> Self {
        Self::on(layer, mark, own, |tiers| tiers).await
    }

    async fn on(
        layer: EdgeLayer,
        mark: PublicVarying,
        own: Own,
        set: impl FnOnce(TiersBuilder) -> TiersBuilder,
    ) -> Self {
        let clock = ManualClock::new();
        let hub = InProcess::with_clock(Arc::new(clock.clone()));
        let (tiers, products) = node(&hub, &clock, set).await;
        let handled = Arc::new(AtomicU64::new(0));
        let router = router(&products, &handled, mark, own).layer(layer.clone());
        // As a server does it: the layers are applied now, and not anew for each request.
        let router = router.with_state(());
        let front = Self {
            clock,
            hub,
            tiers,
            products,
            layer,
            handled,
            router,
        };
        front.settle().await;
        front
    }

    /// Until both products are hits of this process.
    async fn settle(&self) {
        for _ in 0..LONG {
            let one = read(&self.products, 1).await;
            let two = read(&self.products, 2).await;
            if one == Outcome::LocalHit && two == Outcome::LocalHit {
                return;
            }
            self.tiers.until_caught_up().await.unwrap();
        }
        panic!("the products do not come to be hits");
    }

    /// The page as it is answered in full, and its validator.
    async fn first(&self, path: &str) -> String {
        let answer = self.ask(path, &[]).await;
        assert_eq!(answer.status(), StatusCode::OK);
        tag_of(&answer)
    }

    async fn again(&self, path: &str, tag: &str) -> Response<Body> {
        self.ask(path, &[("if-none-match", tag)]).await
    }

    async fn ask(&self, path: &str, asks: &[(&str, &str)]) -> Response<Body> {
        self.ask_by("GET", path, asks).await
    }

    async fn ask_by(&self, method: &str, path: &str, asks: &[(&str, &str)]) -> Response<Body> {
        let request = Request::builder().method(method).uri(path);
        let request = asks
            .iter()
            .fold(request, |r, (name, value)| r.header(*name, *value));
        let request = request.body(Body::empty()).unwrap();
        self.router.clone().oneshot(request).await.unwrap()
    }

    /// Another node invalidates product 2, and this one is not told.
    async fn invalidate_unheard(&self) {
        let (_other, products) = node(&self.hub, &self.clock, |tiers| tiers).await;
        self.hub.lose_pushes(true);
        products.invalidate(&2).await.unwrap();
    }

    /// How often the handler has run.
    fn handled(&self) -> u64 {
        self.handled.load(SeqCst)
    }

    fn ahead(&self) -> u64 {
        self.layer.report().answered_ahead()
    }

    /// Asserts that a client with this validator is answered without the handler.
    async fn assert_ahead(&self, path: &str, tag: &str) {
        let (handled, ahead) = (self.handled(), self.ahead());
        let answer = self.again(path, tag).await;

        assert_eq!(answer.status(), StatusCode::NOT_MODIFIED);
        assert_eq!((self.handled(), self.ahead()), (handled, ahead + 1));
    }

    /// Asserts that the handler is asked, whatever comes of it.
    async fn assert_handled(&self, path: &str, asks: &[(&str, &str)]) -> Response<Body> {
        let (handled, ahead) = (self.handled(), self.ahead());
        let answer = self.ask(path, asks).await;

        assert_eq!((self.handled(), self.ahead()), (handled + 1, ahead));
        answer
    }
}

impl Front {
    /// Asserts that the handler is asked for the front page by a client that has this one.
    async fn assert_asked(&self, tag: &str) -> Response<Body> {
        self.assert_handled("/front", &[("if-none-match", tag)])
            .await
    }
}

async fn node(
    hub: &InProcess,
    clock: &ManualClock,
    set: impl FnOnce(TiersBuilder) -> TiersBuilder,
) -> (Tiers, Products) {
    let builder = Tiers::builder("test").in_process(hub);
    let builder = set(builder.clock(Arc::new(clock.clone())));
    let tiers = builder.build().await.unwrap();
    let products = tiers.cache("product", lasting(60)).unwrap();
    (tiers, products)
}

fn router(products: &Products, handled: &Arc<AtomicU64>, mark: PublicVarying, own: Own) -> Router {
    let (shop, runs) = (products.clone(), Arc::clone(handled));
    let handler = async move |uri: Uri| {
        runs.fetch_add(1, SeqCst);
        if uri.query() == Some("misses") {
            assert!(shop.get(&404).await.unwrap().is_none());
        }
        for id in [1, 2] {
            read(&shop, id).await;
        }
        saying(own, "the page")
    };
    let route = get(handler);
    Router::new()
        .route("/front", route.clone().layer(mark.clone()))
        .route("/other", route.clone().layer(mark))
        .route("/undeclared", route.layer(Public))
}

async fn read(products: &Products, id: u64) -> Outcome {
    let lamp = Loaded::new(format!("lamp {id}")).tag("lamps");
    let load = |_| async { Ok::<_, std::convert::Infallible>(lamp) };
    products.get_or_load(&id, load).await.unwrap().outcome()
}

fn saying(own: Own, body: &'static str) -> Response<Body> {
    let mut response = body.into_response();
    for (name, value) in own {
        response.headers_mut().append(*name, value.parse().unwrap());
    }
    response
}

fn layer() -> EdgeLayer {
    EdgeLayer::new(Profile::varnish()).etags("1")
}

fn tag_of(response: &Response<Body>) -> String {
    response.headers()[header::ETAG]
        .to_str()
        .unwrap()
        .to_owned()
}

fn headers_of(response: Response<Body>) -> HeaderMap {
    response.into_parts().0.headers
}

/// Rounds after which a test gives up.
const LONG: u32 = 100;
