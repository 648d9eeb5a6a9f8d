//! A service with a few pages, and nginx in front of it as the documentation configures it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use axum::{
    Router,
    extract::{Path, State},
    routing::get,
};
use http::{
    HeaderMap, HeaderName,
    header::{ACCEPT_LANGUAGE, CACHE_CONTROL},
};
use tricache_middleware::{EdgeLayer, Profile, Public};
use tricache_test_support::{NginxServer, eventually};

use crate::{
    gate::Gate,
    origin::Origin,
    support::Shop,
    visitor::{Seen, Visitor},
};

/// A service with a few pages, and nginx in front of it.
pub(crate) struct Site {
    pub(crate) origin: Origin,
    nginx: NginxServer,
    pub(crate) gate: Gate,
}

impl Site {
    pub(crate) async fn open(layer: EdgeLayer) -> Self {
        Self::with(layer, &[]).await
    }

    /// With some lines of the configuration that are commented out.
    pub(crate) async fn with(layer: EdgeLayer, lines: &[&str]) -> Self {
        let pages = Pages {
            shop: Shop::open().await,
            gate: Gate::shut(),
            renders: Arc::default(),
        };
        let gate = pages.gate.clone();
        let origin = Origin::start(pages.router(layer)).await;
        let nginx = nginx_before(&origin, lines);
        Self {
            origin,
            nginx,
            gate,
        }
    }

    pub(crate) fn visitor(&self) -> Visitor {
        Visitor::of(self.nginx.address())
    }

    /// What is shown past its life, while the second render waits at the gate.
    pub(crate) async fn stale_while_fetched(&self, path: &str) -> String {
        let mut visitor = self.visitor();
        visitor.get(path).await;
        let mut stale = None;
        eventually("the old page is served", async || {
            let seen = visitor.get(path).await;
            let is_stale = ["STALE", "UPDATING"].contains(&cache(&seen));
            stale = is_stale.then_some(seen.body);
            stale.is_some()
        })
        .await;
        self.gate.reached().await;
        // Somebody else: nginx answers nothing more on a connection whose visitor has made it fetch, until it has the page.
        let other = self.visitor().get(path).await;
        assert_eq!((&*other.body, cache(&other)), ("1", "UPDATING"));
        stale.unwrap()
    }
}

/// What nginx says of its answer.
pub(crate) fn cache(seen: &Seen) -> &str {
    seen.header("x-cache")
}

#[derive(Clone)]
struct Pages {
    shop: Shop,
    gate: Gate,
    renders: Arc<AtomicUsize>,
}

impl Pages {
    async fn render(&self) -> String {
        let render = self.renders.fetch_add(1, SeqCst) + 1;
        if render > 1 {
            self.gate.pass().await;
        }
        render.to_string()
    }

    fn router(self, layer: EdgeLayer) -> Router {
        let public = Router::new()
            .route("/page", get(page))
            .route("/numbered", get(numbered))
            .route("/many/{count}", get(many))
            .layer(Public);
        let greeting = get(greeting).layer(Public.varies_on(ACCEPT_LANGUAGE));
        public
            .route("/greeting", greeting)
            .route("/own-window", get(own_window))
            .layer(layer)
            .with_state(self)
    }
}

async fn page(State(pages): State<Pages>) -> &'static str {
    pages.shop.read_product(1).await;
    "page"
}

/// Which render it is; all but the first wait.
async fn numbered(State(pages): State<Pages>) -> String {
    pages.shop.read_product(1).await;
    pages.render().await
}

async fn own_window(State(pages): State<Pages>) -> ([(HeaderName, &'static str); 1], String) {
    let policy = "max-age=1, stale-while-revalidate=60";
    ([(CACHE_CONTROL, policy)], pages.render().await)
}

async fn many(State(pages): State<Pages>, Path(count): Path<u64>) {
    for id in 0..count {
        pages.shop.read_product(1_000 + id).await;
    }
}

async fn greeting(State(pages): State<Pages>, asked: HeaderMap) -> String {
    pages.shop.read_product(1).await;
    asked[ACCEPT_LANGUAGE].to_str().unwrap().to_owned()
}

pub(crate) fn layer() -> EdgeLayer {
    EdgeLayer::new(Profile::shared_cache())
}

/// Its pages live for a second: nginx counts in real ones.
pub(crate) fn short() -> EdgeLayer {
    EdgeLayer::new(Profile::shared_cache().max_shared_ttl(Duration::from_secs(1)))
}

/// As the documentation configures it, and with those of its lines that are commented out.
pub(crate) fn nginx_before(origin: &Origin, lines: &[&str]) -> NginxServer {
    let mut documented = include_str!("../../../../docs/nginx.conf").to_owned();
    for line in lines {
        documented = replaced(&documented, &format!("# {line}"), line);
    }
    let service = format!("127.0.0.1:{}", origin.port());
    let documented = replaced(&documented, "127.0.0.1:8080", &service);
    NginxServer::start(|address, directory| {
        let kept = format!("{}", directory.join("cache").display());
        let documented = replaced(&documented, "/var/cache/nginx/shop", &kept);
        replaced(&documented, "listen 80", &format!("listen {address}"))
    })
}

#[track_caller]
fn replaced(text: &str, from: &str, to: &str) -> String {
    assert_eq!(text.matches(from).count(), 1, "{from}");
    text.replace(from, to)
}

pub(crate) const USE_STALE: &str = "proxy_cache_use_stale updating;";
pub(crate) const ROOM: &str = "proxy_buffer_size 16k; proxy_buffers 8 16k;";
