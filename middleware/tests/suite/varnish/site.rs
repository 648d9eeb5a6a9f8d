//! A shop behind Varnish: products on a clock that the test moves, pages that show one or several of them, and one way to
//! change something.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    extract::{Path, State},
    response::{IntoResponse, Response},
    routing::get,
};
use http::StatusCode;
use tricache::{
    InProcess, Loaded, ManualClock, OptionalExt, Tag, TieredCache, Tiers, TiersBuilder, Visibility,
};
use tricache_middleware::{
    EdgeLayer, Profile, Public,
    purge::{Mode, Purger, Secret, Varnish},
    purge_keys, purge_keys_of_tag,
};
use tricache_test_support::VarnishServer;

use super::{TOKEN, varnish_before};
use crate::{gate::Gate, origin::Origin, support::lasting, visitor::Visitor};

/// Everything between the store and the visitor.
pub(crate) struct Site {
    pub(crate) hub: InProcess,
    pub(crate) clock: ManualClock,
    pub(crate) tiers: Tiers,
    pub(crate) products: Products,
    pub(crate) store: Store,
    pub(crate) origin: Origin,
    gate: Arc<Mutex<Gate>>,
    varnish: VarnishServer,
    purger: Purger,
}

/// Each lives for 60 seconds.
pub(crate) type Products = TieredCache<u64, String>;

/// What is changed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum What {
    Product(u64),
    Tag(&'static str),
}

impl Site {
    /// A site whose pages have validators, and may be served for a minute past their life.
    pub(crate) async fn open() -> Self {
        Self::with(layer(), |tiers| tiers).await
    }

    pub(crate) async fn with(
        layer: EdgeLayer,
        set: impl FnOnce(TiersBuilder) -> TiersBuilder,
    ) -> Self {
        let clock = ManualClock::new();
        let hub = InProcess::with_clock(Arc::new(clock.clone()));
        let (tiers, products) = node(&hub, &clock, set).await;
        let store = Store::default();
        let gate = Arc::new(Mutex::new(Gate::opened()));
        let pages = Pages {
            products: products.clone(),
            store: store.clone(),
            gate: Arc::clone(&gate),
        };
        let origin = Origin::start(pages.router(layer)).await;
        let varnish = varnish_before(&origin);
        Self {
            hub,
            clock,
            tiers,
            products,
            store,
            origin,
            gate,
            purger: purger(&varnish),
            varnish,
        }
    }

    pub(crate) fn visitor(&self) -> Visitor {
        Visitor::of(self.varnish.address())
    }

    /// From now on renders wait, once they have read, until this gate is opened.
    pub(crate) fn hold_renders(&self) -> Gate {
        let gate = Gate::shut();
        *self.gate.lock().unwrap() = gate.clone();
        gate
    }

    /// After a change in the store: first the tiers, then the edge.
    pub(crate) async fn changed(&self, what: What, mode: Mode) {
        what.invalidate(&self.tiers, &self.products).await;
        self.purge(what, mode).await;
    }

    /// Has Varnish purge the pages that show it, and waits until it has.
    pub(crate) async fn purge(&self, what: What, mode: Mode) {
        let receipt = self.purger.purge(what.keys(), mode).unwrap();
        let acknowledged = tokio::time::timeout(PATIENCE, receipt.acknowledged());
        acknowledged.await.expect("acknowledged in time").unwrap();
    }
}

impl What {
    /// At the tiers, by any node.
    pub(crate) async fn invalidate(self, tiers: &Tiers, products: &Products) {
        let receipt = match self {
            Self::Product(id) => products.invalidate(&id).await,
            Self::Tag(tag) => tiers.invalidate_tags([tag]).await,
        };
        assert!(!receipt.unwrap().is_pending());
    }

    fn keys(self) -> Vec<String> {
        match self {
            Self::Product(id) => purge_keys(&format!("product/{id}")),
            Self::Tag(tag) => purge_keys_of_tag(&Tag::new(tag)),
        }
    }
}

pub(crate) fn layer() -> EdgeLayer {
    EdgeLayer::new(Profile::varnish().stale_while_revalidate(Duration::from_secs(60))).etags("1")
}

/// A node of the fleet. No heartbeat tells it what a push does not.
pub(crate) async fn node(
    hub: &InProcess,
    clock: &ManualClock,
    set: impl FnOnce(TiersBuilder) -> TiersBuilder,
) -> (Tiers, Products) {
    let builder = Tiers::builder("test").heartbeat(Duration::from_secs(60));
    let builder = builder.in_process(hub).clock(Arc::new(clock.clone()));
    let tiers = set(builder).build().await.unwrap();
    let products = tiers.cache("product", lasting(60)).unwrap();
    (tiers, products)
}

/// It purges once: a second purge would hide what the guard is for.
fn purger(varnish: &VarnishServer) -> Purger {
    let nodes = Varnish::builder([varnish.url()]).token(Secret::new(TOKEN).unwrap());
    Purger::builder(Duration::ZERO)
        .window(Duration::ZERO)
        .vendors(nodes.timeout(PATIENCE).build().unwrap())
        .build()
        .unwrap()
}

/// What there is of each product.
#[derive(Clone, Default)]
pub(crate) struct Store(Arc<Mutex<BTreeMap<u64, Stored>>>);

#[derive(Clone)]
struct Stored {
    text: String,
    tags: Vec<&'static str>,
    visibility: Visibility,
}

impl Store {
    pub(crate) fn put<const N: usize>(&self, id: u64, text: &str, tags: [&'static str; N]) {
        self.insert(id, text, &tags, Visibility::Public);
    }

    /// What one user alone may see.
    pub(crate) fn put_for_one_user(&self, id: u64, text: &str) {
        self.insert(id, text, &[], Visibility::User);
    }

    fn insert(&self, id: u64, text: &str, tags: &[&'static str], visibility: Visibility) {
        let stored = Stored {
            text: text.to_owned(),
            tags: tags.to_vec(),
            visibility,
        };
        self.0.lock().unwrap().insert(id, stored);
    }

    /// What is missing has the tag that it would have.
    fn load(&self, id: u64) -> Loaded<String> {
        match self.0.lock().unwrap().get(&id).cloned() {
            Some(stored) => Loaded::new(stored.text)
                .tags(stored.tags)
                .visibility(stored.visibility),
            None => Loaded::absent().tag("joins"),
        }
    }
}

#[derive(Clone)]
struct Pages {
    products: Products,
    store: Store,
    gate: Arc<Mutex<Gate>>,
}

impl Pages {
    fn router(self, layer: EdgeLayer) -> Router {
        Router::new()
            .route("/products/{id}", get(one))
            .route("/pairs/{one}/{other}", get(two))
            .route("/first/{count}", get(first))
            .route("/named/{id}", get(named))
            .layer(Public)
            .layer(layer)
            .with_state(self)
    }

    async fn read(&self, id: u64) -> Option<String> {
        let store = self.store.clone();
        let load = |_| async move { Ok::<_, Infallible>(store.load(id)) };
        let product = self.products.get_or_load(&id, load).await;
        product.optional().unwrap().map(|text| text.to_string())
    }

    async fn page(&self, ids: impl IntoIterator<Item = u64>) -> Response {
        let mut texts = Vec::new();
        for id in ids {
            texts.extend(self.read(id).await);
        }
        let gate = self.gate.lock().unwrap().clone();
        gate.pass().await;
        if texts.is_empty() {
            (StatusCode::NOT_FOUND, "none").into_response()
        } else {
            texts.join(" ").into_response()
        }
    }
}

async fn one(State(pages): State<Pages>, Path(id): Path<u64>) -> Response {
    pages.page([id]).await
}

async fn two(State(pages): State<Pages>, Path((one, other)): Path<(u64, u64)>) -> Response {
    pages.page([one, other]).await
}

/// The first so many products.
async fn first(State(pages): State<Pages>, Path(count): Path<u64>) -> Response {
    pages.page(1..=count).await
}

/// A page with a validator of its own, which knows the text and nothing of tags.
async fn named(State(pages): State<Pages>, Path(id): Path<u64>) -> Response {
    let text = pages.read(id).await.unwrap_or_default();
    ([("etag", format!("\"{text}\""))], text).into_response()
}

/// Longer than a loaded machine takes.
const PATIENCE: Duration = Duration::from_secs(30);
