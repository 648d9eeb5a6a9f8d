//! Keys of every kind: told apart, found on every node, harmless in Redis.

use crate::nodes::Remote;
use crate::reads::ends;
use std::{collections::HashSet, io, time::Duration};
use tricache::{Outcome, Policy, TieredCache, Tiers};
use tricache_test_support::eventually;

#[tokio::test]
async fn no_key_is_taken_for_another_whatever_is_in_it() {
    for remote in Remote::both() {
        let (one, other) = (texts(&remote).await, texts(&remote).await);
        let keys = odd_keys();
        for (number, key) in keys.iter().enumerate() {
            ends(one.1.insert(key, number as u64)).await.unwrap();
        }

        for (number, key) in keys.iter().enumerate() {
            let found = ends(other.1.get(key)).await.unwrap().unwrap();
            assert_eq!(
                (*found, found.outcome()),
                (number as u64, Outcome::RemoteHit),
                "{:?}",
                key.get(..40)
            );
        }
    }
}

#[tokio::test]
async fn an_invalidation_reaches_exactly_its_own_key_whatever_is_in_it() {
    for remote in Remote::both() {
        let (one, other) = (texts(&remote).await, texts(&remote).await);
        let keys = odd_keys();
        for key in &keys {
            ends(one.1.insert(key, 1)).await.unwrap();
        }

        for (at, key) in keys.iter().enumerate() {
            ends(one.1.invalidate(key)).await.unwrap();
            eventually("the other node forgets it", async || {
                ends(other.1.get(key)).await.unwrap().is_none()
            })
            .await;
            if let Some(next) = keys.get(at + 1) {
                assert!(ends(other.1.get(next)).await.unwrap().is_some());
            }
        }
    }
}

#[tokio::test]
async fn what_stands_in_redis_is_short_and_plain_and_in_the_slot_of_its_bucket() {
    let remote = Remote::around_redis();
    let (_tiers, cache) = texts(&remote).await;
    for key in odd_keys() {
        ends(cache.insert(&key, 1)).await.unwrap();
    }

    let redis = remote.server();
    let names = redis.command(&["KEYS", "*"]);

    for name in names.lines() {
        let plain = |c: char| c.is_ascii_alphanumeric() || "._-:/@,'~%#{}".contains(c);
        assert!(name.chars().all(plain), "{name}");
        assert!(name.len() < 400, "{} bytes: {name}", name.len());
        assert!(name.starts_with("tc1:{test:"), "{name}");
        assert_eq!(name.matches(['{', '}']).count(), 2, "{name}");
    }
}

#[tokio::test]
async fn bytes_and_rows_of_parts_are_keys_too() {
    for remote in Remote::both() {
        let tiers = remote.builder().build().await.unwrap();
        let policy = Policy::ttl(Duration::from_secs(600));
        let bytes = tiers.cache::<Vec<u8>, u64>("bytes", policy).unwrap();
        let rows = tiers
            .cache::<(String, String), u64>("rows", policy)
            .unwrap();

        ends(bytes.insert(&vec![0, 255, b'\n'], 1)).await.unwrap();
        ends(rows.insert(&("a,b".into(), "c".into()), 2))
            .await
            .unwrap();
        ends(rows.insert(&("a".into(), "b,c".into()), 3))
            .await
            .unwrap();

        let load = |_| async { Err::<u64, _>(io::Error::other("nothing to load")) };
        let key = vec![0, 255, b'\n'];
        let read = ends(bytes.get_or_load(&key, load)).await;
        assert_eq!(*read.unwrap(), 1);
        let first = ends(rows.get(&("a,b".into(), "c".into()))).await.unwrap();
        let second = ends(rows.get(&("a".into(), "b,c".into()))).await.unwrap();
        assert_eq!((*first.unwrap(), *second.unwrap()), (2, 3));
    }
}

/// Keys that break a cache which puts them into a Redis key or a hash tag as they are.
fn odd_keys() -> Vec<String> {
    let mebibyte = "k".repeat(1 << 20);
    let keys = vec![
        String::new(),
        "{}".into(),
        "{test:1}".into(),
        "}{".into(),
        "a:b".into(),
        "a/b@c".into(),
        "\0".into(),
        "a\0b".into(),
        "a\nb".into(),
        "a\r\nb".into(),
        "*1\r\n$8\r\nFLUSHALL\r\n".into(),
        " ".into(),
        "a|b".into(),
        "a,b".into(),
        "%00".into(),
        "42".into(),
        "'42".into(),
        "~00".into(),
        "#".into(),
        "naïve \u{1F4A1} \u{202E}".into(),
        "\u{e9}".into(),
        "e\u{301}".into(),
        "k".repeat(199),
        "k".repeat(200),
        "k".repeat(201),
        format!("{mebibyte}a"),
        format!("{mebibyte}b"),
        format!("{mebibyte}\n{{}}"),
    ];
    assert_eq!(keys.iter().collect::<HashSet<_>>().len(), keys.len());
    keys
}

async fn texts(remote: &Remote) -> (Tiers, TieredCache<String, u64>) {
    let tiers = remote.builder().build().await.unwrap();
    let cache = tiers.cache("text", Policy::ttl(Duration::from_secs(600)));
    (tiers, cache.unwrap())
}
