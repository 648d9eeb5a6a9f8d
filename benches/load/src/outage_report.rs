//! What an outage has shown, as lines of the table and as part of the JSON.

use std::fmt;

use serde::Serialize;

use crate::{last_pass::Passed, meter::Loads, outage::Outage, report::row};

/// All numbers of an outage; the names are those of the JSON.
#[derive(Debug, Serialize)]
pub(crate) struct OutageReport {
    seconds: f64,
    /// Reads of rows that were taken meanwhile.
    reads: u64,
    #[serde(flatten)]
    loads: Loads,
    /// Rows and lists that were read again at the end, on each node.
    checked: u64,
    /// Those of them that were older than what had been told.
    not_effective: u64,
}

impl OutageReport {
    /// Draws the numbers together.
    pub(crate) fn new(outage: Outage, passed: &Passed) -> Self {
        Self {
            seconds: outage.lasted.as_secs_f64(),
            reads: outage.reads,
            loads: outage.loads,
            checked: passed.checked,
            not_effective: passed.not_effective,
        }
    }

    /// Whether the store was spared and everything told is effective, and the outage could have shown the opposite.
    pub(crate) fn is_clean(&self) -> bool {
        self.is_store_spared() && self.not_effective == 0 && !self.is_blind()
    }

    /// Whether next to no loads were over the bound.
    ///
    /// A few are no sign that the store is overrun: a value is not kept if a key that shares its cell in the local tier
    /// was invalidated while it was loaded, and who has followed outdated loads of a list three times loads by itself.
    fn is_store_spared(&self) -> bool {
        self.loads.loads_over_bound * 1000 <= self.loads.loads
    }

    /// Whether nothing was read meanwhile.
    pub(crate) fn is_blind(&self) -> bool {
        self.reads == 0
    }
}

impl fmt::Display for OutageReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let loads = self.loads;
        row(
            f,
            "Redis killed",
            format_args!("for {:.3} s, {} reads meanwhile", self.seconds, self.reads),
        )?;
        row(
            f,
            "loads meanwhile",
            format_args!(
                "{}, {} of them over bound; at most {} under way",
                loads.loads, loads.loads_over_bound, loads.most_loads_under_way
            ),
        )?;
        row(
            f,
            "not effective",
            format_args!("{} of {} checked", self.not_effective, self.checked),
        )
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn report(reads: u64, loads_over_bound: u64, not_effective: u64) -> OutageReport {
        let outage = Outage {
            lasted: Duration::from_secs(1),
            reads,
            loads: Loads {
                loads: 2000,
                loads_over_bound,
                ..Loads::default()
            },
        };
        let passed = Passed {
            not_effective,
            ..Passed::default()
        };
        OutageReport::new(outage, &passed)
    }

    #[test]
    fn an_outage_is_clean_if_it_was_noticed_and_left_no_traces() {
        assert!(report(1, 0, 0).is_clean());

        assert!(!report(0, 0, 0).is_clean(), "nothing was read");
        assert!(report(1, 2, 0).is_clean(), "one in a thousand");
        assert!(!report(1, 3, 0).is_clean(), "the store was overrun");
        assert!(!report(1, 0, 1).is_clean(), "something told has no effect");
    }
}
