//! Flags of a pointer that this release does not know: a newer one may write them, beside this one and for the same keys.

use super::labelled::{load, pair, plain, red};
use crate::nodes::{Node, Remote};
use crate::reads::{Numbers, counters, ends};
use tricache::{Error, Loaded, Outcome};
use tricache_test_support::CountingStore;

#[tokio::test]
async fn a_pointer_with_spare_flags_vouches_for_its_value() {
    let remote = Remote::around_redis();
    let (one, other) = pair(&remote).await;
    let store = CountingStore::new();
    load(&one.cache, &store, 1, plain).await.unwrap();
    add_flags(&remote, SPARE);

    let outcome = async |node: &Node| {
        let read = load(&node.cache, &store, 1, plain).await.unwrap();
        read.outcome()
    };

    assert_eq!(outcome(&other).await, Outcome::RemoteHit);
    assert_eq!(outcome(&other).await, Outcome::LocalHit);
}

#[tokio::test]
async fn spare_flags_outlive_a_fill_and_a_mark() {
    let remote = Remote::around_redis();
    let (one, other) = pair(&remote).await;
    let (twices, store) = (twices(&other), CountingStore::new());
    load(&one.cache, &store, 1, red).await.unwrap();
    add_flags(&remote, SPARE);

    // A tag leaves the version as it is, so the next value is filled under the same pointer.
    ends(one.tiers.invalidate_tags(["red"])).await.unwrap();
    load(&one.cache, &store, 1, red).await.unwrap();
    assert_eq!(flags(&remote), SPARE);
    assert_eq!(twice(&other, &twices, &store).await, 0);

    assert_eq!(store.loads(), 2);
    assert_eq!(flags(&remote), SPARE | DEPENDED);
}

#[tokio::test]
async fn an_invalidation_reaches_what_shows_an_entity_with_spare_flags() {
    let remote = Remote::around_redis();
    let (one, other) = pair(&remote).await;
    let (twices, store) = (twices(&one), CountingStore::new());
    assert_eq!(twice(&one, &twices, &store).await, 0);
    add_flags(&remote, SPARE);
    store.commit(&1);

    ends(one.cache.invalidate(&1)).await.unwrap();

    assert_eq!(counters(&one).tag_bumps, 1);
    assert_eq!(twice(&one, &twices, &store).await, 2);
    assert_eq!(*load(&other.cache, &store, 1, plain).await.unwrap(), 1);
    // The mark stays; of the others nobody can say what they would mean for the new version.
    assert_eq!(flags(&remote), DEPENDED | BUMPED);
}

#[tokio::test]
async fn the_newest_insert_wins_under_a_pointer_with_spare_flags() {
    let remote = Remote::around_redis();
    let (one, _) = pair(&remote).await;
    let store = CountingStore::new();
    load(&one.cache, &store, 1, |value| {
        Loaded::new(value).at_version(value)
    })
    .await
    .unwrap();

    for version in [2, 3, 1] {
        add_flags(&remote, SPARE);
        let inserted = one.cache.insert_at(&1, version, version);
        assert!(!ends(inserted).await.unwrap().is_pending());
    }

    let shown = ends(one.cache.get(&1)).await.unwrap();
    assert_eq!(shown.map(|shown| *shown), Some(3));
}

fn twices(node: &Node) -> Numbers {
    node.tiers.cache("twice", *node.cache.policy()).unwrap()
}

/// Twice the value of key 1.
async fn twice(node: &Node, twices: &Numbers, store: &CountingStore) -> u64 {
    let (inner, store) = (node.cache.clone(), store.clone());
    let loader = |_| async move {
        let shown = load(&inner, &store, 1, red).await?;
        Ok::<_, Error>(*shown * 2)
    };
    *ends(twices.get_or_load(&1, loader)).await.unwrap()
}

fn flags(remote: &Remote) -> u32 {
    let pointer = pointer(remote);
    pointer.split('|').nth(3).unwrap().parse().unwrap()
}

fn add_flags(remote: &Remote, flags: u32) {
    let pointer = pointer(remote);
    let mut fields: Vec<_> = pointer.split('|').map(str::to_owned).collect();
    let sum = fields[3].parse::<u32>().unwrap() | flags;
    fields[3] = sum.to_string();
    let name = remote.only_key(POINTER);
    let answer = remote
        .server()
        .command(&["SET", &name, &fields.join("|"), "KEEPTTL"]);
    assert_eq!(answer, "OK");
}

/// `1|version|floor|flags|store`.
fn pointer(remote: &Remote) -> String {
    let name = remote.only_key(POINTER);
    remote.server().command(&["GET", &name])
}

const POINTER: &str = "tc1:*:p:number/1";
const DEPENDED: u32 = 1;
const BUMPED: u32 = 4;
/// Bits 8 and above, but the one that Redis' arithmetic takes for a sign.
const SPARE: u32 = 0x7fff_ff00;
