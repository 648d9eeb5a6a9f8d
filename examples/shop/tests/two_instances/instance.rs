//! Instances of the shop, each on a port of its own, on a database of one test.

use std::{path::PathBuf, sync::Arc, time::Duration};

use serde_json::Value;
use shop::{Shop, Store, Tiers, serve};
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};
use tricache::InProcess;
use tricache_test_support::{eventually, eventually_within};

use crate::browser::Browser;

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
    stop: oneshot::Sender<()>,
    running: JoinHandle<std::io::Result<()>>,
    _database: Arc<Database>,
}

impl Instance {
    pub(crate) async fn start(database: &Arc<Database>, tiers: Tiers) -> Self {
        let shop = Shop::open(Store::open(&database.path).await.unwrap(), tiers).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let browser = Browser::of(listener.local_addr().unwrap());
        let (stop, stopped) = oneshot::channel();
        let running = tokio::spawn(serve(shop, listener, async { drop(stopped.await) }));
        Self {
            browser,
            stop,
            running,
            _database: Arc::clone(database),
        }
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
    /// Asks until the page comes from this instance's memory: its feed is proven by the next heartbeat.
    pub(crate) async fn hits(&self, path: &str) {
        eventually("a local hit", async || {
            self.get(path).await.header("x-cache") == Some("local_hit")
        })
        .await;
    }

    /// Asks until the page is as expected.
    pub(crate) async fn shows(&self, path: &str, expected: impl Fn(&Value) -> bool) {
        eventually_within(WITHIN, path, async || {
            expected(&self.get(path).await.json())
        })
        .await;
    }
}
