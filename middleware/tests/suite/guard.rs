//! The last question before the headers leave: the two races of a purge with a refill, what becomes of a page that has
//! moved or that nobody can vouch for, and how long one is kept that has changed lately.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use axum::{Router, routing::get as on_get};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use tokio::time::timeout;
use tower::{Layer, ServiceExt};
use tricache::{
    InProcess, Loaded, ManualClock, Outcome, Protection, Tag, TieredCache, Tiers, TiersBuilder,
};
use tricache_middleware::{EdgeLayer, Profile, Public, purge_keys, purge_keys_of_tag};

use crate::{
    fake_edge::FakeEdge,
    gate::Gate,
    support::{assert_not_shared, assert_shared, get, lasting, only, page, public},
};

/// A render begins, what it shows is changed and purged, and the old page arrives.
#[tokio::test]
async fn a_page_that_is_rendered_during_an_invalidation_does_not_outlive_its_purge() {
    for way in Way::ALL {
        let node = Node::start(|tiers| tiers).await;

        assert_eq!(after_a_slow_render(&node, way).await, "2", "{way:?}");
        assert_eq!(node.layer.report().moved(), 1);
    }
}

#[tokio::test]
async fn without_the_guard_it_does() {
    for way in Way::ALL {
        let node = Node::start(|tiers| tiers.without(Protection::Guard)).await;

        assert_eq!(after_a_slow_render(&node, way).await, "1", "{way:?}");
    }
}

/// What a page shows is changed and purged, but the node that is asked next still holds it and was not told.
#[tokio::test]
async fn an_edge_is_not_refilled_from_a_node_that_has_not_heard() {
    for way in Way::ALL {
        let node = Node::start(|tiers| tiers).await;

        assert_eq!(after_a_lost_push(&node, way).await, "2", "{way:?}");
    }
}

#[tokio::test]
async fn without_the_guard_it_is() {
    for way in Way::ALL {
        let node = Node::start(|tiers| tiers.without(Protection::Guard)).await;

        assert_eq!(after_a_lost_push(&node, way).await, "1", "{way:?}");
    }
}

#[tokio::test]
async fn a_page_that_has_moved_reaches_its_client_and_no_edge_may_keep_it() {
    let layer = EdgeLayer::new(Profile::cloudflare())
        .and(Profile::varnish())
        .etags("1");
    let node = Node::start_with(layer, unchanged).await;
    let moves = async { drop(node.cache.invalidate(&1).await.unwrap()) };
    let own = [("cdn-cache-control", "max-age=60")];

    let answer = node.answer(moves, &[("if-none-match", "*")], &own).await;

    assert_eq!(answer.status(), StatusCode::OK);
    let headers = answer.headers();
    assert_not_shared(headers);
    for name in ["cloudflare-cdn-cache-control", "cdn-cache-control"] {
        assert_eq!(only(headers, name), "private, no-store");
    }
    for name in ["etag", "cache-tag", "xkey"] {
        assert_eq!(only(headers, name), "", "{name}");
    }
    let report = node.layer.report();
    assert_eq!((report.moved(), report.not_shared()), (1, 1));
}

#[tokio::test]
async fn what_nobody_can_vouch_for_is_not_shared_unless_the_layer_says_so() {
    for (layer, is_shared) in [(layer(), false), (layer().share_unconfirmed(), true)] {
        let node = Node::start_with(layer, unchanged).await;

        let headers = node.ask(async { node.hub.refuse(true) }).await;

        if is_shared {
            assert_shared(&headers, 60, KEYS);
        } else {
            assert_not_shared(&headers);
        }
        let unconfirmed = node.layer.report().unconfirmed();
        assert_eq!(unconfirmed, u64::from(!is_shared));
    }
}

#[tokio::test]
async fn a_page_that_has_moved_is_not_shared_though_unconfirmed_ones_are() {
    let node = Node::start_with(layer().share_unconfirmed(), unchanged).await;
    let moves = async { drop(node.cache.invalidate(&1).await.unwrap()) };

    assert_not_shared(&node.ask(moves).await);
}

#[tokio::test]
async fn the_question_has_a_deadline_of_its_own() {
    let patient = |tiers: TiersBuilder| tiers.remote_timeout(Duration::from_secs(60));
    let layer = layer().guard_within(Duration::from_millis(5));
    let node = Node::start_with(layer, patient).await;
    let slow = async { node.hub.delay(Duration::from_secs(60)) };

    let headers = timeout(Duration::from_secs(20), node.ask(slow)).await;

    assert_not_shared(&headers.expect("an answer before Redis has one"));
    assert_eq!(node.layer.report().unconfirmed(), 1);
}

#[tokio::test]
async fn f3_the_time_that_the_question_takes_is_taken_off_the_life() {
    let patient = |tiers: TiersBuilder| tiers.remote_timeout(Duration::from_secs(60));
    let layer = layer().guard_within(Duration::from_secs(60));
    let node = Node::start_with(layer, patient).await;
    let held = node.ask(async { node.hub.hold(true) });
    let later = async {
        node.hub.until_held(1).await;
        node.clock.advance(Duration::from_secs(5));
        node.hub.hold(false);
    };

    let (headers, ()) = tokio::join!(held, later);

    assert_shared(&headers, 55, KEYS);
}

#[tokio::test]
async fn only_a_page_that_an_edge_may_keep_is_asked_about() {
    let node = Node::start(unchanged).await;
    let authorized = [("authorization", "Bearer x")];
    let away = async { node.hub.refuse(true) };
    assert_not_shared(node.answer(away, &authorized, &[]).await.headers());
    let ends = async { node.clock.advance(Duration::from_millis(59_500)) };

    assert_shared(&node.ask(ends).await, 0, KEYS);

    assert_eq!(node.layer.report().unconfirmed(), 0);
}

#[tokio::test]
async fn a_page_is_kept_for_a_short_time_only_until_nothing_was_invalidated_for_a_while() {
    for way in Way::ALL {
        let profile = Profile::fastly().stale_while_revalidate(Duration::from_secs(30));
        let node = Node::start_with(EdgeLayer::new(profile), unchanged).await;
        way.invalidate(&node.cache, &node.tiers).await;

        let fresh = node.ask(async {}).await;
        node.clock.advance(Duration::from_secs(10));
        let later = node.ask(async {}).await;

        assert_eq!(only(&fresh, "surrogate-control"), "max-age=2", "{way:?}");
        let whole = "max-age=50, stale-while-revalidate=30";
        assert_eq!(only(&later, "surrogate-control"), whole, "{way:?}");
        assert_eq!(node.layer.report().clamped(), 1);
    }
}

#[tokio::test]
async fn how_long_and_how_short_that_is_can_be_set_and_a_shorter_life_stays_as_it_is() {
    let seconds = Duration::from_secs;
    for (window, at_most, after, expected) in [
        (30, 7, 29, 7),
        (30, 7, 30, 30),
        (30, 45, 29, 31),
        (0, 7, 0, 60),
    ] {
        let layer = layer().after_invalidation(seconds(window), seconds(at_most));
        let node = Node::start_with(layer, unchanged).await;
        node.cache.invalidate(&1).await.unwrap();
        node.read().await;
        node.clock.advance(seconds(after));

        assert_shared(&node.ask(async {}).await, expected, KEYS);
    }
}

/// A render of `1` waits; product 1 becomes `2`, is invalidated and purged; the render ends. What the edge shows then.
async fn after_a_slow_render(node: &Node, way: Way) -> String {
    let gate = Gate::shut();
    let edge = node.edge(&gate);
    let slow = tokio::spawn({
        let edge = edge.clone();
        async move { edge.get("/1").await }
    });
    gate.reached().await;

    node.store.store(2, SeqCst);
    edge.purge(&way.invalidate(&node.cache, &node.tiers).await);
    gate.open();
    assert_eq!(slow.await.unwrap(), "1");

    edge.get("/1").await
}

/// Product 1 becomes `2` at another node, whose push is lost, and is purged. The next request but one comes to this node. What
/// the edge shows to the last request, after this node has heard.
async fn after_a_lost_push(node: &Node, way: Way) -> String {
    let gate = Gate::opened();
    let edge = node.edge(&gate);
    edge.get("/1").await;
    let (other, cache) = tiers(&node.hub, &node.clock, unchanged).await;

    node.hub.lose_pushes(true);
    node.store.store(2, SeqCst);
    edge.purge(&way.invalidate(&cache, &other).await);
    assert!(!edge.keeps("/1"));
    let refill = edge.get("/1").await;
    node.hub.lose_pushes(false);
    node.tiers.until_caught_up().await.unwrap();

    // It was not told, and a node that is not told serves what it holds.
    assert_eq!(refill, "1");
    edge.get("/1").await
}

/// How what page 1 shows is invalidated.
#[derive(Clone, Copy, Debug)]
enum Way {
    Key,
    Tag,
}

impl Way {
    const ALL: [Self; 2] = [Self::Key, Self::Tag];

    /// At the tiers; answers what a purge names.
    async fn invalidate(self, cache: &Products, tiers: &Tiers) -> Vec<String> {
        let (receipt, keys) = match self {
            Self::Key => (cache.invalidate(&1).await, purge_keys("product/1")),
            Self::Tag => (
                tiers.invalidate_tags(["tag-1"]).await,
                purge_keys_of_tag(&Tag::new("tag-1")),
            ),
        };
        assert!(!receipt.unwrap().is_pending());
        keys
    }
}

type Products = TieredCache<u64, String>;

/// A node with a layer, on a clock that the test moves, and what product 1 is in the store.
struct Node {
    hub: InProcess,
    clock: ManualClock,
    tiers: Tiers,
    cache: Products,
    store: Arc<AtomicU64>,
    layer: EdgeLayer,
}

impl Node {
    async fn start(set: impl FnOnce(TiersBuilder) -> TiersBuilder) -> Self {
        Self::start_with(layer(), set).await
    }

    /// It holds product 1, which nobody has ever invalidated.
    async fn start_with(layer: EdgeLayer, set: impl FnOnce(TiersBuilder) -> TiersBuilder) -> Self {
        let clock = ManualClock::new();
        let hub = InProcess::with_clock(Arc::new(clock.clone()));
        let (tiers, cache) = tiers(&hub, &clock, set).await;
        let node = Self {
            hub,
            clock,
            tiers,
            cache,
            store: Arc::new(AtomicU64::new(1)),
            layer,
        };
        node.read().await;
        node.tiers.until_caught_up().await.unwrap();
        assert_eq!(
            node.cache.get(&1).await.unwrap().unwrap().outcome(),
            Outcome::LocalHit
        );
        node
    }

    async fn read(&self) -> String {
        read(&self.cache, &self.store).await
    }

    /// The headers of a page that reads product 1 and then does something.
    async fn ask(&self, then: impl Future<Output = ()> + Send) -> HeaderMap {
        self.answer(then, &[], &[]).await.into_parts().0.headers
    }

    /// The same for a request with some fields, whose handler sets fields of its own.
    async fn answer(
        &self,
        then: impl Future<Output = ()> + Send,
        asks: &[(&'static str, &'static str)],
        own: &[(&'static str, &'static str)],
    ) -> Response<String> {
        let work = async {
            self.read().await;
            then.await;
        };
        let mut request = get();
        for (name, value) in asks {
            let value = HeaderValue::from_static(value);
            request.headers_mut().insert(*name, value);
        }
        let service = page(|| work, public(StatusCode::OK, own));
        self.layer.layer(service).oneshot(request).await.unwrap()
    }

    /// An edge before a router that renders what this node has of product 1, and waits at the gate.
    fn edge(&self, gate: &Gate) -> FakeEdge {
        let (cache, store, gate) = (self.cache.clone(), Arc::clone(&self.store), gate.clone());
        let render = async move || {
            let text = read(&cache, &store).await;
            gate.pass().await;
            text
        };
        let router = Router::new().route("/1", on_get(render).layer(Public));
        FakeEdge::before(router.layer(self.layer.clone()))
    }
}

async fn read(cache: &Products, store: &Arc<AtomicU64>) -> String {
    let store = Arc::clone(store);
    let load = |_| async move {
        let text = store.load(SeqCst).to_string();
        Ok::<_, Infallible>(Loaded::new(text).tag("tag-1"))
    };
    let product = cache.get_or_load(&1, load).await.unwrap();
    product.to_string()
}

async fn tiers(
    hub: &InProcess,
    clock: &ManualClock,
    set: impl FnOnce(TiersBuilder) -> TiersBuilder,
) -> (Tiers, Products) {
    // No heartbeat tells what a push does not.
    let builder = Tiers::builder("test").heartbeat(Duration::from_secs(60));
    let builder = builder.in_process(hub).clock(Arc::new(clock.clone()));
    let tiers = set(builder).build().await.unwrap();
    let cache = tiers.cache("product", lasting(60)).unwrap();
    (tiers, cache)
}

fn unchanged(tiers: TiersBuilder) -> TiersBuilder {
    tiers
}

fn layer() -> EdgeLayer {
    EdgeLayer::new(Profile::fastly())
}

/// Those of product 1.
const KEYS: &str = "product.1 tag-1";
