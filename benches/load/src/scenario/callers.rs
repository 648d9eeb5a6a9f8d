//! The callers: each reads at its pace, whether its last read is answered or not.

use std::{sync::Arc, time::Duration};

use fastrand::Rng;
use tokio::{
    task::JoinSet,
    time::{Instant, interval_at, sleep_until, timeout_at},
};

use super::{plan::Plan, reader::Reader, timeline::Timeline};
use crate::stop::Stop;

/// Lets all callers call until the pass is over or `stop` is raised, and waits for their answers.
///
/// # Cancel safety
/// Dropping this future ends the callers and their calls.
pub(super) async fn call(
    plan: &Plan,
    readers: &[Arc<Reader>],
    timeline: &Arc<Timeline>,
    stop: &Stop,
) {
    let end = timeline.origin + plan.lasts;
    let mut callers = JoinSet::new();
    for number in 0..plan.callers {
        let caller = Caller {
            reader: Arc::clone(&readers[number % readers.len()]),
            timeline: Arc::clone(timeline),
            random: Rng::with_seed(plan.seed.wrapping_mul(PRIME) ^ number as u64),
            keys: plan.keys,
            end,
            stop: stop.clone(),
        };
        // They do not all call in the same moment.
        let first = plan.every.mul_f64(number as f64 / plan.callers as f64);
        callers.spawn(caller.work(timeline.origin + first, plan.every));
    }
    callers.join_all().await;
}

struct Caller {
    reader: Arc<Reader>,
    timeline: Arc<Timeline>,
    random: Rng,
    keys: u32,
    end: Instant,
    stop: Stop,
}

impl Caller {
    async fn work(mut self, first: Instant, every: Duration) {
        let mut calls = JoinSet::new();
        let mut pace = interval_at(first, every);
        loop {
            tokio::select! {
                () = sleep_until(self.end) => break,
                _ = pace.tick() => {
                    if self.stop.is_stopped() {
                        break;
                    }
                    let key = self.random.u32(..self.keys);
                    calls.spawn(read(Arc::clone(&self.reader), Arc::clone(&self.timeline), key, self.end + PATIENCE));
                }
                Some(_) = calls.join_next() => {}
            }
        }
        calls.join_all().await;
    }
}

async fn read(reader: Arc<Reader>, timeline: Arc<Timeline>, key: u32, give_up: Instant) {
    let begun = Instant::now();
    let answer = timeout_at(give_up, reader.read(key)).await;
    timeline.answered(begun, answer.unwrap_or_else(|_| Err(UNANSWERED.to_owned())));
}

/// How long after the end of a pass an answer is waited for; far beyond every deadline here.
const PATIENCE: Duration = Duration::from_secs(3);
const UNANSWERED: &str = "no answer even three seconds after the end of the pass";
/// Seeds side by side make streams that have nothing in common.
const PRIME: u64 = 0x9e37_79b9_7f4a_7c15;
