//! An edge that notes what it is asked for, and answers when the test lets it.

use crate::nodes::{Node, Remote};
use std::{
    io,
    sync::{Arc, Mutex, atomic::AtomicBool, atomic::Ordering::SeqCst},
    time::Duration,
};
use tokio::sync::watch;
use tricache::{BoxError, Edge, EdgePurge, EdgeSubject, Strength};
use tricache_test_support::{eventually, eventually_within};

/// Shared by the test and the node.
#[derive(Clone)]
pub(crate) struct FakeEdge(Arc<Inner>);

struct Inner {
    asked: Mutex<Vec<String>>,
    /// So many purges, from the first on, are taken, and so many are done.
    taken: watch::Sender<usize>,
    done: watch::Sender<usize>,
    refuses: AtomicBool,
    expected: Duration,
}

impl FakeEdge {
    /// Purges at once and for good.
    pub(crate) fn new() -> Self {
        Self::with(usize::MAX, usize::MAX)
    }

    /// So many of its purges are taken, and so many done; the others wait.
    pub(crate) fn with(taken: usize, done: usize) -> Self {
        Self::expecting(taken, done, Duration::from_secs(60))
    }

    /// A purge that is noted, and not done, is another node's after this time.
    pub(crate) fn expecting(taken: usize, done: usize, expected: Duration) -> Self {
        Self(Arc::new(Inner {
            asked: Mutex::default(),
            taken: watch::Sender::new(taken),
            done: watch::Sender::new(done),
            refuses: AtomicBool::new(false),
            expected,
        }))
    }

    pub(crate) fn let_take(&self, purges: usize) {
        self.0.taken.send_replace(purges);
    }

    pub(crate) fn let_end(&self, purges: usize) {
        self.let_take(purges);
        self.0.done.send_replace(purges);
    }

    pub(crate) fn refuse(&self, yes: bool) {
        self.0.refuses.store(yes, SeqCst);
    }

    /// What it was asked for, in order.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.0.asked.lock().unwrap().clone()
    }

    /// Waits until it was asked for so much.
    pub(crate) async fn until_asked(&self, purges: usize) -> Vec<String> {
        eventually("the edge is asked", async || self.asked().len() >= purges).await;
        self.asked()
    }
}

impl Edge for FakeEdge {
    fn purge(&self, subject: &EdgeSubject, strength: Strength) -> EdgePurge {
        let number = {
            let mut asked = self.0.asked.lock().unwrap();
            asked.push(words(subject, strength));
            asked.len()
        };
        if self.0.refuses.load(SeqCst) {
            return EdgePurge::refused(io::Error::other("no token"));
        }
        EdgePurge::new(
            reached(self.0.taken.subscribe(), number),
            reached(self.0.done.subscribe(), number),
        )
    }

    fn expected(&self) -> Duration {
        self.0.expected
    }
}

async fn reached(mut so_many: watch::Receiver<usize>, number: usize) -> Result<(), BoxError> {
    // An edge that is gone answers nothing.
    if so_many
        .wait_for(|so_many| *so_many >= number)
        .await
        .is_err()
    {
        std::future::pending::<()>().await;
    }
    Ok(())
}

fn words(subject: &EdgeSubject, strength: Strength) -> String {
    let strength = match strength {
        Strength::Hard => "hard",
        Strength::Soft => "soft",
    };
    let subject = match subject {
        EdgeSubject::Entity(name) => name.to_string(),
        EdgeSubject::Tag(tag) => format!("tag {tag}"),
        EdgeSubject::Cache(cache) => format!("cache {cache}"),
        EdgeSubject::Everything => "everything".to_owned(),
        other => format!("{other:?}"),
    };
    format!("{strength} {subject}")
}

impl Remote {
    /// A node with this edge, whose sweeps are quick.
    pub(crate) async fn node_with(&self, edge: &FakeEdge) -> Node {
        let builder = self.builder().heartbeat(QUICK);
        Node::start(builder.edge(edge.clone())).await
    }

    /// A node without an edge, which leaves its purges to others.
    pub(crate) async fn job(&self) -> Node {
        Node::start(self.builder().heartbeat(QUICK).record_purges(true)).await
    }
}

/// Names in the purge record, as the node that sweeps sees them.
pub(crate) fn recorded(node: &Node) -> Option<usize> {
    node.tiers.report().edge().and_then(|edge| edge.recorded())
}

/// Waits until one of them, whichever looks, sees so many names in the purge record.
pub(crate) async fn until_recorded_by_one(nodes: [&Node; 2], names: usize) {
    eventually("the record holds so many names", async || {
        nodes.iter().any(|node| recorded(node) == Some(names))
    })
    .await;
}

/// Waits until the node sees so many names in the purge record.
pub(crate) async fn until_recorded(node: &Node, names: usize) {
    // Tens of thousands of names take a slow machine a while.
    eventually_within(LONG, "the record holds so many names", async || {
        recorded(node) == Some(names)
    })
    .await;
}

/// Long enough that a slow machine does not take a node that looks for dead: six of them are its lease.
pub(crate) const QUICK: Duration = Duration::from_millis(200);
const LONG: Duration = Duration::from_secs(90);
