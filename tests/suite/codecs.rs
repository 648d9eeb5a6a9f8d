//! Values between nodes with other settings: another codec, with and without compression, another cap.

use crate::nodes::Remote;
use crate::reads::{Numbers, ends, read};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{io, time::Duration};
use tricache::{
    Bincode, Cached, Codec, Counters, DecodeError, EncodeError, Outcome, Policy, TieredCache, Tiers,
};
use tricache_test_support::{CountingStore, Reply};

#[cfg(all(feature = "messagepack", feature = "postcard"))]
#[tokio::test]
async fn nodes_with_other_built_in_codecs_read_each_others_values_without_a_load() {
    use tricache::{MessagePack, Postcard};
    for remote in Remote::both() {
        let nodes = [
            Node::start(&remote, |cache| cache.codec(Bincode)).await,
            Node::start(&remote, |cache| cache.codec(Postcard)).await,
            Node::start(&remote, |cache| cache.codec(MessagePack)).await,
        ];

        for (key, writer) in (0..).zip(&nodes) {
            let written = writer.load(key, 50).await;
            for reader in &nodes {
                let found = reader.find(key).await.unwrap();
                assert_eq!(*found, Page::of(50));
                assert_eq!(found.content_id(), written.content_id());
            }
        }

        let loads: u64 = nodes.iter().map(|node| node.counters().loads).sum();
        let bad: u64 = nodes.iter().map(|node| node.counters().bad_payloads).sum();
        assert_eq!((loads, bad), (3, 0));
    }
}

#[cfg(feature = "messagepack")]
#[tokio::test]
async fn a_value_that_leaves_a_field_out_is_shared_by_a_codec_with_names() {
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    struct Person {
        #[serde(skip_serializing_if = "Option::is_none", default)]
        name: Option<String>,
        age: u8,
    }
    for remote in Remote::both() {
        let (one, other) = (tiers(&remote).await, tiers(&remote).await);
        let cache = |tiers: &Tiers| -> TieredCache<u64, Person> {
            let builder = tiers.cache_builder("person", policy());
            builder.codec(tricache::MessagePack).build().unwrap()
        };
        let nameless = Person {
            name: None,
            age: 36,
        };

        ends(cache(&one).insert(&1, nameless.clone()))
            .await
            .unwrap();

        let found = ends(cache(&other).get(&1)).await.unwrap().unwrap();
        assert_eq!((&*found, found.outcome()), (&nameless, Outcome::RemoteHit));
        assert_eq!(one.report().counters().not_stored, 0);
    }
}

#[tokio::test]
async fn a_codec_that_a_node_does_not_have_is_a_miss_that_is_counted() {
    for remote in Remote::both() {
        let built_in = Node::start(&remote, |cache| cache).await;
        let own = Node::start(&remote, |cache| cache.codec(Own)).await;

        own.load(1, 50).await;
        let missed = built_in.load(1, 60).await;
        let nothing_yet = own.find(2).await;
        built_in.load(2, 50).await;

        assert_eq!(
            (&*missed, missed.outcome()),
            (&Page::of(60), Outcome::Loaded)
        );
        assert_eq!(built_in.counters().bad_payloads, 1);
        // The other way round it can: the built-in ones are everybody's.
        assert!(nothing_yet.is_none());
        assert_eq!(*own.find(2).await.unwrap(), Page::of(50));
        assert_eq!(own.counters().bad_payloads, 0);
    }
}

#[tokio::test]
async fn compressed_and_raw_values_are_shared_and_have_one_content_id() {
    for remote in Remote::both() {
        let compressing = Node::start(&remote, |cache| cache.compress_above(100)).await;
        let raw = Node::start(&remote, |cache| cache.compress_above(usize::MAX)).await;

        let one = compressing.load(1, 500).await;
        let two = raw.load(2, 500).await;
        let (one_there, two_there) = (raw.find(1).await, compressing.find(2).await);

        assert_eq!(*one_there.as_deref().unwrap(), Page::of(500));
        assert_eq!(*two_there.as_deref().unwrap(), Page::of(500));
        let ids = [Some(one), Some(two), one_there, two_there]
            .map(|cached| cached.unwrap().content_id().unwrap());
        assert_eq!(ids, [ids[0]; 4]);
        if let Remote::Redis(_) = remote {
            let (short, long) = (payload(&remote, 1).len(), payload(&remote, 2).len());
            assert!(short * 3 < long, "{short} {long}");
        }
    }
}

#[tokio::test]
async fn a_short_value_and_one_that_saves_little_are_stored_raw() {
    let remote = Remote::around_redis();
    let node = Node::start(&remote, |cache| cache).await;

    node.load(1, 20).await;
    node.load(2, 500).await;

    let is_compressed = |key| payload(&remote, key)[FLAGS] & 4 != 0;
    assert!(!is_compressed(1), "below 1 KiB");
    assert!(is_compressed(2), "above it");
}

#[tokio::test]
async fn a_damaged_compressed_value_is_a_miss_that_is_counted() {
    let remote = Remote::around_redis();
    let (writer, reader) = (
        Node::start(&remote, |cache| cache).await,
        Node::start(&remote, |cache| cache).await,
    );
    writer.load(1, 500).await;
    let mut bytes = payload(&remote, 1);
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    replace(&remote, 1, &bytes);

    let answer = reader.load(1, 60).await;

    assert_eq!(
        (&*answer, answer.outcome()),
        (&Page::of(60), Outcome::Loaded)
    );
    assert_eq!(reader.counters().bad_payloads, 1);
    assert_eq!(*writer.find(1).await.unwrap(), Page::of(500));
}

#[tokio::test]
async fn a_value_at_the_cap_is_stored_and_one_byte_more_is_not() {
    for remote in Remote::both() {
        let other = tiers(&remote).await;
        let one = tiers(&remote).await;
        let cache = |tiers: &Tiers| -> TieredCache<u64, String> {
            let builder = tiers.cache_builder("text", policy());
            builder.max_value_bytes(101).build().unwrap()
        };
        let (here, there) = (cache(&one), cache(&other));

        // bincode puts one byte before a short text.
        ends(here.insert(&1, "x".repeat(100))).await.unwrap();
        let receipt = ends(here.insert(&2, "x".repeat(101))).await.unwrap();

        assert!(ends(there.get(&1)).await.unwrap().is_some());
        assert!(!receipt.is_pending());
        assert!(ends(there.get(&2)).await.unwrap().is_none());
        assert!(ends(here.get(&2)).await.unwrap().is_none());
        let counted = *one.report().counters();
        assert_eq!((counted.too_large, counted.not_stored), (1, 0));
    }
}

#[tokio::test]
async fn a_value_beyond_the_readers_cap_is_not_accepted_from_redis() {
    for remote in Remote::both() {
        let generous = Node::start(&remote, |cache| cache).await;
        let strict = Node::start(&remote, |cache| cache.max_value_bytes(1_000)).await;
        let written = generous.load(1, 500).await;
        assert!(written.body.len() > 1_000);

        let found = strict.find(1).await;
        let answer = strict.load(1, 500).await;

        assert!(found.is_none());
        assert_eq!(
            (&*answer, answer.outcome()),
            (&Page::of(500), Outcome::Loaded)
        );
        let counted = strict.counters();
        assert!(counted.bad_payloads >= 1);
        assert_eq!(counted.too_large, 1);
        assert_eq!(strict.cache.local_usage().0, 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f31_a_value_of_50_mb_is_answered_and_kept_nowhere_and_in_nobodys_way() {
    for remote in Remote::both() {
        let tiers = tiers(&remote).await;
        let other = self::tiers(&remote).await;
        let small: Numbers = tiers.cache("number", policy()).unwrap();
        let large: TieredCache<u64, String> = tiers.cache("text", policy()).unwrap();
        let store = CountingStore::new();

        let loading = tokio::spawn({
            let large = large.clone();
            async move {
                for key in 0..LARGE {
                    assert_eq!(load_megabytes(&large, key).await.len(), 50 << 20);
                }
            }
        });
        let mut reads = 0;
        while !loading.is_finished() {
            // A wrong or missing answer ends the test.
            assert_eq!(*read(&small, &store, reads % 100).await, 0);
            reads += 1;
        }
        ends(loading).await.unwrap();

        let counted = *tiers.report().counters();
        assert_eq!(counted.too_large, LARGE);
        assert_eq!((counted.failed, counted.remote_errors), (0, 0));
        assert_eq!(counted.loads, LARGE + reads.min(100));
        assert!(reads > 0);
        assert_eq!(large.local_usage().0, 0);
        let there: TieredCache<u64, String> = other.cache("text", policy()).unwrap();
        for key in 0..LARGE {
            assert!(ends(large.get(&key)).await.unwrap().is_none());
            assert!(ends(there.get(&key)).await.unwrap().is_none());
        }
        if let Remote::Redis(redis) = &remote {
            assert_eq!(redis.command(&["KEYS", "tc1:*:v:text/*"]), "");
        }
    }
}

#[cfg(feature = "proof")]
#[tokio::test]
async fn f31_a_large_value_is_not_kept_while_redis_is_away_either() {
    let hub = tricache::InProcess::new();
    let tiers = tiers(&Remote::Hub(hub.clone())).await;
    let large: TieredCache<u64, String> = tiers.cache("text", policy()).unwrap();
    let small: Numbers = tiers.cache("number", policy()).unwrap();
    let store = CountingStore::new();
    hub.refuse(true);

    load_megabytes(&large, 1).await;
    let again = load_megabytes(&large, 1).await;
    read(&small, &store, 1).await;
    let kept = read(&small, &store, 1).await;

    assert_eq!(again.outcome(), Outcome::Loaded);
    assert_eq!(kept.outcome(), Outcome::LocalUnproven);
    assert_eq!(tiers.report().counters().too_large, 2);
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Page {
    title: String,
    body: String,
    seen: Option<u64>,
}

impl Page {
    /// A page of so many words, which compress well.
    fn of(words: usize) -> Self {
        Self {
            title: format!("{words} words"),
            body: "lamp and chair ".repeat(words / 3 + 1),
            seen: Some(words as u64),
        }
    }
}

/// A node with a cache of pages.
struct Node {
    tiers: Tiers,
    cache: TieredCache<u64, Page>,
}

type PageBuilder = tricache::CacheBuilder<u64, Page>;

impl Node {
    async fn start(remote: &Remote, settings: impl FnOnce(PageBuilder) -> PageBuilder) -> Self {
        let tiers = tiers(remote).await;
        let builder = settings(tiers.cache_builder("page", policy()));
        let cache = builder.build().unwrap();
        Self { tiers, cache }
    }

    async fn load(&self, key: u64, words: usize) -> Cached<Page> {
        let load = self
            .cache
            .get_or_load(&key, |_| async move { Ok::<_, io::Error>(Page::of(words)) });
        ends(load).await.unwrap()
    }

    async fn find(&self, key: u64) -> Option<Cached<Page>> {
        ends(self.cache.get(&key)).await.unwrap()
    }

    fn counters(&self) -> Counters {
        *self.tiers.report().counters()
    }
}

/// A user's codec: of the form that the built-in ones have, and with an id that only it knows.
struct Own;

impl Codec for Own {
    fn id(&self) -> u8 {
        200
    }

    fn is_human_readable(&self) -> bool {
        false
    }

    fn is_positional(&self) -> bool {
        true
    }

    fn encode<V: Serialize + ?Sized>(
        &self,
        value: &V,
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        out.push(b'!');
        Bincode.encode(value, out)
    }

    fn decode<V: DeserializeOwned>(&self, bytes: &[u8]) -> Result<V, DecodeError> {
        match bytes.split_first() {
            Some((b'!', bytes)) => Bincode.decode(bytes),
            _ => Err(DecodeError::new("no mark")),
        }
    }
}

async fn load_megabytes(cache: &TieredCache<u64, String>, key: u64) -> Cached<String> {
    let load = cache.get_or_load(&key, |_| async { Ok::<_, io::Error>("x".repeat(50 << 20)) });
    ends(load).await.unwrap()
}

async fn tiers(remote: &Remote) -> Tiers {
    remote.builder().build().await.unwrap()
}

fn policy() -> Policy {
    Policy::ttl(Duration::from_secs(600))
}

/// The stored bytes of a page.
fn payload(remote: &Remote, key: u64) -> Vec<u8> {
    let name = remote.only_key(&format!("tc1:*:v:page/{key}@*"));
    match remote.server().reply(&["GET", &name]).unwrap() {
        Reply::Bulk(bytes) => bytes,
        other => panic!("{name}: {other:?}"),
    }
}

fn replace(remote: &Remote, key: u64, bytes: &[u8]) {
    let name = remote.only_key(&format!("tc1:*:v:page/{key}@*"));
    let command: [&[u8]; 4] = [b"SET", name.as_bytes(), bytes, b"KEEPTTL"];
    let reply = remote.server().reply(&command).unwrap();
    assert_eq!(reply, Reply::Simple("OK".into()));
}

/// Values of 50 MB in one test.
const LARGE: u64 = 8;
/// The byte of the header with the flags.
const FLAGS: usize = 3;
