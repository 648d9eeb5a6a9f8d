//! What is current, and what has moved: also where the node that has read it was not told.

use super::*;
use crate::nodes::Remote;
use crate::reads::QUIET;
use tricache::InProcess;
use tricache_test_support::Proxy;

#[tokio::test]
async fn what_nobody_has_invalidated_is_current_and_was_always_quiet() {
    for remote in Remote::both() {
        let node = remote.node().await;
        let scope = scope_of(&node, 1).await;

        assert_eq!(quiet(confirmed(&scope).await), Duration::MAX);
        assert_eq!(quiet(confirmed(&RequestScope::new()).await), Duration::MAX);
    }
}

#[tokio::test]
async fn whatever_an_entity_is_invalidated_by_it_has_moved_also_for_a_node_that_is_not_told() {
    for way in Way::ALL {
        for remote in Remote::both() {
            let (reader, writer) = (remote.node().await, remote.node().await);
            let scope = scope_of(&reader, 1).await;
            let (neighbour, shows) = (
                scope_of(&reader, 2).await,
                scope_of_one_that_shows(&reader, 1).await,
            );
            tell_nobody(&remote);

            way.invalidate(&writer).await;

            let moved = [&scope, &shows];
            for scope in moved {
                assert_eq!(confirmed(scope).await, Confirmation::Moved, "{way:?}");
            }
            let spared = is_current(confirmed(&neighbour).await);
            assert_eq!(spared, way.spares_others(), "{way:?}");
        }
    }
}

#[tokio::test]
async fn what_is_read_after_the_invalidation_is_current_and_was_quiet_since() {
    for way in Way::ALL {
        for remote in Remote::both() {
            let node = remote.node().await;
            scope_of(&node, 1).await;

            way.invalidate(&node).await;
            let scope = scope_of(&node, 1).await;

            let quiet = quiet(confirmed(&scope).await);
            assert!(quiet < Duration::from_secs(3600), "{way:?}: {quiet:?}");
        }
    }
}

#[tokio::test]
async fn what_is_stored_after_an_invalidation_does_not_make_it_forgotten() {
    for remote in Remote::both() {
        let node = remote.node().await;
        node.cache.invalidate(&1).await.unwrap();
        let versioned = |_| async { Ok::<_, Infallible>(Loaded::new(1).at_version(5_u64)) };
        ends(node.cache.get_or_load(&1, versioned)).await.unwrap();
        scope_of_one_that_shows(&node, 1).await;

        let scope = scope_of(&node, 1).await;

        let quiet = quiet(confirmed(&scope).await);
        assert!(quiet < Duration::from_secs(3600), "{quiet:?}");
    }
}

#[tokio::test]
async fn what_changed_between_two_reads_of_a_request_has_moved() {
    for remote in Remote::both() {
        let node = remote.node().await;
        let scope = scope_of(&node, 1).await;

        node.cache.invalidate(&1).await.unwrap();
        ends(scope.run(read_tagged(&node.cache, 1))).await;

        assert_eq!(confirmed(&scope).await, Confirmation::Moved);
    }
}

#[tokio::test]
async fn an_absence_moves_when_the_thing_appears() {
    for remote in Remote::both() {
        let (reader, writer) = (remote.node().await, remote.node().await);
        let scope = RequestScope::new();
        let absent = reader
            .cache
            .get_or_load(&1, |_| async { Ok::<_, Infallible>(None) });
        assert!(ends(scope.run(absent)).await.unwrap_err().is_absent());
        assert!(is_current(confirmed(&scope).await));

        writer.cache.insert(&1, 7).await.unwrap();

        assert_eq!(confirmed(&scope).await, Confirmation::Moved);
    }
}

#[tokio::test]
async fn what_was_read_of_two_tiers_moves_with_either() {
    let (hub, other_hub) = (InProcess::new(), InProcess::new());
    let (one, other) = (
        Remote::Hub(hub).node().await,
        Remote::Hub(other_hub).node().await,
    );
    let scope = scope_of(&one, 1).await;
    ends(scope.run(read_tagged(&other.cache, 1))).await;
    assert!(is_current(confirmed(&scope).await));

    other.cache.invalidate(&1).await.unwrap();

    assert_eq!(confirmed(&scope).await, Confirmation::Moved);
    assert!(is_current(confirmed(&scope_of(&one, 1).await).await));
}

#[tokio::test]
async fn a_thousand_entities_are_one_question_for_versions_and_one_for_tags() {
    let remote = Remote::around_redis();
    let proxy = Proxy::before(remote.server()).await;
    let builder = remote.builder().redis(&proxy.url()).heartbeat(QUIET);
    let node = Node::start(builder).await;
    let scope = RequestScope::new();
    let keys: Vec<u64> = (0..1000).collect();
    let load = |keys: tricache::BatchContext<u64>| async move {
        Ok::<_, Infallible>(keys.into_keys().into_iter().map(|key| (key, key)))
    };
    ends(scope.run(node.cache.get_or_load_many(&keys, load)))
        .await
        .unwrap();
    let asked = || ["MGET", "EVALSHA", "EVAL"].map(|name| proxy.commands(name));
    // The first script of its kind may have to be taught.
    assert!(is_current(confirmed(&scope).await));
    let before = asked();

    assert!(is_current(confirmed(&scope).await));

    let [versions, tags, taught] = asked();
    assert_eq!(
        [versions, tags, taught],
        [before[0] + 1, before[1] + 1, before[2]]
    );
}

/// How entity 1 is invalidated.
#[derive(Clone, Copy, Debug)]
enum Way {
    Key,
    Softly,
    Insert,
    Tag,
    TagSoftly,
    Cache,
    Everything,
}

impl Way {
    const ALL: [Self; 7] = [
        Self::Key,
        Self::Softly,
        Self::Insert,
        Self::Tag,
        Self::TagSoftly,
        Self::Cache,
        Self::Everything,
    ];

    async fn invalidate(self, node: &Node) {
        let receipt = match self {
            Self::Key => node.cache.invalidate(&1).await,
            Self::Softly => node.cache.expire(&1).await,
            Self::Insert => node.cache.insert(&1, 7).await,
            Self::Tag => node.tiers.invalidate_tags(["number-1"]).await,
            Self::TagSoftly => node.tiers.expire_tags(["number-1"]).await,
            Self::Cache => node.cache.clear().await,
            Self::Everything => node.tiers.clear().await,
        };
        assert!(!receipt.unwrap().is_pending(), "{self:?}");
    }

    /// Whether entity 2 is left alone.
    fn spares_others(self) -> bool {
        !matches!(self, Self::Cache | Self::Everything)
    }
}

/// From here on no node of a hub hears of what another one invalidates. Those of a Redis may have heard or not.
fn tell_nobody(remote: &Remote) {
    if let Remote::Hub(hub) = remote {
        hub.lose_pushes(true);
    }
}

fn quiet(confirmation: Confirmation) -> Duration {
    match confirmation {
        Confirmation::Current { quiet, .. } => quiet,
        other => panic!("{other:?}"),
    }
}
