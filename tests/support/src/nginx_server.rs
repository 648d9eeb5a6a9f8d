//! A private nginx: own port, own directory, gone with its test.
//!
//! It listens before `start` returns. A missing program is a panic that names the package, never a test that is left out.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::directory::Directory;
use crate::port::{free_port, loopback};
use crate::process::Process;

/// A running `nginx` on a loopback port of its own: one process, of the user who runs the tests.
///
/// Dropping it ends the process and removes its directory.
#[derive(Debug)]
pub struct NginxServer {
    port: u16,
    // Fields are dropped in this order: the process ends before its directory goes.
    _process: Process,
    _directory: Directory,
}

impl NginxServer {
    /// Starts a server and waits until it listens.
    ///
    /// `configure` is given the address to listen at and a directory to keep things in, and answers what stands in the block
    /// `http`, such as a file of `conf.d`. It may be asked again, if somebody else was quicker to take the port.
    ///
    /// # Panics
    /// If nginx is not installed, the configuration is wrong, or it does not listen within 30 seconds.
    #[must_use]
    pub fn start(configure: impl Fn(SocketAddr, &Path) -> String) -> Self {
        let directory = Directory::new("nginx");
        for _ in 0..ATTEMPTS {
            let port = free_port();
            let http = configure(loopback(port), &directory);
            std::fs::write(directory.join(FILE), whole(&http, &directory))
                .expect("a directory of our own is writable");
            if let Some(process) = launch(&directory) {
                return Self {
                    port,
                    _process: process,
                    _directory: directory,
                };
            }
        }
        panic!(
            "nginx ended {ATTEMPTS} times at its start. It says: {}",
            complaints(&directory)
        );
    }

    /// The address of its socket.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        loopback(self.port)
    }
}

/// One attempt: `None` if the process ended, which is what it does when the port is taken.
fn launch(directory: &Path) -> Option<Process> {
    let mut process = Process::spawn(&program(), &command_line(directory), directory)
        .unwrap_or_else(|error| cannot_start(&error));
    let start = Instant::now();
    while process.is_running() {
        // It writes its number when it has its port: somebody else's answer there would tell nothing.
        if directory.join(NUMBER).exists() {
            return Some(process);
        }
        assert!(
            start.elapsed() < LIMIT,
            "nginx does not listen after {LIMIT:?}"
        );
        sleep(POLL);
    }
    None
}

fn command_line(directory: &Path) -> Vec<String> {
    let own = directory.display();
    ["-p", &format!("{own}"), "-c", FILE, "-e", "error.log"]
        .map(str::to_owned)
        .to_vec()
}

/// In the foreground, in one process, with everything that it writes in its directory.
fn whole(http: &str, directory: &Path) -> String {
    let own = directory.display();
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("    {kind}_temp_path {own}/{kind};\n"))
        .concat();
    format!(
        "daemon off;\nmaster_process off;\npid {NUMBER};\nerror_log error.log;\nevents {{ worker_connections 512; }}\n\
         http {{\n    access_log off;\n{temporary}{http}\n}}\n"
    )
}

/// Debian installs it where only root looks.
fn program() -> String {
    let sbin = "/usr/sbin/nginx";
    if Path::new(sbin).exists() {
        sbin
    } else {
        "nginx"
    }
    .to_owned()
}

fn cannot_start(error: &io::Error) -> ! {
    if error.kind() == ErrorKind::NotFound {
        panic!(
            "`nginx` (or `sh`) is not on the PATH, and the tests need it. \
             Debian and Ubuntu: apt-get install nginx-light. `tests/run` installs it where it may."
        );
    }
    panic!("cannot start nginx: {error}");
}

/// What it has against a configuration, or what it logged.
fn complaints(directory: &Path) -> String {
    let output = Command::new(program())
        .args(command_line(directory))
        .arg("-t")
        .stdout(Stdio::null())
        .output();
    let test = output.map_or_else(
        |error| error.to_string(),
        |output| String::from_utf8_lossy(&output.stderr).into_owned(),
    );
    let log = std::fs::read_to_string(directory.join("error.log"));
    format!("{test}{}", log.unwrap_or_default())
}

const FILE: &str = "nginx.conf";
const NUMBER: &str = "nginx.pid";
const ATTEMPTS: usize = 3;
/// Generous: a loaded machine must not fail a correct test.
const LIMIT: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(5);

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use super::*;

    #[test]
    fn it_listens_when_it_has_started_and_not_when_it_is_dropped() {
        let nginx = NginxServer::start(|address, _| format!("server {{ listen {address}; }}"));
        let address = nginx.address();
        assert!(TcpStream::connect(address).is_ok());

        drop(nginx);

        assert!(TcpStream::connect(address).is_err());
    }

    #[test]
    #[should_panic(expected = "unknown directive \"serve\"")]
    fn a_configuration_that_is_wrong_is_told() {
        drop(NginxServer::start(|_, _| "serve {}".to_owned()));
    }
}
