//! The Lua scripts, sent as EVALSHA and, where the server does not know them, once as EVAL.

use super::{identity::Server, layout::Name};
use crate::model::{Epoch, Nonce};
use redis::{Cmd, ErrorKind, RedisError, ServerErrorKind};

/// One script with its digest.
pub(super) struct Script {
    source: &'static str,
    digest: String,
    /// Whether it begins with their shared head.
    headed: bool,
}

/// For whom a script is called.
#[derive(Clone, Copy, Debug)]
pub(super) struct Addressee {
    /// Whose connection carries it.
    pub(super) server: Server,
    /// The server was asked for this very call.
    pub(super) just_asked: bool,
    /// It does not know the script.
    pub(super) needs_source: bool,
}

/// All scripts of the protocol.
pub(super) struct Scripts {
    pub(super) open: Script,
    pub(super) fill: Script,
    pub(super) bump: Script,
    pub(super) renew: Script,
    pub(super) depend: Script,
    pub(super) fence: Script,
    pub(super) tags_bump: Script,
    pub(super) tags_read: Script,
    pub(super) tags_prune: Script,
    pub(super) purges_done: Script,
}

/// A script behind their shared head.
macro_rules! script {
    ($name:literal) => {
        Script::new(
            concat!(
                include_str!("scripts/common.lua"),
                include_str!(concat!("scripts/", $name, ".lua"))
            ),
            true,
        )
    };
}

impl Scripts {
    pub(super) fn new() -> Self {
        Self {
            open: script!("open"),
            fill: script!("fill"),
            bump: script!("bump"),
            depend: script!("depend"),
            fence: script!("fence"),
            tags_bump: script!("tags_bump"),
            tags_read: script!("tags_read"),
            tags_prune: script!("tags_prune"),
            renew: Script::new(include_str!("scripts/renew.lua"), false),
            purges_done: Script::new(include_str!("scripts/purges_done.lua"), false),
        }
    }
}

impl Script {
    fn new(source: &'static str, headed: bool) -> Self {
        Self {
            source,
            digest: redis::Script::new(source).get_hash().to_owned(),
            headed,
        }
    }

    /// The call: keys first, then what the head needs to begin an epoch or to link an event, then what the caller adds.
    pub(super) fn call(&self, keys: &[Name], to: Addressee) -> Cmd {
        let mut command = if to.needs_source {
            start("EVAL", self.source, keys)
        } else {
            start("EVALSHA", &self.digest, keys)
        };
        if self.headed {
            let told = to.server.told(to.just_asked);
            command.arg(format!("{}{told}", Epoch::random().0));
            command.arg(Nonce::random().0);
        }
        command
    }
}

/// Whether the server does not know the script: it is new, was restarted, or was promoted.
pub(super) fn is_unknown(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::NoScript)
}

/// Whether the epoch began on another server than the sender takes this one for.
pub(super) fn is_fenced(error: &RedisError) -> bool {
    error.code() == Some("FENCED")
}

fn start(command: &str, script: &str, keys: &[Name]) -> Cmd {
    let mut cmd = redis::cmd(command);
    cmd.arg(script).arg(keys.len());
    for key in keys {
        cmd.arg(&**key);
    }
    cmd
}
