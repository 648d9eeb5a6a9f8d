//! A service behind a real nginx with the configuration of `docs/nginx.conf`: a plain cache that knows `s-maxage` and no names.

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
    HeaderMap, HeaderName, Request,
    header::{ACCEPT_LANGUAGE, CACHE_CONTROL},
};
use tricache_middleware::{EdgeLayer, Profile, Public};
use tricache_test_support::{NginxServer, eventually};

use crate::{
    gate::Gate,
    onlookers::{SHARED, look, pages, shapes},
    origin::Origin,
    support::Shop,
    visitor::{Seen, Visitor},
};

#[tokio::test]
async fn the_second_visitor_is_answered_by_nginx() {
    let site = Site::open(layer()).await;

    let first = site.visitor().get("/page").await;
    let second = site.visitor().get("/page").await;

    assert_eq!((cache(&first), cache(&second)), ("MISS", "HIT"));
    assert_eq!((&*first.body, &*second.body), ("page", "page"));
    assert_eq!(site.origin.answers("/page"), [200]);
    let policy = "public, max-age=0, s-maxage=60, must-revalidate";
    assert_eq!(second.header("cache-control"), policy);
}

/// The shapes of `onlookers`: those that Varnish is asked in.
#[tokio::test]
async fn nginx_shows_nobody_what_was_made_for_another() {
    let origin = Origin::start(pages(layer()).await).await;
    let nginx = nginx_before(&origin, &[]);

    let outcome = look(nginx.address(), &shapes()).await;

    assert!(outcome.wrong.is_empty(), "{:#?}", outcome.wrong);
    assert_eq!(outcome.shared, SHARED);
}

#[tokio::test]
async fn each_language_has_a_page_of_its_own() {
    let site = Site::open(layer()).await;
    let mut visitor = site.visitor();
    let mut seen = Vec::new();

    for language in ["de", "en", "de", "en"] {
        let request = Request::get("/greeting").header(ACCEPT_LANGUAGE, language);
        let answer = visitor.ask(&request.body(()).unwrap()).await;
        seen.push((answer.body.clone(), cache(&answer).to_owned()));
    }

    let expected = [("de", "MISS"), ("en", "MISS"), ("de", "HIT"), ("en", "HIT")];
    assert_eq!(
        seen,
        expected.map(|(body, cache)| (body.to_owned(), cache.to_owned()))
    );
}

#[tokio::test]
async fn a_page_at_the_end_of_its_life_is_renewed_by_a_304() {
    let site = Site::open(short().etags("1")).await;
    let mut visitor = site.visitor();
    let first = visitor.get("/page").await;

    let mut renewed = None;
    eventually("the page is renewed", async || {
        let seen = visitor.get("/page").await;
        renewed = (cache(&seen) == "REVALIDATED").then_some(seen);
        renewed.is_some()
    })
    .await;

    let renewed = renewed.unwrap();
    assert_eq!(site.origin.answers("/page"), [200, 304]);
    assert_eq!((renewed.status.as_u16(), &*renewed.body), (200, "page"));
    assert_eq!(renewed.header("etag"), first.header("etag"));
}

/// `s-maxage` forbids it, and nginx is not told otherwise.
#[tokio::test]
async fn nothing_is_served_past_its_life() {
    let site = Site::open(short()).await;
    site.gate.open();
    let mut visitor = site.visitor();
    let mut answers = Vec::new();

    eventually("the page has ended", async || {
        let seen = visitor.get("/numbered").await;
        answers.push(cache(&seen).to_owned());
        seen.body == "2"
    })
    .await;

    assert_eq!(answers.first().unwrap(), "MISS");
    assert_eq!(answers.last().unwrap(), "EXPIRED");
    assert!(
        !answers
            .iter()
            .any(|cache| cache == "STALE" || cache == "UPDATING"),
        "{answers:?}"
    );
}

/// With the line of the configuration that is commented out.
#[tokio::test]
async fn where_the_configuration_says_so_the_old_page_is_served_while_one_fetch_brings_the_new_one()
{
    let site = Site::with(short(), &[USE_STALE]).await;

    let stale = site.stale_while_fetched("/numbered").await;

    assert_eq!(stale, "1");
    assert_eq!(site.origin.answers("/numbered").len(), 1);
}

/// Pages that read no cache keep their handler's policy.
#[tokio::test]
async fn a_stale_window_that_a_handler_states_is_kept() {
    let site = Site::open(layer()).await;

    let stale = site.stale_while_fetched("/own-window").await;

    assert_eq!(stale, "1");
    assert_eq!(site.origin.answers("/own-window").len(), 1);
}

/// 236 keys are 3,067 bytes, which is what fits into 3 KiB; beyond them one key stands for all.
#[tokio::test]
async fn as_many_keys_as_another_edge_is_given_fit_through_nginx() {
    let site = Site::open(layer().and(Profile::varnish())).await;
    let mut visitor = site.visitor();

    for (path, length) in [("/many/236", 3_067), ("/many/400", "product._1".len())] {
        let seen = visitor.get(path).await;

        let keys = seen.header("surrogate-key");
        assert_eq!((seen.status.as_u16(), keys.len()), (200, length), "{path}");
    }
}

/// Why the budget is 3 KiB.
#[tokio::test]
async fn more_is_an_error_unless_nginx_is_given_more_room() {
    let layer = layer().and(Profile::varnish().key_budget(8_000));
    let (small, large) = (
        Site::open(layer.clone()).await,
        Site::with(layer, &[ROOM]).await,
    );

    assert_eq!(small.visitor().get("/many/400").await.status, 502);
    let seen = large.visitor().get("/many/400").await;
    assert_eq!(
        (seen.status.as_u16(), seen.header("surrogate-key").len()),
        (200, 5_199)
    );
}

struct Site {
    origin: Origin,
    nginx: NginxServer,
    gate: Gate,
}

impl Site {
    async fn open(layer: EdgeLayer) -> Self {
        Self::with(layer, &[]).await
    }

    /// With some lines of the configuration that are commented out.
    async fn with(layer: EdgeLayer, lines: &[&str]) -> Self {
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

    fn visitor(&self) -> Visitor {
        Visitor::of(self.nginx.address())
    }

    /// What is shown past its life, while the second render waits at the gate.
    async fn stale_while_fetched(&self, path: &str) -> String {
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
fn cache(seen: &Seen) -> &str {
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

fn layer() -> EdgeLayer {
    EdgeLayer::new(Profile::shared_cache())
}

/// Its pages live for a second: nginx counts in real ones.
fn short() -> EdgeLayer {
    EdgeLayer::new(Profile::shared_cache().max_shared_ttl(Duration::from_secs(1)))
}

/// As the documentation configures it, and with those of its lines that are commented out.
fn nginx_before(origin: &Origin, lines: &[&str]) -> NginxServer {
    let mut documented = include_str!("../../../docs/nginx.conf").to_owned();
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

const USE_STALE: &str = "proxy_cache_use_stale updating;";
const ROOM: &str = "proxy_buffer_size 16k; proxy_buffers 8 16k;";
