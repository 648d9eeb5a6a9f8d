//! Whatever is cut, trimmed, wiped or killed under load, no read is older than the bound.
//!
//! Three nodes, each behind a network of its own, read and write the same keys without a pause while faults come and
//! go. A read is as old as the longest acknowledged commit that it missed. `Eventual` allows two heartbeats, 1 s, but
//! for answers that say themselves that nothing proves them, and those only while Redis cannot be asked. What was
//! written through the same node is never missed, not even while it is pending.

use crate::{
    nodes::Node,
    truth::{Acknowledgements, Floors},
};
use std::{
    fmt, io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};
use tokio::{
    sync::Mutex as Turn,
    task::{JoinSet, yield_now},
    time::sleep,
};
use tricache::{Cached, Counters, Outcome, Protection, RemoteState, Tiers, TiersBuilder};
use tricache_test_support::{CountingStore, Proxy, RedisServer, Seeds, eventually};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_read_is_older_than_the_bound_whatever_is_lost_under_load() {
    let seeds = Seeds::new();
    let scene = Scene::start(|builder| builder).await;
    let load = scene.load(&seeds);

    for phase in [
        scene.calm().await,
        scene.severed().await,
        scene.cut().await,
        scene.trimmed().await,
        scene.wiped().await,
        scene.flapping(&seeds).await,
        scene.killed().await,
        scene.calm().await,
    ] {
        println!("{phase}");
        assert!(phase.reads > 100, "{phase}");
        assert_eq!((phase.beyond_bound, phase.behind_own), (0, 0), "{phase}");
        let away = ["flapping", "killed"].contains(&phase.name);
        assert!(away || phase.unproven == 0, "{phase}");
    }
    scene.stop(load).await;
    println!("seed {}", seeds.seed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_chain_a_lost_event_is_never_missed() {
    let seeds = Seeds::new();
    let scene = Scene::start(|builder| builder.without(Protection::Chain)).await;
    let load = scene.load(&seeds);

    scene.enter("cut");
    scene.proxies[0].cut_subscribers();
    scene
        .last_until("reads beyond the bound", |phase| phase.beyond_bound > 100)
        .await;

    println!("without the chain, {}", scene.enter("over"));
    scene.proxies[0].heal();
    scene.stop(load).await;
}

/// Three nodes around a Redis, each behind a network of its own, and what their readers saw.
struct Scene {
    redis: RedisServer,
    proxies: Vec<Proxy>,
    nodes: Vec<Node>,
    store: CountingStore<u64>,
    acknowledged: Acknowledgements,
    own: Floors,
    /// Writers of one key take turns, as `insert` asks for.
    turns: Vec<Turn<()>>,
    phase: Mutex<Phase>,
    stopped: AtomicBool,
}

/// What the readers saw since the phase began.
#[derive(Clone, Debug, Default)]
struct Phase {
    name: &'static str,
    reads: u64,
    /// Acknowledged ones.
    writes: u64,
    pending: u64,
    /// Answers that said of themselves that nothing proves them; not held to the bound.
    unproven: u64,
    worst_unproven: Duration,
    beyond_bound: u64,
    /// Answers that missed what was written through the same node.
    behind_own: u64,
    worst: Duration,
    worst_outcome: Option<Outcome>,
}

impl Scene {
    /// `settings`: of the first node, whose subscriber is cut.
    async fn start(settings: impl Fn(TiersBuilder) -> TiersBuilder) -> Arc<Self> {
        let redis = RedisServer::start();
        let (mut proxies, mut nodes) = (Vec::new(), Vec::new());
        for number in 0..NODES {
            let proxy = Proxy::before(&redis).await;
            // Generous: a slow machine is not a fault.
            let builder = Tiers::builder("test")
                .remote_timeout(Duration::from_secs(2))
                .redis(&proxy.url());
            let builder = if number == 0 {
                settings(builder)
            } else {
                builder
            };
            nodes.push(Node::start(builder).await);
            proxies.push(proxy);
        }
        Arc::new(Self {
            redis,
            proxies,
            nodes,
            store: CountingStore::new(),
            acknowledged: Acknowledgements::default(),
            own: Floors::default(),
            turns: (0..KEYS).map(|_| Turn::default()).collect(),
            phase: Mutex::default(),
            stopped: AtomicBool::new(false),
        })
    }

    /// Readers and a writer on each node, until they are stopped.
    fn load(self: &Arc<Self>, seeds: &Seeds) -> JoinSet<()> {
        let mut load = JoinSet::new();
        for node in 0..NODES {
            for reader in 0..READERS {
                let random = seeds.case((node * READERS + reader) as u64);
                load.spawn(Arc::clone(self).keep_reading(node, random));
            }
            let random = seeds.case(1_000 + node as u64);
            load.spawn(Arc::clone(self).keep_writing(node, random));
        }
        load
    }

    async fn stop(&self, load: JoinSet<()>) {
        self.stopped.store(true, SeqCst);
        load.join_all().await;
    }

    async fn calm(&self) -> Phase {
        self.enter("calm");
        self.last_until("reads and writes went on", |phase| {
            phase.reads > 2_000 && phase.writes > 50
        })
        .await
    }

    /// F16: the subscription breaks, again and again.
    async fn severed(&self) -> Phase {
        self.enter("severed");
        for _ in 0..10 {
            self.subscribes_again_after(Proxy::sever_subscribers).await;
        }
        self.last_until("writes went on", |phase| phase.writes > 50)
            .await
    }

    /// F19: the subscription is half open. What it loses stands in the log.
    async fn cut(&self) -> Phase {
        let before = self.counters(0).replays;
        self.enter("cut");
        self.proxies[0].cut_subscribers();
        self.outlast_the_bound().await;
        assert!(self.counters(0).replays > before, "nothing was replayed");
        self.heal().await
    }

    /// F17: the same, and the logs are trimmed meanwhile.
    async fn trimmed(&self) -> Phase {
        let before = self.counters(0).gaps;
        self.enter("trimmed");
        self.proxies[0].cut_subscribers();
        let end = Instant::now() + BOUND * 2;
        while Instant::now() < end {
            self.trim_logs();
            sleep(Duration::from_millis(5)).await;
        }
        assert!(self.counters(0).gaps > before, "no gap was declared");
        self.heal().await
    }

    /// Everything in Redis is gone, three times: while a node is deaf, and while all hear.
    async fn wiped(&self) -> Phase {
        let before: Vec<_> = (0..NODES).map(|node| self.counters(node).gaps).collect();
        self.enter("wiped");
        self.proxies[0].cut_subscribers();
        for _ in 0..2 {
            self.redis.command(&["FLUSHALL"]);
            self.outlast_the_bound().await;
        }
        self.subscribes_again_after(Proxy::heal).await;
        self.redis.command(&["FLUSHALL"]);
        self.outlast_the_bound().await;
        for (node, before) in before.into_iter().enumerate() {
            assert!(self.counters(node).gaps > before, "node {node}: no gap");
        }
        self.tally()
    }

    /// All connections of a node break, now of this one, now of that one: some of its writes are pending for a moment.
    async fn flapping(&self, seeds: &Seeds) -> Phase {
        self.enter("flapping");
        let (mut random, end) = (seeds.case(2_000), Instant::now() + BOUND * 2);
        while Instant::now() < end {
            self.proxies[random.usize(0..NODES)].sever();
            sleep(Duration::from_millis(random.u64(5..60))).await;
        }
        self.all_are_back().await
    }

    /// Redis is killed, stays away until writes are pending, and comes back empty.
    async fn killed(&self) -> Phase {
        self.enter("killed");
        self.redis.kill();
        let away = Instant::now();
        self.last_until("writes are pending, and reads unproven", |phase| {
            let is_long = away.elapsed() > BOUND * 3 / 2;
            is_long && phase.pending > 0 && phase.unproven > 0
        })
        .await;
        self.redis.restart_empty();
        self.all_are_back().await
    }

    /// Every node reaches Redis, nothing is pending, and what was loaded meanwhile is gone: it is kept for a second.
    async fn all_are_back(&self) -> Phase {
        eventually("every node is back", async || {
            self.nodes.iter().all(|node| {
                let report = node.tiers.report();
                report.remote() == RemoteState::Up && report.pending() == 0
            })
        })
        .await;
        let (writes, back) = (self.tally().writes, Instant::now());
        self.last_until("a second passed, and writes went on", |phase| {
            back.elapsed() > BOUND * 3 / 2 && phase.writes > writes + 50
        })
        .await
    }

    async fn heal(&self) -> Phase {
        self.subscribes_again_after(Proxy::heal).await;
        self.tally()
    }

    async fn subscribes_again_after(&self, change: impl Fn(&Proxy)) {
        let proxy = &self.proxies[0];
        let before = proxy.commands("SSUBSCRIBE");
        change(proxy);
        eventually("the node subscribes again", async || {
            proxy.commands("SSUBSCRIBE") > before
        })
        .await;
    }

    /// Lasts long enough that whoever was told nothing would be beyond the bound.
    async fn outlast_the_bound(&self) {
        let (start, writes) = (Instant::now(), self.tally().writes);
        self.last_until("the bound passed, and writes went on", |phase| {
            start.elapsed() > BOUND * 2 && phase.writes > writes + 50
        })
        .await;
    }

    async fn last_until(&self, label: &str, done: impl Fn(&Phase) -> bool) -> Phase {
        eventually(label, async || done(&self.tally())).await;
        self.tally()
    }

    fn trim_logs(&self) {
        let script = "for _, log in ipairs(redis.call('KEYS', 'tc1:*:l')) do \
                      redis.call('XTRIM', log, 'MAXLEN', 0) end return 'trimmed'";
        assert_eq!(self.redis.command(&["EVAL", script, "0"]), "trimmed");
    }

    async fn keep_reading(self: Arc<Self>, node: usize, mut random: fastrand::Rng) {
        while !self.stopped.load(SeqCst) {
            for _ in 0..random.u8(1..16) {
                self.read(node, random.u64(0..KEYS)).await;
                yield_now().await;
            }
            sleep(Duration::from_millis(random.u64(1..4))).await;
        }
    }

    async fn read(&self, node: usize, key: u64) {
        let (own, phase) = (self.own.floor(node, key), self.phase().name);
        let start = Instant::now();
        let store = self.store.clone();
        let loader = |_| async move {
            let number = store.load(&key).await;
            sleep(Duration::from_millis(1)).await;
            Ok::<_, io::Error>(number)
        };
        let cached = self.nodes[node].cache.get_or_load(&key, loader).await;
        let cached = cached.unwrap();
        self.phase().behind_own += u64::from(*cached < own);
        self.judge(phase, key, start, &cached);
    }

    fn judge(&self, began_in: &str, key: u64, start: Instant, cached: &Cached<u64>) {
        let age = self.acknowledged.staleness(key, **cached, start);
        let mut phase = self.phase();
        phase.reads += 1;
        if cached.outcome() == Outcome::LocalUnproven {
            // A read that waited for Redis while it died belongs to that phase.
            if began_in == phase.name {
                phase.unproven += 1;
                phase.worst_unproven = phase.worst_unproven.max(age);
            }
            return;
        }
        phase.beyond_bound += u64::from(age > BOUND);
        if age > phase.worst {
            (phase.worst, phase.worst_outcome) = (age, Some(cached.outcome()));
        }
    }

    async fn keep_writing(self: Arc<Self>, node: usize, mut random: fastrand::Rng) {
        while !self.stopped.load(SeqCst) {
            self.write(node, random.u64(0..KEYS), random.u8(0..4) == 0)
                .await;
            sleep(Duration::from_millis(random.u64(1..8))).await;
        }
    }

    async fn write(&self, node: usize, key: u64, insert: bool) {
        let _turn = self.turns[key as usize].lock().await;
        let commit = self.store.commit(&key);
        let cache = &self.nodes[node].cache;
        let receipt = if insert {
            cache.insert(&key, commit).await
        } else {
            cache.invalidate(&key).await
        };
        self.own.acknowledged(node, key, commit);
        if receipt.unwrap().is_pending() {
            self.phase().pending += 1;
        } else {
            self.acknowledged.add(key, commit);
            self.phase().writes += 1;
        }
    }

    /// Ends the phase, and answers what it was.
    fn enter(&self, name: &'static str) -> Phase {
        let next = Phase {
            name,
            ..Phase::default()
        };
        std::mem::replace(&mut *self.phase(), next)
    }

    fn tally(&self) -> Phase {
        self.phase().clone()
    }

    fn phase(&self) -> std::sync::MutexGuard<'_, Phase> {
        self.phase.lock().unwrap()
    }

    fn counters(&self, node: usize) -> Counters {
        *self.nodes[node].tiers.report().counters()
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {} reads, {} acknowledged and {} pending writes, \
             {} behind their own node's, {} beyond {BOUND:?}, \
             the oldest {:?} ({:?}); {} unproven, the oldest {:?}",
            self.name,
            self.reads,
            self.writes,
            self.pending,
            self.behind_own,
            self.beyond_bound,
            self.worst,
            self.worst_outcome,
            self.unproven,
            self.worst_unproven
        )
    }
}

const NODES: usize = 3;
const READERS: usize = 2;
const KEYS: u64 = 32;
/// Two heartbeats.
const BOUND: Duration = Duration::from_secs(1);
