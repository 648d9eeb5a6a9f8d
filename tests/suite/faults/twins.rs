//! A remote tier with a replica that can take over from it, in Redis and in a hub.

use crate::nodes::{Node, Remote};
use std::time::Duration;
use tricache::{InProcess, Tiers, TiersBuilder};
use tricache_test_support::{Proxy, RedisServer, eventually};

/// A server, its replica, and the one address that leads to either.
pub(super) enum Twins {
    Hub(InProcess),
    Redis(Box<Servers>),
}

pub(super) struct Servers {
    pub(super) master: RedisServer,
    pub(super) replica: RedisServer,
    /// Between the two.
    link: Proxy,
    /// Before whoever is in charge.
    pub(super) front: Proxy,
}

impl Twins {
    /// One of each kind: what holds must hold on both.
    pub(super) async fn both() -> Vec<Self> {
        vec![
            Self::Hub(InProcess::new()),
            Self::Redis(Box::new(Servers::start(&[]).await)),
        ]
    }

    /// The settings of one more node, which notices soon.
    pub(super) fn builder(&self) -> TiersBuilder {
        match self {
            Self::Hub(hub) => Remote::Hub(hub.clone()).builder().heartbeat(SOON),
            Self::Redis(servers) => servers.builder(""),
        }
    }

    pub(super) async fn node(&self) -> Node {
        Node::start(self.builder()).await
    }

    /// From here on the replica hears of nothing; it has whatever came before.
    pub(super) async fn cut_replica(&self) {
        match self {
            Self::Hub(hub) => hub.hold_replica(true),
            Self::Redis(servers) => servers.cut_replica().await,
        }
    }

    /// The replica takes over.
    pub(super) fn fail_over(&self) {
        match self {
            Self::Hub(hub) => hub.fail_over(),
            Self::Redis(servers) => servers.fail_over(),
        }
    }
}

impl Servers {
    /// Both with these arguments.
    pub(super) async fn start(arguments: &[&str]) -> Self {
        // It would wait for more replicas.
        let at_once = [&["--repl-diskless-sync-delay", "0"], arguments].concat();
        let master = RedisServer::start_with(&at_once);
        let link = Proxy::before(&master).await;
        let replica = RedisServer::start_with(arguments);
        let port = link.port().to_string();
        assert_eq!(replica.command(&["REPLICAOF", "127.0.0.1", &port]), "OK");
        let front = Proxy::before(&master).await;
        let servers = Self {
            master,
            replica,
            link,
            front,
        };
        servers.in_step().await;
        servers
    }

    /// `user`: as `name:password@`, or nothing.
    pub(super) fn builder(&self, user: &str) -> TiersBuilder {
        // The machines of tests are slow at times: a timeout would be a different test.
        let builder = Tiers::builder("test").remote_timeout(Duration::from_secs(5));
        let url = format!("redis://{user}127.0.0.1:{}", self.front.port());
        builder.redis(&url).heartbeat(SOON)
    }

    /// Waits until the replica has what the master has now.
    async fn in_step(&self) {
        let offset = offset(&self.master);
        eventually("the replica is in step", async || {
            self.replica
                .command(&["INFO", "replication"])
                .contains("master_link_status:up")
                && self::offset(&self.replica) >= offset
        })
        .await;
    }

    pub(super) async fn cut_replica(&self) {
        self.in_step().await;
        self.link.cut();
    }

    pub(super) fn fail_over(&self) {
        assert_eq!(self.replica.command(&["REPLICAOF", "NO", "ONE"]), "OK");
        self.front.lead_to(&self.replica);
    }
}

fn offset(redis: &RedisServer) -> u64 {
    let info = redis.command(&["INFO", "replication"]);
    let mut lines = info.lines();
    let offset = lines.find_map(|line| line.strip_prefix("master_repl_offset:"));
    offset.unwrap().trim().parse().unwrap()
}

/// Between two heartbeats.
pub(super) const SOON: Duration = Duration::from_millis(50);
