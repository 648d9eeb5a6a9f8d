//! The scenarios at a small scale: each keeps its promises, and none does without its protection.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use serde_json::Value;

#[test]
fn an_expiry_storm_is_no_storm_at_the_store() {
    let report = kept("expiry-storm");

    let number = |name: &str| number(&report, name);
    assert!(number("store_loads") > 0.0, "something expired");
    assert!(number("store_peak") < number("store_peak_without"));
}

#[test]
fn a_slow_store_makes_no_caller_late() {
    let report = kept("store-slow");

    assert!(number(&report, "late_without") > 0.0, "the store was slow");
    assert!(sum(&report, "stale_if_error") > 0.0);
    assert!(number(&report, "store_peak") < number(&report, "store_peak_without"));
}

#[test]
fn a_store_that_is_down_makes_no_errors_and_is_left_alone() {
    let report = kept("store-down");

    let number = |name: &str| number(&report, name);
    assert!(number("errors_without") > 0.0, "the store was down");
    assert!(number("store_loads_while_broken") < number("store_loads_while_broken_without"));
}

#[test]
fn a_slow_redis_makes_no_caller_late() {
    let report = kept("redis-slow");

    assert!(sum(&report, "unproven") > 0.0, "Redis was slow");
}

#[test]
fn a_frozen_redis_makes_no_caller_late() {
    let report = kept("redis-frozen");

    assert!(sum(&report, "unproven") > 0.0, "Redis was frozen");
    assert!(number(&report, "late_without") > 0.0);
}

#[test]
fn a_black_hole_before_redis_makes_no_caller_late() {
    // Leases that Redis gave into the hole are given back after it.
    let report = kept("redis-black-holed");

    assert!(sum(&report, "unproven") > 0.0, "nothing came through");
    assert!(number(&report, "late_without") > 0.0);
}

#[test]
fn a_redis_that_comes_back_empty_does_not_overrun_the_store() {
    let report = kept("redis-restart");

    let loads = number(&report, "store_loads");
    assert!(loads >= number(&report, "keys"), "all was loaded again");
}

#[test]
fn a_hot_key_is_loaded_once_at_a_time_by_the_fleet() {
    let report = kept("hot-key");

    assert_eq!(report["store_peak_of_one_version"], 1);
    assert!(number(&report, "store_loads") > 1.0, "it was invalidated");
    assert!(number(&report, "store_peak_without") > 8.0);
}

#[test]
fn without_a_limit_an_expiry_storm_fails() {
    assert_broken("expiry-storm", "loads at once");
}

#[test]
fn without_a_stale_window_a_slow_store_fails() {
    assert_broken("store-slow", "callers got an error");
}

#[test]
fn without_a_stale_window_a_store_that_is_down_fails() {
    assert_broken("store-down", "callers got an error");
}

#[test]
fn without_timeouts_a_slow_redis_fails() {
    assert_broken("redis-slow", "answers came later than");
}

#[test]
fn without_timeouts_a_frozen_redis_fails() {
    assert_broken("redis-frozen", "answers came later than");
}

#[test]
fn without_timeouts_a_black_hole_before_redis_fails() {
    assert_broken("redis-black-holed", "answers came later than");
}

#[test]
fn without_a_limit_a_redis_that_comes_back_empty_fails() {
    assert_broken("redis-restart", "loads at once");
}

#[test]
fn without_a_redis_for_all_a_hot_key_fails() {
    assert_broken("hot-key", "loads of one version");
}

#[test]
fn what_does_not_go_with_a_scenario_is_refused() {
    let folder = Folder::new("refused");
    for (line, word) in [
        ("--scenario store-slow --writes 2%", "cannot be used with"),
        ("--scenario store-slow --in-process", "cannot be used with"),
        ("--scenario store-slow --nodes 2", "cannot be used with"),
        ("--scenario store-slow --zipf 10", "cannot be used with"),
        ("--scenario store-slow --kill-redis", "cannot be used with"),
        (
            "--scenario store-slow --redis redis://h",
            "cannot be used with",
        ),
        ("--scenario store-sad", "possible values"),
        (
            "--scenario store-slow --seconds 1",
            "--seconds must be at least 2",
        ),
        ("--callers 5", "--scenario"),
        ("--unprotected", "--scenario"),
    ] {
        let output = folder.run(line);

        let message = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{line}: {message}");
        assert!(message.contains(word), "{line}: {message}");
    }
}

/// The report of a short run, which must be good.
///
/// Callers are late for the machine's sake when it stands still for longer than the grace. The report tells: such a run
/// says nothing, and is made again.
fn kept(scenario: &str) -> Value {
    let folder = Folder::new(scenario);
    let line = format!("--scenario {scenario} --seconds 3 --callers 40");
    for _ in 0..ATTEMPTS {
        let output = folder.run(&line);
        assert_ne!(output.status.code(), Some(2), "{output:?}");
        let report = folder.report();
        let stood_still = number(&report, "stall_ms") > number(&report, "grace_ms") / 2.0;
        if output.status.success() || !stood_still {
            assert_good(&output, &report, scenario);
            assert!(folder.is_tidy());
            return report;
        }
    }
    panic!("the machine stood still in each of {ATTEMPTS} runs");
}

fn assert_good(output: &Output, report: &Value, scenario: &str) {
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(report["scenario"], scenario);
    assert_eq!(report["callers"], 40);
    assert_eq!((&report["errors"], &report["late"]), (&0.into(), &0.into()));
    let number = |name: &str| number(report, name);
    assert!(number("worst_ms") <= number("deadline_ms") + number("grace_ms"));
    assert!(number("store_peak") <= number("limit"));
    assert!(number("reads") > 1000.0);
    assert!(report.get("recovered_ms").is_some());
    for side in ["ticks", "ticks_without"] {
        assert!(report[side].as_array().unwrap().len() >= 10, "{side}");
    }
    let table = String::from_utf8_lossy(&output.stdout);
    assert!(table.contains("kept             everything"), "{table}");
}

/// Without its protection a scenario must fail, and say why.
fn assert_broken(scenario: &str, why: &str) {
    let folder = Folder::new(&format!("{scenario}-unprotected"));

    let output = folder.run(&format!("--scenario {scenario} --unprotected --seconds 3"));

    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let broken = folder.report()["broken"].to_string();
    assert!(broken.contains(why), "{broken}");
    assert!(folder.is_tidy());
}

fn number(report: &Value, name: &str) -> f64 {
    let number = report[name].as_f64();
    number.unwrap_or_else(|| panic!("{name} in {report}"))
}

/// Of all ticks of the pass with tricache.
fn sum(report: &Value, name: &str) -> f64 {
    let ticks = report["ticks"].as_array().unwrap();
    ticks.iter().map(|tick| number(tick, name)).sum()
}

/// A folder of one test, which the tool uses as the one for temporary files.
struct Folder(PathBuf);

impl Folder {
    fn new(test: &str) -> Self {
        let name = format!("scenario-{test}-{}", std::process::id());
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::create_dir_all(path.join("tmp")).unwrap();
        Self(path)
    }

    fn run(&self, line: &str) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tricache-load"));
        command
            .args(line.split_whitespace())
            .arg("--json")
            .arg(self.0.join("report.json"))
            .env("TMPDIR", self.0.join("tmp"))
            .stdin(Stdio::null());
        command.output().unwrap()
    }

    fn report(&self) -> Value {
        let json = std::fs::read(self.0.join("report.json"));
        serde_json::from_slice(&json.expect("the run has written its report")).unwrap()
    }

    /// Whether the tool has removed its temporary files.
    fn is_tidy(&self) -> bool {
        let mut left = std::fs::read_dir(self.0.join("tmp")).unwrap();
        left.next().is_none()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

const ATTEMPTS: usize = 5;
