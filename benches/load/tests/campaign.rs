//! A short campaign: whatever breaks, no read breaks its level; and without a protection some do, which the campaign notices.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use serde_json::Value;
use tricache_test_support::Seeds;

#[test]
fn whatever_breaks_no_read_breaks_its_level() {
    let (folder, seeds) = (Folder::new("all"), Seeds::new());

    let output = folder.run(&format!("campaign --minutes 1 --seed {}", seeds.seed()));

    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    let report = folder.report();
    assert_eq!(report["violations"], 0);
    assert_eq!(report["seed"], seeds.seed());
    for name in [
        "reads",
        "writes",
        "faults",
        "store_loads",
        "worst_staleness_ms",
    ] {
        assert!(number(&report, name) > 0.0, "{name}");
    }
    for level in ["eventual", "bounded", "strict"] {
        let level = &report["levels"][level];
        assert!(number(level, "acknowledged") > 100.0, "{level}");
        assert!(number(level, "pending") > 0.0, "{level}");
    }
    assert!(number(&report["levels"]["bounded"], "local_hits") > 1000.0);
    let kinds = report["faults_by_kind"].as_object().unwrap();
    assert_eq!(kinds.len(), 14);
    assert!(kinds.values().all(|faults| faults.as_u64() > Some(0)));
    assert!(folder.is_tidy());
}

#[cfg(feature = "proof")]
#[test]
fn without_a_protection_a_campaign_finds_what_it_was_for() {
    let (folder, seeds) = (Folder::new("without"), Seeds::new());

    let output = folder.run(&format!(
        "campaign --minutes 1 --without stale-fill --seed {}",
        seeds.seed()
    ));

    assert_eq!(output.status.code(), Some(1), "{}", told(&output));
    assert!(number(&folder.report(), "violations") > 0.0);
    let table = String::from_utf8_lossy(&output.stdout);
    for word in [
        "missed commit",
        "acknowledged to process",
        "without stale-fill",
    ] {
        assert!(table.contains(word), "{word}: {table}");
    }
    assert!(folder.is_tidy());
}

#[test]
fn what_a_campaign_cannot_do_is_refused() {
    let folder = Folder::new("refused");
    for (line, word) in [
        ("campaign --minutes 0.5", "1 to 120 minutes"),
        ("campaign --level sometimes", "possible values"),
        ("campaign --without guard", "--without"),
        ("campaign --topology ring", "possible values"),
        ("campaign --nodes 4", "unexpected argument"),
        ("--seed 4 campaign", "cannot be used with"),
    ] {
        let output = folder.run(line);

        assert_eq!(output.status.code(), Some(2), "{line}: {}", told(&output));
        assert!(told(&output).contains(word), "{line}: {}", told(&output));
    }
}

/// All that it has printed: the violations among it.
fn told(output: &Output) -> String {
    let parts = [&output.stdout, &output.stderr];
    parts.map(|part| String::from_utf8_lossy(part)).concat()
}

fn number(report: &Value, name: &str) -> f64 {
    let number = report[name].as_f64();
    number.unwrap_or_else(|| panic!("{name} in {report}"))
}

/// A folder of one test, which the tool uses as the one for temporary files.
struct Folder(PathBuf);

impl Folder {
    fn new(test: &str) -> Self {
        let name = format!("campaign-{test}-{}", std::process::id());
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
        serde_json::from_slice(&json.expect("the campaign has written its report")).unwrap()
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
