//! A redis-server of this run alone: a free loopback port, no persistence, its own folder, ended with its guard.

use std::{
    io::ErrorKind,
    net::{Ipv4Addr, TcpListener},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use crate::{failure::Failure, redis_probe::Probe, temp_dir::TempDir};

/// The guard of the process: dropping it ends the process and removes its folder.
#[derive(Debug)]
pub(crate) struct RedisServer {
    process: Child,
    port: u16,
    folder: TempDir,
}

impl RedisServer {
    /// Starts the redis-server on the PATH and waits until it answers.
    ///
    /// # Errors
    /// When there is none, or it does not come up.
    pub(crate) async fn start() -> Result<Self, Failure> {
        let mut last = Failure::plain("redis-server did not start");
        for _ in 0..ATTEMPTS {
            let mut server = Self::spawn()?;
            match server.wait().await {
                Ok(()) => return Ok(server),
                // Somebody else may have taken the port in between.
                Err(failure) => last = failure,
            }
        }
        Err(last)
    }

    /// Where the server listens.
    pub(crate) fn url(&self) -> String {
        format!("redis://{}:{}", Ipv4Addr::LOCALHOST, self.port)
    }

    /// The same as an address.
    pub(crate) fn address(&self) -> (Ipv4Addr, u16) {
        (Ipv4Addr::LOCALHOST, self.port)
    }

    /// Stops the process where it stands: connections stay open, and nothing is answered.
    ///
    /// # Errors
    /// When the system refuses.
    pub(crate) fn freeze(&self) -> Result<(), Failure> {
        self.signal("STOP")
    }

    /// Lets a stopped process go on.
    ///
    /// # Errors
    /// When the system refuses.
    pub(crate) fn thaw(&self) -> Result<(), Failure> {
        self.signal("CONT")
    }

    /// Kills the process and waits for its end. What it held is lost.
    ///
    /// # Errors
    /// When the system refuses.
    pub(crate) fn kill(&mut self) -> Result<(), Failure> {
        let ended = self.process.kill().and_then(|()| self.process.wait());
        ended
            .map(drop)
            .map_err(|error| Failure::new("cannot kill redis-server", error))
    }

    /// Starts a killed server again, on the same port and with nothing in it.
    ///
    /// # Errors
    /// When it does not come up.
    pub(crate) async fn revive(&mut self) -> Result<(), Failure> {
        self.process = launch(self.port, &self.folder)?;
        self.wait().await
    }

    fn signal(&self, name: &str) -> Result<(), Failure> {
        let id = self.process.id().to_string();
        let sent = Command::new("kill").args(["-s", name, &id]).status();
        match sent {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(Failure::new("cannot signal redis-server", status)),
            Err(error) => Err(Failure::new("cannot signal redis-server", error)),
        }
    }

    fn spawn() -> Result<Self, Failure> {
        let folder = TempDir::new().map_err(failed)?;
        let port = free_port().map_err(failed)?;
        Ok(Self {
            process: launch(port, &folder)?,
            port,
            folder,
        })
    }

    /// Waits until the server answers and is the one that was started.
    async fn wait(&mut self) -> Result<(), Failure> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Ok(Some(status)) = self.process.try_wait() {
                return Err(Failure::plain(format!(
                    "redis-server ended at once with {status}: {}",
                    self.last_words()
                )));
            }
            if self.answers().await {
                return Ok(());
            }
            if Instant::now() >= deadline {
                return Err(Failure::plain("redis-server does not answer"));
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn answers(&self) -> bool {
        let Ok(mut probe) = Probe::connect(&self.url()).await else {
            return false;
        };
        probe
            .process_id()
            .await
            .is_ok_and(|id| id == self.process.id())
    }

    fn last_words(&self) -> String {
        let log = std::fs::read_to_string(self.folder.path().join("redis.log")).unwrap_or_default();
        log.lines().last().unwrap_or("it left no log").to_owned()
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        // Both fail only if the process has ended already, which is what is wanted.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn launch(port: u16, folder: &TempDir) -> Result<Child, Failure> {
    let mut command = Command::new("redis-server");
    command
        .args([
            "--port",
            &port.to_string(),
            "--bind",
            &Ipv4Addr::LOCALHOST.to_string(),
        ])
        .args([
            "--save",
            "",
            "--appendonly",
            "no",
            "--daemonize",
            "no",
            "--logfile",
            "redis.log",
            "--dir",
        ])
        .arg(folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    detach_from_terminal(&mut command);
    command.spawn().map_err(|error| match error.kind() {
        ErrorKind::NotFound => Failure::plain(NO_SERVER),
        _ => failed(error),
    })
}

fn failed(error: std::io::Error) -> Failure {
    Failure::new("cannot start redis-server", error)
}

fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?
        .local_addr()?
        .port())
}

/// Keeps ctrl-c at the terminal from ending the server before the run has measured it.
#[cfg(unix)]
fn detach_from_terminal(command: &mut Command) {
    std::os::unix::process::CommandExt::process_group(command, 0);
}

#[cfg(not(unix))]
fn detach_from_terminal(_: &mut Command) {}

const ATTEMPTS: usize = 3;
const PATIENCE: Duration = Duration::from_secs(10);
const NO_SERVER: &str = "there is no redis-server on the PATH: install Redis, name a running one with --redis URL, or use none with --in-process";
