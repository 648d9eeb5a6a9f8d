//! One span for each call and each load, with what happened inside; keys at debug level only.

use std::{
    collections::BTreeMap,
    fmt::{Debug, Write},
    io,
    sync::{Arc, Mutex},
    time::Duration,
};
use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
    level_filters::LevelFilter,
    span::{Attributes, Id, Record},
    subscriber::{DefaultGuard, set_default},
};
use tracing_subscriber::{
    Layer, Registry,
    layer::{Context, SubscriberExt},
    registry::LookupSpan,
};
use tricache::{BatchContext, InProcess, ManualClock, Policy, TieredCache, Tiers};

#[tokio::test]
async fn each_call_has_one_span_that_says_what_it_came_to() {
    let (tiers, cache, _) = start(policy()).await;
    let (trace, _traced) = Trace::start(Level::DEBUG);

    assert!(cache.get(&7).await.unwrap().is_none());
    load(&cache, 7).await;
    load(&cache, 7).await;
    assert!(cache.get(&7).await.unwrap().is_some());
    let fails = |_| async { Err::<u64, _>(io::Error::other("the store is down")) };
    assert!(cache.get_or_load(&8, fails).await.is_err());
    load_many(&cache, &[1, 2]).await;
    cache.get_many(&[1, 2]).await.unwrap();
    cache.insert(&7, 1).await.unwrap();
    cache.invalidate(&7).await.unwrap();
    cache.expire_many(&[1, 2]).await.unwrap();
    cache.clear().await.unwrap();
    tiers.invalidate_tags(["red"]).await.unwrap();
    tiers.expire_tags(["red", "blue"]).await.unwrap();
    tiers.clear().await.unwrap();

    assert_eq!(
        trace.calls(),
        [
            "get cache=price key=7 outcome=missed",
            "get_or_load cache=price key=7 outcome=loaded",
            "get_or_load cache=price key=7 outcome=local_hit",
            "get cache=price key=7 outcome=local_hit",
            "get_or_load cache=price key=8 outcome=failed",
            "get_or_load_many cache=price keys=2",
            "get_many cache=price keys=2",
            "insert cache=price key=7 outcome=acknowledged",
            "invalidate cache=price key=7 outcome=acknowledged",
            "expire cache=price keys=2 outcome=acknowledged",
            "clear cache=price outcome=acknowledged",
            "invalidate_tags cache=* keys=1 outcome=acknowledged",
            "expire_tags cache=* keys=2 outcome=acknowledged",
            "clear cache=* outcome=acknowledged",
        ]
    );
}

#[tokio::test]
async fn a_load_is_below_the_call_that_began_it_and_tells_its_story() {
    let (_tiers, cache, _) = start(policy()).await;
    let (trace, _traced) = Trace::start(Level::DEBUG);

    load(&cache, 7).await;
    load_many(&cache, &[1, 2]).await;

    assert_eq!(
        trace.story(),
        [
            "get_or_load > load: a load begins",
            "get_or_load > load: a load has ended",
            "get_or_load > load: a value was stored",
            "get_or_load_many > load: a load begins",
            "get_or_load_many > load: a load has ended",
            "get_or_load_many > load: a value was stored",
            "get_or_load_many > load: a value was stored",
        ]
    );
}

#[tokio::test]
async fn a_refresh_is_below_nothing_since_its_call_is_answered() {
    let (tiers, cache, clock) = start(policy().stale_while_revalidate(TTL)).await;
    load(&cache, 7).await;
    clock.advance(TTL);
    tiers.until_caught_up().await.unwrap();
    let (trace, _traced) = Trace::start(Level::DEBUG);

    load(&cache, 7).await;
    tiers.until_idle().await;

    assert_eq!(
        trace.calls(),
        ["get_or_load cache=price key=7 outcome=stale"]
    );
    assert_eq!(
        trace.story(),
        [
            "get_or_load: a value past its ttl was served",
            "refresh > load: a load begins",
            "refresh > load: a load has ended",
            "refresh > load: a value was stored",
        ]
    );
}

#[tokio::test]
async fn waits_and_refusals_are_told() {
    let (_tiers, cache, _) = start(policy()).await;
    let (trace, _traced) = Trace::start(Level::DEBUG);

    let invalidated = cache.clone();
    let invalidates = cache.get_or_load(&7, |_| async move {
        invalidated.invalidate(&7).await.map(|_| 1)
    });
    let joins = cache.get_or_load(&7, |_| async { Ok::<_, io::Error>(1) });
    let (first, second) = tokio::join!(invalidates, joins);
    first.and(second).unwrap();

    let story = trace.story();
    for told in [
        "get_or_load: waits for a load of this process",
        "get_or_load > load: a value was refused: it was invalidated while it was loaded",
    ] {
        assert!(story.iter().any(|line| line == told), "{story:#?}");
    }
}

#[tokio::test]
async fn at_info_there_is_no_span_and_no_key() {
    let (tiers, cache, _) = start(policy()).await;
    let (trace, _traced) = Trace::start(Level::INFO);

    for key in 0..10 {
        load(&cache, key).await;
        cache.invalidate(&key).await.unwrap();
    }
    tiers.clear().await.unwrap();

    assert!(trace.calls().is_empty() && trace.story().is_empty());
}

async fn start(policy: Policy) -> (Tiers, TieredCache<u64, u64>, ManualClock) {
    let clock = ManualClock::new();
    let hub = InProcess::with_clock(Arc::new(clock.clone()));
    let builder = Tiers::builder("spans").in_process(&hub);
    let builder = builder.clock(Arc::new(clock.clone())).heartbeat(QUIET);
    let tiers = builder.build().await.unwrap();
    let cache = tiers.cache("price", policy).unwrap();
    (tiers, cache, clock)
}

async fn load(cache: &TieredCache<u64, u64>, key: u64) {
    let load = |_| async move { Ok::<_, io::Error>(key) };
    cache.get_or_load(&key, load).await.unwrap();
}

async fn load_many(cache: &TieredCache<u64, u64>, keys: &[u64]) {
    let load = |cx: BatchContext<u64>| async move {
        let pairs: Vec<_> = cx.into_keys().into_iter().map(|key| (key, key)).collect();
        Ok::<_, io::Error>(pairs)
    };
    cache.get_or_load_many(keys, load).await.unwrap();
}

fn policy() -> Policy {
    Policy::ttl(TTL).jitter(0.0)
}

/// What of the library's spans and events has reached a subscriber.
#[derive(Clone, Default)]
struct Trace(Arc<Mutex<Recorded>>);

#[derive(Default)]
struct Recorded {
    /// In the order in which they were made, by their number.
    spans: BTreeMap<u64, (&'static str, String)>,
    events: Vec<String>,
}

impl Trace {
    fn start(level: Level) -> (Self, DefaultGuard) {
        let trace = Self::default();
        let layer = trace.clone().with_filter(LevelFilter::from_level(level));
        let guard = set_default(Registry::default().with(layer));
        (trace, guard)
    }

    /// All spans but those of loads.
    fn calls(&self) -> Vec<String> {
        let recorded = self.0.lock().unwrap();
        let calls = recorded
            .spans
            .values()
            .filter(|(name, _)| !["load", "refresh"].contains(name));
        calls
            .map(|(name, fields)| format!("{name}{fields}"))
            .collect()
    }

    fn story(&self) -> Vec<String> {
        self.0.lock().unwrap().events.clone()
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Trace {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let span = context.span(id).unwrap();
        let Some(name) = own(span.metadata()) else {
            return;
        };
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        let mut recorded = self.0.lock().unwrap();
        // Numbers are used again: those of the spans here are counted.
        let number = recorded.spans.len() as u64;
        span.extensions_mut().insert(number);
        recorded.spans.insert(number, (name, fields.0));
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let span = context.span(id).unwrap();
        let Some(number) = span.extensions().get::<u64>().copied() else {
            return;
        };
        let mut fields = Fields::default();
        values.record(&mut fields);
        let mut recorded = self.0.lock().unwrap();
        recorded.spans.get_mut(&number).unwrap().1 += &fields.0;
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        if !event.metadata().target().starts_with("tricache") {
            return;
        }
        let path: Vec<_> = context
            .event_scope(event)
            .into_iter()
            .flatten()
            .filter_map(|span| own(span.metadata()))
            .collect();
        if path.is_empty() {
            // Of a task of the tiers: no call's.
            return;
        }
        let path: Vec<_> = path.into_iter().rev().collect();
        let mut message = Message(String::new());
        event.record(&mut message);
        let line = format!("{}: {}", path.join(" > "), message.0);
        self.0.lock().unwrap().events.push(line);
    }
}

fn own(metadata: &Metadata<'static>) -> Option<&'static str> {
    metadata.name().strip_prefix("tricache.")
}

#[derive(Default)]
struct Fields(String);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        write!(self.0, " {}={value:?}", field.name()).unwrap();
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        write!(self.0, " {}={value}", field.name()).unwrap();
    }
}

struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}");
        }
    }
}

const TTL: Duration = Duration::from_secs(60);
/// No heartbeat comes in between.
const QUIET: Duration = Duration::from_secs(60);
