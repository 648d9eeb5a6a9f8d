//! One master, two replicas, and one address for each node that leads to whoever is in charge.
//!
//! ```text
//! node 0 ── front 0 ──┐
//! node 1 ── front 1 ──┼──▶ master ◀── link ── replica
//! node 2 ── front 2 ──┘           ◀── link ── replica
//! ```
//!
//! Every arrow is a network of its own, which can be cut. A promotion takes the replica that knows the most, as Sentinel does: an
//! invalidation that one replica had to confirm is known to it.

use std::process::Command;

use tokio::task::block_in_place;
use tricache_test_support::{Proxy, RedisServer};

use super::{
    Lag,
    commands::{SETTINGS, TRIM, command, in_step, offset},
};
use crate::failure::Failure;

/// The servers, and the networks before them.
#[derive(Debug)]
pub(crate) struct Standalone {
    servers: Vec<RedisServer>,
    /// Through which each server follows another.
    links: Vec<Proxy>,
    fronts: Vec<Proxy>,
    master: usize,
    /// The deposed master, while there are two.
    deposed: Option<usize>,
}

impl Standalone {
    pub(super) async fn start(nodes: usize) -> Result<Self, Failure> {
        let version = Command::new("redis-server").arg("--version").output();
        version.map_err(|error| Failure::new("cannot run redis-server", error))?;
        let servers: Vec<_> = block_in_place(|| {
            let start = |_| RedisServer::start_with(&SETTINGS);
            (0..SERVERS).map(start).collect()
        });
        let (mut links, mut fronts) = (Vec::new(), Vec::new());
        for _ in &servers {
            links.push(Proxy::before(&servers[0]).await);
        }
        for _ in 0..nodes {
            fronts.push(Proxy::before(&servers[0]).await);
        }
        let started = Self {
            servers,
            links,
            fronts,
            master: 0,
            deposed: None,
        };
        started.replicas().for_each(|server| started.follow(server));
        started.in_step().await?;
        Ok(started)
    }

    pub(super) fn ways(&self) -> Vec<Vec<String>> {
        let fronts = self.fronts.iter();
        let way = |front: &Proxy| vec![format!("--redis={}", front.url())];
        fronts.map(way).collect()
    }

    pub(super) fn network(&self, node: usize) -> &Proxy {
        &self.fronts[node]
    }

    pub(super) fn kill(&self) {
        block_in_place(|| self.master().kill());
    }

    pub(super) fn revive(&self) {
        block_in_place(|| self.master().restart_empty());
    }

    pub(super) fn save(&self) {
        block_in_place(|| self.master().save());
    }

    pub(super) fn restart_from_file(&self) {
        block_in_place(|| self.master().restart_from_file());
    }

    pub(super) fn freeze(&self) {
        self.master().freeze();
    }

    pub(super) fn thaw(&self) {
        self.master().thaw();
    }

    pub(super) fn flush(&self) {
        command(self.master(), &["FLUSHALL"]);
    }

    pub(super) fn trim(&self) {
        command(self.master(), &["EVAL", TRIM, "0"]);
    }

    pub(super) async fn cut_replicas(&mut self, lag: Lag) -> Result<(), Failure> {
        self.in_step().await?;
        let cut = match lag {
            Lag::Both => SERVERS,
            Lag::One => 1,
        };
        for replica in self.replicas().take(cut) {
            self.links[replica].cut();
        }
        Ok(())
    }

    pub(super) fn heal_replicas(&self) {
        self.links.iter().for_each(Proxy::heal);
    }

    pub(super) fn promote(&mut self) {
        let old = self.master;
        self.kill();
        self.succeed();
        self.fronts.iter().for_each(|front| self.lead(front));
        self.heal_replicas();
        self.take_back(old);
    }

    pub(super) fn split(&mut self, deposed: usize) {
        self.deposed = Some(self.master);
        self.succeed();
        let others = self.fronts.iter().enumerate();
        for (_, front) in others.filter(|(node, _)| *node != deposed) {
            self.lead(front);
        }
        let old = self.deposed;
        for replica in self.replicas().filter(|server| Some(*server) != old) {
            self.links[replica].heal();
        }
    }

    pub(super) fn join(&mut self, deposed: usize) {
        if let Some(old) = self.deposed.take() {
            block_in_place(|| self.servers[old].kill());
            self.lead(&self.fronts[deposed]);
            self.heal_replicas();
            self.take_back(old);
        }
    }

    /// The replica that knows the most takes over, and the other one follows it.
    ///
    /// Both links are cut first: whoever confirmed something to the old master had it before.
    fn succeed(&mut self) {
        self.links.iter().for_each(Proxy::cut);
        let old = self.master;
        let most = self
            .replicas()
            .max_by_key(|server| offset(&self.servers[*server]));
        self.master = most.unwrap_or(old);
        command(self.master(), &["REPLICAOF", "NO", "ONE"]);
        for replica in self.replicas().filter(|server| *server != old) {
            self.links[replica].lead_to(self.master());
        }
    }

    /// A master that was killed comes back with nothing, as a replica.
    fn take_back(&self, old: usize) {
        block_in_place(|| self.servers[old].restart_empty());
        self.links[old].lead_to(self.master());
        self.follow(old);
    }

    fn follow(&self, replica: usize) {
        let port = self.links[replica].port().to_string();
        command(&self.servers[replica], &["REPLICAOF", "127.0.0.1", &port]);
    }

    fn lead(&self, front: &Proxy) {
        front.lead_to(self.master());
    }

    /// Waits until the replicas have what the master has now.
    async fn in_step(&self) -> Result<(), Failure> {
        let replicas: Vec<_> = self.replicas().map(|of| &self.servers[of]).collect();
        in_step(self.master(), &replicas).await
    }

    fn replicas(&self) -> impl Iterator<Item = usize> + use<> {
        let master = self.master;
        (0..SERVERS).filter(move |server| *server != master)
    }

    fn master(&self) -> &RedisServer {
        &self.servers[self.master]
    }
}

const SERVERS: usize = 3;
