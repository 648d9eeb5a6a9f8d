//! Whatever breaks things: one fault after the other, each undone after a while, in an order of the seed.

mod kind;
mod pace;

use std::time::Duration;

use fastrand::Rng;
use tokio::time::{Instant, sleep, sleep_until};

pub(super) use self::kind::Kind;
use self::pace::{Pace, SETTLING, WARM_UP};
use super::{
    clock::now,
    history::Fault,
    ledger::Ledger,
    nodes::Nodes,
    plan::Plan,
    servers::{Lag, SENTINELS, Servers},
};
use crate::{failure::Failure, stop::Stop};

/// The nemesis of one campaign.
pub(super) struct Nemesis<'a> {
    servers: &'a mut Servers,
    nodes: &'a mut Nodes,
    ledger: &'a Ledger,
    kinds: Vec<Kind>,
    pace: Pace,
    random: Rng,
    resting: Rest,
}

/// The one long stop of a node, which goes on while other faults are made.
#[derive(Clone, Copy, Debug)]
enum Rest {
    ToCome,
    Lasting {
        node: usize,
        begin: u64,
        until: Instant,
    },
    Over,
}

impl<'a> Nemesis<'a> {
    pub(super) fn new(
        plan: &Plan,
        servers: &'a mut Servers,
        nodes: &'a mut Nodes,
        ledger: &'a Ledger,
    ) -> Self {
        let kinds = Kind::of(plan.topology);
        Self {
            servers,
            nodes,
            ledger,
            pace: Pace::of(plan.length, kinds.len()),
            kinds,
            random: Rng::with_seed(plan.seed),
            resting: Rest::ToCome,
        }
    }

    /// Makes one round of all faults, and more while there is time for them.
    ///
    /// # Errors
    /// When a fault cannot be made or undone, and when a node ends by itself.
    pub(super) async fn rage(&mut self, length: Duration, stop: &Stop) -> Result<(), Failure> {
        let end = Instant::now() + length.saturating_sub(SETTLING);
        sleep(WARM_UP).await;
        let mut is_first = true;
        loop {
            for kind in pace::round(&self.kinds, &mut self.random) {
                let is_late = Instant::now() + self.pace.slot > end;
                if stop.is_stopped() || (is_late && !is_first) {
                    self.wake(true)?;
                    sleep(SETTLING).await;
                    return self.nodes.check();
                }
                self.turn(kind).await?;
            }
            is_first = false;
        }
    }

    /// One fault and the pause after it.
    async fn turn(&mut self, kind: Kind) -> Result<(), Failure> {
        let over = Instant::now() + self.pace.slot;
        self.wake(false)?;
        let node = self.some_node();
        if kind == Kind::NodePaused && matches!(self.resting, Rest::ToCome) {
            return self.lay_down(node);
        }
        let begin = now();
        let node = self.strike(kind, node).await?;
        let end = now();
        self.ledger.fault(Fault {
            kind,
            node,
            begin,
            end,
        });
        self.nodes.check()?;
        self.servers.settle().await?;
        sleep(SHORTEST_GAP).await;
        sleep_until(over).await;
        Ok(())
    }

    /// Makes the fault and undoes it. Answers which node it was about, if about one.
    async fn strike(&mut self, kind: Kind, node: usize) -> Result<Option<usize>, Failure> {
        let hold = self.pace.hold(&mut self.random);
        match kind {
            Kind::RedisKilled => {
                self.servers.kill();
                sleep(hold).await;
                self.servers.revive().await?;
            }
            Kind::RedisRestored => {
                self.servers.save();
                sleep(hold).await;
                self.servers.restart_from_file();
            }
            Kind::RedisFrozen => {
                self.servers.freeze();
                sleep(hold).await;
                self.servers.thaw();
            }
            Kind::Promoted => {
                let lag = self.some_lag();
                self.servers.cut_replicas(lag).await?;
                sleep(hold).await;
                self.servers.promote().await?;
            }
            Kind::Split => {
                self.servers.cut_replicas(Lag::One).await?;
                self.servers.split(node).await?;
                sleep(hold).await;
                self.servers.join(node);
                return Ok(Some(node));
            }
            Kind::ReplicasCut => {
                let lag = self.some_lag();
                self.servers.cut_replicas(lag).await?;
                sleep(hold).await;
                self.servers.heal_replicas();
            }
            Kind::Flushed => self.servers.flush(),
            Kind::HandedOver => {
                self.servers.hand_over().await?;
                sleep(hold).await;
            }
            Kind::SlotMoved => self.servers.move_slot(hold).await?,
            Kind::SentinelKilled | Kind::SentinelFrozen => {
                let sentinel = self.random.usize(1..SENTINELS);
                let is_kill = kind == Kind::SentinelKilled;
                self.servers.silence(sentinel, is_kill);
                self.servers.hand_over().await?;
                sleep(hold).await;
                self.servers.wake(sentinel, is_kill);
            }
            _ => {
                return self
                    .strike_node(kind, node, hold)
                    .await
                    .map(|()| Some(node));
            }
        }
        Ok(None)
    }

    async fn strike_node(
        &mut self,
        kind: Kind,
        node: usize,
        hold: Duration,
    ) -> Result<(), Failure> {
        match kind {
            Kind::Trimmed => {
                self.servers.deafen(node);
                self.trim_for(hold).await;
                self.servers.heal(node);
            }
            Kind::Cut => {
                self.servers.cut(node);
                sleep(hold).await;
                self.servers.heal(node);
            }
            Kind::PartlyCut => {
                self.servers.cut_partly(node)?;
                sleep(hold).await;
                self.servers.heal(node);
            }
            Kind::Deafened => {
                self.servers.deafen(node);
                sleep(hold).await;
                self.servers.heal(node);
            }
            Kind::Severed => self.sever_for(node, hold).await,
            Kind::NodeKilled => {
                self.nodes.kill(node).await?;
                sleep(hold / 4).await;
                self.nodes.revive(node).await?;
            }
            Kind::NodePaused => {
                self.nodes.pause(node)?;
                sleep(hold).await;
                self.nodes.resume(node)?;
            }
            Kind::ClockStepped => {
                let minutes = self.random.u64(1..=15);
                self.nodes
                    .step_clock(node, Duration::from_secs(60 * minutes));
            }
            // The others are those of the servers.
            _ => {}
        }
        Ok(())
    }

    /// Begins the long stop.
    fn lay_down(&mut self, node: usize) -> Result<(), Failure> {
        let begin = now();
        self.nodes.pause(node)?;
        self.resting = Rest::Lasting {
            node,
            begin,
            until: Instant::now() + self.pace.long,
        };
        Ok(())
    }

    /// Ends the long stop if it is over, or if it must be.
    fn wake(&mut self, must: bool) -> Result<(), Failure> {
        let Rest::Lasting { node, begin, until } = self.resting else {
            return Ok(());
        };
        if !must && Instant::now() < until {
            return Ok(());
        }
        self.nodes.resume(node)?;
        self.resting = Rest::Over;
        self.ledger.fault(Fault {
            kind: Kind::NodePaused,
            node: Some(node),
            begin,
            end: now(),
        });
        Ok(())
    }

    /// One that is not stopped.
    fn some_node(&mut self) -> usize {
        let count = self.nodes.count();
        let node = self.random.usize(0..count);
        match self.resting {
            Rest::Lasting { node: resting, .. } if resting == node => (node + 1) % count,
            _ => node,
        }
    }

    async fn trim_for(&self, hold: Duration) {
        let end = Instant::now() + hold;
        while Instant::now() < end {
            self.servers.trim();
            sleep(TRIM_EVERY).await;
        }
    }

    async fn sever_for(&mut self, node: usize, hold: Duration) {
        let end = Instant::now() + hold;
        while Instant::now() < end {
            self.servers.sever(node);
            sleep(Duration::from_millis(self.random.u64(5..150))).await;
        }
    }

    fn some_lag(&mut self) -> Lag {
        if self.random.bool() {
            Lag::Both
        } else {
            Lag::One
        }
    }
}

const SHORTEST_GAP: Duration = Duration::from_millis(700);
const TRIM_EVERY: Duration = Duration::from_millis(5);
