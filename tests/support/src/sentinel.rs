//! A private sentinel: own port, own directory, gone with its test.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::sleep;
use std::time::Instant;

use crate::directory::Directory;
use crate::port::free_port;
use crate::process::Process;
use crate::redis_server::{ATTEMPTS, LIMIT, POLL, PROGRAM, REPLY_LIMIT, answers, cannot_start};
use crate::resp::{Reply, ask};

/// A running `redis-server --sentinel` on a loopback port of its own. Dropping it kills the process.
#[derive(Debug)]
pub struct Sentinel {
    port: u16,
    // Fields are dropped in this order: the process ends before its directory goes.
    process: Mutex<Process>,
    directory: Directory,
    frozen: AtomicBool,
}

impl Sentinel {
    /// Starts one with these lines of configuration and waits until it answers.
    ///
    /// # Panics
    /// If `redis-server` is not installed, or does not answer in time.
    #[must_use]
    pub fn start(configuration: &str) -> Self {
        let directory = Directory::new("sentinel");
        for _ in 0..ATTEMPTS {
            let port = free_port();
            let file = directory.join("sentinel.conf");
            let text = format!("port {port}\nbind 127.0.0.1\nlogfile redis.log\n{configuration}");
            std::fs::write(&file, text).expect("a file in a directory of our own");
            if let Some(process) = launch(port, &directory) {
                let sentinel = Self {
                    port,
                    process: Mutex::new(process),
                    directory,
                    frozen: AtomicBool::new(false),
                };
                sentinel.be_patient();
                return sentinel;
            }
        }
        panic!("a sentinel ended {ATTEMPTS} times at its start")
    }

    /// The address for a client: `redis://127.0.0.1:<port>`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// The port that it listens on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Ends the process at once (SIGKILL) and waits for it.
    pub fn kill(&self) {
        self.process().kill();
    }

    /// Starts a killed one again, on the same port and with what it knew.
    ///
    /// # Panics
    /// If it does not come back in time.
    pub fn restart(&self) {
        let mut process = self.process();
        process.kill();
        *process = (0..ATTEMPTS)
            .find_map(|_| launch(self.port, &self.directory))
            .expect("a sentinel comes back");
        drop(process);
        self.be_patient();
    }

    /// Stops the process where it stands (SIGSTOP).
    pub fn freeze(&self) {
        self.frozen.store(true, Ordering::Relaxed);
        self.process().signal("STOP");
    }

    /// Lets a frozen process go on (SIGCONT).
    pub fn thaw(&self) {
        self.process().signal("CONT");
        self.frozen.store(false, Ordering::Relaxed);
    }

    /// Sends a command on a connection of its own and returns the reply with its type.
    ///
    /// # Errors
    /// If it cannot be reached or does not answer within 10 seconds.
    pub fn reply(&self, arguments: &[&str]) -> io::Result<Reply> {
        ask(self.port, arguments, REPLY_LIMIT)
    }

    /// The same as text, errors too.
    ///
    /// # Panics
    /// If it cannot be reached or does not answer within 10 seconds.
    pub fn command(&self, arguments: &[&str]) -> String {
        let reply = self.reply(arguments);
        reply.expect("an answer of the sentinel").to_string()
    }

    /// `None` if it is frozen or dead.
    pub(crate) fn reply_if_it_runs(&self, arguments: &[&str]) -> Option<Reply> {
        if self.frozen.load(Ordering::Relaxed) {
            return None;
        }
        self.reply(arguments).ok()
    }

    /// A machine that is busy for two seconds would keep it from any failover for the next thirty.
    fn be_patient(&self) {
        let patience = ["SENTINEL", "DEBUG", "tilt-trigger", "60000"];
        assert_eq!(self.command(&patience), "OK");
    }

    fn process(&self) -> MutexGuard<'_, Process> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Sentinel {
    fn drop(&mut self) {
        // Why there was no failover nobody else knows.
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.directory.join("redis.log"));
            eprintln!("sentinel {}:\n{}", self.port, log.unwrap_or_default());
        }
    }
}

/// One attempt: `None` if the process ended, which is what it does when the port is taken.
fn launch(port: u16, directory: &Directory) -> Option<Process> {
    let arguments = ["sentinel.conf", "--sentinel"].map(str::to_owned);
    let mut process =
        Process::spawn(PROGRAM, &arguments, directory).unwrap_or_else(|error| cannot_start(&error));
    let start = Instant::now();
    while process.is_running() {
        if answers(port, process.id()) {
            return Some(process);
        }
        assert!(
            start.elapsed() < LIMIT,
            "a sentinel does not answer on port {port} after {LIMIT:?}"
        );
        sleep(POLL);
    }
    None
}
