//! What does the layer cost a request, beside the same router without it?
//!
//! `cargo bench -p tricache-middleware --bench edge`. A page that reads 10 resident entities, without tags and with two
//! each, 20 in all, and answers nothing else; the routers alternate in one run. Without the layer there is no scope, so what
//! reads record in one counts as the layer's. The last row is all that a layer can do, for two edges at once.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use axum::{Router, body::Body, extract::State, routing::get};
use http::Request;
use tower::Service;
use tricache::{Loaded, Outcome, Policy, TieredCache, Tiers};
use tricache_middleware::{EdgeLayer, Profile, Public};

const ENTITIES: u64 = 10;
const TAGS_OF_EACH: u64 = 2;
const REQUESTS: u32 = 50_000;
const ROUNDS: usize = 9;

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
    let (tiers, products) = filled(tags).await;
    let mut bare = router().with_state(products.clone());
    let mut layered = router().layer(layer.clone()).with_state(products);
    let (mut without, mut with) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        without.push(timed(&mut bare).await);
        with.push(timed(&mut layered).await);
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

async fn filled(tags: u64) -> (Tiers, TieredCache<u64, String>) {
    let tiers = Tiers::builder("bench").build().await.unwrap();
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
async fn timed(router: &mut Router) -> f64 {
    let began = Instant::now();
    for _ in 0..REQUESTS {
        black_box(router.call(request()).await.unwrap());
    }
    began.elapsed().as_secs_f64() * 1e6 / f64::from(REQUESTS)
}

fn request() -> Request<Body> {
    Request::builder().uri("/page").body(Body::empty()).unwrap()
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
