//! A server process that does not outlive its test.
//!
//! A test that is killed runs no destructor. A small shell holds the other end of a pipe of ours and
//! kills the server and removes its directory when the pipe closes, whatever the reason.

use std::io;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// A running process and its watchdog. Dropping it kills both and waits for them.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    watchdog: Child,
}

impl Process {
    pub(crate) fn spawn(program: &str, arguments: &[String], directory: &Path) -> io::Result<Self> {
        let mut child = Command::new(program)
            .args(arguments)
            .current_dir(directory)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        match watch(child.id(), directory) {
            Ok(watchdog) => Ok(Self { child, watchdog }),
            Err(error) => {
                end(&mut child);
                Err(error)
            }
        }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Sends `signal` (a name such as `STOP`) if the process still runs.
    ///
    /// # Panics
    /// If the signal cannot be sent.
    pub(crate) fn signal(&mut self, signal: &str) {
        if !self.is_running() {
            return;
        }
        let status = shell("kill -s \"$1\" \"$2\"", &[signal, &self.id().to_string()]).status();
        assert!(
            status.is_ok_and(|status| status.success()),
            "cannot send SIG{signal} to process {}",
            self.id()
        );
    }

    pub(crate) fn kill(&mut self) {
        end(&mut self.child);
    }

    /// Waits for the end of the process, at most `limit`; `None` if it still runs.
    pub(crate) fn wait(&mut self, limit: Duration) -> Option<ExitStatus> {
        let start = Instant::now();
        loop {
            match self.child.try_wait() {
                Ok(Some(status)) => return Some(status),
                Ok(None) if start.elapsed() < limit => sleep(POLL),
                _ => return None,
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // The watchdog goes first: a number that is free again may belong to somebody else.
        end(&mut self.watchdog);
        end(&mut self.child);
    }
}

fn watch(id: u32, directory: &Path) -> io::Result<Child> {
    shell(WATCH, &[&id.to_string()])
        .arg(directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
}

/// The shell's own `kill` is used: a slim container has no program of that name.
fn shell(script: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script, "sh"]).args(arguments);
    command
}

/// Kills and reaps. Both fail only if the child is already gone.
fn end(child: &mut Child) {
    let _gone = child.kill();
    let _reaped = child.wait();
}

/// A child's end is no event that std lets us wait for with a limit.
const POLL: Duration = Duration::from_millis(2);

/// The signals are those that a terminal sends to the whole group: the watchdog must see the end of it.
const WATCH: &str = r#"trap '' HUP INT TERM; read -r _; kill -s KILL "$1"; rm -rf -- "$2""#;
