//! The look at a server: at the start, and again when it is back from an outage, when it may be another one.
//!
//! It asks and tries; what the answers mean is judged in `advice.rs`. Every command of the protocol is tried where it
//! does nothing, because asking for rights (`ACL DRYRUN`) needs a right that no service should have.

use super::{
    Layout, RemoteError,
    advice::{Facts, Finding, Texts, broken, judge},
    connection::{Class, Connections},
};
use redis::{Cmd, Value, cmd};
use std::time::Duration;
use tokio::{
    sync::mpsc,
    time::{Instant, timeout},
};

/// Everything worth saying about the server; what breaks a promise among it.
pub(super) async fn inspect(connections: &Connections, layout: &Layout) -> Vec<Finding> {
    let facts = Facts {
        info: info(connections).await,
        config: config(connections).await,
        latency: latency(connections).await,
    };
    let mut findings = judge(&facts, connections.limit(Class::Small));
    // What a server of another kind does not know is not a missing right.
    if !findings.iter().any(Finding::is_broken) {
        findings.extend(rights(connections, layout).await);
    }
    findings
}

/// A right that is missing, with the line that gives all.
pub(super) fn missing_right(layout: &Layout, command: &str, words: &RemoteError) -> Finding {
    let root = layout.root();
    broken(
        "rights",
        format!(
            "redis forbids this user {command}, which the protocol needs: {words}; allow it by ACL SETUSER with \
             '~{root}:*' '&{root}:*' {COMMANDS}"
        ),
    )
}

/// Whether the server knows the user and does not let it.
pub(super) fn is_forbidden(error: &RemoteError) -> bool {
    matches!(error, RemoteError::Failed(error) if error.code() == Some("NOPERM"))
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
        .arg("appendonly");
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
async fn rights(connections: &Connections, layout: &Layout) -> Option<Finding> {
    for (name, command) in harmless(layout) {
        if let Err(error) = connections.send(Class::Small, &command).await
            && is_forbidden(&error)
        {
            return Some(missing_right(layout, name, &error));
        }
    }
    let of_a_connection = of_a_connection(connections, layout);
    timeout(connections.limit(Class::Large), of_a_connection)
        .await
        .ok()?
}

/// Every command of the protocol, by name, where it changes nothing: on a key that never exists.
fn harmless(layout: &Layout) -> Vec<(&'static str, Cmd)> {
    let nothing = layout.nothing();
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
    publish.arg(&*layout.channel(layout.buckets())).arg("");
    let mut script = cmd("EVAL");
    script.arg("return 1").arg(0);
    let mut known_script = cmd("EVALSHA");
    known_script.arg("0".repeat(40)).arg(0);
    vec![
        on_nothing("MGET", &[]),
        on_nothing("GET", &[]),
        // Only where there is something already, and there never is.
        on_nothing("SET", &["", "XX", "PX", "1"]),
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
async fn of_a_connection(connections: &Connections, layout: &Layout) -> Option<Finding> {
    let (sink, _pushes) = mpsc::unbounded_channel();
    // Where it cannot be made, the feed's own attempts tell.
    let mut connection = connections.pushing(sink).await.ok()?;
    let mut subscribe = cmd("SSUBSCRIBE");
    subscribe.arg(&*layout.channel(layout.buckets()));
    // As single commands: the client miscounts the replies of a pipeline whose MULTI is refused.
    for (name, command) in [
        ("MULTI", cmd("MULTI")),
        ("EXEC", cmd("EXEC")),
        ("SSUBSCRIBE", subscribe),
    ] {
        if let Err(error) = command.query_async::<Value>(&mut connection).await {
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
const COMMANDS: &str = "+mget +get +set +del +unlink +pttl +pexpire +xadd +xrange +spublish +ssubscribe +time +ping \
    +info +config|get +multi +exec +eval +evalsha +select";
