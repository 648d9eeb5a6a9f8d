//! Batches, single reads and invalidations on two nodes, all at once: no read shows less than its node owes it.
//!
//! A load answers what the store held when it began, and takes its time. Between the rounds both nodes owe everything
//! that was committed, so what is stuck in some tier shows in the next one.

use crate::table::{Table, read_many};
use crate::{
    nodes::{Node, Remote},
    reads::{counters, ends, read},
    truth::Floors,
};
use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU64, Ordering::SeqCst},
};
use tokio::task::{JoinSet, yield_now};
use tricache::{BatchContext, Protection, TiersBuilder};
use tricache_test_support::{Seeds, eventually};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_batch_is_older_than_what_was_acknowledged() {
    for remote in Remote::both() {
        let seeds = Seeds::new();
        let race = Race::start(&remote, |builder| builder).await;

        for round in 0..ROUNDS {
            race.round(seeds.case(round)).await;
        }
        race.judge_a_fresh_node(&remote).await;

        println!("seed {}: {} reads", seeds.seed(), race.reads.load(SeqCst));
        assert_eq!(race.violations(), Vec::<String>::new());
        race.assert_that_it_raced();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_its_protection_a_stale_batch_is_read() {
    for remote in Remote::both() {
        let seeds = Seeds::new();
        let race = Race::start(&remote, |builder| builder.without(Protection::StaleFill)).await;

        for round in 0..ROUNDS {
            if race.violations().is_empty() {
                race.round(seeds.case(round)).await;
            }
        }

        assert_ne!(race.violations(), Vec::<String>::new());
    }
}

struct Race {
    nodes: [Node; 2],
    table: Table,
    floors: Floors,
    writes: AtomicU64,
    reads: AtomicU64,
    violations: Mutex<Vec<String>>,
}

impl Race {
    async fn start(remote: &Remote, settings: impl Fn(TiersBuilder) -> TiersBuilder) -> Arc<Self> {
        // From here on each bump is one event to count.
        remote.use_buckets(0..1_000).await;
        let nodes = [
            Node::start(settings(remote.builder())).await,
            Node::start(settings(remote.builder())).await,
        ];
        Arc::new(Self {
            nodes,
            table: Table::default(),
            floors: Floors::default(),
            writes: AtomicU64::new(0),
            reads: AtomicU64::new(0),
            violations: Mutex::default(),
        })
    }

    /// Everything at once, then quiet, then what both nodes must show.
    async fn round(self: &Arc<Self>, mut random: fastrand::Rng) {
        let mut steps = JoinSet::new();
        for _ in 0..random.usize(4..10) {
            steps.spawn(Arc::clone(self).step(random.fork()));
        }
        while let Some(done) = ends(steps.join_next()).await {
            done.expect("no step panics");
        }
        self.settle().await;
        for node in 0..2 {
            self.batch(node, &KEYS, 0).await;
        }
    }

    async fn step(self: Arc<Self>, mut random: fastrand::Rng) {
        let (node, turns) = (random.usize(0..2), random.u8(0..40));
        let mut keys = KEYS;
        random.shuffle(&mut keys);
        let keys = &keys[..random.usize(1..=KEYS.len())];
        yield_often(random.u8(0..30)).await;
        match random.u8(0..8) {
            0..3 => self.batch(node, keys, turns).await,
            3 => self.drop_a_batch(node, keys.to_vec(), turns).await,
            4 => self.single(node, keys[0]).await,
            5 => self.look(node, keys).await,
            _ => {
                self.invalidate(node, keys).await;
                self.batch(node, keys, turns).await;
            }
        }
    }

    async fn batch(&self, node: usize, keys: &[u64], turns: u8) {
        let floors = self.floors_of(node, keys);
        let cache = &self.nodes[node].cache;
        let load = |cx: BatchContext<u64>| {
            let table = self.table.clone();
            async move {
                let rows = table.select(cx.into_keys()).await;
                yield_often(turns).await;
                rows
            }
        };
        let batch = ends(cache.get_or_load_many(keys, load)).await.unwrap();
        for (key, floor) in keys.iter().zip(floors) {
            self.judge(node, *key, floor, **batch.get(key).unwrap().unwrap());
        }
    }

    async fn drop_a_batch(self: &Arc<Self>, node: usize, keys: Vec<u64>, turns: u8) {
        let race = Arc::clone(self);
        let reading = tokio::spawn(async move { race.batch(node, &keys, turns).await });
        yield_often(turns / 2).await;
        reading.abort();
        if let Err(error) = reading.await {
            assert!(error.is_cancelled());
        }
    }

    async fn single(&self, node: usize, key: u64) {
        let floor = self.floors.floor(node, key);
        let shown = read(&self.nodes[node].cache, &self.table.rows, key).await;
        self.judge(node, key, floor, *shown);
    }

    async fn look(&self, node: usize, keys: &[u64]) {
        let floors = self.floors_of(node, keys);
        let batch = ends(self.nodes[node].cache.get_many(keys)).await.unwrap();
        for (key, floor) in keys.iter().zip(floors) {
            if let Some(shown) = batch.get(key) {
                self.judge(node, *key, floor, **shown.unwrap());
            }
        }
    }

    async fn invalidate(&self, node: usize, keys: &[u64]) {
        let commits: Vec<_> = keys.iter().map(|key| self.table.rows.commit(key)).collect();
        self.writes.fetch_add(keys.len() as u64, SeqCst);
        let receipt = ends(self.nodes[node].cache.invalidate_many(keys))
            .await
            .unwrap();
        assert!(!receipt.is_pending());
        for (key, commit) in keys.iter().zip(commits) {
            self.floors.acknowledged(node, *key, commit);
        }
    }

    /// Once both nodes have applied every event, both owe all that was committed.
    async fn settle(&self) {
        eventually("every event is applied", async || {
            let writes = self.writes.load(SeqCst);
            self.nodes.iter().all(|node| {
                let counted = counters(node);
                counted.events + counted.replays >= writes
            })
        })
        .await;
        for key in KEYS {
            self.floors
                .applied_everywhere(key, self.table.rows.committed(&key));
        }
    }

    async fn judge_a_fresh_node(&self, remote: &Remote) {
        let fresh = remote.node().await;
        let batch = read_many(&fresh.cache, &self.table, &KEYS).await;
        for key in KEYS {
            let floor = self.floors.floor(0, key);
            self.judge(2, key, floor, **batch.get(&key).unwrap().unwrap());
        }
    }

    fn floors_of(&self, node: usize, keys: &[u64]) -> Vec<u64> {
        keys.iter()
            .map(|key| self.floors.floor(node, *key))
            .collect()
    }

    fn judge(&self, node: usize, key: u64, floor: u64, shown: u64) {
        self.reads.fetch_add(1, SeqCst);
        if shown < floor {
            let text =
                format!("node {node} showed {shown} of key {key} after {floor} was acknowledged");
            self.violations.lock().unwrap().push(text);
        }
    }

    fn violations(&self) -> Vec<String> {
        self.violations.lock().unwrap().clone()
    }

    /// A run in which nothing met would prove little.
    fn assert_that_it_raced(&self) {
        let counted = self.nodes.each_ref().map(counters);
        let sum = |count: fn(&tricache::Counters) -> u64| counted.iter().map(count).sum::<u64>();
        assert!(sum(|it| it.flights_joined) > 0, "no joins");
        assert!(sum(|it| it.lease_waits) > 0, "no lease waits");
        assert!(sum(|it| it.flights_detached) > 0, "no detached flights");
        assert!(sum(|it| it.stale_fills) > 0, "no refused fills");
        assert!(sum(|it| it.remote_hits) > 0, "no copies");
    }
}

async fn yield_often(turns: u8) {
    for _ in 0..turns {
        yield_now().await;
    }
}

const ROUNDS: u64 = 500;
const KEYS: [u64; 6] = [0, 1, 2, 3, 4, 5];
