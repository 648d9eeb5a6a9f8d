//! A load that began before an invalidation does not outlive it, whatever the order of things.
//!
//! Each round throws slow loads, joins, copies from Redis, inserts, invalidations and dropped callers at a few keys
//! on three nodes. While it runs, a read is judged by what *its own node* acknowledged before it began. Between
//! rounds, once every node has applied every event, it is judged by all that was committed: whatever is stuck in some
//! tier shows then, or in a later round, or at the end, when a fresh node reads every key from what Redis holds.

use crate::{
    nodes::{Node, Remote},
    steps::{Act, Pause, Step},
    truth::Floors,
};
use std::{
    collections::HashSet,
    io,
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
use tricache::{Cached, Counters, InProcess, Policy, Protection, TieredCache, TiersBuilder};
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
        let race = Race::start(remote, seeds, unprotected).await;

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
        let race = Race::start(remote(), Arc::clone(&seeds), |builder| builder).await;
        lanes.spawn(async move {
            let rounds = ROUNDS / LANES * lane..ROUNDS / LANES * (lane + 1);
            race.run(rounds.clone(), |_| false).await;
            race.check_with_a_fresh_node(keys_of(rounds.start).start..keys_of(rounds.end).end)
                .await;
            race
        });
    }
    let races: Vec<_> = lanes.join_all().await;

    let reads: u64 = races.iter().map(|race| race.reads.load(SeqCst)).sum();
    let writes: u64 = races.iter().map(|race| race.writes.load(SeqCst)).sum();
    let violations: Vec<_> = races.iter().flat_map(|race| race.violations()).collect();
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "{name}: seed {}, {ROUNDS} rounds, {reads} reads, {writes} writes, {} violations, {seconds:.1} s",
        seeds.seed(),
        violations.len()
    );
    println!("{name}: {}", counted(&races));
    assert_eq!(violations, Vec::<String>::new());
}

/// What was raced for: a run in which a kind of race never happened would prove little.
fn counted(races: &[Arc<Race>]) -> String {
    let nodes = || races.iter().flat_map(|race| &race.nodes);
    let sum = |count: fn(&Counters) -> u64| -> u64 {
        nodes()
            .map(|node| count(node.tiers.report().counters()))
            .sum()
    };
    let counts = [
        ("loads", sum(|it| it.loads)),
        ("joins", sum(|it| it.flights_joined)),
        ("local hits", sum(|it| it.local_hits)),
        ("copies from the remote tier", sum(|it| it.remote_hits)),
        ("lease waits", sum(|it| it.lease_waits)),
        ("detached flights", sum(|it| it.flights_detached)),
        ("refused fills", sum(|it| it.stale_fills)),
    ];
    for (what, count) in counts {
        assert!(count > 0, "no {what} in {ROUNDS} rounds");
    }
    let puts = ("refused puts", sum(|it| it.stale_puts));
    let texts = counts
        .into_iter()
        .chain([puts])
        .map(|(what, count)| format!("{count} {what}"));
    texts.collect::<Vec<_>>().join(", ")
}

/// Three nodes, what they must show, and what they did wrong.
struct Race {
    remote: Remote,
    seeds: Arc<Seeds>,
    nodes: Vec<Node>,
    store: CountingStore<u64>,
    floors: Floors,
    /// Writers of an even key take turns, as `insert` asks for; those of an odd key do not.
    turns: Vec<Turn<()>>,
    commits: Vec<Notify>,
    /// Commits, each of which is invalidated or inserted, and so becomes one event.
    writes: AtomicU64,
    loading: Arc<AtomicUsize>,
    reads: AtomicU64,
    violations: Mutex<Vec<String>>,
}

impl Race {
    async fn start(
        remote: Remote,
        seeds: Arc<Seeds>,
        settings: impl Fn(TiersBuilder) -> TiersBuilder,
    ) -> Arc<Self> {
        begin_all_feeds(&remote).await;
        let mut nodes = Vec::new();
        for _ in 0..NODES {
            nodes.push(Node::start(settings(remote.builder())).await);
        }
        Arc::new(Self {
            remote,
            seeds,
            nodes,
            store: CountingStore::new(),
            floors: Floors::default(),
            turns: (0..WINDOW).map(|_| Turn::default()).collect(),
            commits: (0..WINDOW).map(|_| Notify::default()).collect(),
            writes: AtomicU64::new(0),
            loading: Arc::default(),
            reads: AtomicU64::new(0),
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
        let mut random = self.seeds.case(round);
        let keys = keys_of(round);
        let mut steps = JoinSet::new();
        for _ in 0..random.u64(4..12) {
            let step = Step::draw(&mut random, round, keys.clone());
            steps.spawn(Arc::clone(self).step(step));
        }
        while let Some(done) = steps.join_next().await {
            done.expect("no step panics");
        }
        self.settle(keys.clone()).await;
        self.check(keys.clone()).await;
        if round.is_multiple_of(16) {
            self.check_what_redis_holds(random.usize(0..NODES), keys)
                .await;
        }
    }

    async fn step(self: Arc<Self>, step: Step) {
        let Step {
            node,
            key,
            start,
            act,
        } = step;
        self.pass(start, key, self.store.committed(&key)).await;
        match act {
            Act::Read(load) => self.read(node, key, load).await,
            Act::Look => self.look(&self.nodes[node].cache, node, key).await,
            Act::Drop(load, turns) => self.drop_a_read(node, key, load, turns).await,
            Act::Invalidate(load) => {
                self.invalidate(node, &[key]).await;
                self.read(node, key, load).await;
            }
            Act::InvalidateBoth(load) => {
                self.invalidate(node, &[key, key ^ 1]).await;
                self.read(node, key ^ 1, load).await;
            }
            Act::Forget(turns) => self.forget_an_invalidation(node, key, turns).await,
            Act::Insert(load) => {
                self.insert(node, key).await;
                self.read(node, key, load).await;
            }
        }
    }

    async fn read(self: &Arc<Self>, node: usize, key: u64, load: Pause) {
        let floor = self.floors.floor(node, key);
        let cached = self.load(node, key, load).await;
        self.judge(node, key, floor, &cached);
    }

    async fn look(&self, cache: &TieredCache<u64, u64>, node: usize, key: u64) {
        let floor = self.floors.floor(node, key);
        if let Some(cached) = cache.get(&key).await.unwrap() {
            self.judge(node, key, floor, &cached);
        }
    }

    async fn drop_a_read(self: &Arc<Self>, node: usize, key: u64, load: Pause, turns: u8) {
        let floor = self.floors.floor(node, key);
        let reader = tokio::spawn({
            let race = Arc::clone(self);
            async move { race.load(node, key, load).await }
        });
        self.pass(Pause::Turns(turns), key, 0).await;
        reader.abort();
        if let Ok(cached) = reader.await {
            self.judge(node, key, floor, &cached);
        }
    }

    async fn load(self: &Arc<Self>, node: usize, key: u64, pause: Pause) -> Cached<u64> {
        let loader = |_| {
            let (race, loading) = (Arc::clone(self), Loading::begin(&self.loading));
            async move {
                let number = race.store.load(&key).await;
                race.pass(pause, key, number).await;
                drop(loading);
                Ok::<_, io::Error>(number)
            }
        };
        let cache = &self.nodes[node].cache;
        cache.get_or_load(&key, loader).await.unwrap()
    }

    async fn invalidate(&self, node: usize, keys: &[u64]) {
        let _turn = self.turn(keys).await;
        let commits: Vec<_> = keys.iter().map(|key| self.commit(*key)).collect();
        let cache = &self.nodes[node].cache;
        let receipt = match keys {
            [key] => cache.invalidate(key).await,
            keys => cache.invalidate_many(keys).await,
        };
        assert!(!receipt.unwrap().is_pending());
        for (key, commit) in keys.iter().zip(commits) {
            self.floors.acknowledged(node, *key, commit);
        }
    }

    async fn insert(&self, node: usize, key: u64) {
        let _turn = self.turn(&[key]).await;
        let commit = self.commit(key);
        let receipt = self.nodes[node].cache.insert(&key, commit).await;
        assert!(!receipt.unwrap().is_pending());
        self.floors.acknowledged(node, key, commit);
    }

    /// The invalidation is polled once at least, so that it goes on although nobody hears of it.
    async fn forget_an_invalidation(&self, node: usize, key: u64, turns: u8) {
        let _turn = self.turn(&[key]).await;
        let commit = self.commit(key);
        tokio::select! {
            biased;
            receipt = self.nodes[node].cache.invalidate(&key) => {
                assert!(!receipt.unwrap().is_pending());
                self.floors.acknowledged(node, key, commit);
            }
            () = self.pass(Pause::Turns(turns), key, 0) => {}
        }
    }

    async fn turn(&self, keys: &[u64]) -> Option<tokio::sync::MutexGuard<'_, ()>> {
        // Two keys are neighbours, so one of them is even.
        let even = keys.iter().find(|key| takes_turns(**key))?;
        Some(of_key(&self.turns, *even).lock().await)
    }

    fn commit(&self, key: u64) -> u64 {
        self.writes.fetch_add(1, SeqCst);
        let number = self.store.commit(&key);
        of_key(&self.commits, key).notify_waiters();
        number
    }

    async fn pass(&self, pause: Pause, key: u64, number: u64) {
        match pause {
            Pause::Turns(turns) => yield_often(turns).await,
            Pause::Micros(micros) => sleep(Duration::from_micros(micros)).await,
            Pause::AcrossCommit(turns) => {
                let committed = of_key(&self.commits, key).notified();
                if self.store.committed(&key) == number {
                    // Where no commit comes, a moment is enough.
                    let _ = timeout(Duration::from_millis(1), committed).await;
                }
                yield_often(turns).await;
            }
        }
    }

    /// Waits until no load runs and every node has applied every event; then all of them owe what was committed.
    async fn settle(&self, keys: Range<u64>) {
        let bumps = || -> u64 {
            let of = |node: &Node| node.tiers.report().counters().bumps;
            self.nodes.iter().map(of).sum()
        };
        let writes = self.writes.load(SeqCst);
        soon("redis took every write", || bumps() == writes).await;
        for node in &self.nodes {
            soon("a node has applied every event", || applied(node) == writes).await;
        }
        for key in keys {
            self.floors
                .applied_everywhere(key, self.store.committed(&key));
        }
    }

    /// Every node shows every key's last commit: while the last loads end, and after them.
    async fn check(self: &Arc<Self>, keys: Range<u64>) {
        for node in 0..NODES {
            for key in keys.clone() {
                self.look(&self.nodes[node].cache, node, key).await;
            }
        }
        soon("no load runs", || self.loading.load(SeqCst) == 0).await;
        let mut reads = JoinSet::new();
        for node in 0..NODES {
            let (race, keys) = (Arc::clone(self), keys.clone());
            reads.spawn(async move {
                for key in keys {
                    race.read(node, key, Pause::Turns(0)).await;
                }
            });
        }
        while let Some(read) = reads.join_next().await {
            read.expect("no read panics");
        }
    }

    /// What Redis would answer to a node that holds nothing.
    async fn check_what_redis_holds(&self, node: usize, keys: Range<u64>) {
        let empty = self.nodes[node].tiers.cache("number", POLICY).unwrap();
        for key in keys {
            self.look(&empty, node, key).await;
        }
    }

    async fn check_with_a_fresh_node(&self, keys: Range<u64>) {
        let fresh = self.remote.node().await;
        for key in keys {
            self.look(&fresh.cache, NODES, key).await;
        }
    }

    fn judge(&self, node: usize, key: u64, floor: u64, cached: &Cached<u64>) {
        self.reads.fetch_add(1, SeqCst);
        if **cached < floor {
            let (shown, outcome) = (**cached, cached.outcome());
            self.violations.lock().unwrap().push(format!(
                "node {node} showed commit {shown} of key {key}, {outcome:?}, after {floor} was acknowledged"
            ));
        }
    }

    fn violations(&self) -> Vec<String> {
        self.violations.lock().unwrap().clone()
    }
}

/// A load that runs; over when dropped, also by a caller that went away before it began.
struct Loading(Arc<AtomicUsize>);

impl Loading {
    fn begin(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, SeqCst);
        Self(Arc::clone(count))
    }
}

impl Drop for Loading {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
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
    // All but the tags' bucket.
    assert_eq!(buckets.len(), node.tiers.report().buckets() - 1);
}

fn applied(node: &Node) -> u64 {
    let report = node.tiers.report();
    let counters = report.counters();
    counters.events + counters.replays
}

/// The keys of a round: a few rounds share them, so that they meet what the rounds before left in the tiers.
fn keys_of(round: u64) -> Range<u64> {
    let first = round / 8 * WINDOW;
    first..first + WINDOW
}

/// What belongs to this key, or to one of another window.
fn of_key<T>(all: &[T], key: u64) -> &T {
    &all[(key % WINDOW) as usize]
}

pub(crate) fn takes_turns(key: u64) -> bool {
    key.is_multiple_of(2)
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
pub(crate) const NODES: usize = 3;
/// Keys that a round plays with.
pub(crate) const WINDOW: u64 = 4;
const POLICY: Policy = Policy::ttl(Duration::from_secs(600));
