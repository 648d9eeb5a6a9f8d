//! What a campaign has shown: a table, and the same as JSON.

use std::{collections::BTreeMap, fmt};

use serde::Serialize;

use super::{
    checker::{LevelVerdict, Verdict},
    clock::millis,
    history::History,
    nemesis::Kind,
    plan::Plan,
    servers::TopologyName,
    unavailable::{slowest, unavailable},
    words::LevelName,
};

/// The numbers of one campaign.
#[derive(Debug, Serialize)]
pub(super) struct CampaignReport {
    reads: u64,
    writes: u64,
    faults: usize,
    violations: usize,
    worst_staleness_ms: f64,
    unavailable_ms: f64,
    store_loads: u64,
    seed: u64,
    topology: TopologyName,
    replicas: u8,
    seconds: f64,
    without: Option<String>,
    levels: BTreeMap<LevelName, LevelReport>,
    faults_by_kind: BTreeMap<Kind, usize>,
}

/// Those of one level.
#[derive(Debug, Serialize)]
struct LevelReport {
    reads: u64,
    local_hits: u64,
    writes: u64,
    acknowledged: u64,
    pending: u64,
    unproven: u64,
    excused: u64,
    reversals: u64,
    violations: u64,
    worst_staleness_ms: f64,
    worst_unproven_ms: f64,
    unavailable_ms: f64,
    slowest_ms: f64,
}

impl CampaignReport {
    pub(super) fn new(plan: &Plan, seconds: f64, history: &History, verdict: &Verdict) -> Self {
        let kinds = Kind::of(plan.topology).into_iter();
        let mut faults_by_kind: BTreeMap<_, _> = kinds.map(|kind| (kind, 0)).collect();
        for fault in &history.faults {
            *faults_by_kind.entry(fault.kind).or_default() += 1;
        }
        let levels = plan.levels.iter().map(|name| {
            let level = verdict.levels.get(name).copied().unwrap_or_default();
            let waiting = unavailable(history, Some(*name));
            let slowest = slowest(history, *name);
            (*name, LevelReport::new(level, waiting, slowest))
        });
        Self {
            reads: history.reads() as u64,
            writes: history.writes() as u64,
            faults: history.faults.len(),
            violations: verdict.violations.len(),
            worst_staleness_ms: millis(verdict.worst()),
            unavailable_ms: millis(unavailable(history, None)),
            store_loads: history.loads,
            seed: plan.seed,
            topology: plan.topology,
            replicas: plan.replicas,
            seconds,
            without: plan.without.clone(),
            levels: levels.collect(),
            faults_by_kind,
        }
    }

    /// Why the campaign shows nothing, if it does not.
    pub(super) fn emptiness(&self) -> Option<String> {
        if let Some((kind, _)) = self.faults_by_kind.iter().find(|(_, faults)| **faults == 0) {
            return Some(format!("there was no fault of the kind {}", kind.as_str()));
        }
        let least = (self.seconds * LEAST_READS_PER_SECOND) as u64;
        for (name, level) in &self.levels {
            let name = name.as_str();
            if level.reads < least {
                return Some(format!(
                    "only {} reads of the level {name}; {least} are the least that say something",
                    level.reads
                ));
            }
            if level.acknowledged == 0 {
                return Some(format!(
                    "no invalidation of the level {name} was acknowledged"
                ));
            }
        }
        None
    }

    pub(super) fn is_clean(&self) -> bool {
        self.violations == 0
    }

    pub(super) fn to_json(&self) -> String {
        // Plain numbers and names: this cannot fail.
        let mut json = serde_json::to_string_pretty(self).unwrap_or_default();
        json.push('\n');
        json
    }
}

impl LevelReport {
    /// `waiting`: for how long it was unavailable; `slowest`: its longest read if one took long. Both in nanoseconds.
    fn new(level: LevelVerdict, waiting: u64, slowest: u64) -> Self {
        Self {
            reads: level.reads,
            local_hits: level.local_reads,
            writes: level.writes,
            acknowledged: level.acknowledged,
            pending: level.pending,
            unproven: level.unproven,
            excused: level.excused,
            reversals: level.reversals,
            violations: level.violations,
            worst_staleness_ms: millis(level.worst),
            worst_unproven_ms: millis(level.worst_unproven),
            unavailable_ms: millis(waiting),
            slowest_ms: millis(slowest),
        }
    }
}

impl fmt::Display for CampaignReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let without = self
            .without
            .as_deref()
            .map(|name| format!(", without {name}"));
        writeln!(
            f,
            "campaign of {:.0} s, {}, seed {}{}",
            self.seconds,
            self.topology.as_str(),
            self.seed,
            without.unwrap_or_default()
        )?;
        for (name, value) in [
            ("reads", self.reads.to_string()),
            ("writes", self.writes.to_string()),
            ("faults", self.faults.to_string()),
            ("store loads", self.store_loads.to_string()),
            (
                "worst staleness",
                format!("{:.1} ms", self.worst_staleness_ms),
            ),
            ("unavailable", format!("{:.0} ms", self.unavailable_ms)),
            ("violations", self.violations.to_string()),
        ] {
            writeln!(f, "{name:<18}{value:>14}")?;
        }
        writeln!(f)?;
        self.write_levels(f)?;
        writeln!(f)?;
        let kinds = self.faults_by_kind.iter();
        let kinds: Vec<_> = kinds
            .map(|(kind, faults)| format!("{} {faults}", kind.as_str()))
            .collect();
        writeln!(f, "faults: {}", kinds.join(", "))
    }
}

impl CampaignReport {
    fn write_levels(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<9}{:>9}{:>9}{:>8}{:>8}{:>9}{:>9}{:>9}{:>10}{:>12}{:>11}",
            "level",
            "reads",
            "local",
            "writes",
            "acked",
            "pending",
            "unproven",
            "excused",
            "reversals",
            "violations",
            "worst ms"
        )?;
        for (name, level) in &self.levels {
            writeln!(
                f,
                "{:<9}{:>9}{:>9}{:>8}{:>8}{:>9}{:>9}{:>9}{:>10}{:>12}{:>11.1}",
                name.as_str(),
                level.reads,
                level.local_hits,
                level.writes,
                level.acknowledged,
                level.pending,
                level.unproven,
                level.excused,
                level.reversals,
                level.violations,
                level.worst_staleness_ms
            )?;
        }
        Ok(())
    }
}

/// Of each level; a campaign makes hundreds.
const LEAST_READS_PER_SECOND: f64 = 50.0;

#[cfg(test)]
mod tests {
    use super::*;

    /// A report of a minute in which everything was tested.
    fn full() -> CampaignReport {
        let verdict = LevelVerdict {
            reads: 10_000,
            acknowledged: 100,
            ..LevelVerdict::default()
        };
        let level = LevelReport::new(verdict, 0, 0);
        CampaignReport {
            reads: 10_000,
            writes: 100,
            faults: 14,
            violations: 0,
            worst_staleness_ms: 0.0,
            unavailable_ms: 0.0,
            store_loads: 100,
            seed: 1,
            topology: TopologyName::Standalone,
            replicas: 1,
            seconds: 60.0,
            without: None,
            levels: [(LevelName::Strict, level)].into(),
            faults_by_kind: Kind::of(TopologyName::Standalone)
                .into_iter()
                .map(|kind| (kind, 1))
                .collect(),
        }
    }

    fn strict(report: &mut CampaignReport) -> &mut LevelReport {
        report.levels.get_mut(&LevelName::Strict).unwrap()
    }

    #[test]
    fn a_campaign_that_made_every_fault_and_read_enough_shows_something() {
        assert_eq!(full().emptiness(), None);
    }

    #[test]
    fn a_campaign_that_left_something_out_shows_nothing() {
        let mut report = full();
        report.faults_by_kind.insert(Kind::Split, 0);
        assert!(report.emptiness().unwrap().contains("split"));

        let mut report = full();
        strict(&mut report).reads = 2_999;
        assert!(report.emptiness().unwrap().contains("only 2999 reads"));

        let mut report = full();
        strict(&mut report).acknowledged = 0;
        assert!(report.emptiness().unwrap().contains("acknowledged"));
    }

    #[test]
    fn the_report_has_the_fields_that_its_page_names() {
        let json: serde_json::Value = serde_json::from_str(&full().to_json()).unwrap();

        for name in [
            "reads",
            "writes",
            "faults",
            "violations",
            "worst_staleness_ms",
            "unavailable_ms",
            "store_loads",
            "seed",
        ] {
            assert!(json[name].is_number(), "{name}");
        }
        assert_eq!(json["levels"]["strict"]["acknowledged"], 100);
        assert_eq!(json["faults_by_kind"]["split"], 1);
    }
}
