//! What is said to a single server.

use std::time::Duration;

use tokio::{
    task::block_in_place,
    time::{Instant, sleep},
};
use tricache_test_support::RedisServer;

use crate::failure::Failure;

/// Waits until the replicas have what the master has now.
///
/// # Errors
/// When they do not get that far.
pub(super) async fn in_step(
    master: &RedisServer,
    replicas: &[&RedisServer],
) -> Result<(), Failure> {
    let known = offset(master);
    let is_in_step = |replica: &&RedisServer| {
        let info = replication(replica);
        info.contains("master_link_status:up") && offset_in(&info) >= known
    };
    let deadline = Instant::now() + PATIENCE;
    while !replicas.iter().all(is_in_step) {
        if Instant::now() > deadline {
            return Err(Failure::plain("the replicas do not get in step"));
        }
        sleep(POLL).await;
    }
    Ok(())
}

/// How far the server is in the log of changes.
pub(super) fn offset(server: &RedisServer) -> u64 {
    offset_in(&replication(server))
}

/// Whom it follows, and how far it is.
pub(super) fn replication(server: &RedisServer) -> String {
    command(server, &["INFO", "replication"])
}

/// Sends a command to a server that runs, and returns the reply as text.
pub(super) fn command(server: &RedisServer, words: &[&str]) -> String {
    block_in_place(|| server.command(words))
}

fn offset_in(info: &str) -> u64 {
    let mut lines = info.lines();
    let offset = lines.find_map(|line| line.strip_prefix("master_repl_offset:"));
    offset
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(0)
}

/// A full copy begins at once, and a silent link is noticed soon.
pub(super) const SETTINGS: [&str; 4] = [
    "--repl-diskless-sync-delay",
    "0",
    "--repl-ping-replica-period",
    "1",
];

/// Takes all events from the logs of the feeds.
pub(super) const TRIM: &str = "for _, log in ipairs(redis.call('KEYS', 'tc1:*:l')) do redis.call('XTRIM', log, 'MAXLEN', 0) end return 'trimmed'";

const PATIENCE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(10);
