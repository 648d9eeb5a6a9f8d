//! The look at a server: at the start, and again when it is back from an outage, when it may be another one.
//!
//! It asks and tries; what the answers mean is judged in `advice.rs`. Every command of the protocol is tried where it
//! does nothing, because asking for rights (`ACL DRYRUN`) needs a right that no service should have.

use super::{
    Advice, Layout, RemoteError,
    advice::{Facts, Finding, Texts, broken, judge, no_cluster, of_a_cluster},
    connection::{Class, Connections},
    node::Node,
    nodes::Nodes,
};
use crate::error::Error;
use futures_util::{FutureExt, future::join_all};
use redis::{Cmd, ErrorKind, ServerErrorKind, Value, cmd};
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::mpsc,
    time::{Instant, timeout},
};

/// Looks at the server of one `Tiers`, and keeps what it found.
pub(super) struct Inspector {
    nodes: Arc<Nodes>,
    layout: Layout,
    /// How many replicas are to have what is invalidated.
    replicas: usize,
    advice: Mutex<Vec<Advice>>,
}

impl Inspector {
    pub(super) fn new(nodes: Arc<Nodes>, layout: Layout, replicas: usize) -> Self {
        Self {
            nodes,
            layout,
            replicas,
            advice: Mutex::default(),
        }
    }

    /// The look at the start.
    ///
    /// # Errors
    /// If a promise cannot be kept on this server.
    pub(super) async fn check_start(&self) -> Result<(), Error> {
        // This is the look that the first answer asks for.
        let _ = self.nodes.signals().returned().now_or_never();
        let findings = self.inspect().await;
        if let Some(broken) = findings.iter().find(|finding| finding.is_broken()) {
            return Err(Error::config(broken.advice().message()));
        }
        self.advise(&findings);
        Ok(())
    }

    /// Looks at the server whenever it is back: it may be another one, or have other settings.
    pub(super) async fn watch(&self) {
        loop {
            self.nodes.signals().returned().await;
            let findings = self.inspect().await;
            self.advise(&findings);
        }
    }

    /// What the last look has found.
    pub(super) fn advice(&self) -> Vec<Advice> {
        self.held().clone()
    }

    /// What is wrong for good, if the server said so: waiting would not help.
    pub(super) fn refusal(&self, error: &RemoteError) -> Option<String> {
        if let Some(lasting) = lasting(error) {
            return Some(format!("redis cannot be reached: {lasting}"));
        }
        let finding = if is_forbidden(error) {
            missing_right(&self.layout, "TIME or MGET", error)
        } else if !self.nodes.is_cluster() && is_of_a_cluster(error) {
            of_a_cluster()
        } else if is_no_cluster(error) {
            no_cluster()
        } else {
            return is_unwelcome(error).then(|| format!("redis refused the connection: {error}"));
        };
        Some(finding.advice().message().to_owned())
    }

    /// Everything worth saying about the servers; what breaks a promise among it. Each subject once.
    async fn inspect(&self) -> Vec<Finding> {
        let nodes = self.nodes.all();
        let found = join_all(nodes.iter().map(|node| self.inspect_one(node))).await;
        let mut findings: Vec<Finding> = Vec::new();
        for finding in found.into_iter().flatten() {
            let subject = finding.advice().subject();
            if !findings.iter().any(|it| it.advice().subject() == subject) {
                findings.push(finding);
            }
        }
        findings
    }

    async fn inspect_one(&self, node: &Arc<Node>) -> Vec<Finding> {
        let connections = &*node.connections;
        let own = self.nodes.buckets_of(node);
        let Some(bucket) = own.last().copied().filter(|_| node.is_up()) else {
            return Vec::new();
        };
        let facts = Facts {
            info: info(connections).await,
            config: config(connections).await,
            latency: latency(connections).await,
            wanted: self.replicas,
        };
        let (limit, clustered) = (connections.limit(Class::Small), self.nodes.is_cluster());
        let mut findings = judge(&facts, limit, clustered);
        // What a server of another kind does not know is not a missing right.
        if !findings.iter().any(Finding::is_broken) {
            let waits = self.replicas > 0;
            findings.extend(rights(connections, &self.layout, bucket, waits).await);
        }
        findings
    }

    /// Keeps what was found, and says what is new.
    fn advise(&self, findings: &[Finding]) {
        let advice = findings.iter().map(Finding::advice).cloned().collect();
        let before = std::mem::replace(&mut *self.held(), advice);
        for finding in findings {
            let advice = finding.advice();
            if before.contains(advice) {
                continue;
            }
            let (about, message) = (advice.subject(), advice.message());
            if finding.is_broken() {
                tracing::error!(about, message, "redis is not as it must be");
            } else {
                tracing::warn!(about, message, "advice on redis");
            }
        }
    }

    fn held(&self) -> MutexGuard<'_, Vec<Advice>> {
        // The list is replaced as a whole, so a panic elsewhere spoils nothing.
        self.advice.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A right that is missing, with the line that gives all.
fn missing_right(layout: &Layout, command: &str, words: &RemoteError) -> Finding {
    let root = layout.root();
    broken(
        "rights",
        format!(
            "redis forbids this user {command}, which the protocol needs: {words}; allow it by ACL SETUSER with \
             '~{root}:*' '&{root}:*' {COMMANDS}; on a cluster also +cluster|slots +cluster|nodes"
        ),
    )
}

/// Whether the server knows the user and does not let it.
fn is_forbidden(error: &RemoteError) -> bool {
    let RemoteError::Failed(error) = error else {
        return false;
    };
    match error.code() {
        Some("NOPERM") => true,
        // The refusal of an EXEC stands inside another error.
        Some("EXECABORT") => error.to_string().contains("NOPERM"),
        _ => false,
    }
}

/// What will not pass by itself, if a connection failed for it.
fn lasting(error: &RemoteError) -> Option<&str> {
    match error {
        RemoteError::Failed(error) if error.kind() == ErrorKind::InvalidClientConfig => {
            error.detail()
        }
        _ => None,
    }
}

/// Whether the server does not know the user.
fn is_unwelcome(error: &RemoteError) -> bool {
    matches!(error, RemoteError::Failed(error)
        if error.kind() == ErrorKind::AuthenticationFailed
            || matches!(error.code(), Some("NOAUTH" | "WRONGPASS")))
}

/// Whether the server has a part of the keys only.
fn is_of_a_cluster(error: &RemoteError) -> bool {
    use ServerErrorKind::{ClusterDown, CrossSlot, Moved};
    matches!(error, RemoteError::Failed(error)
        if matches!(error.kind(), ErrorKind::Server(CrossSlot | Moved | ClusterDown)))
}

/// Whether the server is not one of a cluster.
fn is_no_cluster(error: &RemoteError) -> bool {
    let text = "cluster support disabled";
    matches!(error, RemoteError::Failed(error) if error.to_string().contains(text))
}

async fn info(connections: &Connections) -> Result<Texts, String> {
    // Without a section: several at once are an error before version 7, which must be told apart.
    match connections.send(Class::Small, &cmd("INFO")).await {
        Ok(Value::BulkString(text)) => Ok(Texts::of_info(&String::from_utf8_lossy(&text))),
        Ok(_) => Err("the answer is not a text".into()),
        Err(error) => Err(error.to_string()),
    }
}

async fn config(connections: &Connections) -> Result<Texts, String> {
    let mut command = cmd("CONFIG");
    command
        .arg("GET")
        .arg("client-output-buffer-limit")
        .arg("save")
        .arg("appendonly")
        .arg("cluster-require-full-coverage")
        .arg("cluster-allow-reads-when-down");
    let reply = connections
        .send(Class::Small, &command)
        .await
        .map_err(|error| error.to_string())?;
    let texts: Vec<String> = redis::from_redis_value(reply).map_err(|error| error.to_string())?;
    let pairs = texts
        .chunks_exact(2)
        .map(|pair| (pair[0].clone(), pair[1].clone()));
    Ok(Texts::of_pairs(pairs))
}

/// The median of a few round trips; `None` if one was not answered.
async fn latency(connections: &Connections) -> Option<Duration> {
    let mut took = [Duration::ZERO; PINGS];
    for took in &mut took {
        let sent = Instant::now();
        connections.send(Class::Small, &cmd("PING")).await.ok()?;
        *took = sent.elapsed();
    }
    took.sort_unstable();
    Some(took[PINGS / 2])
}

/// The first right that is missing, if any is.
async fn rights(
    connections: &Connections,
    layout: &Layout,
    bucket: u16,
    waits: bool,
) -> Option<Finding> {
    let mut wait = cmd("WAIT");
    // For nobody: it answers at once.
    wait.arg(0).arg(1);
    let wait = waits.then_some(("WAIT", wait));
    for (name, command) in harmless(layout, bucket).into_iter().chain(wait) {
        if let Err(error) = connections.send(Class::Small, &command).await
            && is_forbidden(&error)
        {
            return Some(missing_right(layout, name, &error));
        }
    }
    let of_a_connection = of_a_connection(connections, layout, bucket);
    timeout(connections.limit(Class::Large), of_a_connection)
        .await
        .ok()?
}

/// Every command of the protocol, by name, where it changes nothing: on a key that never exists.
fn harmless(layout: &Layout, bucket: u16) -> Vec<(&'static str, Cmd)> {
    let nothing = layout.nothing(bucket);
    let on_nothing = |name: &'static str, rest: &[&str]| {
        let mut command = cmd(name);
        command.arg(&*nothing);
        rest.iter().for_each(|argument| {
            command.arg(*argument);
        });
        (name, command)
    };
    let mut publish = cmd("SPUBLISH");
    // A text that no node takes for an event.
    publish.arg(&*layout.channel(bucket)).arg("");
    let mut script = cmd("EVAL");
    script.arg("return 1").arg(0);
    let mut known_script = cmd("EVALSHA");
    known_script.arg("0".repeat(40)).arg(0);
    vec![
        on_nothing("MGET", &[]),
        on_nothing("GET", &[]),
        // Only where there is something already, and there never is.
        on_nothing("SET", &["", "XX", "PX", "1"]),
        on_nothing("HGET", &["#"]),
        on_nothing("HLEN", &[]),
        on_nothing("HGETALL", &[]),
        on_nothing("HSCAN", &["0"]),
        on_nothing("HDEL", &["#"]),
        // The one that leaves something, which the next takes away.
        on_nothing("HSET", &["#", ""]),
        on_nothing("DEL", &[]),
        on_nothing("UNLINK", &[]),
        on_nothing("PTTL", &[]),
        on_nothing("PEXPIRE", &["1"]),
        on_nothing("XADD", &["NOMKSTREAM", "*", "e", ""]),
        on_nothing("XRANGE", &["-", "+"]),
        ("SPUBLISH", publish),
        ("EVAL", script),
        ("EVALSHA", known_script),
    ]
}

/// The first missing right among those to commands that change what a connection is, tried on one of their own.
async fn of_a_connection(
    connections: &Connections,
    layout: &Layout,
    bucket: u16,
) -> Option<Finding> {
    let (sink, _pushes) = mpsc::unbounded_channel();
    // Where it cannot be made, the feed's own attempts tell.
    let mut line = connections.pushing(sink).await.ok()?;
    let mut subscribe = cmd("SSUBSCRIBE");
    subscribe.arg(&*layout.channel(bucket));
    // As single commands: the client miscounts the replies of a pipeline whose MULTI is refused.
    for (name, command) in [
        ("MULTI", cmd("MULTI")),
        ("EXEC", cmd("EXEC")),
        ("SSUBSCRIBE", subscribe),
    ] {
        if let Err(error) = command.query_async::<Value>(&mut line.connection).await {
            let error = RemoteError::Failed(error);
            if is_forbidden(&error) {
                return Some(missing_right(layout, name, &error));
            }
        }
    }
    None
}

/// Odd, so that one is the median.
const PINGS: usize = 5;
/// As in `docs/redis-layout.md`.
const COMMANDS: &str = "+mget +get +set +del +unlink +pttl +pexpire +hget +hset +hlen +hgetall +hscan +hdel \
    +xadd +xrange +spublish +ssubscribe +time +ping +info +config|get +multi +exec +eval +evalsha +select +wait";
