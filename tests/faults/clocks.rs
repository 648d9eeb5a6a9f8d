//! F29: the server's clock steps back between two versions, also because another server takes over whose clock is behind.

use crate::scene::{Node, QUIET, at, ends, in_process, use_buckets};
use std::{sync::Arc, time::Duration};
use tricache::{InProcess, ManualClock, Outcome, Policy, Stamp};
use tricache_test_support::{CountingStore, RedisServer, eventually};

#[tokio::test]
async fn f29_versions_grow_and_every_node_hears_though_the_clock_steps_back() {
    let fleet = Fleet::start().await;
    let mut before = fleet.change().await;

    for _ in 0..5 {
        fleet.clock.step_back(STEP);
        let after = fleet.change().await;
        assert!(after.n() > before.n(), "{before:?} {after:?}");
        assert_eq!(after.epoch(), before.epoch());
        before = after;
    }

    for node in &fleet.nodes {
        assert_eq!(node.counters().gaps, 0);
    }
}

#[tokio::test]
async fn f29_a_new_master_whose_clock_is_behind_gives_no_version_twice() {
    let fleet = Fleet::start().await;
    let before = fleet.change().await;

    fleet.clock.step_back(STEP);
    fleet.hub.fail_over();
    let after = fleet.change().await;

    assert_ne!(after.epoch(), before.epoch());
    assert!(after.n() > before.n(), "{before:?} {after:?}");
}

/// A value lives too long by the step at most, and that is what it says itself.
#[tokio::test]
async fn f29_a_step_back_lengthens_a_life_by_the_step_at_most() {
    let fleet = Fleet::start().await;
    let [node, other] = &fleet.nodes;
    node.read(&fleet.store, 1).await;

    fleet.clock.step_back(STEP);
    fleet.pass(TTL).await;
    let found = other.read(&fleet.store, 1).await;
    assert_eq!(found.outcome(), Outcome::RemoteHit);
    assert!(found.remaining() <= STEP, "{:?}", found.remaining());
    fleet.store.commit(&1);
    fleet.pass(STEP).await;

    assert_eq!(other.answer(&fleet.store, 1).await, (1, Outcome::Loaded));
}

/// A server cannot be given another time, but a record from a later one: that is a clock that was set back since.
#[tokio::test]
async fn f29_a_real_server_goes_on_from_a_record_of_a_later_time() {
    let redis = RedisServer::start();
    use_buckets(at(&redis.url()), &[1]).await;
    let ahead = postdate(&redis);

    let [node, writer] = [
        Node::start(at(&redis.url())).await,
        Node::start(at(&redis.url()).heartbeat(QUIET)).await,
    ];
    let store = CountingStore::new();
    let mut before = ahead;
    for round in 1..5 {
        node.read(&store, 1).await;
        store.commit(&1);
        let receipt = ends(writer.cache.invalidate(&1)).await.unwrap();
        let after = receipt.stamps()[0].n();
        assert!(after > before, "{before} {after}");
        before = after;
        eventually("the other node has heard", async || {
            *node.read(&store, 1).await == round
        })
        .await;
    }
    // One by one: what the clock says is far behind.
    assert!(before < ahead + 100, "{ahead} {before}");
    assert_eq!(node.counters().gaps, 0);
}

/// Makes the records of the one bucket in use an hour younger than they are; answers how far its feed is then.
fn postdate(redis: &RedisServer) -> u64 {
    let keys = redis.command(&["KEYS", "tc1:*:p:*"]);
    let pointer = keys.lines().next().unwrap();
    let control = format!("{}c", &pointer[..pointer.find("p:").unwrap()]);
    let text = redis.command(&["GET", &control]);
    let mut fields: Vec<_> = text.split('|').map(str::to_owned).collect();
    let later = fields[3].parse::<u64>().unwrap() + 3_600_000_000;
    (fields[3], fields[5]) = (later.to_string(), later.to_string());
    assert_eq!(redis.command(&["SET", &control, &fields.join("|")]), "OK");
    redis.command(&["UNLINK", pointer, &control.replace(":c", ":l")]);
    later
}

/// Two nodes around a hub whose clock steps back; theirs do not.
struct Fleet {
    hub: InProcess,
    clock: ManualClock,
    /// Of both nodes.
    own: ManualClock,
    nodes: [Node; 2],
    store: CountingStore,
}

impl Fleet {
    async fn start() -> Self {
        let clock = ManualClock::new();
        clock.advance(Duration::from_secs(1000));
        let hub = InProcess::with_clock(Arc::new(clock.clone()));
        let own = ManualClock::new();
        let builder = || in_process(&hub).clock(Arc::new(own.clone()));
        let policy = Policy::ttl(TTL).jitter(0.0);
        let nodes = [
            Node::with(builder(), policy).await,
            Node::with(builder(), policy).await,
        ];
        Self {
            hub,
            clock,
            own,
            nodes,
            store: CountingStore::new(),
        }
    }

    /// Time passes for all, and the nodes have asked what time it is.
    async fn pass(&self, time: Duration) {
        self.clock.advance(time);
        self.own.advance(time);
        for node in &self.nodes {
            ends(node.tiers.until_caught_up()).await.unwrap();
        }
    }

    /// One node changes the row, and both show it.
    async fn change(&self) -> Stamp {
        for node in &self.nodes {
            node.read(&self.store, 1).await;
        }
        self.store.commit(&1);
        let receipt = ends(self.nodes[0].cache.invalidate(&1)).await.unwrap();
        for node in &self.nodes {
            eventually("all show what is new", async || {
                *node.read(&self.store, 1).await == self.store.committed(&1)
            })
            .await;
        }
        receipt.stamps()[0]
    }
}

const STEP: Duration = Duration::from_secs(10);
const TTL: Duration = Duration::from_secs(60);
