//! Values that cannot be stored, and types that cannot be followed.

use crate::nodes::Remote;
use crate::reads::ends;
use serde::{Deserialize, Serialize, Serializer, de::DeserializeOwned};
use std::{
    io,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};
use tricache::{
    Cached, Codec, DecodeError, EncodeError, Error, Outcome, Policy, TieredCache, Tiers,
};

#[tokio::test]
async fn a_value_that_leaves_a_field_out_is_served_and_kept_here_and_never_read_wrongly() {
    for remote in Remote::both() {
        let (one, other) = (start(&remote).await, start(&remote).await);
        let cache: TieredCache<u64, Person> = cache(&one);
        let nameless = Person::new(None);
        let named = Person::new(Some("Ada"));

        let loaded = load(&cache, 1, nameless.clone()).await.unwrap();
        let again = load(&cache, 1, named.clone()).await.unwrap();
        let there = load(&self::cache(&other), 1, named.clone()).await.unwrap();
        let stored = load(&cache, 2, named.clone()).await.unwrap();
        let found = load(&self::cache(&other), 2, nameless.clone())
            .await
            .unwrap();

        assert_eq!((&*loaded, loaded.outcome()), (&nameless, Outcome::Loaded));
        assert_eq!(*again, nameless);
        assert!(matches!(
            again.outcome(),
            Outcome::LocalHit | Outcome::LocalRevalidated
        ));
        // It never reached Redis: another node asks the store.
        assert_eq!((&*there, there.outcome()), (&named, Outcome::Loaded));
        assert_eq!((&*stored, &*found), (&named, &named));
        assert_eq!(found.outcome(), Outcome::RemoteHit);
        assert_eq!(one.report().counters().not_stored, 1);
    }
}

#[tokio::test]
async fn a_value_that_leaves_a_field_out_is_invalidated_like_any_other() {
    for remote in Remote::both() {
        let (one, other) = (start(&remote).await, start(&remote).await);
        let (here, there) = (cache(&one), cache::<Person>(&other));
        load(&here, 1, Person::new(None)).await.unwrap();

        ends(there.invalidate(&1)).await.unwrap();

        tricache_test_support::eventually("the new one is read", async || {
            let read = load(&here, 1, Person::new(Some("Ada"))).await.unwrap();
            *read == Person::new(Some("Ada"))
        })
        .await;
    }
}

#[tokio::test]
async fn a_value_that_leaves_a_field_out_can_be_inserted_as_an_invalidation() {
    for remote in Remote::both() {
        let tiers = start(&remote).await;
        let cache: TieredCache<u64, Person> = cache(&tiers);
        load(&cache, 1, Person::new(Some("Ada"))).await.unwrap();

        let receipt = ends(cache.insert(&1, Person::new(None))).await.unwrap();

        assert!(!receipt.is_pending());
        assert!(ends(cache.get(&1)).await.unwrap().is_none());
        assert_eq!(tiers.report().counters().not_stored, 1);
    }
}

#[tokio::test]
async fn a_value_that_is_too_large_is_served_and_not_stored() {
    for remote in Remote::both() {
        let (one, other) = (start(&remote).await, start(&remote).await);
        let (here, there) = (cache(&one), cache::<String>(&other));
        let large = "x".repeat((1 << 20) + 1);

        let loaded = load(&here, 1, large.clone()).await.unwrap();

        assert_eq!(loaded.len(), large.len());
        assert_eq!(one.report().counters().too_large, 1);
        assert!(ends(here.get(&1)).await.unwrap().is_none());
        assert!(ends(there.get(&1)).await.unwrap().is_none());
        load(&here, 2, "small".to_owned()).await.unwrap();
        assert_eq!(*ends(there.get(&2)).await.unwrap().unwrap(), "small");
    }
}

#[tokio::test]
async fn a_large_value_reaches_the_other_node() {
    for remote in Remote::both() {
        let (one, other) = (start(&remote).await, start(&remote).await);
        let large = "x".repeat((16 << 20) - 16);
        let made = |tiers: &Tiers| -> TieredCache<u64, String> {
            let policy = Policy::ttl(Duration::from_secs(600));
            let builder = tiers
                .cache_builder("value", policy)
                .max_value_bytes(16 << 20);
            // As long as it is, and on its way through Redis as well.
            builder.compress_above(usize::MAX).build().unwrap()
        };

        load(&made(&one), 1, large.clone()).await.unwrap();

        let found = ends(made(&other).get(&1)).await.unwrap();
        assert!(found.is_some_and(|found| *found == large));
    }
}

#[tokio::test]
async fn a_type_that_cannot_be_traced_is_refused_with_what_to_do() {
    let tiers = start(&Remote::Hub(tricache::InProcess::new())).await;
    let policy = Policy::ttl(Duration::from_secs(600));
    let error = tiers
        .cache::<u64, serde_json::Value>("json", policy)
        .unwrap_err();

    assert!(error.is_config(), "{error}");
    for part in ["\"json\"", "fingerprint", ".schema(1)", "codec"] {
        assert!(error.to_string().contains(part), "{part}: {error}");
    }
    let error = tiers.cache::<u64, Untagged>("u", policy).unwrap_err();
    assert!(error.is_config() && error.to_string().contains(".schema(1)"));
}

#[tokio::test]
async fn a_type_that_cannot_be_traced_works_with_a_number_and_a_codec() {
    for remote in Remote::both() {
        let (one, other) = (start(&remote).await, start(&remote).await);
        let policy = Policy::ttl(Duration::from_secs(600));
        let made = |tiers: &Tiers| {
            let builder = tiers.cache_builder::<u64, serde_json::Value>("json", policy);
            builder.schema(1).codec(Json).build().unwrap()
        };
        let value = serde_json::json!({"a": [1, null, "b"]});

        load(&made(&one), 1, value.clone()).await.unwrap();

        let found = ends(made(&other).get(&1)).await.unwrap();
        assert!(found.is_some_and(|found| *found == value));
    }
}

#[tokio::test]
async fn a_value_whose_encoding_panics_is_served_and_not_stored() {
    for remote in Remote::both() {
        let tiers = start(&remote).await;
        let cache: TieredCache<u64, Grumpy> = cache(&tiers);

        let loaded = load(&cache, 1, Grumpy(7)).await;

        assert_eq!(loaded.unwrap().0, 7);
        assert_eq!(tiers.report().counters().not_stored, 1);
    }
}

#[tokio::test]
async fn a_value_whose_decoding_panics_is_loaded_anew() {
    for remote in Remote::both() {
        let (one, other) = (start(&remote).await, start(&remote).await);
        SUPERSTITIOUS.store(false, Ordering::SeqCst);
        load(&cache(&one), 1, Superstitious(13)).await.unwrap();

        // The next release does not read it any more.
        SUPERSTITIOUS.store(true, Ordering::SeqCst);
        let loaded = load(&cache(&other), 1, Superstitious(12)).await;

        let loaded = loaded.unwrap();
        assert_eq!((loaded.0, loaded.outcome()), (12, Outcome::Loaded));
        assert_eq!(other.report().counters().bad_payloads, 1);
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Person {
    #[serde(skip_serializing_if = "Option::is_none", default)]
    name: Option<String>,
    // Of the same form as the field that may be missing: read one place too early, it would be a name.
    city: Option<String>,
    age: u8,
}

impl Person {
    fn new(name: Option<&str>) -> Self {
        Self {
            name: name.map(str::to_owned),
            city: Some("London".into()),
            age: 36,
        }
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum Untagged {
    Number(u64),
}

#[derive(Debug, Deserialize)]
struct Grumpy(u64);

impl Serialize for Grumpy {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        panic!("{} does not want to be stored", self.0)
    }
}

static SUPERSTITIOUS: AtomicBool = AtomicBool::new(false);

#[derive(Debug, Serialize, Deserialize)]
#[serde(from = "u64")]
struct Superstitious(u64);

impl From<u64> for Superstitious {
    fn from(number: u64) -> Self {
        let bad = number == 13 && SUPERSTITIOUS.load(Ordering::SeqCst);
        assert!(!bad, "this one does not want to be read");
        Self(number)
    }
}

struct Json;

impl Codec for Json {
    fn id(&self) -> u8 {
        128
    }

    fn is_human_readable(&self) -> bool {
        true
    }

    fn is_positional(&self) -> bool {
        false
    }

    fn encode<V: Serialize + ?Sized>(
        &self,
        value: &V,
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        serde_json::to_writer(out, value).map_err(EncodeError::new)
    }

    fn decode<V: DeserializeOwned>(&self, bytes: &[u8]) -> Result<V, DecodeError> {
        serde_json::from_slice(bytes).map_err(DecodeError::new)
    }
}

async fn start(remote: &Remote) -> Tiers {
    remote.builder().build().await.unwrap()
}

fn cache<V>(tiers: &Tiers) -> TieredCache<u64, V>
where
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    tiers
        .cache("value", Policy::ttl(Duration::from_secs(600)))
        .unwrap()
}

async fn load<V: Send + Sync + 'static>(
    cache: &TieredCache<u64, V>,
    key: u64,
    value: V,
) -> Result<Cached<V>, Error> {
    ends(cache.get_or_load(&key, |_| async { Ok::<_, io::Error>(value) })).await
}
