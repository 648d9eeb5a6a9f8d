//! A private Varnish: own port, own directory, gone with its test.
//!
//! It answers before `start` returns. A missing program or module is a panic that names the packages, never a test that is left out.

use std::io::{self, ErrorKind};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::directory::Directory;
use crate::port::{free_port, loopback};
use crate::process::Process;

/// A running `varnishd` on a loopback port of its own.
///
/// Dropping it ends the process, waits for its end and removes its directory.
#[derive(Debug)]
pub struct VarnishServer {
    port: u16,
    // Fields are dropped in this order: the process ends before its directory goes.
    process: Process,
    _directory: Directory,
}

impl VarnishServer {
    /// Starts a server with this configuration and waits until it answers.
    ///
    /// # Panics
    /// If Varnish or its modules are not installed, the configuration is wrong, or it does not answer within 30 seconds.
    #[must_use]
    pub fn start(configuration: &str) -> Self {
        let directory = Directory::new("varnish");
        let file = directory.join("test.vcl");
        std::fs::write(&file, configuration).expect("a directory of our own is writable");
        for _ in 0..ATTEMPTS {
            let port = free_port();
            if let Some(process) = launch(port, &directory) {
                return Self {
                    port,
                    process,
                    _directory: directory,
                };
            }
        }
        panic!(
            "varnishd ended {ATTEMPTS} times at its start. The tests need the packages {PACKAGES}. It says: {}",
            complaints(&file)
        );
    }

    /// The address for a client: `http://127.0.0.1:<port>`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", loopback(self.port))
    }

    /// The address of its socket.
    #[must_use]
    pub fn address(&self) -> std::net::SocketAddr {
        loopback(self.port)
    }
}

impl Drop for VarnishServer {
    fn drop(&mut self) {
        // Its worker is a process of its own, which it ends only if it is asked.
        self.process.signal("TERM");
        self.process.wait(LIMIT);
    }
}

/// One attempt: `None` if the process ended, which is what it does when the port is taken.
fn launch(port: u16, directory: &Path) -> Option<Process> {
    let arguments = command_line(port, directory);
    let mut process = Process::spawn(&program(), &arguments, directory)
        .unwrap_or_else(|error| cannot_start(&error));
    let start = Instant::now();
    while process.is_running() {
        if TcpStream::connect_timeout(&loopback(port), Duration::from_secs(1)).is_ok() {
            return Some(process);
        }
        assert!(
            start.elapsed() < LIMIT,
            "varnishd does not answer on port {port} after {LIMIT:?}"
        );
        sleep(POLL);
    }
    None
}

/// In the foreground, without jail, console or default lifetimes.
fn command_line(port: u16, directory: &Path) -> Vec<String> {
    let own = directory.join("work").display().to_string();
    let address = loopback(port).to_string();
    let file = directory.join("test.vcl").display().to_string();
    let arguments = [
        "-F",
        "-j",
        "none",
        "-T",
        "none",
        "-n",
        &own,
        "-a",
        &address,
        "-f",
        &file,
        "-s",
        "malloc,16M",
        "-p",
        "default_ttl=0",
        "-p",
        "default_grace=0",
    ];
    arguments.map(str::to_owned).to_vec()
}

/// Debian installs it where only root looks.
fn program() -> String {
    let sbin = "/usr/sbin/varnishd";
    if Path::new(sbin).exists() {
        sbin
    } else {
        "varnishd"
    }
    .to_owned()
}

fn cannot_start(error: &io::Error) -> ! {
    if error.kind() == ErrorKind::NotFound {
        panic!(
            "`varnishd` (or `sh`) is not on the PATH, and the tests need it. \
             Debian and Ubuntu: apt-get install {PACKAGES}. `tests/run` installs them where it may."
        );
    }
    panic!("cannot start varnishd: {error}");
}

/// What it has against a configuration.
fn complaints(file: &Path) -> String {
    let output = Command::new(program())
        .args(["-C", "-f"])
        .arg(file)
        .stdout(Stdio::null())
        .output();
    output.map_or_else(
        |error| error.to_string(),
        |output| String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

const PACKAGES: &str = "varnish varnish-modules";
const ATTEMPTS: usize = 3;
/// Generous: it compiles its configuration, and a loaded machine must not fail a correct test.
const LIMIT: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_answers_when_it_has_started_and_not_when_it_is_dropped() {
        let varnish = VarnishServer::start("vcl 4.1;\nbackend default none;\n");
        let address = varnish.address();
        assert!(TcpStream::connect(address).is_ok());

        drop(varnish);

        assert!(TcpStream::connect(address).is_err());
    }

    #[test]
    #[should_panic(expected = "varnish varnish-modules")]
    fn a_configuration_that_does_not_compile_names_the_packages() {
        drop(VarnishServer::start("vcl 4.1;\nimport no_such_module;\n"));
    }
}
