//! What happened to an entity around a violation, line by line.

use std::fmt::Write;

use super::{
    checker::Violation,
    clock::millis,
    history::{History, Track},
};

/// The violation, and what came before it and with it.
pub(super) fn story(history: &History, violation: &Violation) -> String {
    let (entity, read) = (violation.entity, violation.read);
    let mut text = format!(
        "{} {}: a read of process {} (node {}) showed {} ({}) and {}\n",
        entity.level.as_str(),
        entity.number,
        read.life,
        node_of(history, read.life),
        read.value,
        read.label.as_str(),
        violation.breach
    );
    let Some(track) = history.entities.get(&entity) else {
        return text;
    };
    let mut lines = faults(history, read.begin);
    lines.extend(writes(history, track, read.begin));
    lines.extend(reads(history, track, read.begin));
    lines.sort_by_key(|(at, _)| *at);
    for (at, line) in lines {
        let relative = millis(at) - millis(read.begin);
        // Writing to a string does not fail.
        let _ = writeln!(text, "  {relative:>+12.3} ms  {line}");
    }
    text
}

type Line = (u64, String);

fn writes(history: &History, track: &Track, around: u64) -> Vec<Line> {
    let commits = (1..).zip(&track.commits);
    let committed = commits.map(|(number, at)| (*at, format!("commit {number}")));
    let told = track.told.iter().map(|told| {
        let word = if told.is_acknowledged {
            "acknowledged"
        } else {
            "pending"
        };
        let (commit, life) = (told.commit, told.life);
        let node = node_of(history, life);
        let line = format!("commit {commit} {word} to process {life} (node {node})");
        (told.at, line)
    });
    last(committed.chain(told).collect(), around, WRITES)
}

fn reads(history: &History, track: &Track, around: u64) -> Vec<Line> {
    let all = track.reads.iter().map(|read| {
        let line = format!(
            "process {} (node {}) read {} ({}) until {:+.3} ms",
            read.life,
            node_of(history, read.life),
            read.value,
            read.label.as_str(),
            millis(read.end) - millis(around)
        );
        (read.begin, line)
    });
    last(all.collect(), around, READS)
}

fn faults(history: &History, around: u64) -> Vec<Line> {
    let near = history.faults.iter();
    let near = near.filter(|fault| fault.begin < around + BEFORE && fault.end + BEFORE > around);
    near.flat_map(|fault| {
        let name = fault.kind.as_str();
        let of = fault
            .node
            .map_or(String::new(), |node| format!(" of node {node}"));
        [
            (fault.begin, format!("-- {name}{of} begins")),
            (fault.end, format!("-- {name}{of} is undone")),
        ]
    })
    .collect()
}

/// The last lines before the instant, and a few after it.
fn last(mut lines: Vec<Line>, around: u64, before: usize) -> Vec<Line> {
    lines.sort_by_key(|(at, _)| *at);
    let middle = lines.partition_point(|(at, _)| *at <= around);
    let (begin, end) = (
        middle.saturating_sub(before),
        (middle + AFTER).min(lines.len()),
    );
    lines.drain(begin..end).collect()
}

fn node_of(history: &History, life: u64) -> String {
    let node = history.lives.get(&life);
    node.map_or_else(|| "?".to_owned(), ToString::to_string)
}

const WRITES: usize = 12;
const READS: usize = 10;
const AFTER: usize = 3;
/// How far away a fault may be, in nanoseconds.
const BEFORE: u64 = 15_000_000_000;
