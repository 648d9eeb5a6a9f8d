//! What goes over the wire to Redis, counted.

use crate::nodes::{Node, Remote};
use crate::reads::{QUIET, ends, read};
use std::collections::HashSet;
use tricache::Tiers;
use tricache_test_support::{CountingStore, LIMIT, Proxy};

/// A Redis with a wire that counts; what does not go over the wire is not counted.
pub(crate) struct Wire {
    pub(crate) remote: Remote,
    pub(crate) proxy: Proxy,
}

impl Wire {
    pub(crate) async fn new() -> Self {
        let remote = Remote::around_redis();
        let proxy = Proxy::before(remote.server()).await;
        Self { remote, proxy }
    }

    /// A node on the wire, without heartbeats.
    pub(crate) async fn node(&self) -> Node {
        Node::start(self.builder()).await
    }

    pub(crate) fn builder(&self) -> tricache::TiersBuilder {
        Tiers::builder("test")
            .remote_timeout(LIMIT)
            .heartbeat(QUIET)
            .redis(&self.proxy.url())
    }

    /// The same, whose buckets for these keys are in use, and whose server has every script.
    pub(crate) async fn node_that_knows_the_scripts(&self, keys: &[u64]) -> Node {
        self.buckets(keys).await;
        read(
            &self.remote.node().await.cache,
            &CountingStore::new(),
            u64::MAX,
        )
        .await;
        let renew = ["EVAL", RENEW, "1", "no-such-lease", "1", "1"];
        self.remote.server().command(&renew);
        self.node().await
    }

    /// Begins the epochs of the buckets that these keys are in, and answers how many those are.
    pub(crate) async fn buckets(&self, keys: &[u64]) -> i64 {
        let node = self.remote.node().await;
        let receipt = ends(node.cache.invalidate_many(keys)).await.unwrap();
        let buckets: HashSet<_> = receipt
            .stamps()
            .iter()
            .map(|stamp| stamp.bucket())
            .collect();
        i64::try_from(buckets.len()).unwrap()
    }

    /// Redis answers no script until [`let_scripts_go`](Self::let_scripts_go).
    pub(crate) fn hold_scripts(&self) {
        let paused = self
            .remote
            .server()
            .command(&["CLIENT", "PAUSE", "60000", "WRITE"]);
        assert_eq!(paused, "OK");
    }

    pub(crate) fn let_scripts_go(&self) {
        assert_eq!(self.remote.server().command(&["CLIENT", "UNPAUSE"]), "OK");
    }

    pub(crate) fn scripts_sent(&self) -> u64 {
        self.proxy.commands("EVALSHA") + self.proxy.commands("EVAL")
    }

    pub(crate) fn scripts_run(&self) -> u64 {
        self.calls_of("evalsha")
    }

    /// Reads and scripts. A heartbeat reads too, and tells itself by asking for the time.
    pub(crate) fn commands(&self) -> u64 {
        self.proxy.commands("MGET") - self.proxy.commands("TIME") + self.scripts_sent()
    }

    /// Records that were looked up in Redis so far, those of heartbeats left out. For differences only, while no script
    /// runs: a script asks for the time as a heartbeat does.
    pub(crate) fn lookups(&self) -> i64 {
        let stats = self.remote.server().command(&["INFO", "stats"]);
        let count = |name: &str| -> i64 {
            let line = stats.lines().find_map(|line| line.strip_prefix(name));
            line.unwrap().trim().parse().unwrap()
        };
        let beats = i64::try_from(self.calls_of("time")).unwrap();
        count("keyspace_hits:") + count("keyspace_misses:") - beats * FEEDS
    }

    pub(crate) fn calls_of(&self, command: &str) -> u64 {
        let stats = self.remote.server().command(&["INFO", "commandstats"]);
        let name = format!("cmdstat_{command}:calls=");
        let calls = stats.lines().find_map(|line| line.strip_prefix(&name));
        calls.map_or(0, |calls| calls.split(',').next().unwrap().parse().unwrap())
    }
}

/// Control records that a heartbeat looks up, and the record of what all nodes agree on.
const FEEDS: i64 = 66;
/// As the library sends it, so that the server has it by its digest.
const RENEW: &str = include_str!("../../src/remote/scripts/renew.lua");
