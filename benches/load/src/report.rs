//! What a run has shown, as a table and as JSON.

use std::{collections::BTreeMap, fmt, io::Write};

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::{arguments::Arguments, failure::Failure, node::Class, redis_probe::Held, tally::Tally};

/// All numbers of a run; the names are those of the JSON.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    reads: u64,
    reads_per_s: f64,
    local_hits: u64,
    remote_hits: u64,
    /// Loads that the store has seen, by whomever.
    loads: u64,
    /// Reads that took part in a load begun by another read of their node.
    joined: u64,
    /// Different objects among the reads.
    distinct: u64,
    writes: u64,
    /// Invalidations that were not acknowledged.
    pending: u64,
    stale_reads: u64,
    stale_over_bound: u64,
    /// Of the stale reads alone.
    staleness_ms: Staleness,
    latency_us: Latencies,
    errors: u64,
    errors_by_kind: BTreeMap<&'static str, u64>,
    /// What Redis used more at the end than before; `None` without Redis.
    redis_bytes: Option<i64>,
    keys_without_ttl: BTreeMap<String, u64>,
    seconds: f64,
    nodes: usize,
    seed: u64,
    #[serde(skip)]
    messages: Vec<String>,
}

/// What the tally does not know.
#[derive(Debug)]
pub(crate) struct Totals {
    /// Loads that the store has seen.
    pub(crate) loads: u64,
    /// Different objects among the reads.
    pub(crate) distinct: u64,
    /// Reads that joined another's load.
    pub(crate) joined: u64,
    /// How long the replay took.
    pub(crate) seconds: f64,
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
        Self {
            reads: tally.reads(),
            reads_per_s: rounded(tally.reads() as f64 / totals.seconds),
            local_hits: tally.latency(Class::Local).len(),
            remote_hits: tally.latency(Class::Remote).len(),
            loads: totals.loads,
            joined: totals.joined,
            distinct: totals.distinct,
            writes: tally.writes(),
            pending: tally.pending(),
            stale_reads: tally.staleness().len(),
            stale_over_bound: tally.stale_over_bound(),
            staleness_ms: Staleness::of(tally.staleness()),
            latency_us: Latencies::of(tally),
            errors: errors.values().map(|errors| errors.count).sum(),
            errors_by_kind: errors
                .iter()
                .map(|(kind, errors)| (kind.as_str(), errors.count))
                .collect(),
            redis_bytes,
            keys_without_ttl,
            seconds: rounded(totals.seconds),
            nodes: arguments.nodes(),
            seed: arguments.seed(),
            messages: errors
                .iter()
                .map(|(kind, errors)| format!("{}: {}", kind.as_str(), errors.first))
                .collect(),
        }
    }

    /// Whether nothing failed and no read was stale for longer than the bound.
    pub(crate) fn is_clean(&self) -> bool {
        self.errors == 0 && self.stale_over_bound == 0
    }

    /// All numbers as one JSON object.
    pub(crate) fn to_json(&self) -> String {
        let mut json =
            serde_json::to_string_pretty(self).expect("numbers under text keys are always JSON");
        json.push('\n');
        json
    }
}

/// Writes the table to standard output, and the first error of each kind to standard error.
///
/// # Errors
/// When standard output is closed.
pub(crate) fn print(report: &Report) -> Result<(), Failure> {
    for message in &report.messages {
        eprintln!("first error of its kind: {message}");
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
                "{} = {:.4} × (distinct + writes), {} reads joined one",
                self.loads,
                self.loads as f64 / owed.max(1) as f64,
                self.joined
            ),
        )?;
        row(f, "distinct", self.distinct)?;
        row(
            f,
            "writes",
            format_args!("{}, {} of them pending", self.writes, self.pending),
        )?;
        row(f, "stale reads", self.stale_reads)?;
        row(f, "stale over bound", self.stale_over_bound)?;
        row(f, "staleness ms", &self.staleness_ms)?;
        row(f, "local µs", &self.latency_us.local)?;
        row(f, "remote µs", &self.latency_us.remote)?;
        row(f, "load µs", &self.latency_us.load)?;
        row(f, "errors", Counts(self.errors, &self.errors_by_kind))?;
        match self.redis_bytes {
            Some(bytes) => row(f, "redis bytes", bytes)?,
            None => row(f, "redis bytes", "no Redis")?,
        }
        row(
            f,
            "keys without TTL",
            Counts(self.keys_without_ttl.values().sum(), &self.keys_without_ttl),
        )
    }
}

fn row(f: &mut fmt::Formatter<'_>, name: &str, value: impl fmt::Display) -> fmt::Result {
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
