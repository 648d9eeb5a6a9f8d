//! The house keeps its order: a module imports only what lies below it, a foreign crate has one home, and the page of
//! behaviours names tests that exist.
//!
//! The test reads the sources, so it also sees what the compiler accepts. What it cannot see is a path
//! that a macro of ours puts together. The ranks are explained in `CONTRIBUTING.md`.

mod behaviours;
mod check;
mod check_tests;
mod reader;

use std::fs;
use std::path::{Path, PathBuf};

use check::{Finding, Source, check};

/// Top-level modules and their ranks. Modules of equal rank do not import each other; see [`may_import`].
const RANKS: [(&str, u8); 20] = [
    ("error", 0),
    ("outcome", 0),
    ("model", 0),
    ("cached", 1),
    ("codec", 1),
    ("scope", 1),
    ("observe", 1),
    ("tags", 1),
    ("tasks", 1),
    ("local", 2),
    ("purge", 2),
    ("remote", 2),
    ("feed", 3),
    ("load", 3),
    ("invalidate", 3),
    ("engine", 4),
    ("cache", 5),
    ("fuzzing", TOP),
    ("tiers", TOP),
    ("lib", TOP),
];
const TOP: u8 = 6;

/// Foreign crates and the only modules that name them, tests included.
const HOMES: [(&str, &[&str]); 12] = [
    ("bincode", &["codec"]),
    ("lz4_flex", &["codec"]),
    ("metrics", &["observe"]),
    ("moka", &["local"]),
    ("postcard", &["codec"]),
    ("redis", &["remote"]),
    ("rmp_serde", &["codec"]),
    ("rustix", &["model"]),
    ("rustls_platform_verifier", &["remote"]),
    ("tokio_rustls", &["remote"]),
    ("tokio_util", &["tasks"]),
    ("twox_hash", &["codec", "model"]),
];

/// Whatever lies below; at the top, everything; and keys and policies speak of errors.
fn may_import(from: &str, to: &str) -> bool {
    let below = match (rank(from), rank(to)) {
        (Some(own), Some(other)) => other < own,
        _ => false,
    };
    below || from == to || rank(from) == Some(TOP) || (from, to) == ("model", "error")
}

fn rank(module: &str) -> Option<u8> {
    RANKS
        .iter()
        .find(|(name, _)| *name == module)
        .map(|(_, rank)| *rank)
}

#[test]
fn every_module_imports_only_what_lies_below_it() {
    let sources = sources();
    assert!(
        sources.iter().any(|source| source.path == "src/lib.rs"),
        "no sources to check"
    );

    let findings = check(&sources);

    let lines: Vec<_> = findings.iter().map(Finding::to_string).collect();
    assert!(
        lines.is_empty(),
        "{} against the house's order:\n{}",
        lines.len(),
        lines.join("\n")
    );
}

fn sources() -> Vec<Source> {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths = Vec::new();
    collect(&package.join("src"), &mut paths);
    paths.sort();
    paths.iter().map(|path| read(package, path)).collect()
}

fn collect(directory: &Path, paths: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).expect("a readable folder") {
        let path = entry.expect("a readable entry").path();
        if path.is_dir() {
            collect(&path, paths);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            paths.push(path);
        }
    }
}

fn read(package: &Path, path: &Path) -> Source {
    let names: Vec<_> = path
        .strip_prefix(package)
        .expect("below the package")
        .iter()
        .map(|name| name.to_string_lossy())
        .collect();
    Source {
        path: names.join("/"),
        text: fs::read_to_string(path).expect("a readable source"),
    }
}
