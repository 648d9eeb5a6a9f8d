//! What does each level cost, beside `Eventual`: a hit in this process, a hit in Redis, an invalidation, a quiet node?
//!
//! `cargo bench --bench levels`. One server, and one with a replica where the replica is to confirm; the sides take turns.

#[path = "support/mod.rs"]
mod support;

use std::{
    sync::Barrier,
    time::{Duration, Instant},
};
use support::{Row, median, proven, read_ours, row, zipf};
use tokio::task::JoinSet;
use tricache::{Level, Policy, TieredCache, Tiers};
use tricache_test_support::{RedisServer, eventually};

const KEYS: u64 = 10_000;
const READS: usize = 1_000_000;
const ROUNDS: usize = 11;
const BOUND: Level = Level::Bounded(Duration::from_millis(1500));

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let servers = runtime.block_on(Servers::start());
    in_this_process(&runtime, &servers);
    runtime.block_on(async {
        in_redis(&servers).await;
        invalidations(&servers).await;
        quiet_nodes(&servers).await;
    });
}

/// A server alone, and one with a replica.
struct Servers {
    alone: RedisServer,
    master: RedisServer,
    _replica: RedisServer,
}

impl Servers {
    async fn start() -> Self {
        let master = RedisServer::start_with(&["--repl-diskless-sync-delay", "0"]);
        let port = master.port().to_string();
        let replica = RedisServer::start_with(&["--replicaof", "127.0.0.1", &port]);
        eventually("the replica follows", async || {
            replica
                .command(&["INFO", "replication"])
                .contains("master_link_status:up")
        })
        .await;
        Self {
            alone: RedisServer::start(),
            master,
            _replica: replica,
        }
    }

    fn of(&self, replicas: usize) -> &RedisServer {
        if replicas > 0 {
            &self.master
        } else {
            &self.alone
        }
    }
}

/// A node of one level; each has entities of its own.
struct Node {
    tiers: Tiers,
    cache: TieredCache<u64, Row>,
}

impl Node {
    async fn start(servers: &Servers, level: Level, replicas: usize) -> Self {
        let name = match level {
            Level::Bounded(_) => "bounded",
            Level::Strict => "strict",
            _ => "eventual",
        };
        let tiers = Tiers::builder(name)
            .redis(&servers.of(replicas).url())
            .replicas(replicas)
            .build()
            .await
            .unwrap();
        let policy = Policy::ttl(Duration::from_secs(3600))
            .local_ttl(Duration::from_secs(3600))
            .level(level);
        let cache = tiers.cache::<u64, Row>("row", policy).unwrap();
        Self { tiers, cache }
    }

    async fn fill(&self, keys: u64) {
        for key in 0..keys {
            self.read(key).await;
        }
    }

    async fn read(&self, key: u64) {
        let load = |_| async move { Ok::<_, std::io::Error>(row(key)) };
        self.cache.get_or_load(&key, load).await.unwrap();
    }
}

/// Nanoseconds of a local hit.
fn in_this_process(runtime: &tokio::runtime::Runtime, servers: &Servers) {
    println!("a hit in this process, ns     eventual  bounded  ratio");
    for replicas in [0, 1] {
        let nodes = [Level::Eventual, BOUND].map(|level| {
            runtime.block_on(async {
                let node = Node::start(servers, level, replicas).await;
                node.fill(KEYS).await;
                proven(&node.tiers).await;
                node.fill(KEYS).await;
                node
            })
        });
        for threads in [1, 2] {
            let mut took = [Vec::new(), Vec::new()];
            for round in 0..ROUNDS {
                for turn in 0..2 {
                    let side = (turn + round) % 2;
                    took[side].push(timed_threads(threads, &nodes[side].cache));
                }
            }
            let [eventual, bounded] = took.each_mut().map(|took| median(took));
            println!(
                "{replicas} replicas, {threads} threads          {eventual:8.0}  {bounded:7.0}  {:5.2}",
                bounded / eventual
            );
        }
    }
}

fn timed_threads(threads: usize, cache: &TieredCache<u64, Row>) -> f64 {
    let barrier = Barrier::new(threads);
    let spent: Vec<Duration> = std::thread::scope(|scope| {
        let each: Vec<_> = (0..threads)
            .map(|seed| {
                let barrier = &barrier;
                scope.spawn(move || {
                    let keys = zipf(KEYS, READS, seed as u64);
                    barrier.wait();
                    let began = Instant::now();
                    read_ours(cache, &keys);
                    began.elapsed()
                })
            })
            .collect();
        each.into_iter().map(|each| each.join().unwrap()).collect()
    });
    let longest = spent.into_iter().max().unwrap();
    longest.as_nanos() as f64 / READS as f64
}

/// Microseconds of a read that this process cannot answer, and what is held here where the level asks for it all the same.
async fn in_redis(servers: &Servers) {
    println!("a read by tasks, us           1 task  64 tasks");
    for (label, level, replicas, held) in [
        ("eventual, hit in Redis", Level::Eventual, 0, false),
        ("bounded, hit in Redis", BOUND, 0, false),
        ("bounded, 1 replica", BOUND, 1, false),
        ("strict, hit in Redis", Level::Strict, 0, false),
        ("strict, held here", Level::Strict, 0, true),
        ("strict, held, 1 replica", Level::Strict, 1, true),
    ] {
        let filler = Node::start(servers, level, replicas).await;
        filler.fill(2000).await;
        let mut took = Vec::new();
        for tasks in [1, 64] {
            let mut rounds = Vec::new();
            for _ in 0..5 {
                let node = Node::start(servers, level, replicas).await;
                proven(&node.tiers).await;
                if held {
                    node.fill(2000).await;
                }
                rounds.push(by_tasks(&node, tasks).await);
            }
            took.push(median(&mut rounds));
        }
        println!("{label:28}  {:6.1}  {:8.1}", took[0], took[1]);
    }
}

/// Microseconds per read of one task, while so many read at once.
async fn by_tasks(node: &Node, tasks: u64) -> f64 {
    let began = Instant::now();
    let mut all = JoinSet::new();
    for task in 0..tasks {
        let cache = node.cache.clone();
        all.spawn(async move {
            for key in (task..2000).step_by(tasks as usize) {
                let load = |_| async { Err::<Row, _>(std::io::Error::other("a miss")) };
                cache.get_or_load(&key, load).await.unwrap();
            }
        });
    }
    while let Some(done) = all.join_next().await {
        done.unwrap();
    }
    began.elapsed().as_secs_f64() * 1e6 / 2000.0 * tasks as f64
}

/// Microseconds of an invalidation.
async fn invalidations(servers: &Servers) {
    println!("an invalidation, us           1 task  64 tasks");
    // The same server with a replica for both: what is measured is the wait for it.
    for (label, replicas) in [("replica not waited for", 0), ("WAIT 1", 1)] {
        let tiers = Tiers::builder("bumps")
            .redis(&servers.master.url())
            .replicas(replicas)
            .build()
            .await
            .unwrap();
        let cache = tiers
            .cache::<u64, Row>("row", Policy::ttl(Duration::from_secs(3600)))
            .unwrap();
        let mut took = Vec::new();
        for tasks in [1_u64, 64] {
            let mut rounds = Vec::new();
            for _ in 0..5 {
                let began = Instant::now();
                let mut all = JoinSet::new();
                for task in 0..tasks {
                    let cache = cache.clone();
                    all.spawn(async move {
                        for key in (task..2000).step_by(tasks as usize) {
                            assert!(!cache.invalidate(&key).await.unwrap().is_pending());
                        }
                    });
                }
                while let Some(done) = all.join_next().await {
                    done.unwrap();
                }
                rounds.push(began.elapsed().as_secs_f64() * 1e6 / 2000.0 * tasks as f64);
            }
            took.push(median(&mut rounds));
        }
        println!("{label:28}  {:6.1}  {:8.1}", took[0], took[1]);
    }
}

/// What a node that does nothing sends and is sent.
async fn quiet_nodes(servers: &Servers) {
    println!("a quiet node, per second      commands  bytes to Redis  bytes from Redis");
    for (label, level, replicas) in [
        ("eventual", Level::Eventual, 0),
        ("bounded 1.5 s", BOUND, 0),
        (
            "bounded 300 ms",
            Level::Bounded(Duration::from_millis(300)),
            0,
        ),
        ("bounded 1.5 s, 1 replica", BOUND, 1),
    ] {
        let node = Node::start(servers, level, replicas).await;
        node.fill(1000).await;
        let server = servers.of(replicas);
        // What else goes on there: the replica's own acknowledgements, and this question.
        let names = [
            "total_commands_processed",
            "total_net_input_bytes",
            "total_net_output_bytes",
        ];
        let before = names.map(|name| stat(server, name));
        tokio::time::sleep(Duration::from_secs(6)).await;
        let after = names.map(|name| stat(server, name));
        let each: Vec<_> = (0..3).map(|i| (after[i] - before[i]) / 6.0).collect();
        println!(
            "{label:28}  {:8.1}  {:14.0}  {:16.0}",
            each[0], each[1], each[2]
        );
    }
}

fn stat(redis: &RedisServer, name: &str) -> f64 {
    let info = redis.command(&["INFO", "stats"]);
    let mut lines = info.lines();
    let text = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    text.unwrap().trim().parse().unwrap()
}
