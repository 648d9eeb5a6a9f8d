//! A load that began before an invalidation does not outlive it, whatever the order of things.
//!
//! Each round throws slow loads, joins, batches, copies from Redis, inserts, invalidations of keys and of tags, clearings and
//! dropped callers at a few rows, and at pages that show them, on three nodes. While it runs, a read is judged by what *its own
//! node* acknowledged before it began. Between rounds, once every node has applied every event, it is judged by all that
//! was committed: whatever is stuck in some tier shows then, or in a later round, or at the end, when a fresh node reads
//! everything from what Redis holds.

mod answers;
mod counts;
mod loads;
mod reads;
mod rows;
mod steps;
mod writes;

use self::{
    counts::Tally,
    reads::Caches,
    rows::{KINDS, Row, Subject, WINDOW, rows_of},
    steps::{Act, Pause, Step},
};
use crate::{nodes::Remote, truth::Floors};
use std::{
    collections::HashSet,
    ops::Range,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};
use tokio::{
    sync::{Mutex as Turn, Notify},
    task::{JoinSet, yield_now},
    time::{sleep, timeout},
};
use tricache::{InProcess, Policy, Protection, Stamp, Tiers, TiersBuilder};
use tricache_test_support::{CountingStore, LIMIT, RedisServer, Seeds};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_read_is_older_than_what_was_acknowledged_around_a_hub() {
    race_in_lanes("hub", || Remote::Hub(InProcess::new())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_read_is_older_than_what_was_acknowledged_around_a_redis() {
    race_in_lanes("redis", || Remote::Redis(RedisServer::start())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_its_protection_a_stale_fill_is_read() {
    for remote in Remote::both() {
        let seeds = Arc::new(Seeds::new());
        let unprotected = |builder: TiersBuilder| builder.without(Protection::StaleFill);
        let race = Race::start(remote, seeds, POLICY, unprotected).await;

        let found = |race: &Race| !race.violations().is_empty();
        let rounds = race.run(0..ROUNDS, found).await;

        println!(
            "a violation after {rounds} rounds: {}",
            race.violations()[0]
        );
    }
}

/// Several races side by side: while one waits for a timer, the others keep the machine busy.
async fn race_in_lanes(name: &str, remote: impl Fn() -> Remote) {
    let (seeds, start) = (Arc::new(Seeds::new()), Instant::now());
    let mut lanes = JoinSet::new();
    for lane in 0..LANES {
        let policy = if lane < STALE_LANES { STALE } else { POLICY };
        let race = Race::start(remote(), Arc::clone(&seeds), policy, |builder| builder).await;
        lanes.spawn(async move {
            let rounds = ROUNDS / LANES * lane..ROUNDS / LANES * (lane + 1);
            race.run(rounds.clone(), |_| false).await;
            race.check_with_a_fresh_node(rounds).await;
            race
        });
    }
    let races: Vec<_> = lanes.join_all().await;

    let violations: Vec<_> = races.iter().flat_map(|race| race.violations()).collect();
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "{name}: seed {}, {ROUNDS} rounds, {} violations, {seconds:.1} s",
        seeds.seed(),
        violations.len()
    );
    let counts = counts::of(&races);
    let puts = counts::refused_puts(&races);
    println!("{name}: {}, {puts} refused puts", counts::listed(&counts));
    assert_eq!(violations, Vec::<String>::new());
    counts::assert_all_happened(&counts);
}

/// Three nodes, what they must show, and what they did wrong.
struct Race {
    remote: Remote,
    policy: Policy,
    seeds: Arc<Seeds>,
    members: Vec<Member>,
    store: CountingStore<Row>,
    floors: Floors<Row>,
    slots: Vec<Slot>,
    /// Keys that were invalidated or inserted, each of which becomes one event; those in the order of the store apart.
    bumps: AtomicU64,
    /// One for each of those that became an event.
    ordered_stamps: Mutex<HashSet<Stamp>>,
    loading: Arc<AtomicUsize>,
    tally: Tally,
    violations: Mutex<Vec<String>>,
}

/// One node.
struct Member {
    tiers: Tiers,
    caches: Caches,
}

/// What belongs to a row, or to one of another window.
#[derive(Default)]
struct Slot {
    turn: Turn<()>,
    committed: Notify,
}

impl Race {
    async fn start(
        remote: Remote,
        seeds: Arc<Seeds>,
        policy: Policy,
        settings: impl Fn(TiersBuilder) -> TiersBuilder,
    ) -> Arc<Self> {
        begin_all_feeds(&remote).await;
        let mut members = Vec::new();
        for _ in 0..NODES {
            members.push(Member::start(settings(remote.builder()), policy).await);
        }
        let slots = KINDS.len() * WINDOW as usize;
        Arc::new(Self {
            remote,
            policy,
            seeds,
            members,
            store: CountingStore::new(),
            floors: Floors::default(),
            slots: (0..slots).map(|_| Slot::default()).collect(),
            bumps: AtomicU64::new(0),
            ordered_stamps: Mutex::default(),
            loading: Arc::default(),
            tally: Tally::default(),
            violations: Mutex::default(),
        })
    }

    /// Runs rounds until `enough`, and tells how many.
    async fn run(self: &Arc<Self>, rounds: Range<u64>, enough: impl Fn(&Self) -> bool) -> u64 {
        let first = rounds.start;
        for round in rounds.clone() {
            if enough(self) {
                return round - first;
            }
            self.round(round).await;
        }
        rounds.end - first
    }

    /// Everything at once, then quiet, then what every node must show.
    async fn round(self: &Arc<Self>, round: u64) {
        let (mut random, window) = (self.seeds.case(round), window_in(round));
        let main = Subject::draw(&mut random, window);
        let (mut steps, mut rows) = (JoinSet::new(), main.rows());
        for _ in 0..random.u64(4..10) {
            let step = Step::draw(&mut random, window, main);
            rows.extend(step.subject.rows());
            steps.spawn(Arc::clone(self).step(step));
        }
        while let Some(done) = steps.join_next().await {
            done.expect("no step panics");
        }
        self.settle(window).await;
        let subjects = subjects_of(window, &rows);
        self.check(&subjects, random.usize(0..NODES), random.bool())
            .await;
        if round.is_multiple_of(16) {
            self.check_what_redis_holds(random.usize(0..NODES), &subjects)
                .await;
        }
    }

    async fn step(self: Arc<Self>, step: Step) {
        let Step {
            node,
            subject,
            start,
            act,
        } = step;
        let row = subject.rows()[0];
        self.pass(start, row, self.store.committed(&row)).await;
        match act {
            Act::Read(load) => self.read(node, subject, load).await,
            Act::Look => {
                let caches = &self.members[node].caches;
                self.look(caches, node, subject).await;
            }
            Act::Drop(load, turns) => self.drop_a_read(node, subject, load, turns).await,
            Act::Write(row, way, load) => {
                self.write(node, row, way).await;
                self.read(node, subject, load).await;
            }
            Act::Forget(row, turns) => self.forget_an_invalidation(node, row, turns).await,
        }
    }

    async fn pass(&self, pause: Pause, row: Row, number: u64) {
        match pause {
            Pause::Turns(turns) => yield_often(turns).await,
            Pause::Micros(micros) => sleep(Duration::from_micros(micros)).await,
            Pause::AcrossCommit(turns) => {
                let committed = self.slot(row).committed.notified();
                if self.store.committed(&row) == number {
                    // Where no commit comes, a moment is enough.
                    let _ = timeout(Duration::from_millis(1), committed).await;
                }
                yield_often(turns).await;
            }
        }
    }

    /// Waits until every node has applied every event; then all of them owe what was committed.
    async fn settle(&self, window: u64) {
        let writes = self.bumps.load(SeqCst) + self.ordered_stamps.lock().unwrap().len() as u64;
        let bumped = || counts::sum(&self.members, |it| it.bumps);
        soon("redis took every write", || bumped() == writes).await;
        // Those of entities that a page shows were counted before the entity's.
        let tag_bumps = counts::sum(&self.members, |it| it.tag_bumps);
        for member in &self.members {
            soon("a node has applied every event", || {
                let counted = member.tiers.report();
                let counters = counted.counters();
                let applied = counters.events + counters.replays;
                (applied, counters.tag_events) == (writes, tag_bumps)
            })
            .await;
        }
        for row in rows_of(window) {
            self.floors
                .applied_everywhere(row, self.store.committed(&row));
        }
    }

    /// A node shows the last commits while the last loads end, and every node after them. The first may read in batches.
    async fn check(self: &Arc<Self>, subjects: &[Subject], early: usize, batched: bool) {
        let of = |node| {
            if batched && node == early {
                batches_of(subjects)
            } else {
                subjects.to_vec()
            }
        };
        for subject in of(early) {
            self.look(&self.members[early].caches, early, subject).await;
        }
        soon("no load runs", || self.loading.load(SeqCst) == 0).await;
        let mut reads = JoinSet::new();
        for node in 0..NODES {
            let (race, mut subjects) = (Arc::clone(self), of(node));
            // Each begins elsewhere: here nobody is to wait for another node's load.
            let first = subjects.len() * node / NODES;
            subjects.rotate_left(first);
            reads.spawn(async move {
                for subject in subjects {
                    race.read(node, subject, Pause::Turns(0)).await;
                }
            });
        }
        while let Some(read) = reads.join_next().await {
            read.expect("no read panics");
        }
    }

    /// What Redis would answer to a node that holds nothing.
    async fn check_what_redis_holds(&self, node: usize, subjects: &[Subject]) {
        let empty = Caches::of(&self.members[node].tiers, self.policy);
        for subject in subjects {
            self.look(&empty, node, *subject).await;
        }
    }

    async fn check_with_a_fresh_node(&self, rounds: Range<u64>) {
        let fresh = Member::start(self.remote.builder(), self.policy).await;
        for window in window_in(rounds.start)..=window_in(rounds.end - 1) {
            let rows: Vec<_> = rows_of(window).collect();
            for subject in batches_of(&subjects_of(window, &rows)) {
                self.look(&fresh.caches, NODES, subject).await;
            }
        }
    }

    fn slot(&self, row: Row) -> &Slot {
        &self.slots[row.kind as usize * WINDOW as usize + (row.key % WINDOW) as usize]
    }

    fn violations(&self) -> Vec<String> {
        self.violations.lock().unwrap().clone()
    }
}

impl Member {
    async fn start(builder: TiersBuilder, policy: Policy) -> Self {
        let tiers = builder.build().await.unwrap();
        let caches = Caches::of(&tiers, policy);
        Self { tiers, caches }
    }
}

/// One event in each bucket, so that nodes that start afterwards know every feed's head: from then on each bump is one
/// event to count, and no event may be missed.
async fn begin_all_feeds(remote: &Remote) {
    let node = remote.node().await;
    let keys: Vec<u64> = (u64::MAX - 1_000..u64::MAX).collect();
    let receipt = node.cache.invalidate_many(&keys).await.unwrap();
    let buckets: HashSet<_> = receipt
        .stamps()
        .iter()
        .map(|stamp| stamp.bucket())
        .collect();
    // All but the tags' bucket, whose feed every node begins.
    assert_eq!(buckets.len(), node.tiers.report().buckets() - 1);
}

/// The window of a round: a few rounds share one, so that they meet what the rounds before left in the tiers.
fn window_in(round: u64) -> u64 {
    round / 16
}

/// These rows, and all pages of the window that show one of them.
fn subjects_of(window: u64, rows: &[Row]) -> Vec<Subject> {
    let shows = |subject: &Subject| subject.rows().iter().any(|row| rows.contains(row));
    Subject::all(window).filter(shows).collect()
}

/// The same, read together as far as one call can.
fn batches_of(subjects: &[Subject]) -> Vec<Subject> {
    let mut batches = Vec::new();
    for batch in subjects.iter().copied().map(Subject::batch) {
        if !batches.contains(&batch) {
            batches.push(batch);
        }
    }
    batches
}

async fn yield_often(turns: u8) {
    for _ in 0..turns {
        yield_now().await;
    }
}

/// Like `eventually`, for what is over in a few turns of the scheduler nearly always.
async fn soon(label: &str, condition: impl Fn() -> bool) {
    let start = Instant::now();
    for look in 0_u64.. {
        if condition() {
            return;
        }
        assert!(start.elapsed() < LIMIT, "not within {LIMIT:?}: {label}");
        if look < 10 {
            yield_now().await;
        } else {
            sleep(Duration::from_millis(1)).await;
        }
    }
}

/// Per remote.
const ROUNDS: u64 = 10_000;
const LANES: u64 = 10;
/// Those in which values are past their TTL nearly always.
const STALE_LANES: u64 = 2;
const NODES: usize = 3;
/// An absence is remembered as long as a value, so that none is over before it is judged.
const POLICY: Policy = Policy::ttl(Duration::from_secs(600)).absent_ttl(Duration::from_secs(600));
/// Past its TTL at once, and served while it is loaded again: what was invalidated must not be.
const STALE: Policy = Policy::ttl(Duration::from_millis(3))
    .stale_while_revalidate(Duration::from_secs(600))
    .stale_if_error(Duration::from_secs(600))
    .retry_after(Duration::ZERO);
