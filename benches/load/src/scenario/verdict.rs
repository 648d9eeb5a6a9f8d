//! Whether a pass kept what tricache promises: every caller answered, in time, and the store spared.

use std::time::Duration;

/// What must be kept.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Of a call.
    pub(super) deadline: Duration,
    /// How many loads of all nodes may run at once.
    pub(super) loads: usize,
}

/// What a pass has shown.
#[derive(Clone, Debug, Default)]
pub(super) struct History {
    pub(super) reads: u64,
    pub(super) errors: u64,
    pub(super) first_error: Option<String>,
    /// Answers after the deadline and the grace.
    pub(super) late: u64,
    pub(super) worst: Duration,
    /// The most loads at once.
    pub(super) peak: usize,
    /// The most loads at once of one key and version, where there is only one key.
    pub(super) peak_of_one_version: Option<usize>,
}

impl Bounds {
    /// From here on an answer is late.
    pub(super) fn late_after(&self) -> Duration {
        self.deadline + GRACE
    }

    /// What was not kept, in words; empty if everything was.
    pub(super) fn broken_by(&self, history: &History) -> Vec<String> {
        let mut broken = Vec::new();
        if history.reads == 0 {
            broken.push("nobody called".to_owned());
        }
        if history.errors > 0 {
            let first = history.first_error.as_deref().unwrap_or("unknown");
            broken.push(format!(
                "{} callers got an error, the first: {first}",
                history.errors
            ));
        }
        if history.late > 0 {
            broken.push(format!(
                "{} answers came later than {} ms, the worst after {:.1} ms",
                history.late,
                self.late_after().as_millis(),
                history.worst.as_secs_f64() * 1000.0
            ));
        }
        if history.peak > self.loads {
            broken.push(format!(
                "the store had {} loads at once, and {} are allowed",
                history.peak, self.loads
            ));
        }
        if let Some(peak @ 2..) = history.peak_of_one_version {
            broken.push(format!("{peak} loads of one version ran at once"));
        }
        broken
    }
}

/// How much later than its deadline an answer may be: the time of a busy scheduler, not of a cache.
pub(super) const GRACE: Duration = Duration::from_millis(20);

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds {
        deadline: Duration::from_millis(250),
        loads: 32,
    };

    fn good() -> History {
        History {
            reads: 1000,
            worst: Duration::from_millis(270),
            peak: 32,
            peak_of_one_version: Some(1),
            ..History::default()
        }
    }

    #[test]
    fn a_pass_at_its_bounds_is_good() {
        assert!(BOUNDS.broken_by(&good()).is_empty());
        assert_eq!(BOUNDS.late_after(), Duration::from_millis(270));
    }

    #[test]
    fn one_error_breaks_it_and_is_named() {
        let history = History {
            errors: 1,
            first_error: Some("the store is down".to_owned()),
            ..good()
        };

        let broken = BOUNDS.broken_by(&history);

        assert_eq!(
            broken,
            ["1 callers got an error, the first: the store is down"]
        );
    }

    #[test]
    fn one_late_answer_breaks_it() {
        let history = History {
            late: 1,
            worst: Duration::from_micros(270_100),
            ..good()
        };

        let broken = BOUNDS.broken_by(&history);

        assert_eq!(
            broken,
            ["1 answers came later than 270 ms, the worst after 270.1 ms"]
        );
    }

    #[test]
    fn one_load_beyond_the_limit_breaks_it() {
        let history = History { peak: 33, ..good() };

        let broken = BOUNDS.broken_by(&history);

        assert_eq!(
            broken,
            ["the store had 33 loads at once, and 32 are allowed"]
        );
    }

    #[test]
    fn two_loads_of_one_version_break_it() {
        let history = History {
            peak_of_one_version: Some(2),
            ..good()
        };

        assert_eq!(
            BOUNDS.broken_by(&history),
            ["2 loads of one version ran at once"]
        );
    }

    #[test]
    fn a_pass_without_calls_shows_nothing_and_is_not_good() {
        let broken = BOUNDS.broken_by(&History::default());

        assert_eq!(broken, ["nobody called"]);
    }
}
