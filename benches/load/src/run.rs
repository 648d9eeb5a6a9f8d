//! One run: what is set up, the readers, and what is measured at the end.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::task::JoinSet;

use crate::{
    arguments::{Arguments, KeySource},
    failure::Failure,
    keys::{Amounts, Ids, Key, Plan, Trace, Zipf},
    last_pass::{Passed, pass},
    lists::{self, List, Lists},
    meter::Meter,
    node::{Node, Source, Told},
    outage::outage,
    progress::Progress,
    reader::Reader,
    remote::Remote,
    report::{Report, Totals},
    settling::Settling,
    stop::Stop,
    store::Store,
    tally::{Notes, Tally},
    temp_dir::TempDir,
    truth::{Owed, Suspect, Truth},
};

/// Makes the run that `arguments` describe; raising `stop` ends it early.
///
/// # Errors
/// When it cannot be made or not be brought to its end: a broken trace, no Redis, no store.
///
/// # Cancel safety
/// Dropping this future ends the readers, the redis-server it started, and removes its folders.
pub(crate) async fn run(arguments: &Arguments, stop: &Stop) -> Result<Report, Failure> {
    arguments.check()?;
    let (ids, reads) = ids(arguments).await?;
    // Held here, not by the store, which a load may keep alive for longer than the run.
    let folder =
        TempDir::new().map_err(|error| Failure::new("cannot make a temporary folder", error))?;
    let store = Arc::new(Store::new(
        arguments.store(),
        arguments.store_latency(),
        folder.path(),
    )?);
    let mut remote = Remote::start(arguments.remote()).await?;
    let lists = Arc::new(Lists::new(arguments.tags()));
    let source = Source {
        store: store.clone(),
        lists: lists.clone(),
        meter: Arc::default(),
    };
    let nodes = Node::fleet(arguments.nodes(), remote.url(), remote.namespace(), &source).await?;
    let amounts = Amounts {
        reads,
        writes: arguments.writes(),
        lists: arguments.lists(),
        nodes: nodes.len(),
    };
    let fleet = Arc::new(Fleet {
        nodes,
        plan: Plan::new(ids, amounts, lists.clone(), arguments.seed()),
        store,
        lists,
        truth: Arc::new(Truth::new()),
        settling: Settling::default(),
        meter: source.meter,
        half: reads.map_or(u64::MAX, |reads| reads.div_ceil(2)),
        over: AtomicBool::new(false),
        stop: stop.clone(),
    });

    let begun = Instant::now();
    let progress = Progress::start(reads, arguments.time(), fleet.clone());
    let replay = async {
        let tally = fleet.replay(arguments).await;
        fleet.over.store(true, Ordering::Relaxed);
        tally.map(|tally| (tally, begun.elapsed().as_secs_f64()))
    };
    let (replayed, outage) = tokio::join!(replay, outage(arguments, &mut remote, &fleet, begun));
    let ((mut tally, seconds), outage) = (replayed?, outage?);
    drop(progress);
    let pending_at_end = fleet.settle().await;
    let outage = match outage {
        Some(outage) if !stop.is_stopped() => {
            Some((outage, fleet.look_again(arguments, &mut tally).await?))
        }
        _ => None,
    };

    let held = remote
        .measure()
        .await
        .unwrap_or_else(|failure| warn(&failure));
    let counted = fleet.nodes.iter().map(|node| node.counted()).sum();
    for node in &fleet.nodes {
        node.shutdown().await;
    }
    remote
        .clear()
        .await
        .unwrap_or_else(|failure| warn(&failure));
    let totals = Totals {
        loads: fleet.store.loads(),
        list_loads: fleet.lists.loads(),
        lists: fleet.lists.shown().len() as u64,
        distinct: fleet.plan.distinct(),
        counted,
        seconds,
        pending_at_end,
        outage,
        held,
    };
    Ok(Report::new(&tally, totals, arguments))
}

/// A run that is over is reported, even if Redis is gone.
fn warn<T: Default>(failure: &Failure) -> T {
    eprintln!("warning: {failure}");
    T::default()
}

/// The ids, and how many of them will be read if that is known.
async fn ids(arguments: &Arguments) -> Result<(Ids, Option<u64>), Failure> {
    match arguments.keys() {
        KeySource::Zipf(keys) => Ok((
            Ids::Zipf(Zipf::new(keys, arguments.seed())),
            arguments.reads(),
        )),
        KeySource::Trace(path) => {
            let owned = path.to_owned();
            let length = tokio::task::spawn_blocking(move || Trace::check(&owned)).await;
            let length =
                length.map_err(|error| Failure::new("cannot check the trace", error))??;
            let reads = arguments.reads().map_or(length, |reads| reads.min(length));
            Ok((Ids::Trace(Box::new(Trace::open(path)?)), Some(reads)))
        }
    }
}

/// Everything the readers share.
pub(crate) struct Fleet {
    /// All nodes.
    pub(crate) nodes: Vec<Arc<Node>>,
    /// What is read and written.
    pub(crate) plan: Plan,
    /// What stands behind the caches.
    pub(crate) store: Arc<Store>,
    /// The lists, if there are any.
    pub(crate) lists: Arc<Lists>,
    /// What a read should have known.
    pub(crate) truth: Arc<Truth>,
    /// Invalidations that are pending.
    pub(crate) settling: Settling,
    /// What the store is asked while Redis is away.
    pub(crate) meter: Arc<Meter>,
    half: u64,
    over: AtomicBool,
    /// The wish that the run ends early.
    pub(crate) stop: Stop,
}

impl Fleet {
    /// How many reads were taken so far.
    pub(crate) fn issued(&self) -> u64 {
        self.plan.issued()
    }

    /// Whether half of the reads were taken, if it is known how many there will be.
    pub(crate) fn is_half_read(&self) -> bool {
        self.issued() >= self.half
    }

    /// Whether all readers have ended.
    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    /// Takes down what an invalidation after `commit` answered: at once, or when its pending part is taken.
    pub(crate) fn told(&self, told: Told, owed: Owed, key: Key, commit: u64) {
        // Before anything else: it is the instant of the acknowledgement.
        let now = Instant::now();
        if told.is_acknowledged() {
            self.truth.acknowledged(owed, key.index, commit, now);
        } else {
            self.settling.follow(told, &self.truth, owed, key, commit);
        }
    }

    /// Whether there is a newer commit of one of its rows than the list shows.
    pub(crate) fn is_outdated(&self, list: &List) -> bool {
        let members = self.lists.members(list.number);
        !self.outdated(list, &members, Instant::now()).is_empty()
    }

    /// The rows for which there is a newer commit than the list shows.
    pub(crate) fn outdated(&self, list: &List, members: &[Key], begun: Instant) -> Vec<Suspect> {
        let shown = list.lines.iter().zip(members);
        shown
            .filter(|(line, key)| self.truth.suspects(key.index, line.commit))
            .map(|(line, key)| Suspect {
                index: key.index,
                commit: line.commit,
                begun,
                owed: lists::owed(list.number),
            })
            .collect()
    }

    /// Waits for what is pending, unless the run is to end early; how many invalidations are pending still.
    async fn settle(&self) -> u64 {
        let patience = if self.stop.is_stopped() {
            Duration::ZERO
        } else {
            SETTLE
        };
        self.settling.finish(patience).await
    }

    /// Looks whether everything is effective that was told, once the bound has passed.
    async fn look_again(
        self: &Arc<Self>,
        arguments: &Arguments,
        tally: &mut Tally,
    ) -> Result<Passed, Failure> {
        tokio::time::sleep(arguments.bounds().proven).await;
        let passed = pass(self).await?;
        let mut notes = Notes::default();
        for message in &passed.failed {
            notes.failed_check(message.clone());
        }
        tally.finish(notes, &self.truth);
        Ok(passed)
    }

    async fn replay(self: &Arc<Self>, arguments: &Arguments) -> Result<Tally, Failure> {
        let deadline = arguments.time().map(|time| Instant::now() + time);
        let tallies: Vec<_> = self
            .nodes
            .iter()
            .map(|_| Arc::new(Mutex::new(Tally::new(arguments.bounds()))))
            .collect();
        let mut readers = JoinSet::new();
        for _ in 0..arguments.concurrency() {
            for (node, tally) in self.nodes.iter().zip(&tallies) {
                let reader = Reader {
                    fleet: self.clone(),
                    node: node.clone(),
                    tally: tally.clone(),
                    deadline,
                };
                readers.spawn(reader.work());
            }
        }
        self.conclude(readers, &tallies, Tally::new(arguments.bounds()))
            .await
    }

    /// Waits for all readers, then judges what they left to be judged.
    async fn conclude(
        &self,
        mut readers: JoinSet<Result<Notes, Failure>>,
        tallies: &[Arc<Mutex<Tally>>],
        mut total: Tally,
    ) -> Result<Tally, Failure> {
        let mut notes = Vec::new();
        while let Some(reader) = readers.join_next().await {
            notes.push(reader.map_err(|error| Failure::new("a reader ended early", error))??);
        }
        for notes in notes {
            total.finish(notes, &self.truth);
        }
        for tally in tallies {
            total.add(&locked(tally));
        }
        Ok(total)
    }
}

fn locked(tally: &Mutex<Tally>) -> MutexGuard<'_, Tally> {
    tally.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How long pending invalidations may take when no reads are made any more.
const SETTLE: Duration = Duration::from_secs(10);
