//! What a run has shown, as a table and as JSON.

use std::{collections::BTreeMap, fmt, io::Write};

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::{
    arguments::Arguments,
    failure::Failure,
    last_pass::Passed,
    node::{Class, Counted},
    outage::Outage,
    outage_report::OutageReport,
    redis_probe::Held,
    tally::Tally,
};

/// All numbers of a run; the names are those of the JSON.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    reads: u64,
    reads_per_s: f64,
    local_hits: u64,
    remote_hits: u64,
    /// Loads that the store has seen, by whomever.
    loads: u64,
    /// Reads that waited for the flight of another read of their node, which ended at the remote tier or at the store.
    joined: u64,
    /// Calls that the remote tier did not answer in time, or not well; no read fails by them.
    remote_errors: u64,
    /// Different objects among the reads.
    distinct: u64,
    writes: u64,
    /// Writes whose key's invalidation was not acknowledged at once.
    pending: u64,
    /// Invalidations of keys and of tags that were not acknowledged even later.
    pending_at_end: u64,
    stale_reads: u64,
    stale_over_bound: u64,
    /// Reads of lists, which are not among `reads`; their staleness is among that of all.
    list_reads: u64,
    list_local_hits: u64,
    /// Lists that were made, from the store or of cached rows.
    list_loads: u64,
    list_stale: u64,
    list_stale_over_bound: u64,
    tag_invalidations: u64,
    /// Of the stale reads alone.
    staleness_ms: Staleness,
    latency_us: Latencies,
    errors: u64,
    errors_by_kind: BTreeMap<&'static str, u64>,
    /// What Redis used more at the end than before; `None` without Redis.
    redis_bytes: Option<i64>,
    keys_without_ttl: BTreeMap<String, u64>,
    /// Redis killed in the middle of the run; `None` if it was not.
    outage: Option<OutageReport>,
    seconds: f64,
    nodes: usize,
    seed: u64,
    /// Lists that show something.
    lists: u64,
    #[serde(skip)]
    wants_outage: bool,
    #[serde(skip)]
    messages: Vec<String>,
}

/// What the tally does not know.
#[derive(Debug)]
pub(crate) struct Totals {
    /// Loads that the store has seen.
    pub(crate) loads: u64,
    /// Lists that were made.
    pub(crate) list_loads: u64,
    /// Lists that show something.
    pub(crate) lists: u64,
    /// Different objects among the reads.
    pub(crate) distinct: u64,
    /// What the nodes counted by themselves.
    pub(crate) counted: Counted,
    /// How long the replay took.
    pub(crate) seconds: f64,
    /// Invalidations that were never acknowledged.
    pub(crate) pending_at_end: u64,
    /// What happened while Redis was killed, and what a last pass has found; `None` if it was not killed.
    pub(crate) outage: Option<(Outage, Passed)>,
    /// What Redis holds; `None` without Redis.
    pub(crate) held: Option<Held>,
}

#[derive(Debug, Serialize)]
struct Staleness {
    p50: f64,
    p99: f64,
    max: f64,
}

#[derive(Debug, Serialize)]
struct Latencies {
    local: Latency,
    remote: Latency,
    load: Latency,
}

#[derive(Debug, Serialize)]
struct Latency {
    p50: f64,
    p99: f64,
    p999: f64,
}

impl Report {
    /// Draws the numbers together.
    pub(crate) fn new(tally: &Tally, totals: Totals, arguments: &Arguments) -> Self {
        let (redis_bytes, keys_without_ttl) = match totals.held {
            Some(held) => (Some(held.bytes), held.keys_without_ttl),
            None => (None, BTreeMap::new()),
        };
        let errors = tally.errors();
        let lists = tally.lists();
        Self {
            reads: tally.reads(),
            reads_per_s: rounded(tally.reads() as f64 / totals.seconds),
            local_hits: tally.latency(Class::Local).len(),
            remote_hits: tally.latency(Class::Remote).len(),
            loads: totals.loads,
            joined: totals.counted.joined,
            remote_errors: totals.counted.remote_errors,
            distinct: totals.distinct,
            writes: tally.writes(),
            pending: tally.pending(),
            pending_at_end: totals.pending_at_end,
            stale_reads: tally.staleness().len(),
            stale_over_bound: tally.stale_over_bound(),
            list_reads: lists.reads,
            list_local_hits: lists.local_hits,
            list_loads: totals.list_loads,
            list_stale: lists.stale,
            list_stale_over_bound: lists.stale_over_bound,
            tag_invalidations: lists.tag_invalidations,
            staleness_ms: Staleness::of(tally.staleness()),
            latency_us: Latencies::of(tally),
            errors: errors.values().map(|errors| errors.count).sum(),
            errors_by_kind: errors
                .iter()
                .map(|(kind, errors)| (kind.as_str(), errors.count))
                .collect(),
            redis_bytes,
            keys_without_ttl,
            outage: totals
                .outage
                .map(|(outage, passed)| OutageReport::new(outage, &passed)),
            wants_outage: arguments.kill_redis().is_some(),
            seconds: rounded(totals.seconds),
            nodes: arguments.nodes(),
            seed: arguments.seed(),
            lists: totals.lists,
            messages: errors
                .iter()
                .map(|(kind, errors)| {
                    format!(
                        "first error of its kind: {}: {}",
                        kind.as_str(),
                        errors.first
                    )
                })
                .chain(
                    tally
                        .too_stale()
                        .iter()
                        .map(|read| format!("stale over bound: {read}")),
                )
                .collect(),
        }
    }

    /// Whether nothing failed, no read was stale for longer than the bound, and the run could have shown one; with an
    /// outage also whether it left nothing pending or without effect, and the store was spared.
    pub(crate) fn is_clean(&self) -> bool {
        self.errors == 0 && self.stale_over_bound == 0 && !self.is_blind() && self.is_over_it()
    }

    /// Whether the outage, if one was wanted, has left no traces.
    fn is_over_it(&self) -> bool {
        match &self.outage {
            Some(outage) => self.pending_at_end == 0 && outage.is_clean(),
            None => !self.wants_outage,
        }
    }

    /// Whether there were writes, but no acknowledgement against which a read could have been stale.
    fn is_blind(&self) -> bool {
        self.writes > 0 && self.pending == self.writes
    }

    /// All numbers as one JSON object.
    pub(crate) fn to_json(&self) -> String {
        let mut json =
            serde_json::to_string_pretty(self).expect("numbers under text keys are always JSON");
        json.push('\n');
        json
    }
}

/// Writes the table to standard output, and the first errors and stale reads to standard error.
///
/// # Errors
/// When standard output is closed.
pub(crate) fn print(report: &Report) -> Result<(), Failure> {
    for message in &report.messages {
        eprintln!("{message}");
    }
    if report.is_blind() {
        eprintln!(
            "warning: no invalidation was acknowledged, so this run says nothing about stale reads"
        );
    }
    if report.wants_outage && report.outage.as_ref().is_none_or(OutageReport::is_blind) {
        eprintln!(
            "warning: nothing was read while Redis was away, so this run says nothing about that"
        );
    }
    write!(std::io::stdout(), "{report}")
        .map_err(|error| Failure::new("cannot print the report", error))
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let owed = self.distinct + self.writes;
        row(
            f,
            "reads",
            format_args!(
                "{} in {} s = {:.0}/s, {} nodes, seed {}",
                self.reads, self.seconds, self.reads_per_s, self.nodes, self.seed
            ),
        )?;
        row(f, "local hits", self.local_hits)?;
        row(f, "remote hits", self.remote_hits)?;
        row(
            f,
            "loads",
            format_args!(
                "{} = {:.4} × (distinct + writes)",
                self.loads,
                self.loads as f64 / owed.max(1) as f64
            ),
        )?;
        row(f, "joined", self.joined)?;
        row(f, "distinct", self.distinct)?;
        row(
            f,
            "writes",
            format_args!(
                "{}, {} of them pending at first; {} invalidations pending at the end",
                self.writes, self.pending, self.pending_at_end
            ),
        )?;
        self.lists(f)?;
        row(f, "stale reads", self.stale_reads)?;
        row(f, "stale over bound", self.stale_over_bound)?;
        row(f, "staleness ms", &self.staleness_ms)?;
        row(f, "local µs", &self.latency_us.local)?;
        row(f, "remote µs", &self.latency_us.remote)?;
        row(f, "load µs", &self.latency_us.load)?;
        row(f, "errors", Counts(self.errors, &self.errors_by_kind))?;
        row(f, "remote errors", self.remote_errors)?;
        match self.redis_bytes {
            Some(bytes) => row(f, "redis bytes", bytes)?,
            None => row(f, "redis bytes", "no Redis")?,
        }
        row(
            f,
            "keys without TTL",
            Counts(self.keys_without_ttl.values().sum(), &self.keys_without_ttl),
        )?;
        self.outage.iter().try_for_each(|outage| outage.fmt(f))
    }
}

impl Report {
    /// The lines about lists, if there were any.
    fn lists(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.list_reads == 0 {
            return Ok(());
        }
        let owed = self.lists + self.writes;
        row(
            f,
            "list reads",
            format_args!(
                "{} of {} lists, {} local",
                self.list_reads, self.lists, self.list_local_hits
            ),
        )?;
        row(
            f,
            "list loads",
            format_args!(
                "{} = {:.4} × (lists + writes)",
                self.list_loads,
                self.list_loads as f64 / owed.max(1) as f64
            ),
        )?;
        row(f, "tag invalidations", self.tag_invalidations)?;
        row(
            f,
            "stale lists",
            format_args!(
                "{}, {} of them over bound",
                self.list_stale, self.list_stale_over_bound
            ),
        )
    }
}

/// One line of the table.
pub(crate) fn row(f: &mut fmt::Formatter<'_>, name: &str, value: impl fmt::Display) -> fmt::Result {
    writeln!(f, "{name:<18}{value}")
}

/// A sum and what it is made of.
struct Counts<'a, K>(u64, &'a BTreeMap<K, u64>);

impl<K: fmt::Display> fmt::Display for Counts<'_, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        self.1
            .iter()
            .try_for_each(|(kind, count)| write!(f, "  {kind} {count}"))
    }
}

impl Staleness {
    fn of(nanoseconds: &Histogram<u64>) -> Self {
        let at = |quantile| rounded(nanoseconds.value_at_quantile(quantile) as f64 / 1e6);
        Self {
            p50: at(0.5),
            p99: at(0.99),
            max: rounded(nanoseconds.max() as f64 / 1e6),
        }
    }
}

impl fmt::Display for Staleness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "p50 {}  p99 {}  max {}", self.p50, self.p99, self.max)
    }
}

impl Latencies {
    fn of(tally: &Tally) -> Self {
        let of = |class| Latency::of(tally.latency(class));
        Self {
            local: of(Class::Local),
            remote: of(Class::Remote),
            load: of(Class::Load),
        }
    }
}

impl Latency {
    fn of(nanoseconds: &Histogram<u64>) -> Self {
        let at = |quantile| rounded(nanoseconds.value_at_quantile(quantile) as f64 / 1e3);
        Self {
            p50: at(0.5),
            p99: at(0.99),
            p999: at(0.999),
        }
    }
}

impl fmt::Display for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "p50 {}  p99 {}  p999 {}", self.p50, self.p99, self.p999)
    }
}

fn rounded(number: f64) -> f64 {
    (number * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use clap::Parser;

    use super::*;
    use crate::{
        meter::Loads,
        tally::{Bounds, Doubt, Kind, Notes, What},
        truth::{Owed, Suspect, Truth},
    };

    const BOUND: Duration = Duration::from_secs(1);
    const BOUNDS: Bounds = Bounds {
        proven: BOUND,
        unproven: BOUND,
    };

    fn report(notes: Notes, truth: &Truth) -> Report {
        let mut tally = Tally::new(BOUNDS);
        tally.finish(notes, truth);
        let totals = Totals {
            loads: 0,
            list_loads: 0,
            lists: 0,
            distinct: 0,
            counted: Counted::default(),
            seconds: 1.0,
            pending_at_end: 0,
            outage: None,
            held: None,
        };
        Report::new(&tally, totals, &Arguments::parse_from(["tricache-load"]))
    }

    /// A run with one read, which was stale for this long.
    fn stale_for(staleness: Duration) -> Report {
        let (truth, origin) = (Truth::new(), Instant::now());
        truth.committed(0, 1);
        truth.acknowledged(Owed::Key, 0, 1, origin);
        let mut notes = Notes::default();
        notes.doubt(Doubt {
            what: What::Row,
            suspects: vec![Suspect {
                index: 0,
                commit: 0,
                begun: origin + staleness,
                owed: Owed::Key,
            }],
            outcome: "local_hit",
            is_unproven: false,
        });
        report(notes, &truth)
    }

    #[test]
    fn staleness_fails_a_run_only_beyond_the_bound() {
        assert!(stale_for(BOUND).is_clean());
        assert!(!stale_for(BOUND + Duration::from_nanos(1)).is_clean());
    }

    #[test]
    fn one_error_fails_a_run() {
        let mut notes = Notes::default();
        notes.failed_read(Kind::Read, "no answer".to_owned());

        assert!(!report(notes, &Truth::new()).is_clean());
    }

    #[test]
    fn a_run_without_the_outage_that_was_wanted_shows_nothing() {
        let report = Report {
            wants_outage: true,
            ..report(Notes::default(), &Truth::new())
        };

        assert!(!report.is_clean());
    }

    #[test]
    fn what_is_pending_at_the_end_fails_a_run_with_an_outage() {
        let passed = Passed::default();
        let outage = Outage {
            lasted: BOUND,
            reads: 1,
            loads: Loads::default(),
        };
        let ended_with = |pending_at_end| Report {
            pending_at_end,
            outage: Some(OutageReport::new(outage, &passed)),
            ..report(Notes::default(), &Truth::new())
        };

        assert!(ended_with(0).is_clean());
        assert!(!ended_with(1).is_clean());
    }

    #[test]
    fn a_run_in_which_nothing_was_acknowledged_shows_nothing() {
        let written = |acknowledged: &[bool]| {
            let mut notes = Notes::default();
            for acknowledged in acknowledged {
                notes.write(*acknowledged);
            }
            report(notes, &Truth::new()).is_clean()
        };

        assert!(written(&[]));
        assert!(written(&[true, false]));
        assert!(!written(&[false, false]));
    }
}
