//! F18: a subscriber reads so slowly that the server closes its connection, while events flow.

use crate::scene::{Node, QUIET, at, set, use_buckets};
use tricache::{Outcome, Protection, TiersBuilder};
use tricache_test_support::{CountingStore, Proxy, RedisServer, eventually};

#[tokio::test]
async fn f18_what_the_buffer_of_a_slow_subscriber_lost_is_replayed() {
    let slow = SlowReader::start(|builder| builder).await;
    let changed = slow.changes_until_it_is_closed().await;

    slow.goes_on().await;

    eventually("not one event is missing", async || {
        let counted = slow.node.counters();
        counted.events + counted.replays == changed
    })
    .await;
    assert!(slow.shows_all().await);
    let counted = slow.node.counters();
    assert_eq!(counted.gaps, 0);
    assert!(counted.replays > 0, "{counted:?}");
}

#[tokio::test]
async fn f18_where_the_log_was_trimmed_meanwhile_it_is_a_gap() {
    let slow = SlowReader::start(|builder| builder).await;
    slow.changes_until_it_is_closed().await;

    for log in slow.logs() {
        slow.redis.command(&["XTRIM", &log, "MAXLEN", "0"]);
    }
    slow.goes_on().await;

    eventually("it shows what is new", async || slow.shows_all().await).await;
    assert!(slow.node.counters().gaps > 0, "{:?}", slow.node.counters());
}

#[tokio::test]
async fn f18_without_the_chain_what_the_buffer_lost_stays_unnoticed() {
    let slow = SlowReader::start(|builder| builder.without(Protection::Chain)).await;
    slow.changes_until_it_is_closed().await;

    slow.goes_on().await;

    eventually("it hears again", async || {
        let before = slow.node.counters().events;
        slow.writer.cache.invalidate(&1000).await.unwrap();
        slow.node.counters().events > before
    })
    .await;
    let (value, outcome) = slow.node.answer(&slow.store, *KEYS.last().unwrap()).await;
    assert_eq!(outcome, Outcome::LocalHit);
    assert!(value < slow.store.committed(KEYS.last().unwrap()));
}

/// A node that holds all keys, and reads its subscription so slowly that it gets nothing.
struct SlowReader {
    node: Node,
    writer: Node,
    store: CountingStore,
    proxy: Proxy,
    redis: RedisServer,
    /// The server's name for the connection of the node that subscribes: the node was there before the writer.
    subscriber: String,
}

impl SlowReader {
    async fn start(settings: impl Fn(TiersBuilder) -> TiersBuilder) -> Self {
        let redis = RedisServer::start();
        let proxy = Proxy::before(&redis).await;
        use_buckets(at(&redis.url()), &KEYS).await;
        let node = Node::start(settings(at(&proxy.url())).heartbeat(QUIET)).await;
        let writer = Node::start(at(&redis.url())).await;
        let store = CountingStore::new();
        for key in KEYS {
            node.hold(&store, key).await;
        }
        let subscriber = subscribers(&redis)
            .into_iter()
            .min_by_key(|id| number(id))
            .unwrap();
        set(&redis, "client-output-buffer-limit", "pubsub 65536 65536 1");
        proxy.stall_subscribers(true);
        // Whatever comes in its place would have a buffer of its own.
        proxy.refuse(true).await;
        Self {
            node,
            writer,
            store,
            proxy,
            redis,
            subscriber,
        }
    }

    /// Changes every key again and again, among other messages of the same channels, until the server gives the subscriber up;
    /// and once more. Answers how many events there were.
    async fn changes_until_it_is_closed(&self) -> u64 {
        let mut changes = 0;
        let mut closed = false;
        while !closed {
            self.fill_the_buffers();
            closed = !subscribers(&self.redis).contains(&self.subscriber);
            for key in KEYS {
                self.writer.change(&self.store, key).await;
                changes += 1;
            }
        }
        changes
    }

    async fn goes_on(&self) {
        self.proxy.refuse(false).await;
        self.proxy.stall_subscribers(false);
    }

    /// With what is no event, and so long that few are enough.
    fn fill_the_buffers(&self) {
        let long = "x".repeat(4 << 20);
        for log in self.logs() {
            let channel = format!("{}f", log.strip_suffix('l').unwrap());
            self.redis.command(&["SPUBLISH", &channel, &long]);
        }
    }

    fn logs(&self) -> Vec<String> {
        let logs = self.redis.command(&["KEYS", "tc1:*:l"]);
        logs.lines().map(str::to_owned).collect()
    }

    async fn shows_all(&self) -> bool {
        for key in KEYS {
            if *self.node.read(&self.store, key).await < self.store.committed(&key) {
                return false;
            }
        }
        true
    }
}

/// The connections that subscribe, as `id=7`.
fn subscribers(redis: &RedisServer) -> Vec<String> {
    let list = redis.command(&["CLIENT", "LIST", "TYPE", "PUBSUB"]);
    let id = |line: &str| line.split_whitespace().next().map(str::to_owned);
    list.lines().filter_map(id).collect()
}

fn number(id: &str) -> u64 {
    id.trim_start_matches("id=").parse().unwrap()
}

const KEYS: [u64; 8] = [1, 2, 3, 4, 5, 6, 7, 8];
