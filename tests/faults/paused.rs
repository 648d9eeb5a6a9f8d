//! F35: a node is paused for half a minute, by a stop signal or a machine that stands still, while others invalidate.
//!
//! The node's clock goes on meanwhile, and it hears nothing: that is all that a pause is to the protocol.

use crate::scene::{Node, in_process, patient};
use std::{sync::Arc, time::Duration};
use tricache::{InProcess, ManualClock, Outcome, Protection, TiersBuilder};
use tricache_test_support::CountingStore;

#[tokio::test]
async fn f35_what_a_paused_node_holds_is_confirmed_before_it_is_served() {
    let pause = Paused::start(|builder| builder).await;
    pause.node.hold(&pause.store, 1).await;
    pause.node.hold(&pause.store, 2).await;

    pause.begin();
    pause.writer.change(&pause.store, 1).await;
    pause.end();

    let changed = pause.node.answer(&pause.store, 1).await;
    let same = pause.node.answer(&pause.store, 2).await;
    assert_eq!(changed, (1, Outcome::Loaded));
    assert_eq!(same, (0, Outcome::LocalRevalidated));
}

/// What protects is that the proof has run out: a pause that it outlasts is one within the bound of `Eventual`.
#[tokio::test]
async fn f35_within_its_proof_a_node_that_has_not_heard_serves_what_it_holds() {
    let pause = Paused::start(|builder| builder).await;
    pause.node.hold(&pause.store, 1).await;

    pause.begin();
    pause.writer.change(&pause.store, 1).await;

    assert_eq!(
        pause.node.answer(&pause.store, 1).await,
        (0, Outcome::LocalHit)
    );
}

#[tokio::test]
async fn f35_a_load_of_a_paused_node_is_not_kept_if_its_key_was_invalidated() {
    let pause = Paused::start(|builder| builder).await;

    let slow = pause.superseded().await;

    assert_eq!(slow, 0);
    assert_eq!(pause.node.counters().stale_fills, 1);
    for node in [&pause.node, &pause.writer] {
        assert_eq!(*node.read(&pause.store, 1).await, 1);
    }
}

#[tokio::test]
async fn f35_without_the_check_of_fills_it_is_shown_to_every_node() {
    let pause = Paused::start(|builder| builder.without(Protection::StaleFill)).await;

    pause.superseded().await;

    assert_eq!(
        pause.writer.answer(&pause.store, 1).await,
        (0, Outcome::RemoteHit)
    );
}

/// A fleet around a hub: pauses are the clocks' and the feed's.
struct Paused {
    node: Node,
    writer: Node,
    store: CountingStore,
    hub: InProcess,
    clocks: [ManualClock; 2],
}

impl Paused {
    async fn start(settings: impl Fn(TiersBuilder) -> TiersBuilder) -> Self {
        let clocks = [ManualClock::new(), ManualClock::new()];
        // Versions are times: zero would be none.
        clocks[1].advance(PAUSE);
        let hub = InProcess::with_clock(Arc::new(clocks[1].clone()));
        // The next heartbeat comes after the test.
        let builder = || in_process(&hub).heartbeat(PAUSE / 2);
        let builder = settings(builder().clock(Arc::new(clocks[0].clone())));
        let node = Node::with(builder, patient()).await;
        let writer = Node::start(in_process(&hub)).await;
        Self {
            node,
            writer,
            store: CountingStore::new(),
            hub,
            clocks,
        }
    }

    fn begin(&self) {
        self.hub.lose_pushes(true);
    }

    /// What was pushed meanwhile has found nobody.
    fn end(&self) {
        for clock in &self.clocks {
            clock.advance(PAUSE);
        }
        self.hub.lose_pushes(false);
    }

    /// A load that is under way during the pause, while its key is invalidated. Its lease is over, too.
    async fn superseded(&self) -> u64 {
        let old = CountingStore::new();
        let slow = self.node.held_read(&old, 1).await;
        self.begin();
        self.writer.change(&self.store, 1).await;
        self.end();
        old.release();
        slow.value().await
    }
}

const PAUSE: Duration = Duration::from_secs(30);
