//! What a scenario has shown, under the names of the JSON.

use std::{path::Path, time::Duration};

use serde::Serialize;

use super::{
    bucket::{BUCKET, Bucket, place},
    pass::Pass,
    plan::Plan,
    recovery::recovered,
    verdict::{GRACE, History},
};
use crate::failure::Failure;

/// All numbers of a scenario.
#[derive(Debug, Serialize)]
pub(super) struct ScenarioReport {
    pub(super) scenario: String,
    pub(super) seed: u64,
    pub(super) seconds: f64,
    pub(super) nodes: usize,
    pub(super) callers: usize,
    pub(super) every_ms: f64,
    pub(super) keys: u32,
    pub(super) deadline_ms: f64,
    pub(super) grace_ms: f64,
    /// Loads that all nodes together may run at once.
    pub(super) limit: usize,
    pub(super) limit_per_node: usize,
    pub(super) breaks_at_ms: f64,
    pub(super) mends_at_ms: f64,
    pub(super) protected: bool,
    #[serde(flatten)]
    pub(super) with: Side,
    pub(super) errors_without: Option<u64>,
    pub(super) late_without: Option<u64>,
    pub(super) worst_ms_without: Option<f64>,
    pub(super) store_peak_without: Option<usize>,
    pub(super) store_loads_without: Option<u64>,
    pub(super) store_loads_while_broken_without: Option<u64>,
    pub(super) recovered_ms_without: Option<f64>,
    pub(super) stall_ms_without: Option<f64>,
    pub(super) ticks_without: Option<Vec<Tick>>,
    /// What was not kept; empty if everything was.
    pub(super) broken: Vec<String>,
}

/// The numbers of one pass.
#[derive(Debug, Serialize)]
pub(super) struct Side {
    pub(super) reads: u64,
    pub(super) errors: u64,
    pub(super) late: u64,
    pub(super) worst_ms: f64,
    /// The most loads at once.
    pub(super) store_peak: usize,
    /// The most at once of one version, where there is one key.
    pub(super) store_peak_of_one_version: Option<usize>,
    pub(super) store_loads: u64,
    /// Where something is broken for a while.
    pub(super) store_loads_while_broken: Option<u64>,
    pub(super) recovered_ms: Option<f64>,
    /// How much later than wanted the tool itself was woken, at worst.
    pub(super) stall_ms: f64,
    pub(super) ticks: Vec<Tick>,
}

/// A second of a pass, or a tenth of a pass that is shorter than ten.
#[derive(Debug, Serialize)]
pub(super) struct Tick {
    pub(super) from_ms: f64,
    pub(super) reads: u64,
    pub(super) store_loads: u64,
    pub(super) store_peak: usize,
    pub(super) p50_ms: f64,
    pub(super) p99_ms: f64,
    pub(super) worst_ms: f64,
    pub(super) hits: u64,
    pub(super) stale: u64,
    pub(super) stale_if_error: u64,
    pub(super) unproven: u64,
    pub(super) loaded: u64,
    pub(super) errors: u64,
    pub(super) late: u64,
    pub(super) stall_ms: f64,
}

impl ScenarioReport {
    /// Draws the numbers together; `without` is missing where a run was made for the other side alone.
    pub(super) fn new(plan: &Plan, with: &Pass, without: Option<&Pass>) -> Self {
        let bounds = plan.bounds();
        let broken = bounds.broken_by(&history(plan, with));
        let without = without.map(|pass| Side::new(plan, pass));
        let of = without.as_ref();
        Self {
            scenario: plan.scenario.name(),
            seed: plan.seed,
            seconds: plan.lasts.as_secs_f64(),
            nodes: plan.nodes,
            callers: plan.callers,
            every_ms: millis(plan.every),
            keys: plan.keys,
            deadline_ms: millis(plan.deadline),
            grace_ms: millis(GRACE),
            limit: bounds.loads,
            limit_per_node: plan.limit,
            breaks_at_ms: millis(plan.breaks),
            mends_at_ms: millis(plan.mends),
            protected: plan.is_protected,
            with: Side::new(plan, with),
            errors_without: of.map(|side| side.errors),
            late_without: of.map(|side| side.late),
            worst_ms_without: of.map(|side| side.worst_ms),
            store_peak_without: of.map(|side| side.store_peak),
            store_loads_without: of.map(|side| side.store_loads),
            store_loads_while_broken_without: of.and_then(|side| side.store_loads_while_broken),
            recovered_ms_without: of.and_then(|side| side.recovered_ms),
            stall_ms_without: of.map(|side| side.stall_ms),
            ticks_without: without.map(|side| side.ticks),
            broken,
        }
    }

    /// Whether everything was kept.
    pub(super) fn is_clean(&self) -> bool {
        self.broken.is_empty()
    }
}

impl Side {
    fn new(plan: &Plan, pass: &Pass) -> Self {
        let all = Bucket::sum(&pass.seen.buckets);
        let loads = |from: usize, to: usize| {
            let buckets = pass.asked.buckets.iter().skip(from);
            buckets
                .take(to.saturating_sub(from))
                .map(|(loads, _)| loads)
                .sum()
        };
        let recovered = plan
            .mends_at_all()
            .then(|| recovered(&pass.seen.buckets, plan.breaks, plan.mends));
        Self {
            reads: all.reads(),
            errors: all.errors,
            late: all.late,
            worst_ms: millis(all.worst),
            store_peak: pass.asked.peak,
            store_peak_of_one_version: of_one_version(plan, pass),
            store_loads: loads(0, usize::MAX),
            store_loads_while_broken: plan
                .lasts_a_while()
                .then(|| loads(place(plan.breaks), place(plan.mends))),
            recovered_ms: recovered.flatten().map(millis),
            stall_ms: millis(all.stall),
            ticks: ticks(plan, pass),
        }
    }
}

impl Tick {
    fn new(from: usize, seen: &[Bucket], asked: &[(u64, usize)]) -> Self {
        let sum = Bucket::sum(seen);
        Self {
            from_ms: from as f64 * millis(BUCKET),
            reads: sum.reads(),
            store_loads: asked.iter().map(|(loads, _)| loads).sum(),
            store_peak: asked.iter().map(|(_, peak)| *peak).max().unwrap_or(0),
            p50_ms: millis(sum.latency(0.5)),
            p99_ms: millis(sum.latency(0.99)),
            worst_ms: millis(sum.worst),
            hits: sum.hits,
            stale: sum.stale,
            stale_if_error: sum.stand_ins,
            unproven: sum.unproven,
            loaded: sum.loaded,
            errors: sum.errors,
            late: sum.late,
            stall_ms: millis(sum.stall),
        }
    }
}

/// Writes one scenario as an object, several as an array of them.
///
/// # Errors
/// When the file cannot be written.
pub(super) fn write(path: &Path, reports: &[ScenarioReport]) -> Result<(), Failure> {
    let json = match reports {
        [report] => serde_json::to_string_pretty(report),
        reports => serde_json::to_string_pretty(reports),
    };
    let mut json = json.expect("numbers under text keys are always JSON");
    json.push('\n');
    std::fs::write(path, json).map_err(|error| {
        Failure::new(
            format!("cannot write the report to {}", path.display()),
            error,
        )
    })
}

fn history(plan: &Plan, pass: &Pass) -> History {
    let all = Bucket::sum(&pass.seen.buckets);
    History {
        reads: all.reads(),
        errors: all.errors,
        first_error: pass.seen.first_error.clone(),
        late: all.late,
        worst: all.worst,
        peak: pass.asked.peak,
        peak_of_one_version: of_one_version(plan, pass),
    }
}

fn of_one_version(plan: &Plan, pass: &Pass) -> Option<usize> {
    (plan.keys == 1).then_some(pass.asked.peak_of_one_version)
}

fn ticks(plan: &Plan, pass: &Pass) -> Vec<Tick> {
    let each = if plan.lasts >= Duration::from_secs(10) {
        PER_SECOND
    } else {
        pass.seen.buckets.len().div_ceil(PER_SECOND).max(1)
    };
    let seen = pass.seen.buckets.chunks(each).enumerate();
    seen.map(|(number, seen)| {
        let from = number * each;
        let asked = pass.asked.buckets.get(from..).unwrap_or_default();
        Tick::new(from, seen, &asked[..asked.len().min(each)])
    })
    .collect()
}

/// Milliseconds with three places.
fn millis(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

/// Buckets of a second; also ticks of a pass that is shorter than ten.
const PER_SECOND: usize = 10;
