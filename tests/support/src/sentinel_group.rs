//! A master, two replicas and three sentinels that see to it that there is a master.

use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::redis_server::{POLL, RedisServer};
use crate::sentinel::Sentinel;

/// Three servers and three sentinels, in agreement when `start` returns.
///
/// The sentinels, the replicas and the nodes of a test log in as users of their own, so that a master can be cut off from the first
/// two and not from the third.
///
/// The methods block for as long as they say; a start takes some seconds, because sentinels find each other by messages.
#[derive(Debug)]
pub struct SentinelGroup {
    servers: Vec<RedisServer>,
    sentinels: Vec<Sentinel>,
}

impl SentinelGroup {
    /// The name of the master.
    pub const MASTER: &str = "shop-master";
    /// As whom nodes log in.
    pub const USER: &str = "nodes:secret";

    /// Starts all six and waits until they know each other.
    ///
    /// # Panics
    /// If `redis-server` is not installed, or they do not come together within a minute.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// The same, the servers with more arguments.
    ///
    /// # Panics
    /// As [`start`](Self::start).
    #[must_use]
    pub fn start_with(arguments: &[&str]) -> Self {
        let arguments = [&SERVER, arguments].concat();
        let master = RedisServer::start_with(&arguments);
        let port = master.port().to_string();
        // Not as an argument: it would follow this one again when it is started again.
        let replica = || {
            let replica = RedisServer::start_with(&arguments);
            assert_eq!(replica.command(&["REPLICAOF", "127.0.0.1", &port]), "OK");
            replica
        };
        let servers = vec![replica(), replica(), master];
        for replica in &servers[..2] {
            wait("a replica is in step", || {
                let info = replica.command(&["INFO", "replication"]);
                info.contains("master_link_status:up")
            });
        }
        let configuration = configuration(&port, USERS[0]);
        let sentinels = (0..3).map(|_| Sentinel::start(&configuration));
        let group = Self {
            sentinels: sentinels.collect(),
            servers,
        };
        group.agree();
        group
    }

    /// The addresses of the sentinels.
    #[must_use]
    pub fn urls(&self) -> Vec<String> {
        self.sentinels.iter().map(Sentinel::url).collect()
    }

    /// The sentinels.
    #[must_use]
    pub fn sentinels(&self) -> &[Sentinel] {
        &self.sentinels
    }

    /// The servers, whatever they are at present.
    #[must_use]
    pub fn servers(&self) -> &[RedisServer] {
        &self.servers
    }

    /// The server that most of the sentinels that run name as the master.
    ///
    /// # Panics
    /// If they do not agree within a minute.
    #[must_use]
    pub fn master(&self) -> &RedisServer {
        let mut found = None;
        wait("most sentinels name one master", || {
            found = self.named();
            found.is_some()
        });
        found.expect("it was waited for")
    }

    /// Whether this server is not the one any more that most sentinels name.
    #[must_use]
    pub fn has_replaced(&self, server: &RedisServer) -> bool {
        self.named()
            .is_some_and(|named| named.port() != server.port())
    }

    /// The server that all sentinels that run name as the master, while none of them changes it; `None` otherwise.
    #[must_use]
    pub fn settled(&self) -> Option<&RedisServer> {
        let is_changing = |sentinel: &Sentinel| {
            let state = sentinel.reply_if_it_runs(&["SENTINEL", "MASTER", Self::MASTER]);
            state.is_some_and(|state| state.to_string().contains("failover_in_progress"))
        };
        let mut ports: Vec<_> = self.sentinels.iter().filter_map(port_named_by).collect();
        ports.dedup();
        if ports.len() > 1 || self.sentinels.iter().any(is_changing) {
            return None;
        }
        self.named()
    }

    /// The servers that are not the master.
    #[must_use]
    pub fn replicas(&self) -> Vec<&RedisServer> {
        let master = self.master().port();
        let others = self.servers.iter().filter(|server| server.port() != master);
        others.collect()
    }

    /// Cuts a server off from sentinels and replicas. Nodes still reach it, and it takes itself for what it was.
    ///
    /// # Panics
    /// If the server does not answer.
    pub fn isolate(&self, server: &RedisServer) {
        for user in USERS {
            assert_eq!(server.command(&["ACL", "SETUSER", user, "off"]), "OK");
            server.command(&["CLIENT", "KILL", "USER", user]);
        }
        Self::let_strangers(server, "-");
    }

    /// A sentinel that watches this server, which was [cut off](Self::isolate): it finds no other sentinel there, and no replica, and
    /// takes it for the master.
    ///
    /// # Panics
    /// If `redis-server` is not installed, or does not answer in time.
    #[must_use]
    pub fn lonely_sentinel(server: &RedisServer) -> Sentinel {
        Sentinel::start(&configuration(&server.port().to_string(), "nodes"))
    }

    /// Ends that.
    ///
    /// # Panics
    /// If the server does not answer.
    pub fn rejoin(&self, server: &RedisServer) {
        for user in USERS {
            assert_eq!(server.command(&["ACL", "SETUSER", user, "on"]), "OK");
        }
        Self::let_strangers(server, "+");
    }

    /// Asks the sentinels to make another server the master, although this one is well.
    ///
    /// # Panics
    /// If they do not agree to within a minute.
    pub fn hand_over(&self) {
        let command = ["SENTINEL", "FAILOVER", Self::MASTER];
        wait("a handover begins", || {
            self.sentinels[0].command(&command) == "OK"
        });
    }

    /// What sentinels and replicas do, who are nobody in particular when their users are off.
    fn let_strangers(server: &RedisServer, sign: &str) {
        let commands = [
            "ping",
            "info",
            "publish",
            "subscribe",
            "exec",
            "replicaof",
            "slaveof",
            "replconf",
            "psync",
            "sync",
        ];
        let rules = commands.map(|command| format!("{sign}{command}"));
        let rules: Vec<_> = rules.iter().map(String::as_str).collect();
        let command = [&["ACL", "SETUSER", "default"], &rules[..]].concat();
        assert_eq!(server.command(&command), "OK");
    }

    /// What most of those that run say.
    fn named(&self) -> Option<&RedisServer> {
        let named: Vec<_> = self.sentinels.iter().filter_map(port_named_by).collect();
        self.servers.iter().find(|server| {
            let votes = named.iter().filter(|port| **port == server.port());
            votes.count() * 2 > self.sentinels.len()
        })
    }

    fn agree(&self) {
        for sentinel in &self.sentinels {
            wait("a sentinel knows the others", || {
                let known = sentinel.command(&["SENTINEL", "MASTER", Self::MASTER]);
                let lines: Vec<_> = known.lines().collect();
                let tells =
                    |name: &str, value: &str| lines.windows(2).any(|pair| pair == [name, value]);
                tells("num-slaves", "2") && tells("num-other-sentinels", "2")
            });
        }
    }
}

/// The port that this sentinel tells clients; `None` while it does not answer.
fn port_named_by(sentinel: &Sentinel) -> Option<u16> {
    let command = ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", SentinelGroup::MASTER];
    let address = sentinel.reply_if_it_runs(&command)?;
    address.to_string().lines().nth(1)?.parse().ok()
}

fn configuration(port: &str, user: &str) -> String {
    let name = SentinelGroup::MASTER;
    format!(
        "sentinel monitor {name} 127.0.0.1 {port} 2\n\
         sentinel down-after-milliseconds {name} 1000\n\
         sentinel failover-timeout {name} 2000\n\
         sentinel parallel-syncs {name} 2\n\
         sentinel auth-user {name} {user}\n\
         sentinel auth-pass {name} secret\n"
    )
}

fn wait(label: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < LIMIT, "not within {LIMIT:?}: {label}");
        sleep(POLL);
    }
}

const USERS: [&str; 2] = ["sentinels", "replicas"];
/// Of each server, since each may become the master.
const SERVER: [&str; 29] = [
    "--user",
    "sentinels",
    "on",
    ">secret",
    "~*",
    "&*",
    "+@all",
    "--user",
    "nodes",
    "on",
    ">secret",
    "~*",
    "&*",
    "+@all",
    "--user",
    "replicas",
    "on",
    ">secret",
    "~*",
    "&*",
    "+@all",
    "--masteruser",
    "replicas",
    "--masterauth",
    "secret",
    // It would wait for more replicas.
    "--repl-diskless-sync-delay",
    "0",
    "--repl-ping-replica-period",
    "1",
];
const LIMIT: Duration = Duration::from_secs(60);
