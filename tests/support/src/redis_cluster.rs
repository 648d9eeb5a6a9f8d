//! A private Redis Cluster: three masters and a replica of each, gone with its test.
//!
//! It is whole before `start` returns: every node knows every other, all slots are served, each replica follows its master.

use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::port::free_port;
use crate::redis_server::RedisServer;

/// Some running nodes that share the slots.
///
/// The first are masters, the others their replicas in the same order; after a failover the roles differ. The methods block for
/// as long as they say; tests may call them from async code.
#[derive(Debug)]
pub struct RedisCluster {
    nodes: Vec<RedisServer>,
    arguments: Vec<String>,
}

impl RedisCluster {
    /// Starts three masters with a replica each, whose slots stay served when another master is gone.
    ///
    /// # Panics
    /// If `redis-server` is not installed, or the nodes do not find each other within 30 seconds.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// The same with more arguments for every node.
    ///
    /// # Panics
    /// As [`start`](Self::start).
    #[must_use]
    pub fn start_with(arguments: &[&str]) -> Self {
        let all = OWN.iter().chain(arguments);
        let arguments: Vec<_> = all.map(ToString::to_string).collect();
        let mut cluster = Self {
            nodes: Vec::new(),
            arguments,
        };
        (0..2 * MASTERS).for_each(|_| cluster.push());
        cluster.share_slots();
        cluster.introduce();
        (0..MASTERS).for_each(|master| cluster.replicate(MASTERS + master, master));
        cluster.await_whole();
        cluster
    }

    /// The addresses of the first masters.
    #[must_use]
    pub fn seeds(&self) -> Vec<String> {
        self.nodes[..MASTERS].iter().map(RedisServer::url).collect()
    }

    /// Lets replicas take over from a master that is silent for so long; 15 s at first, so that a machine that is busy has no failover
    /// where none is meant.
    ///
    /// # Panics
    /// If a node does not answer.
    pub fn fail_over_after(&self, silence: Duration) {
        let millis = silence.as_millis().to_string();
        for node in &self.nodes {
            let set = node.command(&["CONFIG", "SET", "cluster-node-timeout", &millis]);
            assert_eq!(set, "OK");
        }
    }

    /// A node by its number: masters from 0, then their replicas from 3, then those that were added.
    #[must_use]
    pub fn node(&self, number: usize) -> &RedisServer {
        &self.nodes[number]
    }

    /// The number of the node that serves the key's slot, as the node `asked` sees it.
    ///
    /// # Panics
    /// If that one does not answer, or nobody has the slot for 30 seconds.
    #[must_use]
    pub fn owner(&self, asked: usize, key: &str) -> usize {
        let (slot, mut owner) = (self.slot(asked, key), None);
        wait("somebody has the slot", || {
            owner = self.owner_of(asked, slot);
            owner.is_some()
        });
        // The wait has found it.
        owner.unwrap()
    }

    /// The slot of a key.
    ///
    /// # Panics
    /// If the node `asked` does not answer.
    #[must_use]
    pub fn slot(&self, asked: usize, key: &str) -> u16 {
        let slot = self.nodes[asked].command(&["CLUSTER", "KEYSLOT", key]);
        slot.parse().expect("a slot is a number")
    }

    /// Makes the key's slot that of the node `to` without a copy of what is there: the first half of a migration, after which keys
    /// are in two places.
    ///
    /// # Panics
    /// If a node does not answer or refuses.
    pub fn begin_move(&self, slot: u16, from: usize, to: usize) {
        let (source, target) = (self.id(from), self.id(to));
        let slot = slot.to_string();
        self.set_slot(to, &[&slot, "IMPORTING", &source]);
        self.set_slot(from, &[&slot, "MIGRATING", &target]);
    }

    /// Moves up to so many keys of a slot that is on its way; answers how many there were.
    ///
    /// # Panics
    /// If a node does not answer or refuses.
    pub fn move_keys(&self, slot: u16, from: usize, to: usize, at_most: usize) -> usize {
        let (slot, at_most) = (slot.to_string(), at_most.to_string());
        let ask = ["CLUSTER", "GETKEYSINSLOT", &slot, &at_most];
        let keys = self.nodes[from].command(&ask);
        let keys: Vec<_> = keys.split_whitespace().collect();
        let port = self.nodes[to].port().to_string();
        for key in &keys {
            let migrate = ["MIGRATE", "127.0.0.1", &port, key, "0", "5000", "REPLACE"];
            let moved = self.nodes[from].command(&migrate);
            // It may have expired meanwhile.
            assert!(moved == "OK" || moved == "NOKEY", "MIGRATE {key}: {moved}");
        }
        keys.len()
    }

    /// Ends a migration: the slot is that of the node `to`.
    ///
    /// # Panics
    /// If a node does not answer or refuses.
    pub fn end_move(&self, slot: u16, from: usize, to: usize) {
        let (slot, target) = (slot.to_string(), self.id(to));
        self.set_slot(to, &[&slot, "NODE", &target]);
        self.set_slot(from, &[&slot, "NODE", &target]);
    }

    /// Moves a slot with all its keys.
    ///
    /// # Panics
    /// If a node does not answer or refuses.
    pub fn move_slot(&self, slot: u16, from: usize, to: usize) {
        self.begin_move(slot, from, to);
        while self.move_keys(slot, from, to, 100) > 0 {}
        self.end_move(slot, from, to);
    }

    /// Adds a master without slots; answers its number.
    ///
    /// # Panics
    /// If the others do not get to know it within 30 seconds.
    pub fn add(&mut self) -> usize {
        self.push();
        let added = self.nodes.len() - 1;
        self.introduce();
        // A node that was started a moment ago takes nothing for a while.
        wait("the new node takes its share", || {
            self.info(added).contains("cluster_state:ok")
        });
        added
    }

    /// Asks a replica to take over from its master, which agrees; returns before it has.
    ///
    /// # Panics
    /// If it does not answer or refuses.
    pub fn fail_over_to(&self, replica: usize) {
        let done = self.nodes[replica].command(&["CLUSTER", "FAILOVER"]);
        assert_eq!(done, "OK");
    }

    /// Whether the node takes itself for a master.
    ///
    /// # Panics
    /// If it does not answer.
    #[must_use]
    pub fn is_master(&self, node: usize) -> bool {
        let info = self.nodes[node].command(&["INFO", "replication"]);
        info.lines().any(|line| line == "role:master")
    }

    fn push(&mut self) {
        let mut arguments: Vec<_> = self.arguments.iter().map(String::as_str).collect();
        // By default it lies where outgoing connections take theirs.
        let bus = free_port().to_string();
        arguments.extend(["--cluster-port", &bus]);
        self.nodes.push(RedisServer::start_with(&arguments));
    }

    /// The slots in equal parts, and epochs that differ, so that nobody has to settle a dispute.
    fn share_slots(&self) {
        let share = SLOTS / MASTERS;
        for (number, node) in self.nodes.iter().enumerate() {
            let epoch = (number + 1).to_string();
            assert_eq!(node.command(&["CLUSTER", "SET-CONFIG-EPOCH", &epoch]), "OK");
        }
        for (master, node) in self.nodes[..MASTERS].iter().enumerate() {
            let first = (share * master).to_string();
            let last = if master + 1 == MASTERS {
                SLOTS
            } else {
                share * (master + 1)
            };
            let last = (last - 1).to_string();
            assert_eq!(
                node.command(&["CLUSTER", "ADDSLOTSRANGE", &first, &last]),
                "OK"
            );
        }
    }

    fn introduce(&self) {
        let mut looks = 0;
        wait("all nodes know each other", || {
            // A handshake that takes too long is given up.
            if looks % LOOKS == 0 {
                (1..self.nodes.len()).for_each(|node| self.meet(node));
            }
            looks += 1;
            (0..self.nodes.len()).all(|node| self.knows_all(node))
        });
    }

    fn knows_all(&self, node: usize) -> bool {
        let nodes = self.nodes[node].command(&["CLUSTER", "NODES"]);
        nodes.lines().count() == self.nodes.len() && !nodes.contains("handshake")
    }

    fn meet(&self, node: usize) {
        let server = &self.nodes[node];
        let (port, bus) = (
            server.port().to_string(),
            server.command(&["CONFIG", "GET", "cluster-port"]),
        );
        let bus = bus.split_whitespace().last().unwrap_or_default();
        let met = self.nodes[0].command(&["CLUSTER", "MEET", "127.0.0.1", &port, bus]);
        assert_eq!(met, "OK");
    }

    fn replicate(&self, replica: usize, master: usize) {
        let master = self.id(master);
        wait("a replica knows its master", || {
            self.nodes[replica].command(&["CLUSTER", "REPLICATE", &master]) == "OK"
        });
    }

    fn await_whole(&self) {
        wait("the cluster is whole", || {
            let all = 0..self.nodes.len();
            all.into_iter().all(|node| {
                let masters = self.nodes[node].command(&["CLUSTER", "NODES"]);
                let replicas = masters
                    .lines()
                    .filter(|line| line.contains("slave"))
                    .count();
                let role = self.nodes[node].command(&["INFO", "replication"]);
                let follows = node < MASTERS || role.contains("master_link_status:up");
                self.info(node).contains("cluster_state:ok") && replicas == MASTERS && follows
            })
        });
    }

    fn owner_of(&self, asked: usize, slot: u16) -> Option<usize> {
        let nodes = self.nodes[asked].command(&["CLUSTER", "NODES"]);
        let port = nodes.lines().find_map(|line| {
            let mut words = line.split_whitespace();
            let address = words.nth(1)?;
            let has = words.skip(6).any(|range| contains(range, slot));
            let port = address.split(['@', ':']).nth(1)?.parse::<u16>();
            port.ok().filter(|_| has)
        })?;
        self.nodes.iter().position(|node| node.port() == port)
    }

    fn set_slot(&self, node: usize, arguments: &[&str]) {
        let command: Vec<_> = ["CLUSTER", "SETSLOT"]
            .iter()
            .chain(arguments)
            .copied()
            .collect();
        assert_eq!(self.nodes[node].command(&command), "OK", "{command:?}");
    }

    fn id(&self, node: usize) -> String {
        self.nodes[node].command(&["CLUSTER", "MYID"])
    }

    fn info(&self, node: usize) -> String {
        self.nodes[node].command(&["CLUSTER", "INFO"])
    }
}

/// `7` or `0-99`; slots on their way stand in brackets.
fn contains(range: &str, slot: u16) -> bool {
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    let bounds = (first.parse::<u16>(), last.parse::<u16>());
    matches!(bounds, (Ok(first), Ok(last)) if (first..=last).contains(&slot))
}

fn wait(label: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < LIMIT, "not within {LIMIT:?}: {label}");
        sleep(POLL);
    }
}

const OWN: [&str; 8] = [
    "--cluster-enabled",
    "yes",
    "--cluster-require-full-coverage",
    "no",
    // Replicas are attached at once.
    "--repl-diskless-sync-delay",
    "0",
    "--cluster-allow-replica-migration",
    "no",
];
const MASTERS: usize = 3;
const SLOTS: usize = 16_384;
const LIMIT: Duration = Duration::from_secs(30);
/// After so many looks nodes are introduced again.
const LOOKS: usize = 100;
const POLL: Duration = Duration::from_millis(20);
