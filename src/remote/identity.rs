//! Who a Redis server is: the beginning of its replication id, which a promotion and a restart change.
//!
//! An epoch is owned by the server that it began on. Old pointer and old value come back together where a replica takes over
//! that had not heard of an invalidation, or a server restarts from an older file; only something outside the data tells.
//! `FLUSHALL` does not change the id, and need not: the owner is gone with the data, and missing means unknown.

use redis::{Cmd, RedisError, ServerErrorKind, Value};
use std::sync::atomic::{AtomicU64, Ordering};

/// What a connection knows of the server it reaches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Server {
    /// It has not said yet, or is a replica, which may lag behind any invalidation: no record of it is believed.
    #[default]
    Unknown,
    /// It does not tell: every record is believed.
    Silent,
    Known(u64),
}

impl Server {
    /// Who has answered the question of [`question`].
    pub(super) fn of_answer(answer: &Result<Value, RedisError>) -> Self {
        match answer {
            Ok(Value::BulkString(text)) => Self::of_info(&String::from_utf8_lossy(text)),
            Ok(_) => Self::Silent,
            Err(error) if is_refusal(error) => Self::Silent,
            Err(_) => Self::Unknown,
        }
    }

    fn of_info(text: &str) -> Self {
        let mut server = Self::Silent;
        for (name, text) in text.lines().filter_map(|line| line.split_once(':')) {
            match name {
                "role" if text.trim() != "master" => return Self::Unknown,
                "master_replid" => server = Self::of_id(text.trim()),
                _ => {}
            }
        }
        server
    }

    fn of_id(id: &str) -> Self {
        let beginning = id.get(..DIGITS).unwrap_or_default();
        match u64::from_str_radix(beginning, 16) {
            Ok(id) if id > SILENT => Self::Known(id),
            _ => Self::Unknown,
        }
    }

    /// The owner of a record.
    pub(super) fn owning(owner: &[u8]) -> Self {
        parse(owner).map_or(Self::Silent, Self::Known)
    }

    /// Whether a record with this owner counts on this server.
    pub(super) fn owns(self, owner: &[u8]) -> bool {
        match self {
            Self::Unknown => false,
            Self::Silent => true,
            Self::Known(id) => parse(owner) == Some(id),
        }
    }

    /// What a script is told behind the fresh epoch: nothing where the server does not tell; `?` and the id as it was when the
    /// server was asked last, or `!` and the id where that was just now. `?` alone owns nothing.
    pub(super) fn told(self, just_asked: bool) -> String {
        match self {
            Self::Known(id) if just_asked => format!("!{id:016x}"),
            Self::Known(id) => format!("?{id:016x}"),
            Self::Unknown => "?".to_owned(),
            Self::Silent => String::new(),
        }
    }
}

/// What one connection knows; its reads and heartbeats share it.
#[derive(Debug)]
pub(super) struct Identity(AtomicU64);

impl Identity {
    pub(super) fn new(server: Server) -> Self {
        Self(AtomicU64::new(number(server)))
    }

    pub(super) fn is(&self) -> Server {
        match self.0.load(Ordering::Acquire) {
            UNKNOWN => Server::Unknown,
            SILENT => Server::Silent,
            id => Server::Known(id),
        }
    }

    pub(super) fn learn(&self, server: Server) {
        self.0.store(number(server), Ordering::Release);
    }
}

/// The question, a microsecond or two of the server's time.
pub(super) fn question() -> Cmd {
    let mut command = redis::cmd("INFO");
    command.arg("replication");
    command
}

fn number(server: Server) -> u64 {
    match server {
        Server::Unknown => UNKNOWN,
        Server::Silent => SILENT,
        Server::Known(id) => id,
    }
}

/// By hand, since every read parses one.
fn parse(owner: &[u8]) -> Option<u64> {
    if owner.len() != DIGITS {
        return None;
    }
    owner.iter().try_fold(0, |sum, byte| {
        let digit = char::from(*byte).to_digit(16)?;
        Some(sum << 4 | u64::from(digit))
    })
}

/// Whether the server does not let this user ask, or does not know the question; anything else may be over in a moment.
fn is_refusal(error: &RedisError) -> bool {
    let unknown = || error.to_string().contains("unknown command");
    error.code() == Some("NOPERM")
        || (error.kind() == redis::ErrorKind::Server(ServerErrorKind::ResponseError) && unknown())
}

/// Digits of the replication id that an owner is made of: 64 of its 160 random bits.
const DIGITS: usize = 16;
const UNKNOWN: u64 = 0;
const SILENT: u64 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    const INFO: &str = "# Replication\r\nrole:master\r\nconnected_slaves:0\r\n\
        master_replid:17da78338beb6fd397a5cbfd805920fb6c2b9b8a\r\nmaster_replid2:0000000000000000000000000000000000000000\r\n";

    #[test]
    fn a_master_is_known_by_its_replication_id() {
        let server = Server::of_info(INFO);

        assert_eq!(server, Server::Known(0x17da_7833_8beb_6fd3));
        assert!(server.owns(b"17da78338beb6fd3"));
        for other in [
            "-",
            "",
            "17da78338beb6fd4",
            "17da78338beb6fd",
            "?7da78338beb6fd3",
        ] {
            assert!(!server.owns(other.as_bytes()), "{other}");
        }
    }

    #[test]
    fn a_replica_is_not_believed_whoever_its_master_is() {
        let server = Server::of_info(&INFO.replace("role:master", "role:slave"));

        assert_eq!(server, Server::Unknown);
        assert!(!server.owns(b"17da78338beb6fd3") && !server.owns(b"-"));
    }

    #[test]
    fn one_that_does_not_tell_is_believed() {
        let refused = Server::of_info("role:master\r\n");

        assert_eq!(refused, Server::Silent);
        assert!(refused.owns(b"-") && refused.owns(b"17da78338beb6fd3"));
        assert_eq!(refused.told(true), "");
    }

    #[test]
    fn a_script_is_told_how_old_the_knowledge_is() {
        let server = Server::Known(0xab);

        assert_eq!(server.told(false), "?00000000000000ab");
        assert_eq!(server.told(true), "!00000000000000ab");
        let identity = Identity::new(server);
        identity.learn(Server::Unknown);
        assert_eq!(identity.is(), Server::Unknown);
    }
}
