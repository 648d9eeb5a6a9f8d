//! Payloads that are whole but not the ones that were asked for: of another type, of another key, of nobody.

use crate::nodes::Remote;
use crate::reads::{Numbers, counters, ends, neighbours, read};
use std::time::Duration;
use tricache::{Outcome, Policy};
use tricache_test_support::{CountingStore, Reply};

#[tokio::test]
async fn a_payload_of_another_schema_is_a_miss_and_counted() {
    let remote = Remote::around_redis();
    let node = remote.node().await;
    let policy = Policy::ttl(Duration::from_secs(600));
    let schema = |number| {
        let builder = node.tiers.cache_builder::<u64, u64>("number", policy);
        builder.schema(number).build().unwrap()
    };
    let (old, new): (Numbers, Numbers) = (schema(1), schema(2));
    let store = CountingStore::new();
    read(&old, &store, 1).await;
    read(&new, &store, 1).await;
    assert_eq!(store.loads(), 2);

    // The same entity under the same version: only the envelope tells.
    let reader = remote.node().await;
    let bytes = get(&remote, "tc1:*:v:number/1@0000000000000001").1;
    set(&remote, "tc1:*:v:number/1@0000000000000002", &bytes);
    let builder = reader.tiers.cache_builder::<u64, u64>("number", policy);
    let cache = builder.schema(2).build().unwrap();

    store.commit(&1);
    let answer = read(&cache, &store, 1).await;

    assert_eq!((*answer, answer.outcome()), (1, Outcome::Loaded));
    assert_eq!(counters(&reader).bad_payloads, 1);
}

#[tokio::test]
async fn a_payload_of_another_key_is_a_miss_and_counted() {
    let remote = Remote::around_redis();
    let (node, reader) = (remote.node().await, remote.node().await);
    let store = CountingStore::new();
    let (one, other) = neighbours(&node.cache).await;
    read(&node.cache, &store, one).await;
    read(&node.cache, &store, other).await;

    // Even if the versions were the same: the bytes say for which key they were sealed.
    let kinds = ["p", "v"];
    for kind in kinds {
        let (_, bytes) = get(&remote, &format!("tc1:*:{kind}:number/{one}{}", tail(kind)));
        let pattern = format!("tc1:*:{kind}:number/{other}{}", tail(kind));
        set(&remote, &pattern, &bytes);
    }
    store.commit(&other);
    let answer = read(&reader.cache, &store, other).await;

    assert_eq!((*answer, answer.outcome()), (1, Outcome::Loaded));
    assert_eq!(counters(&reader).bad_payloads, 1);
}

#[tokio::test]
async fn a_payload_of_an_older_version_is_a_miss() {
    let remote = Remote::around_redis();
    let (node, reader) = (remote.node().await, remote.node().await);
    let store = CountingStore::new();
    read(&node.cache, &store, 1).await;
    let (_, old) = get(&remote, "tc1:*:v:number/1@*");

    store.commit(&1);
    node.cache.invalidate(&1).await.unwrap();
    read(&node.cache, &store, 1).await;
    set(&remote, "tc1:*:v:number/1@*", &old);
    let answer = read(&reader.cache, &store, 1).await;

    assert_eq!((*answer, answer.outcome()), (1, Outcome::Loaded));
}

#[tokio::test]
async fn a_payload_of_nobody_is_a_miss_and_counted() {
    let remote = Remote::around_redis();
    let node = remote.node().await;
    let store = CountingStore::new();
    let large = vec![0xC7; 20 << 20];
    let payloads: [&[u8]; 6] = [b"", b"\0", b"{\"a\":1}", &[0xC7; 64], &[0xff; 100], &large];
    for (key, bytes) in (0..).zip(payloads) {
        read(&node.cache, &store, key).await;
        set(&remote, &format!("tc1:*:v:number/{key}@*"), bytes);
    }

    for key in 0..6 {
        let reader = remote.node().await;
        store.commit(&key);
        let answer = read(&reader.cache, &store, key).await;

        assert_eq!((*answer, answer.outcome()), (1, Outcome::Loaded), "{key}");
        assert_eq!(counters(&reader).bad_payloads, 1, "{key}");
    }
}

#[tokio::test]
async fn records_that_are_not_ours_are_as_good_as_missing() {
    let remote = Remote::around_redis();
    let node = remote.node().await;
    let store = CountingStore::new();
    let records = [
        "",
        "1",
        "2|7|-|1|2|3",
        "1|99999999999999999999|0|0",
        "\u{0}",
        "hello",
    ];
    let mut key = 0;
    for kind in ["p", "c"] {
        for record in records {
            key += 1;
            let stamp = node.cache.insert(&key, 7).await.unwrap().stamps()[0];
            let name = match kind {
                "p" => format!("tc1:{{test:{}}}:p:number/{key}", stamp.bucket()),
                _ => format!("tc1:{{test:{}}}:c", stamp.bucket()),
            };
            set(&remote, &name, record.as_bytes());

            let reader = remote.node().await;
            let answer = read(&reader.cache, &store, key).await;
            assert_eq!(
                (*answer, answer.outcome()),
                (0, Outcome::Loaded),
                "{name} {record:?}"
            );
            let healed = read(&remote.node().await.cache, &store, key).await;
            assert_eq!(healed.outcome(), Outcome::RemoteHit, "{name} {record:?}");
        }
    }
}

#[tokio::test]
async fn keys_of_another_kind_in_redis_are_no_error_of_the_caller() {
    let remote = Remote::around_redis();
    let node = remote.node().await;
    let store = CountingStore::new();
    for (key, kind) in (0..).zip(["p", "v", "c", "l"]) {
        read(&node.cache, &store, key).await;
        let stamp = node.cache.insert(&key, 7).await.unwrap().stamps()[0];
        let pattern = match kind {
            "p" | "v" => format!("tc1:*:{kind}:number/{key}{}", tail(kind)),
            _ => format!("tc1:{{test:{}}}:{kind}", stamp.bucket()),
        };
        let name = remote.only_key(&pattern);
        remote.server().command(&["DEL", &name]);
        remote.server().command(&["SADD", &name, "somebody else's"]);

        let reader = remote.node().await;
        let answer = read(&reader.cache, &store, key).await;
        assert!([0, 7].contains(&*answer), "{name}");
        ends(reader.cache.invalidate(&key)).await.unwrap();
        store.commit(&key);
        assert_eq!(*read(&reader.cache, &store, key).await, 1, "{name}");
        remote.server().command(&["DEL", &name]);
    }
}

/// What follows the key in a name of this kind.
fn tail(kind: &str) -> &'static str {
    if kind == "v" { "@*" } else { "" }
}

fn get(remote: &Remote, pattern: &str) -> (String, Vec<u8>) {
    let name = remote.only_key(pattern);
    match remote.server().reply(&["GET", &name]).unwrap() {
        Reply::Bulk(bytes) => (name, bytes),
        other => panic!("{name}: {other:?}"),
    }
}

fn set(remote: &Remote, pattern: &str, bytes: &[u8]) {
    let name = remote.only_key(pattern);
    let command: [&[u8]; 4] = [b"SET", name.as_bytes(), bytes, b"KEEPTTL"];
    let reply = remote.server().reply(&command).unwrap();
    assert_eq!(reply, Reply::Simple("OK".into()));
}
