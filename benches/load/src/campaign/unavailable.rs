//! For how long callers of some node were not served: reads that failed or took long.

use std::collections::BTreeMap;

use super::{
    history::{History, Read},
    nemesis::Kind,
    words::{Label, LevelName},
};

/// Nanoseconds, of all nodes together, during which a read was under way for more than [`PATIENCE`] or was to end with an error.
/// The time for which the node itself was stopped does not count. `level`: of its reads alone; `None`: of all.
pub(super) fn unavailable(history: &History, level: Option<LevelName>) -> u64 {
    let mut waits: BTreeMap<usize, Vec<(u64, u64)>> = BTreeMap::new();
    let tracks = history.entities.iter();
    let tracks = tracks.filter(|(entity, _)| level.is_none_or(|level| entity.level == level));
    for read in tracks.flat_map(|(_, track)| &track.reads) {
        let (Some(wait), Some(node)) = (wait(read), history.lives.get(&read.life)) else {
            continue;
        };
        if !was_stopped(history, read) {
            waits.entry(*node).or_default().push(wait);
        }
    }
    waits.into_values().map(covered).sum()
}

/// The longest read of the level during which its node was not stopped, in nanoseconds.
pub(super) fn slowest(history: &History, level: LevelName) -> u64 {
    let tracks = history.entities.iter();
    let tracks = tracks.filter(|(entity, _)| entity.level == level);
    let reads = tracks.flat_map(|(_, track)| &track.reads);
    let long = reads.filter(|read| wait(read).is_some() && !was_stopped(history, read));
    let lengths = long.map(|read| read.end - read.begin);
    // Where none is long, how long they were does not matter.
    lengths.max().unwrap_or(0)
}

fn wait(read: &Read) -> Option<(u64, u64)> {
    let begin = match read.label {
        Label::Failed => read.begin,
        _ => read.begin + PATIENCE,
    };
    (begin < read.end).then_some((begin, read.end))
}

fn was_stopped(history: &History, read: &Read) -> bool {
    history
        .faults_of(Kind::NodePaused, read.life)
        .any(|stop| read.begin < stop.end && stop.begin < read.end)
}

/// The length of the union of the intervals.
fn covered(mut intervals: Vec<(u64, u64)>) -> u64 {
    intervals.sort_unstable();
    let (mut until, mut length) = (0, 0);
    for (begin, end) in intervals {
        length += end.saturating_sub(begin.max(until));
        until = until.max(end);
    }
    length
}

/// Longer than a load and a call to Redis that is given up.
const PATIENCE: u64 = 500_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlapping_waits_count_once() {
        assert_eq!(covered(vec![(10, 20), (5, 12), (30, 31)]), 16);
        assert_eq!(covered(vec![(0, 100), (10, 20)]), 100);
    }

    #[test]
    fn a_quick_read_waits_for_nothing_and_an_error_for_all_of_it() {
        let read = |label, end| Read {
            life: 1,
            label,
            value: 0,
            begin: 0,
            end,
        };

        assert_eq!(wait(&read(Label::Loaded, PATIENCE)), None);
        assert_eq!(
            wait(&read(Label::Loaded, PATIENCE + 7)),
            Some((PATIENCE, PATIENCE + 7))
        );
        assert_eq!(wait(&read(Label::Failed, 7)), Some((0, 7)));
    }
}
