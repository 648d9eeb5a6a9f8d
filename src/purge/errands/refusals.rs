//! Notes that the edge has refused: when each may be tried again.

use crate::model::PurgeNote;
use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};
use tokio::time::Instant;

/// What was refused, and how often in a row.
#[derive(Debug, Default)]
pub(super) struct Refusals(HashMap<PurgeNote, Refusal>);

#[derive(Debug)]
struct Refusal {
    times: u32,
    until: Instant,
}

impl Refusals {
    pub(super) fn add(&mut self, notes: &[PurgeNote], now: Instant) {
        for note in notes {
            let refusal = self.0.entry(note.clone()).or_insert(Refusal {
                times: 0,
                until: now,
            });
            let pause = (FIRST_PAUSE * 2_u32.saturating_pow(refusal.times)).min(LONGEST_PAUSE);
            refusal.times = (refusal.times + 1).min(MOST_DOUBLINGS);
            // Half of it is left to chance: names that were refused for the sake of one of them must not always go together.
            refusal.until = now + pause.mul_f64(fastrand::f64().mul_add(0.5, 0.5));
        }
    }

    /// Whether it is too early to try it again.
    pub(super) fn holds(&self, note: &PurgeNote, now: Instant) -> bool {
        self.0.get(note).is_some_and(|refusal| now < refusal.until)
    }

    pub(super) fn forget(&mut self, notes: &[PurgeNote]) {
        if !self.0.is_empty() {
            for note in notes {
                self.0.remove(note);
            }
        }
    }

    /// Forgets all but these: the others are not in Redis any more.
    pub(super) fn keep(&mut self, notes: &[PurgeNote]) {
        if !self.0.is_empty() {
            let there: HashSet<_> = notes.iter().collect();
            self.0.retain(|note, _| there.contains(note));
        }
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

const FIRST_PAUSE: Duration = Duration::from_secs(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(600);
/// Enough for the longest pause.
const MOST_DOUBLINGS: u32 = 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn note(n: u64) -> PurgeNote {
        PurgeNote {
            bucket: 0,
            field: b"e:c/1".to_vec(),
            value: format!("1|{n}|H").into_bytes(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn pauses_grow_with_each_refusal_and_a_later_note_has_none() {
        let (mut refusals, mut now) = (Refusals::default(), Instant::now());
        let mut pauses = Vec::new();
        for _ in 0..20 {
            refusals.add(&[note(1)], now);
            let mut pause = 0;
            while refusals.holds(&note(1), now) {
                (now, pause) = (now + Duration::from_secs(1), pause + 1);
            }
            pauses.push(pause);
        }

        assert!((5..=10).contains(&pauses[0]), "{pauses:?}");
        assert!((10..=20).contains(&pauses[1]), "{pauses:?}");
        assert!((300..=600).contains(&pauses[19]), "{pauses:?}");
        refusals.add(&[note(1)], now);
        assert!(!refusals.holds(&note(2), now));
    }

    #[test]
    fn what_has_left_redis_is_forgotten() {
        let (mut refusals, now) = (Refusals::default(), Instant::now());
        refusals.add(&[note(1), note(2)], now);

        refusals.keep(&[note(2), note(3)]);
        assert_eq!(refusals.len(), 1);

        refusals.forget(&[note(2)]);
        assert_eq!(refusals.len(), 0);
    }
}
