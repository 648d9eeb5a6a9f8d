//! What does the layer cost a request, beside the same router without it?
//!
//! `cargo bench -p tricache-middleware --bench edge`. A page that reads 10 resident entities, without tags and with two
//! each, 20 in all, and answers nothing else; the routers alternate in one run. Without the layer there is no scope, so what
//! reads record in one counts as the layer's. The row `everything` is all that a layer can do, for two edges at once.
//!
//! The pages are such as an edge may keep, so each of these requests ends with the question whether they are current. Three
//! tables: the first is of the layer without that question; the second of clients that have the page already, a 304 by way of
//! the handler and one ahead of it; the third of the question alone, by layers that ask and do not, in process and around a
//! Redis of its own. An edge that has the page pays none of it.
//!
//! A thousand requests at a time: a heartbeat must come through in between, or the reads are no hits any more.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use axum::{Router, body::Body, extract::State, routing::get};
use http::{Request, header};
use tower::Service;
use tricache::{Loaded, Outcome, Policy, Protection, TieredCache, Tiers, TiersBuilder};
use tricache_middleware::{EdgeLayer, Profile, Public};
use tricache_test_support::RedisServer;

const ENTITIES: u64 = 10;
const TAGS_OF_EACH: u64 = 2;
const REQUESTS: u32 = 50_000;
const ROUNDS: usize = 9;
const AT_ONCE: u32 = 1000;

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        println!("{:12}  tags  without µs  with µs  layer µs  ratio", "edge");
        for (name, layer) in layers() {
            compare(name, &layer, 0).await;
            compare(name, &layer, TAGS_OF_EACH).await;
        }
        println!("{:12}  tags  by the handler µs  ahead of it µs", "304");
        for tags in [0, TAGS_OF_EACH] {
            ahead(tags).await;
        }
        println!("{:12}  tags  not asked µs  asked µs  question µs", "guard");
        let redis = RedisServer::start();
        for tags in [0, TAGS_OF_EACH] {
            question("in process", tags, REQUESTS, |tiers| tiers).await;
            let around = |tiers: TiersBuilder| tiers.redis(&redis.url());
            question("redis", tags, REQUESTS / 25, around).await;
        }
    });
}

fn layers() -> [(&'static str, EdgeLayer); 5] {
    let everything = EdgeLayer::new(Profile::cloudflare())
        .and(Profile::varnish())
        .etags("1.0")
        .cache_groups()
        .cache_status();
    [
        ("varnish", EdgeLayer::new(Profile::varnish())),
        ("cloudflare", EdgeLayer::new(Profile::cloudflare())),
        ("akamai", EdgeLayer::new(Profile::akamai())),
        (
            "with etags",
            EdgeLayer::new(Profile::varnish()).etags("1.0"),
        ),
        ("everything", everything),
    ]
}

/// The page of entities that have `tags` tags each, through both routers.
async fn compare(name: &str, layer: &EdgeLayer, tags: u64) {
    let (tiers, products) = filled(unasked(), tags).await;
    let mut bare = router().with_state(products.clone());
    let mut layered = router().layer(layer.clone()).with_state(products);
    let (mut without, mut with) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        without.push(timed(&mut bare, REQUESTS, request).await);
        with.push(timed(&mut layered, REQUESTS, request).await);
    }
    assert!(layer.report().shared() > 0, "what is measured is not done");
    let (without, with) = (median(&mut without), median(&mut with));
    println!(
        "{name:12}  {:4}  {without:10.2}  {with:7.2}  {:8.2}  {:5.2}",
        tags * ENTITIES,
        with - without,
        with / without
    );
    tiers.shutdown(Duration::from_secs(1)).await;
}

/// The same page behind a layer that asks whether it is current, and behind one that does not.
async fn question(
    name: &str,
    tags: u64,
    requests: u32,
    around: impl Fn(TiersBuilder) -> TiersBuilder,
) {
    let layer = EdgeLayer::new(Profile::varnish());
    let (quick, trusted) = filled(around(unasked()), tags).await;
    let (slow, asked) = filled(around(Tiers::builder("asked")), tags).await;
    let mut trusting = router().layer(layer.clone()).with_state(trusted);
    let mut asking = router().layer(layer.clone()).with_state(asked);
    let (mut without, mut with) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        without.push(timed(&mut trusting, requests, request).await);
        with.push(timed(&mut asking, requests, request).await);
    }
    let report = layer.report();
    assert_eq!(report.not_shared(), 0, "what is measured is not done");
    let (without, with) = (median(&mut without), median(&mut with));
    println!(
        "{name:12}  {:4}  {without:12.2}  {with:8.2}  {:11.2}",
        tags * ENTITIES,
        with - without
    );
    quick.shutdown(Duration::from_secs(1)).await;
    slow.shutdown(Duration::from_secs(1)).await;
}

/// The same page for a client that has it: from a route that declares that it reads through caches alone, and from one
/// that does not.
async fn ahead(tags: u64) {
    let layer = EdgeLayer::new(Profile::varnish()).etags("1.0");
    let (tiers, products) = filled(unasked(), tags).await;
    let declared = Router::new().route("/page", get(page).layer(Public.reads_only_caches()));
    let mut early = declared.layer(layer.clone()).with_state(products.clone());
    let mut late = router().layer(layer.clone()).with_state(products);
    for router in [&mut early, &mut late] {
        let answer = router.call(request()).await.unwrap();
        assert!(answer.headers().contains_key(header::ETAG));
    }
    let (mut by_handler, mut before) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        by_handler.push(timed(&mut late, REQUESTS, has_it).await);
        before.push(timed(&mut early, REQUESTS, has_it).await);
    }
    let done = layer.report().answered_ahead();
    assert!(done > u64::from(REQUESTS), "what is measured is not done");
    println!(
        "{:12}  {:4}  {:17.2}  {:14.2}",
        "varnish",
        tags * ENTITIES,
        median(&mut by_handler),
        median(&mut before)
    );
    tiers.shutdown(Duration::from_secs(1)).await;
}

/// Nobody is asked whether a page is current.
fn unasked() -> TiersBuilder {
    Tiers::builder("bench").without(Protection::Guard)
}

async fn filled(builder: TiersBuilder, tags: u64) -> (Tiers, TieredCache<u64, String>) {
    let tiers = builder.build().await.unwrap();
    let policy = Policy::ttl(Duration::from_secs(3600)).local_ttl(Duration::from_secs(3600));
    let products = tiers.cache::<u64, String>("product", policy).unwrap();
    for id in 0..ENTITIES {
        let tags = (0..tags).map(|n| format!("category-{}", id + n * ENTITIES));
        let lamp = Loaded::new("lamp".to_owned()).tags(tags);
        let load = |_| async { Ok::<_, std::io::Error>(lamp) };
        products.get_or_load(&id, load).await.unwrap();
    }
    // What was filled before its bucket's first heartbeat proves itself once.
    while !all_are_local(&products).await {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    (tiers, products)
}

async fn all_are_local(products: &TieredCache<u64, String>) -> bool {
    let mut all = true;
    for id in 0..ENTITIES {
        let product = products.get(&id).await.unwrap().unwrap();
        all &= product.outcome() == Outcome::LocalHit;
    }
    all
}

fn router() -> Router<TieredCache<u64, String>> {
    Router::new().route("/page", get(page).layer(Public))
}

async fn page(State(products): State<TieredCache<u64, String>>) {
    for id in 0..ENTITIES {
        black_box(products.get(&id).await.unwrap().unwrap());
    }
}

/// Microseconds per request.
async fn timed(router: &mut Router, requests: u32, request: fn() -> Request<Body>) -> f64 {
    let mut took = Duration::ZERO;
    for _ in 0..requests / AT_ONCE {
        tokio::time::sleep(Duration::from_millis(1)).await;
        let began = Instant::now();
        for _ in 0..AT_ONCE {
            black_box(router.call(request()).await.unwrap());
        }
        took += began.elapsed();
    }
    took.as_secs_f64() * 1e6 / f64::from(requests)
}

fn request() -> Request<Body> {
    Request::builder().uri("/page").body(Body::empty()).unwrap()
}

/// Of a client that has the page.
fn has_it() -> Request<Body> {
    let request = Request::builder().uri("/page");
    let request = request.header(header::IF_NONE_MATCH, "*");
    request.body(Body::empty()).unwrap()
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
