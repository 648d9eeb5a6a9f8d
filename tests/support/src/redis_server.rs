//! A private Redis: own port, own directory, nothing persisted, gone with its test.
//!
//! It answers before `start` returns, and the answer is known to be its own: another process may have
//! taken the port in between, and its PONG looks the same.

use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::directory::Directory;
use crate::port::free_port;
use crate::process::Process;
use crate::resp::{Reply, ask};

/// A running `redis-server` on a loopback port of its own.
///
/// Dropping it kills the process, waits for its end and removes its directory. The methods block for
/// as long as they say, mostly milliseconds; tests may call them from async code.
///
/// # Examples
/// ```
/// let redis = tricache_test_support::RedisServer::start();
///
/// redis.command(&["SET", "lamp", "on"]);
///
/// assert_eq!(redis.command(&["GET", "lamp"]), "on");
/// ```
#[derive(Debug)]
pub struct RedisServer {
    port: u16,
    arguments: Vec<String>,
    // Fields are dropped in this order: the process ends before its directory goes.
    process: Mutex<Process>,
    directory: Directory,
}

impl RedisServer {
    /// Starts a server and waits until it answers.
    ///
    /// # Panics
    /// If `redis-server` is not installed, or does not answer within 20 seconds.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts a server with more arguments, such as `["--maxmemory", "10mb"]`.
    ///
    /// # Panics
    /// As [`start`](Self::start), and if the server does not accept the arguments.
    #[must_use]
    pub fn start_with(arguments: &[&str]) -> Self {
        let directory = Directory::new("redis");
        let arguments: Vec<_> = arguments.iter().map(ToString::to_string).collect();
        for _ in 0..ATTEMPTS {
            let port = free_port();
            if let Some(process) = launch(port, &directory, &arguments) {
                return Self {
                    port,
                    directory,
                    arguments,
                    process: Mutex::new(process),
                };
            }
        }
        panic!(
            "redis-server ended {ATTEMPTS} times at its start, last with: {}",
            last_words(&directory)
        );
    }

    /// The address for a client: `redis://127.0.0.1:<port>`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// The port, the same after a restart.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The id of the process, another one after a restart.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process().id()
    }

    /// Ends the process at once (SIGKILL) and waits for it: its sockets are closed when this returns.
    pub fn kill(&self) {
        self.process().kill();
    }

    /// Asks the process to end (SIGTERM) and waits for it.
    ///
    /// # Panics
    /// If it has not ended within 20 seconds.
    pub fn terminate(&self) {
        let mut process = self.process();
        process.signal("TERM");
        process.signal("CONT");
        assert!(
            process.wait(LIMIT).is_some(),
            "redis-server has not ended {LIMIT:?} after SIGTERM"
        );
    }

    /// Stops the process where it stands (SIGSTOP): connections stay open, new ones are still accepted
    /// by the system, and nothing is answered.
    pub fn freeze(&self) {
        self.process().signal("STOP");
    }

    /// Lets a frozen process go on (SIGCONT).
    pub fn thaw(&self) {
        self.process().signal("CONT");
    }

    /// Writes what it holds to its file.
    ///
    /// # Panics
    /// If the server cannot do so.
    pub fn save(&self) {
        assert_eq!(self.command(&["SAVE"]), "OK");
    }

    /// Kills the process if it runs and starts one on the same port that holds what was [saved](Self::save) last.
    ///
    /// # Panics
    /// If the server does not come back within 20 seconds.
    pub fn restart_from_file(&self) {
        self.restart(|| {});
    }

    /// Kills the process if it runs and starts an empty one on the same port.
    ///
    /// # Panics
    /// If the server does not come back within 20 seconds.
    pub fn restart_empty(&self) {
        // Mostly there is none.
        self.restart(|| drop(std::fs::remove_file(self.directory.join(FILE))));
    }

    fn restart(&self, between: impl FnOnce()) {
        let mut process = self.process();
        process.kill();
        between();
        *process = (0..ATTEMPTS)
            .find_map(|_| launch(self.port, &self.directory, &self.arguments))
            .unwrap_or_else(|| {
                panic!(
                    "redis-server does not come back: {}",
                    last_words(&self.directory)
                )
            });
    }

    /// Sends a command on a connection of its own and returns the reply as text, errors too.
    ///
    /// # Panics
    /// If the server cannot be reached or does not answer within 10 seconds.
    pub fn command(&self, arguments: &[&str]) -> String {
        match self.reply(arguments) {
            Ok(reply) => reply.to_string(),
            Err(error) => panic!(
                "redis-server on port {} did not answer {arguments:?}: {error}",
                self.port
            ),
        }
    }

    /// Sends a command on a connection of its own and returns the reply with its type.
    ///
    /// # Errors
    /// If the server cannot be reached or does not answer within 10 seconds.
    pub fn reply<A: AsRef<[u8]>>(&self, arguments: &[A]) -> io::Result<Reply> {
        ask(self.port, arguments, REPLY_LIMIT)
    }

    fn process(&self) -> MutexGuard<'_, Process> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One attempt: `None` if the process ended, which is what it does when the port is taken.
fn launch(port: u16, directory: &Path, arguments: &[String]) -> Option<Process> {
    let mut process = Process::spawn(PROGRAM, &command_line(port, arguments), directory)
        .unwrap_or_else(|error| cannot_start(&error));
    let start = Instant::now();
    while process.is_running() {
        if answers(port, process.id()) {
            return Some(process);
        }
        let last = || last_words(directory);
        assert!(
            start.elapsed() < LIMIT,
            "redis-server does not answer on port {port} after {LIMIT:?}: {}",
            last()
        );
        sleep(POLL);
    }
    None
}

fn command_line(port: u16, more: &[String]) -> Vec<String> {
    let port = port.to_string();
    let own = [
        "--port",
        &port,
        "--bind",
        "127.0.0.1",
        "--save",
        "",
        "--appendonly",
        "no",
        "--daemonize",
        "no",
        "--logfile",
        LOG,
    ];
    own.map(str::to_owned)
        .into_iter()
        .chain(more.iter().cloned())
        .collect()
}

pub(crate) fn answers(port: u16, pid: u32) -> bool {
    let ping = ask(port, &["PING"], START_LIMIT);
    let info = ask(port, &["INFO", "server"], START_LIMIT);
    let own = format!("process_id:{pid}");
    ping.is_ok_and(|reply| reply == Reply::Simple("PONG".into()))
        && info.is_ok_and(|reply| reply.to_string().lines().any(|line| line == own))
}

pub(crate) fn cannot_start(error: &io::Error) -> ! {
    if error.kind() == ErrorKind::NotFound {
        panic!(
            "`{PROGRAM}` (or `sh`) is not on the PATH, and the tests need it. \
             Debian and Ubuntu: apt-get install redis-server. macOS: brew install redis. \
             `tests/run` installs it where it may."
        );
    }
    panic!("cannot start {PROGRAM}: {error}");
}

fn last_words(directory: &Path) -> String {
    let log = std::fs::read_to_string(directory.join(LOG)).unwrap_or_default();
    log.lines()
        .last()
        .unwrap_or("nothing was logged; are its arguments right?")
        .to_owned()
}

pub(crate) const PROGRAM: &str = "redis-server";
const LOG: &str = "redis.log";
const FILE: &str = "dump.rdb";
pub(crate) const ATTEMPTS: usize = 5;
/// Generous: a loaded machine must not fail a correct test.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);
pub(crate) const REPLY_LIMIT: Duration = Duration::from_secs(10);
const START_LIMIT: Duration = Duration::from_secs(1);
pub(crate) const POLL: Duration = Duration::from_millis(5);
