//! A master, two replicas and the three sentinels that promote: nothing here says who is in charge.
//!
//! ```text
//! node 0 ── links ──▶ sentinels        node 0 ── as user node0 ──▶ whom they name
//! ```
//!
//! Nodes log in as users of their own, see `users.rs`: servers refuse a node that is cut off. The links to the sentinels are networks,
//! which are silent when they are cut.

use std::{process::Command, time::Duration};

use tokio::{
    task::block_in_place,
    time::{Instant, sleep},
};
use tricache_test_support::{Proxy, RedisServer, SentinelGroup};

use super::{
    Lag,
    commands::{TRIM, command, in_step, replication},
    users::{cut, cut_replica, deafen, heal, heal_replica, sever, user, users},
};
use crate::failure::Failure;

/// The servers, and each node's links to the sentinels.
#[derive(Debug)]
pub(crate) struct Watched {
    group: SentinelGroup,
    /// Of each node, one to each sentinel.
    links: Vec<Vec<Proxy>>,
    /// Who was the master when all was well last.
    master: usize,
}

impl Watched {
    pub(super) async fn start(nodes: usize) -> Result<Self, Failure> {
        let version = Command::new("redis-server").arg("--version").output();
        version.map_err(|error| Failure::new("cannot run redis-server", error))?;
        let users = users(nodes);
        let users: Vec<_> = users.iter().map(String::as_str).collect();
        let group = block_in_place(|| SentinelGroup::start_with(&users));
        let mut links = Vec::new();
        for _ in 0..nodes {
            let mut of_node = Vec::new();
            for sentinel in group.sentinels() {
                of_node.push(Proxy::start(([127, 0, 0, 1], sentinel.port()).into()).await);
            }
            links.push(of_node);
        }
        let mut started = Self {
            group,
            links,
            master: 0,
        };
        started.settle().await?;
        Ok(started)
    }

    pub(super) fn ways(&self) -> Vec<Vec<String>> {
        let way = |(node, links): (usize, &Vec<Proxy>)| {
            let (user, name) = (user(node), SentinelGroup::MASTER);
            let urls: Vec<_> = links.iter().map(Proxy::url).collect();
            vec![
                format!("--redis={}", urls.join(",")),
                format!("--master=redis://{user}:secret@{name}"),
            ]
        };
        self.links.iter().enumerate().map(way).collect()
    }

    /// Waits until the sentinels agree, and both others follow whom they name.
    ///
    /// A master that was deposed goes on as one until the sentinels turn it into a replica, which takes them ten seconds. Here it
    /// is told at once, so that the next fault finds two replicas.
    pub(super) async fn settle(&mut self) -> Result<(), Failure> {
        let deadline = Instant::now() + PATIENCE;
        let mut well_since = Instant::now();
        while well_since.elapsed() < STABLE {
            match block_in_place(|| self.well()) {
                Some(master) if master == self.master => {}
                changed => {
                    self.master = changed.unwrap_or(NOBODY);
                    well_since = Instant::now();
                }
            }
            if Instant::now() > deadline {
                return Err(Failure::plain("the sentinels do not come to rest"));
            }
            sleep(POLL).await;
        }
        Ok(())
    }

    /// The master, if both others follow it. Tells those that do not to do so.
    fn well(&self) -> Option<usize> {
        let servers = self.group.servers();
        let port = self.group.settled()?.port();
        let master = servers.iter().position(|server| server.port() == port)?;
        let follows = format!("master_port:{port}");
        let mut is_well = replication(&servers[master]).contains("role:master");
        for server in servers.iter().filter(|server| server.port() != port) {
            let info = replication(server);
            if is_well && !info.lines().any(|line| line.trim() == follows) {
                command(server, &["REPLICAOF", "127.0.0.1", &port.to_string()]);
            }
            is_well &= info.contains("master_link_status:up");
        }
        is_well.then_some(master)
    }

    pub(super) fn cut(&self, node: usize) {
        self.links[node].iter().for_each(Proxy::cut);
        cut(self.group.servers().iter(), node);
    }

    pub(super) fn deafen(&self, node: usize) {
        deafen(self.group.servers().iter(), node);
    }

    pub(super) fn heal(&self, node: usize) {
        heal(self.group.servers().iter(), node);
        self.links[node].iter().for_each(Proxy::heal);
    }

    pub(super) fn sever(&self, node: usize) {
        self.links[node].iter().for_each(Proxy::sever);
        sever(self.group.servers().iter(), node);
    }

    pub(super) fn kill(&self) {
        block_in_place(|| self.master().kill());
    }

    /// Waits for the failover, which is not long in coming; then the old master comes back with nothing, as a replica.
    pub(super) async fn revive(&self) -> Result<(), Failure> {
        self.replaced().await?;
        block_in_place(|| self.master().restart_empty());
        Ok(())
    }

    pub(super) fn save(&self) {
        block_in_place(|| self.master().save());
    }

    /// Too fast for the sentinels to notice.
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

    /// They know the wrong password, and are refused.
    pub(super) async fn cut_replicas(&self, lag: Lag) -> Result<(), Failure> {
        let replicas: Vec<_> = self.replicas().collect();
        in_step(self.master(), &replicas).await?;
        let cut = match lag {
            Lag::Both => replicas.len(),
            Lag::One => 1,
        };
        replicas.into_iter().take(cut).for_each(cut_replica);
        Ok(())
    }

    pub(super) fn heal_replicas(&self) {
        self.replicas().for_each(heal_replica);
    }

    pub(super) async fn promote(&self) -> Result<(), Failure> {
        self.kill();
        self.replaced().await?;
        self.heal_replicas();
        self.revive().await
    }

    /// The master loses its replicas and its sentinels, and one node the sentinels.
    pub(super) async fn split(&self, deposed: usize) -> Result<(), Failure> {
        self.links[deposed].iter().for_each(Proxy::cut);
        block_in_place(|| self.group.isolate(self.master()));
        self.replaced().await
    }

    pub(super) fn join(&self, deposed: usize) {
        block_in_place(|| self.master().restart_empty());
        self.heal_replicas();
        self.links[deposed].iter().for_each(Proxy::heal);
    }

    pub(super) async fn hand_over(&self) -> Result<(), Failure> {
        block_in_place(|| self.group.hand_over());
        self.replaced().await
    }

    pub(super) fn silence(&self, sentinel: usize, is_kill: bool) {
        let sentinel = &self.group.sentinels()[sentinel];
        block_in_place(|| {
            if is_kill {
                sentinel.kill();
            } else {
                sentinel.freeze();
            }
        });
    }

    pub(super) fn wake(&self, sentinel: usize, is_kill: bool) {
        let sentinel = &self.group.sentinels()[sentinel];
        block_in_place(|| {
            if is_kill {
                sentinel.restart();
            } else {
                sentinel.thaw();
            }
        });
    }

    /// Waits until most sentinels name another master than the one of before the fault.
    async fn replaced(&self) -> Result<(), Failure> {
        let deadline = Instant::now() + PATIENCE;
        while !block_in_place(|| self.group.has_replaced(self.master())) {
            if Instant::now() > deadline {
                return Err(Failure::plain("the sentinels do not replace the master"));
            }
            sleep(POLL).await;
        }
        Ok(())
    }

    fn replicas(&self) -> impl Iterator<Item = &RedisServer> {
        let servers = self.group.servers().iter().enumerate();
        servers
            .filter(|(index, _)| *index != self.master)
            .map(|(_, server)| server)
    }

    fn master(&self) -> &RedisServer {
        &self.group.servers()[self.master]
    }
}

/// No server's index.
const NOBODY: usize = usize::MAX;
/// How long they must agree: a failover may still be to come when a frozen master goes on.
const STABLE: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests {
    use super::*;

    fn masters(watched: &Watched) -> usize {
        let servers = watched.group.servers().iter();
        servers
            .filter(|server| command(server, &["ROLE"]).starts_with("master"))
            .count()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_split_leaves_two_masters_until_it_ends() {
        let mut watched = Watched::start(1).await.unwrap();
        let old = watched.master;

        watched.cut_replicas(Lag::One).await.unwrap();
        watched.split(0).await.unwrap();

        assert_eq!(masters(&watched), 2);
        watched.join(0);
        watched.settle().await.unwrap();
        assert_eq!(masters(&watched), 1);
        assert_ne!(watched.master, old);
    }
}
