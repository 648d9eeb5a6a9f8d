//! Values of a cache whose loader answers more than the value.

use crate::nodes::{Node, Remote};
use crate::reads::{Numbers, ends};
use std::io;
use tokio::task::JoinHandle;
use tricache::{Cached, Error, Loaded};
use tricache_test_support::CountingStore;

/// Reads `key`; what the store says of it is answered as `dress` makes it.
pub(super) async fn load(
    cache: &Numbers,
    store: &CountingStore,
    key: u64,
    dress: fn(u64) -> Loaded<u64>,
) -> Result<Cached<u64>, Error> {
    let store = store.clone();
    let load = |_| async move { Ok::<_, io::Error>(dress(store.load(&key).await)) };
    ends(cache.get_or_load(&key, load)).await
}

/// The same in a task of its own, held by the store until it is released.
pub(super) async fn held(
    node: &Node,
    store: &CountingStore,
    key: u64,
    dress: fn(u64) -> Loaded<u64>,
) -> JoinHandle<Result<Cached<u64>, Error>> {
    store.hold();
    let (cache, calls) = (node.cache.clone(), store.clone());
    let reading = tokio::spawn(async move { load(&cache, &calls, key, dress).await });
    store.wait_for_waiting(1).await;
    reading
}

/// A value with the tag `red`.
pub(super) fn red(value: u64) -> Loaded<u64> {
    Loaded::new(value).tag("red")
}

pub(super) fn plain(value: u64) -> Loaded<u64> {
    Loaded::new(value)
}

/// Invalidates a tag; it must not be pending.
pub(super) async fn invalidate(node: &Node, tag: &str) {
    let receipt = ends(node.tiers.invalidate_tags([tag])).await.unwrap();
    assert!(!receipt.is_pending());
    assert_eq!(receipt.stamps().len(), 1);
}

/// Two nodes, of which the second holds whatever the first has loaded.
pub(super) async fn pair(remote: &Remote) -> (Node, Node) {
    (remote.node().await, remote.node().await)
}
