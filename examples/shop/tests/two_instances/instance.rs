//! Instances of the shop, each on a port of its own, on a database of one test.

use std::{path::PathBuf, sync::Arc, time::Duration};

use serde_json::Value;
use shop::{Shop, Store, Tiers, serve};
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};
use tricache::InProcess;
use tricache_test_support::{RedisServer, eventually, eventually_within};

use crate::browser::Browser;

pub(crate) async fn instances_over(redis: &RedisServer, test: &str) -> (Instance, Instance) {
    let database = Database::new(test);
    let over_redis = async || {
        Tiers::builder("shop")
            .redis(&redis.url())
            .build()
            .await
            .unwrap()
    };
    (
        Instance::start(&database, over_redis().await).await,
        Instance::start(&database, over_redis().await).await,
    )
}

pub(crate) async fn instances_in_one_process(test: &str) -> (Instance, Instance) {
    let database = Database::new(test);
    let hub = InProcess::new();
    let in_process = async || {
        Tiers::builder("shop")
            .in_process(&hub)
            .build()
            .await
            .unwrap()
    };
    (
        Instance::start(&database, in_process().await).await,
        Instance::start(&database, in_process().await).await,
    )
}

/// One instance of the shop, on a port of its own.
pub(crate) struct Instance {
    pub(crate) browser: Browser,
    shop: Shop,
    store: Store,
    stop: oneshot::Sender<()>,
    running: JoinHandle<std::io::Result<()>>,
    _database: Arc<Database>,
}

impl Instance {
    async fn start(database: &Arc<Database>, tiers: Tiers) -> Self {
        let store = Store::open(&database.path).await.unwrap();
        let shop = Shop::open(store.clone(), tiers).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let browser = Browser::of(listener.local_addr().unwrap());
        let (stop, stopped) = oneshot::channel();
        let running = tokio::spawn(serve(shop.clone(), listener, async { drop(stopped.await) }));
        Self {
            browser,
            shop,
            store,
            stop,
            running,
            _database: Arc::clone(database),
        }
    }

    /// How many queries it takes to answer `path`.
    pub(crate) async fn queries_for(&self, path: &str) -> usize {
        let before = self.store.queries();
        self.browser.get(path).await;
        self.store.queries() - before
    }

    /// Asks until all of a page comes from this instance's memory: its feeds are proven by the next heartbeat.
    pub(crate) async fn keeps(&self, path: &str) {
        eventually("a page from memory alone", async || {
            let before = self.answers_from_elsewhere();
            self.browser.get(path).await;
            self.answers_from_elsewhere() == before
        })
        .await;
    }

    fn answers_from_elsewhere(&self) -> u64 {
        let report = self.shop.report();
        let counters = report.counters();
        counters.loaded + counters.remote_hits + counters.local_revalidated
    }

    pub(crate) async fn stop(self) {
        self.stop.send(()).unwrap();
        self.running.await.unwrap().unwrap();
    }
}

/// A database file of one test, removed when its last instance is gone.
pub(crate) struct Database {
    pub(crate) path: PathBuf,
}

impl Database {
    pub(crate) fn new(test: &str) -> Arc<Self> {
        let path = std::env::temp_dir().join(format!(
            "tricache-shop-{test}-{}.sqlite",
            std::process::id()
        ));
        Arc::new(Self { path })
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        drop(std::fs::remove_file(&self.path));
    }
}

/// The promise under test: an update is seen elsewhere within a second.
const WITHIN: Duration = Duration::from_secs(1);

impl Browser {
    /// Asks until the page is there and as expected.
    pub(crate) async fn shows(&self, path: &str, expected: impl Fn(&Value) -> bool) {
        eventually_within(WITHIN, path, async || {
            let answer = self.get(path).await;
            answer.status == 200 && expected(&answer.json())
        })
        .await;
    }
}
