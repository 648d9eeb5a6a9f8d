//! A scenario as it is printed: over time, side by side, and the verdict.

use std::fmt;

use super::report::{ScenarioReport, Tick};

impl fmt::Display for ScenarioReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.head(f)?;
        self.over_time(f)?;
        self.sums(f)?;
        if self.is_clean() {
            writeln!(f, "kept             everything\n")
        } else {
            let mut broken = self.broken.iter();
            broken.try_for_each(|broken| writeln!(f, "NOT KEPT         {broken}"))?;
            writeln!(f)
        }
    }
}

impl ScenarioReport {
    fn head(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{}: {} callers, each every {} ms, {} keys, {} nodes; deadline {} ms, {} loads at once; seed {}{}",
            self.scenario,
            self.callers,
            self.every_ms,
            self.keys,
            self.nodes,
            self.deadline_ms,
            self.limit,
            self.seed,
            if self.protected { "" } else { "; UNPROTECTED" },
        )
    }

    fn over_time(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "           with tricache{:60} | without", "")?;
        writeln!(
            f,
            "  s         reads  loads at once   p50 ms   p99 ms worst ms  stale unprov. errors  stall |  loads at once   p50 ms   p99 ms worst ms errors"
        )?;
        let without = self.ticks_without.as_deref().unwrap_or_default();
        for (place, tick) in self.with.ticks.iter().enumerate() {
            let seconds = tick.from_ms / 1000.0;
            write!(f, "{seconds:>5.1} {} ", self.phase(place))?;
            with(f, tick)?;
            match without.get(place) {
                Some(tick) => self::without(f, tick)?,
                None => writeln!(f, " |")?,
            }
        }
        Ok(())
    }

    /// What is going on in a tick.
    fn phase(&self, place: usize) -> &'static str {
        let from = self.with.ticks[place].from_ms;
        let to = self
            .with
            .ticks
            .get(place + 1)
            .map_or(f64::INFINITY, |next| next.from_ms);
        if self.breaks_at_ms < to && (from < self.mends_at_ms || from <= self.breaks_at_ms) {
            "×"
        } else {
            " "
        }
    }

    fn sums(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let side = &self.with;
        writeln!(f, "{:<17}{:>14} {:>14}", "", "with tricache", "without")?;
        row(f, "errors", Some(side.errors), self.errors_without)?;
        row(f, "late", Some(side.late), self.late_without)?;
        row(f, "worst ms", Some(side.worst_ms), self.worst_ms_without)?;
        row(
            f,
            "store peak",
            Some(side.store_peak),
            self.store_peak_without,
        )?;
        if let Some(peak) = side.store_peak_of_one_version {
            row(f, "of one version", Some(peak), None)?;
        }
        row(
            f,
            "store loads",
            Some(side.store_loads),
            self.store_loads_without,
        )?;
        row(
            f,
            "while broken",
            side.store_loads_while_broken,
            self.store_loads_while_broken_without,
        )?;
        row(
            f,
            "recovered ms",
            side.recovered_ms,
            self.recovered_ms_without,
        )?;
        row(f, "stall ms", Some(side.stall_ms), self.stall_ms_without)
    }
}

fn with(f: &mut fmt::Formatter<'_>, tick: &Tick) -> fmt::Result {
    write!(
        f,
        "{:>8} {:>6} {:>7} {:>8.2} {:>8.2} {:>8.1} {:>6} {:>7} {:>6} {:>6.1}",
        tick.reads,
        tick.store_loads,
        tick.store_peak,
        tick.p50_ms,
        tick.p99_ms,
        tick.worst_ms,
        tick.stale + tick.stale_if_error,
        tick.unproven,
        tick.errors,
        tick.stall_ms,
    )
}

fn without(f: &mut fmt::Formatter<'_>, tick: &Tick) -> fmt::Result {
    writeln!(
        f,
        " | {:>6} {:>7} {:>8.2} {:>8.2} {:>8.1} {:>6}",
        tick.store_loads, tick.store_peak, tick.p50_ms, tick.p99_ms, tick.worst_ms, tick.errors,
    )
}

fn row<T: fmt::Display>(
    f: &mut fmt::Formatter<'_>,
    name: &str,
    with: Option<T>,
    without: Option<T>,
) -> fmt::Result {
    let text = |value: Option<T>| value.map_or_else(|| "-".to_owned(), |value| value.to_string());
    writeln!(f, "{name:<17}{:>14} {:>14}", text(with), text(without))
}
