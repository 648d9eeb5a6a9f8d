//! The Lua scripts, sent as EVALSHA and, where the server does not know them, once as EVAL.

use super::layout::Name;
use redis::{Cmd, ErrorKind, RedisError, ServerErrorKind};

/// One script with its digest.
pub(super) struct Script {
    source: &'static str,
    digest: String,
}

/// All scripts of the protocol.
pub(super) struct Scripts {
    pub(super) open: Script,
    pub(super) fill: Script,
    pub(super) bump: Script,
    pub(super) renew: Script,
    pub(super) depend: Script,
    pub(super) tags_bump: Script,
    pub(super) tags_read: Script,
    pub(super) tags_prune: Script,
    pub(super) purges_done: Script,
}

/// A script behind their shared head.
macro_rules! script {
    ($name:literal) => {
        Script::new(concat!(
            include_str!("scripts/common.lua"),
            include_str!(concat!("scripts/", $name, ".lua"))
        ))
    };
}

impl Scripts {
    pub(super) fn new() -> Self {
        Self {
            open: script!("open"),
            fill: script!("fill"),
            bump: script!("bump"),
            depend: script!("depend"),
            tags_bump: script!("tags_bump"),
            tags_read: script!("tags_read"),
            tags_prune: script!("tags_prune"),
            renew: Script::new(include_str!("scripts/renew.lua")),
            purges_done: Script::new(include_str!("scripts/purges_done.lua")),
        }
    }
}

impl Script {
    fn new(source: &'static str) -> Self {
        Self {
            source,
            digest: redis::Script::new(source).get_hash().to_owned(),
        }
    }

    /// The call by digest: keys first, then the arguments that the caller adds.
    pub(super) fn call(&self, keys: &[Name]) -> Cmd {
        start("EVALSHA", &self.digest, keys)
    }

    /// The same call with the source, which the server then keeps.
    pub(super) fn call_with_source(&self, keys: &[Name]) -> Cmd {
        start("EVAL", self.source, keys)
    }
}

/// Whether the server does not know the script: it is new, was restarted, or was promoted.
pub(super) fn is_unknown(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::NoScript)
}

fn start(command: &str, script: &str, keys: &[Name]) -> Cmd {
    let mut cmd = redis::cmd(command);
    cmd.arg(script).arg(keys.len());
    for key in keys {
        cmd.arg(&**key);
    }
    cmd
}
