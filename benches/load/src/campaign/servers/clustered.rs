//! Three masters that share the slots, and a replica of each: the cluster itself promotes it.
//!
//! Each fault is about another of the three, in turn. Nodes log in as users of their own, see `users.rs`. There is no split: the
//! nodes of a cluster speak on ports where no user can be refused.

use std::{process::Command, time::Duration};

use tokio::{
    task::block_in_place,
    time::{Instant, sleep},
};
use tricache_test_support::{RedisCluster, RedisServer};

use super::{
    Lag,
    commands::{TRIM, command, in_step, replication},
    users::{cut, cut_replica, deafen, heal, heal_replica, rights, sever, user, users},
};
use crate::failure::Failure;

/// The servers: number n and number n + 3 hold the same slots.
#[derive(Debug)]
pub(crate) struct Clustered {
    cluster: RedisCluster,
    /// Which of the two is the master of each share, when all was well last.
    masters: [usize; SHARES],
    /// The share that the next fault is about.
    share: usize,
    /// How many nodes of the campaign log in.
    nodes: usize,
}

impl Clustered {
    pub(super) async fn start(nodes: usize) -> Result<Self, Failure> {
        let version = Command::new("redis-server").arg("--version").output();
        version.map_err(|error| Failure::new("cannot run redis-server", error))?;
        let mut arguments = users(nodes);
        arguments.extend(rights("replicas"));
        arguments.extend(SETTINGS.map(str::to_owned));
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        let mut started = Self {
            cluster: block_in_place(|| RedisCluster::start_with(&arguments)),
            masters: [0, 1, 2],
            share: 0,
            nodes,
        };
        started.settle().await?;
        Ok(started)
    }

    pub(super) fn ways(&self) -> Vec<Vec<String>> {
        let way = |node| {
            let user = user(node);
            let urls = self.all().map(|server| {
                let port = server.port();
                format!("redis://{user}:secret@127.0.0.1:{port}")
            });
            let urls: Vec<_> = urls.collect();
            vec![
                "--cluster".to_owned(),
                format!("--redis={}", urls.join(",")),
            ]
        };
        (0..self.nodes).map(way).collect()
    }

    /// Waits until all serve, and each share has a master and a replica that follows it.
    pub(super) async fn settle(&mut self) -> Result<(), Failure> {
        let deadline = Instant::now() + PATIENCE;
        let mut well_since = Instant::now();
        while well_since.elapsed() < STABLE {
            match self.well() {
                Some(masters) if masters == self.masters => {}
                changed => {
                    self.masters = changed.unwrap_or(self.masters);
                    well_since = Instant::now();
                }
            }
            if Instant::now() > deadline {
                return Err(Failure::plain("the cluster does not come to rest"));
            }
            sleep(POLL).await;
        }
        self.share = (self.share + 1) % SHARES;
        Ok(())
    }

    /// The masters, if all is well.
    fn well(&self) -> Option<[usize; SHARES]> {
        let serves = |server: &RedisServer| {
            let state = command(server, &["CLUSTER", "INFO"]);
            let nodes = command(server, &["CLUSTER", "NODES"]);
            state.contains("cluster_state:ok") && !nodes.contains("fail")
        };
        if !self.all().all(serves) {
            return None;
        }
        let mut masters = self.masters;
        for (share, master) in masters.iter_mut().enumerate() {
            let pair = [share, share + SHARES];
            let roles = pair.map(|number| replication(self.cluster.node(number)));
            *master = *pair
                .iter()
                .zip(&roles)
                .find(|(_, role)| role.contains("role:master"))?
                .0;
            if !roles
                .iter()
                .any(|role| role.contains("master_link_status:up"))
            {
                return None;
            }
        }
        Some(masters)
    }

    pub(super) fn cut(&self, node: usize) {
        cut(self.all(), node);
    }

    pub(super) fn cut_partly(&self, node: usize) {
        let pair = [self.share, self.share + SHARES];
        cut(
            pair.map(|number| self.cluster.node(number)).into_iter(),
            node,
        );
    }

    pub(super) fn deafen(&self, node: usize) {
        deafen(self.all(), node);
    }

    pub(super) fn heal(&self, node: usize) {
        heal(self.all(), node);
    }

    pub(super) fn sever(&self, node: usize) {
        sever(self.all(), node);
    }

    pub(super) fn kill(&self) {
        block_in_place(|| self.master().kill());
    }

    /// Waits for the failover; then the old master comes back with nothing, as a replica.
    pub(super) async fn revive(&self) -> Result<(), Failure> {
        self.replaced().await?;
        block_in_place(|| self.master().restart_empty());
        Ok(())
    }

    pub(super) fn save(&self) {
        block_in_place(|| self.master().save());
    }

    /// Too fast for the others to notice.
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
        self.to_masters(&["FLUSHALL"]);
    }

    pub(super) fn trim(&self) {
        self.to_masters(&["EVAL", TRIM, "0"]);
    }

    /// `Both`: those of all shares.
    pub(super) async fn cut_replicas(&self, lag: Lag) -> Result<(), Failure> {
        for share in 0..SHARES {
            if lag == Lag::One && share != self.share {
                continue;
            }
            let (master, replica) = (self.masters[share], self.replica_of(share));
            let replica = self.cluster.node(replica);
            in_step(self.cluster.node(master), &[replica]).await?;
            cut_replica(replica);
        }
        Ok(())
    }

    pub(super) fn heal_replicas(&self) {
        for share in 0..SHARES {
            heal_replica(self.cluster.node(self.replica_of(share)));
        }
    }

    pub(super) async fn promote(&self) -> Result<(), Failure> {
        self.kill();
        self.replaced().await?;
        self.heal_replicas();
        self.revive().await
    }

    pub(super) async fn hand_over(&self) -> Result<(), Failure> {
        block_in_place(|| self.cluster.fail_over_to(self.replica_of(self.share)));
        self.replaced().await
    }

    /// Moves a slot that holds something to the next master, and back after a while.
    pub(super) async fn move_slot(&self, hold: Duration) -> Result<(), Failure> {
        let key = command(self.master(), &["RANDOMKEY"]);
        let (from, to) = (
            self.masters[self.share],
            self.masters[(self.share + 1) % SHARES],
        );
        let slot = block_in_place(|| self.cluster.slot(from, &key));
        block_in_place(|| self.cluster.move_slot(slot, from, to));
        sleep(hold).await;
        block_in_place(|| self.cluster.move_slot(slot, to, from));
        Ok(())
    }

    /// Waits until the replica of this share is the master.
    async fn replaced(&self) -> Result<(), Failure> {
        let deadline = Instant::now() + PATIENCE;
        let replica = self.replica_of(self.share);
        while !block_in_place(|| self.cluster.is_master(replica)) {
            if Instant::now() > deadline {
                return Err(Failure::plain("the cluster does not replace the master"));
            }
            sleep(POLL).await;
        }
        Ok(())
    }

    fn to_masters(&self, words: &[&str]) {
        for master in self.masters {
            command(self.cluster.node(master), words);
        }
    }

    fn replica_of(&self, share: usize) -> usize {
        (self.masters[share] + SHARES) % (2 * SHARES)
    }

    fn master(&self) -> &RedisServer {
        self.cluster.node(self.masters[self.share])
    }

    fn all(&self) -> impl Iterator<Item = &RedisServer> {
        (0..2 * SHARES).map(|number| self.cluster.node(number))
    }
}

const SHARES: usize = 3;
/// Of each server, since each may become the master.
const SETTINGS: [&str; 8] = [
    "--masteruser",
    "replicas",
    "--masterauth",
    "secret",
    "--cluster-node-timeout",
    "2000",
    "--repl-ping-replica-period",
    "1",
];
/// How long all must be well.
const STABLE: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_share_is_handed_over_and_the_next_fault_is_about_another() {
        let mut clustered = Clustered::start(1).await.unwrap();
        let (share, before) = (clustered.share, clustered.masters);

        clustered.hand_over().await.unwrap();
        clustered.settle().await.unwrap();

        let mut expected = before;
        expected[share] += SHARES;
        assert_eq!(clustered.masters, expected);
        assert_ne!(clustered.share, share);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_replica_that_is_cut_off_hears_nothing_until_it_is_healed() {
        let mut clustered = Clustered::start(1).await.unwrap();
        let hear = |clustered: &Clustered| {
            let shares = 0..SHARES;
            let links = shares.map(|share| {
                let replica = clustered.cluster.node(clustered.replica_of(share));
                replication(replica).contains("master_link_status:up")
            });
            links.filter(|is_up| *is_up).count()
        };

        clustered.cut_replicas(Lag::One).await.unwrap();
        assert_eq!(hear(&clustered), 2);

        clustered.heal_replicas();
        clustered.settle().await.unwrap();
        assert_eq!(hear(&clustered), 3);

        clustered.cut_replicas(Lag::Both).await.unwrap();
        assert_eq!(hear(&clustered), 0);
    }
}
