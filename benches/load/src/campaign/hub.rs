//! Where the nodes connect: answers their loads and commits, and records what they tell.

use std::{
    collections::HashMap,
    io,
    net::Ipv4Addr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use fastrand::Rng;
use tokio::{
    io::{AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream, tcp::OwnedWriteHalf},
    sync::{mpsc, watch},
    task::JoinHandle,
    time::{sleep, timeout},
};

use super::{
    history::{Read, Told},
    ledger::Ledger,
    message::{FromNode, ToNode, next},
    words::Entity,
};
use crate::failure::Failure;

/// The listening side; dropping it ends all connections.
#[derive(Debug)]
pub(super) struct Hub {
    port: u16,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

/// How far a process of a node has come.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Stage {
    Built,
    /// It has told everything.
    Done,
}

#[derive(Debug)]
struct Shared {
    ledger: Arc<Ledger>,
    seed: u64,
    lines: Mutex<HashMap<u64, mpsc::UnboundedSender<ToNode>>>,
    stages: watch::Sender<HashMap<u64, Stage>>,
}

impl Hub {
    /// Listens on a free loopback port. `seed`: of the delays of loads.
    ///
    /// # Errors
    /// When the system has no port.
    pub(super) async fn listen(ledger: Arc<Ledger>, seed: u64) -> Result<Self, Failure> {
        let failed = |error| Failure::new("cannot listen for the nodes", error);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        let listener = listener.map_err(failed)?;
        let port = listener.local_addr().map_err(failed)?.port();
        let shared = Arc::new(Shared {
            ledger,
            seed,
            lines: Mutex::default(),
            stages: watch::Sender::new(HashMap::new()),
        });
        let task = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Ok(Self { port, shared, task })
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// Tells a process something, if it still listens.
    pub(super) fn tell(&self, life: u64, message: ToNode) {
        if let Some(line) = self.shared.lines().get(&life) {
            // A process that is gone needs no message.
            let _ = line.send(message);
        }
    }

    /// Waits until the process has come that far; false if it has not within the limit.
    pub(super) async fn reaches(&self, life: u64, stage: Stage, limit: Duration) -> bool {
        let mut stages = self.shared.stages.subscribe();
        let there = stages.wait_for(|stages| stages.get(&life).is_some_and(|at| *at >= stage));
        timeout(limit, there).await.is_ok_and(|found| found.is_ok())
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = tokio::task::JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => if let Ok((stream, _)) = accepted {
                connections.spawn(serve(stream, Arc::clone(&shared)));
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Follows one process until its connection ends, as it does with a kill.
async fn serve(stream: TcpStream, shared: Arc<Shared>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (from, to) = stream.into_split();
    let mut from = BufReader::new(from);
    let FromNode::Hello { node, life } = FromNode::of(&next(&mut from).await?)? else {
        return Err(io::Error::other("no greeting"));
    };
    shared.ledger.life(life, node as usize);
    let (line, messages) = mpsc::unbounded_channel();
    shared.lines().insert(life, line.clone());
    tokio::spawn(write(messages, to));
    let mut process = Process {
        random: Rng::with_seed(shared.seed ^ life.wrapping_mul(0x9e37_79b9_7f4a_7c15)),
        life,
        line,
        shared,
    };
    while let Ok(frame) = next(&mut from).await {
        process.take(FromNode::of(&frame)?);
    }
    process.shared.lines().remove(&life);
    Ok(())
}

async fn write(mut messages: mpsc::UnboundedReceiver<ToNode>, mut to: OwnedWriteHalf) {
    while let Some(message) = messages.recv().await {
        if to.write_all(&message.frame()).await.is_err() {
            return;
        }
    }
}

struct Process {
    life: u64,
    line: mpsc::UnboundedSender<ToNode>,
    shared: Arc<Shared>,
    random: Rng,
}

impl Process {
    fn take(&mut self, message: FromNode) {
        let ledger = &self.shared.ledger;
        match message {
            FromNode::Hello { .. } => {}
            FromNode::Ready => self.shared.at(self.life, Stage::Built),
            FromNode::Done => self.shared.at(self.life, Stage::Done),
            FromNode::Load { entity, request } => self.load(entity, request),
            FromNode::Commit { entity, request } => {
                let number = ledger.commit(entity);
                // A process that is gone needs no answer.
                let _ = self.line.send(ToNode::Answer { request, number });
            }
            FromNode::Read {
                entity,
                label,
                begin,
                end,
                value,
            } => ledger.read(
                entity,
                Read {
                    life: self.life,
                    label,
                    value,
                    begin,
                    end,
                },
            ),
            FromNode::Pending { entity, commit, at } => self.told(entity, commit, at, false),
            FromNode::Acknowledged { entity, commit, at } => self.told(entity, commit, at, true),
        }
    }

    fn told(&self, entity: Entity, commit: u64, at: u64, is_acknowledged: bool) {
        let told = Told {
            life: self.life,
            commit,
            at,
            is_acknowledged,
        };
        self.shared.ledger.told(entity, told);
    }

    /// Looks at the number at some moment of the load, so that it may be old when it arrives.
    fn load(&mut self, entity: Entity, request: u64) {
        let (before, after) = (self.half_a_delay(), self.half_a_delay());
        let (line, ledger) = (self.line.clone(), Arc::clone(&self.shared.ledger));
        tokio::spawn(async move {
            sleep(before).await;
            let number = ledger.load(entity);
            sleep(after).await;
            let _ = line.send(ToNode::Answer { request, number });
        });
    }

    fn half_a_delay(&mut self) -> Duration {
        Duration::from_micros(self.random.u64(0..=LONGEST_DELAY / 2))
    }
}

impl Shared {
    fn at(&self, life: u64, stage: Stage) {
        self.stages.send_modify(|stages| {
            stages.insert(life, stage);
        });
    }

    fn lines(&self) -> MutexGuard<'_, HashMap<u64, mpsc::UnboundedSender<ToNode>>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Of a load, in microseconds.
const LONGEST_DELAY: u64 = 20_000;
