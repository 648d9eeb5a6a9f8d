//! The tool as it is called: its report, its exit status, and what it leaves behind.

use std::{
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;

#[test]
fn in_process_run_reports_every_number_and_succeeds() {
    let folder = Folder::new("in-process");

    let output = folder.run(
        "--in-process --nodes 3 --zipf 500 --reads 20000 --store sim --store-latency 1ms --seed 7",
    );

    assert_clean(&output);
    let report = folder.report();
    assert_eq!(report["reads"], 20_000);
    assert_eq!(
        (&report["nodes"], &report["seed"]),
        (&Value::from(3), &Value::from(7))
    );
    assert_eq!(report["redis_bytes"], Value::Null);
    assert_eq!(report["outage"], Value::Null);
    assert_eq!(report["keys_without_ttl"], serde_json::json!({}));
    assert_numbers_add_up(&report);
    for name in ["lists", "list_reads", "list_loads", "tag_invalidations"] {
        assert_eq!(report[name], 0, "{name}");
    }
    assert!(folder.is_tidy());
}

#[test]
fn run_with_its_own_redis_reports_what_redis_holds() {
    let folder = Folder::new("own-redis");

    let output = folder.run("--zipf 500 --reads 20000 --store-latency 1ms");

    if !has_redis_server() {
        return assert_refused(&output, "--in-process");
    }
    assert_clean(&output);
    let report = folder.report();
    assert!(report["redis_bytes"].is_i64());
    assert!(report["keys_without_ttl"].is_object());
    assert_numbers_add_up(&report);
    assert!(folder.is_tidy());
}

#[test]
fn lists_are_read_beside_the_objects_and_judged_with_them() {
    let folder = Folder::new("lists-in-process");

    let output = folder.run(
        "--in-process --tags 20 --nodes 3 --zipf 2000 --reads 20000 --store sim --store-latency 1ms",
    );

    assert_clean(&output);
    assert_numbers_of_lists(&folder.report());
    assert!(String::from_utf8_lossy(&output.stdout).contains("of 20 lists"));
}

#[test]
fn lists_go_through_redis_too() {
    let folder = Folder::new("lists-own-redis");

    let output = folder.run("--tags 20 --zipf 2000 --reads 20000 --store-latency 1ms");

    if !has_redis_server() {
        return assert_refused(&output, "--in-process");
    }
    assert_clean(&output);
    assert_numbers_of_lists(&folder.report());
    assert!(folder.is_tidy());
}

#[test]
fn redis_killed_in_the_middle_leaves_nothing_pending_and_nothing_without_effect() {
    let folder = Folder::new("kill-redis");

    let output = folder
        .run("--kill-redis 1 --seconds 4 --tags 50 --zipf 2000 --writes 0.3% --store-latency 1ms");

    if !has_redis_server() {
        return assert_refused(&output, "--in-process");
    }
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let report = folder.report();
    let outage = |name: &str| {
        report["outage"][name]
            .as_f64()
            .unwrap_or_else(|| panic!("{name}"))
    };
    assert!(outage("seconds") >= 1.0);
    assert!(outage("reads") > 0.0);
    assert!(outage("loads") > 0.0, "without Redis nodes ask the store");
    assert!(outage("most_loads_under_way") > 0.0);
    assert!(outage("checked") > 0.0);
    assert!(outage("loads_over_bound") <= outage("loads") / 1000.0);
    assert_eq!(outage("not_effective"), 0.0);
    assert!(report["pending"].as_u64().unwrap() > 0, "writes went on");
    assert_eq!(
        (&report["errors"], &report["pending_at_end"]),
        (&Value::from(0), &Value::from(0))
    );
    assert!(folder.is_tidy());
}

#[cfg(unix)]
#[test]
fn interrupted_run_shows_its_table_and_ends_its_redis() {
    if !has_redis_server() {
        return;
    }
    let folder = Folder::new("interrupted");
    let mut command = folder.command("--zipf 500 --seconds 60");
    let run = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let redis = folder.address_of_redis();

    let signal = Command::new("kill")
        .args(["-INT", &run.id().to_string()])
        .status()
        .unwrap();
    let output = run.wait_with_output().unwrap();

    assert!(signal.success());
    assert_eq!(output.status.code(), Some(130), "{output:?}");
    assert!(
        TcpStream::connect(redis).is_err(),
        "redis-server must have ended"
    );
    assert!(folder.is_tidy());
}

#[test]
fn bad_input_is_refused_in_words() {
    let folder = Folder::new("bad-input");
    let text = folder.file("text.trace.xz", b"1\n2\n3\n4\n5\n6\n7\n8\n");

    for (line, word) in [
        ("--in-process --writes most", "expected a percentage"),
        ("--in-process --nodes 0", "--nodes"),
        ("--in-process --tags 0", "--tags"),
        ("--in-process --tags some", "--tags"),
        (
            "--in-process --trace missing.trace.xz",
            "there is no trace missing.trace.xz",
        ),
        (
            &*format!("--in-process --trace {}", text.display()),
            "as xz",
        ),
        ("--in-process --trace a.xz --zipf 10", "cannot be used with"),
        ("--in-process --store paper", "sqlite"),
        ("--in-process --kill-redis", "cannot be used with"),
        (
            "--redis redis://127.0.0.1:1 --kill-redis",
            "cannot be used with",
        ),
        ("--kill-redis never", "expected a number of seconds"),
        (
            "--kill-redis --seconds 20",
            "--seconds must be more than twice that",
        ),
        (
            "--redis redis://user:secret@127.0.0.1:1",
            "cannot reach Redis at 127.0.0.1:1",
        ),
        ("--redis nonsense", "cannot use the URL of Redis"),
    ] {
        let output = folder.run(line);
        assert_refused(&output, word);
        assert!(!String::from_utf8_lossy(&output.stderr).contains("secret"));
    }
    assert!(folder.is_tidy());
}

#[test]
fn without_a_redis_server_the_error_names_the_way_out() {
    let folder = Folder::new("no-server");

    let output = folder
        .command("--zipf 10")
        .env("PATH", folder.path())
        .output()
        .unwrap();

    assert_refused(&output, "--in-process");
}

fn assert_clean(output: &Output) {
    let table = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(table.contains("\nstale over bound  0\n"), "{table}");
}

fn assert_refused(output: &Output, word: &str) {
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{message}");
    assert!(message.contains(word), "{message}");
}

fn assert_numbers_add_up(report: &Value) {
    let number = |pointer: &str| {
        report
            .pointer(pointer)
            .and_then(Value::as_f64)
            .unwrap_or_else(|| panic!("{pointer}"))
    };
    for pointer in [
        "/reads_per_s",
        "/joined",
        "/pending",
        "/remote_errors",
        "/stale_reads",
        "/seconds",
        "/staleness_ms/p50",
        "/staleness_ms/p99",
        "/staleness_ms/max",
        "/latency_us/local/p50",
        "/latency_us/local/p99",
        "/latency_us/local/p999",
        "/latency_us/remote/p50",
        "/latency_us/remote/p99",
        "/latency_us/remote/p999",
        "/latency_us/load/p50",
        "/latency_us/load/p99",
        "/latency_us/load/p999",
    ] {
        assert!(number(pointer) >= 0.0, "{pointer}");
    }
    assert_eq!((number("/errors"), number("/stale_over_bound")), (0.0, 0.0));
    assert!((1.0..=500.0).contains(&number("/distinct")));
    assert!(
        (100.0..=300.0).contains(&number("/writes")),
        "1 % of 20,000"
    );
    assert!(number("/local_hits") + number("/remote_hits") <= number("/reads"));
    assert!(
        number("/loads") >= number("/distinct"),
        "every object is loaded at least once"
    );
}

fn assert_numbers_of_lists(report: &Value) {
    let number = |name: &str| report[name].as_u64().unwrap_or_else(|| panic!("{name}"));
    assert_eq!(report["lists"], 20);
    assert!(
        (800..=1200).contains(&number("list_reads")),
        "5 % of 20,000"
    );
    assert!(
        number("list_loads") >= 20,
        "each list is made at least once"
    );
    assert!(number("list_local_hits") < number("list_reads"));
    assert!(
        (1..number("writes")).contains(&number("tag_invalidations")),
        "three lists of four carry a tag"
    );
    assert_eq!(report["list_stale_over_bound"], 0);
    assert_eq!(report["pending_at_end"], 0);
}

fn has_redis_server() -> bool {
    Command::new("redis-server")
        .arg("--version")
        .stdout(Stdio::null())
        .status()
        .is_ok()
}

/// A folder of one test, which the tool uses as the one for temporary files.
struct Folder(PathBuf);

impl Folder {
    fn new(test: &str) -> Self {
        let path =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{test}-{}", std::process::id()));
        std::fs::create_dir_all(path.join("tmp")).unwrap();
        Self(path)
    }

    fn path(&self) -> &Path {
        &self.0
    }

    fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tricache-load"));
        command
            .args(line.split_whitespace())
            .arg("--json")
            .arg(self.0.join("report.json"));
        command
            .current_dir(&self.0)
            .env("TMPDIR", self.0.join("tmp"))
            .stdin(Stdio::null());
        command
    }

    fn run(&self, line: &str) -> Output {
        self.command(line).output().unwrap()
    }

    fn report(&self) -> Value {
        serde_json::from_slice(&std::fs::read(self.0.join("report.json")).unwrap()).unwrap()
    }

    /// Whether the tool has removed its temporary files.
    fn is_tidy(&self) -> bool {
        std::fs::read_dir(self.0.join("tmp"))
            .unwrap()
            .next()
            .is_none()
    }

    /// Where the tool's Redis listens, once it does.
    fn address_of_redis(&self) -> SocketAddr {
        let deadline = Instant::now() + Duration::from_secs(30);
        while Instant::now() < deadline {
            let address = self
                .logged_port()
                .map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
            if let Some(address) = address.filter(|address| TcpStream::connect(address).is_ok()) {
                return address;
            }
            // Nothing tells when a log file is written.
            std::thread::sleep(Duration::from_millis(5));
        }
        panic!("no Redis came up");
    }

    fn logged_port(&self) -> Option<u16> {
        let folders = std::fs::read_dir(self.0.join("tmp")).unwrap();
        let logs = folders.filter_map(|folder| {
            std::fs::read_to_string(folder.ok()?.path().join("redis.log")).ok()
        });
        logs.filter_map(|log| log.split_once(", port=")?.1.split('.').next()?.parse().ok())
            .next()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
