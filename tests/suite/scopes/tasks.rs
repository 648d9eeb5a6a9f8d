//! Who reads for a request: its own task, and whoever carries its scope along.

use super::*;
use crate::nodes::Remote;
use tokio::task::JoinSet;
use tricache::InProcess;

#[tokio::test]
async fn a_task_that_is_spawned_reads_for_nobody_unless_it_carries_the_scope() {
    let node = Remote::Hub(InProcess::new()).node().await;
    let scope = RequestScope::new();

    ends(scope.run(async {
        let (lost, carried) = (node.cache.clone(), node.cache.clone());
        let lost = tokio::spawn(async move { read_tagged(&lost, 1).await });
        let carry = RequestScope::carry(async move { read_tagged(&carried, 2).await });
        ends(lost).await.unwrap();
        ends(tokio::spawn(carry)).await.unwrap();
    }))
    .await;

    assert_eq!(entities(&scope), ["number/2"]);
}

#[tokio::test]
async fn futures_that_are_joined_read_for_the_request_and_so_do_carried_tasks_of_a_set() {
    let node = Remote::Hub(InProcess::new()).node().await;
    let scope = RequestScope::new();

    ends(scope.run(async {
        tokio::join!(read_tagged(&node.cache, 1), read_tagged(&node.cache, 2));
        let mut tasks = JoinSet::new();
        for key in 3..6 {
            let cache = node.cache.clone();
            tasks.spawn(RequestScope::carry(async move {
                read_tagged(&cache, key).await;
            }));
        }
        tasks.join_all().await;
    }))
    .await;

    let mut read = entities(&scope);
    read.sort();
    assert_eq!(read, [1, 2, 3, 4, 5].map(|key| format!("number/{key}")));
    assert_eq!(scope.summary().tags().len(), 5);
}

#[tokio::test]
async fn what_is_carried_from_outside_of_any_scope_reads_for_nobody() {
    let node = Remote::Hub(InProcess::new()).node().await;
    let (scope, cache) = (RequestScope::new(), node.cache.clone());
    let carried = RequestScope::carry(async move {
        read_tagged(&cache, 1).await;
        RequestScope::current().is_none()
    });

    assert!(ends(tokio::spawn(carried)).await.unwrap());
    assert!(scope.summary().is_empty());
}

#[tokio::test]
async fn a_scope_within_a_scope_hides_its_reads_until_they_are_absorbed() {
    let node = Remote::Hub(InProcess::new()).node().await;
    let (outer, inner) = (RequestScope::new(), RequestScope::new());
    outer.run(inner.run(read_tagged(&node.cache, 1))).await;
    assert!(outer.summary().is_empty());

    outer.absorb(&inner);

    assert_eq!(entities(&outer), ["number/1"]);
    node.cache.invalidate(&1).await.unwrap();
    assert_eq!(confirmed(&outer).await, Confirmation::Moved);
}

#[tokio::test]
async fn a_value_tells_what_its_load_has_read() {
    for remote in Remote::both() {
        let (one, other) = (remote.node().await, remote.node().await);
        let loaded = scope_of_one_that_shows(&one, 1).await;
        let copied = scope_of_one_that_shows(&other, 1).await;

        let inner = tricache::EntityName::dependency("number/1").unwrap();
        for scope in [&loaded, &copied] {
            assert!(scope.summary().dependencies().contains(&inner));
            assert_eq!(entities(scope), ["list/1"]);
        }
        let plain = scope_of(&one, 1).await.summary();
        assert!(plain.dependencies().is_empty());
    }
}

fn entities(scope: &RequestScope) -> Vec<String> {
    let summary = scope.summary();
    summary.entities().iter().map(ToString::to_string).collect()
}
