//! What a request has read: whether it is still current, and who reads for it.

mod again;
mod confirmed;
mod tasks;
mod unknown;

use crate::nodes::Node;
use crate::reads::{Numbers, ends};
use std::{convert::Infallible, time::Duration};
use tricache::{Confirmation, Loaded, Policy, RequestScope};

/// A scope in which `key` was read, with the tag `number-<key>`.
async fn scope_of(node: &Node, key: u64) -> RequestScope {
    let scope = RequestScope::new();
    ends(scope.run(read_tagged(&node.cache, key))).await;
    scope
}

async fn read_tagged(cache: &Numbers, key: u64) {
    let loaded = Loaded::new(key).tag(format!("number-{key}"));
    let load = |_| async { Ok::<_, Infallible>(loaded) };
    ends(cache.get_or_load(&key, load)).await.unwrap();
}

/// A scope in which a value was read whose load has read `key`.
async fn scope_of_one_that_shows(node: &Node, key: u64) -> RequestScope {
    let scope = RequestScope::new();
    let lists = list(node);
    let inner = node.cache.clone();
    let load = |_| async move {
        read_tagged(&inner, key).await;
        Ok::<_, Infallible>(key * 10)
    };
    ends(scope.run(lists.get_or_load(&key, load)))
        .await
        .unwrap();
    scope
}

fn list(node: &Node) -> Numbers {
    let policy = Policy::ttl(Duration::from_secs(600));
    node.tiers.cache("list", policy).unwrap()
}

async fn confirmed(scope: &RequestScope) -> Confirmation {
    ends(scope.confirm(LONG)).await
}

fn is_current(confirmation: Confirmation) -> bool {
    matches!(confirmation, Confirmation::Current { .. })
}

/// No test is about a slow machine.
const LONG: Duration = Duration::from_secs(30);
