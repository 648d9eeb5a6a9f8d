//! The corpus of the fuzzers as ordinary tests: each input as it is, and changed by chance. See `fuzz/`.

use fastrand::Rng;
use std::{fs, path::PathBuf};
use tricache::fuzzing;
use tricache_test_support::Seeds;

/// What a target says of some input: whether it was of any use.
type Target = fn(&[u8]) -> bool;

#[test]
fn payloads() {
    run("payload", fuzzing::payload);
}

#[test]
fn sealed_payloads() {
    run("sealed", fuzzing::sealed);
}

#[test]
fn bodies() {
    run("body", fuzzing::body);
}

#[test]
fn keys() {
    run("key", fuzzing::key);
}

#[test]
fn records() {
    run("record", fuzzing::record);
}

#[test]
fn replies() {
    run("reply", fuzzing::reply);
}

#[test]
fn schemas() {
    run("schema", fuzzing::schema);
}

fn run(name: &str, target: Target) {
    let corpus = corpus(name);
    assert!(corpus.len() >= 5, "{name} has {} inputs", corpus.len());
    let of_use = corpus.iter().filter(|input| target(input)).count();
    // A corpus that is refused at the first byte would prove nothing of what lies behind it.
    assert!(of_use * 4 >= corpus.len(), "{name}: {of_use} are of use");
    let seeds = Seeds::new();
    for case in 0..ROUNDS {
        let mut random = seeds.case(case);
        let input = changed(&corpus, &mut random);
        let _ = target(&input);
    }
}

fn corpus(name: &str) -> Vec<Vec<u8>> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/corpus")
        .join(name);
    let mut files: Vec<_> = fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|file| file.unwrap().path())
        .collect();
    files.sort();
    files.iter().map(|file| fs::read(file).unwrap()).collect()
}

/// Some input with a few bytes changed, removed, doubled, or the rest of another one behind its front.
fn changed(corpus: &[Vec<u8>], random: &mut Rng) -> Vec<u8> {
    let mut input = corpus[random.usize(..corpus.len())].clone();
    for _ in 0..random.usize(1..=4) {
        let at = random.usize(..=input.len());
        match random.u8(..5) {
            0 => input.truncate(at),
            1 => input.insert(at, random.u8(..)),
            2 => {
                let other = &corpus[random.usize(..corpus.len())];
                input.truncate(at);
                input.extend_from_slice(&other[at.min(other.len())..]);
            }
            3 if at < input.len() => input[at] = [0, 1, 0x7f, 0x80, 0xff][random.usize(..5)],
            _ if at < input.len() => input[at] ^= 1 << random.u8(..8),
            _ => {}
        }
    }
    input
}

const ROUNDS: u64 = 2_000;
