//! The part of the command line that chooses a scenario, and the plans that come of it.

use std::{num::NonZeroUsize, time::Duration};

use clap::{Args, ValueEnum};

use super::{plan::Plan, plans};
use crate::failure::Failure;

/// What breaks. The names are those of the command line and of the JSON.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Scenario {
    /// Many hot keys with the same TTL expire in one moment, again and again.
    ExpiryStorm,
    /// The store takes seconds in place of milliseconds.
    StoreSlow,
    /// The store fails every load.
    StoreDown,
    /// Redis answers after 20 to 200 ms.
    RedisSlow,
    /// Redis is stopped, and goes on later.
    RedisFrozen,
    /// The network to Redis swallows every byte.
    RedisBlackHoled,
    /// Redis is killed, and comes back with nothing in it.
    RedisRestart,
    /// One key that everybody reads expires and is invalidated all the time.
    HotKey,
    /// All of these, one after the other.
    All,
}

/// The options that belong to a scenario.
#[derive(Debug, Args)]
pub(crate) struct ScenarioArguments {
    /// Break something on purpose, with tricache and without it. The exit status is 1 if a caller of tricache got an error
    /// or an answer later than its deadline and 20 ms, or the store had more loads at once than the limit allows.
    #[arg(
        long,
        value_enum,
        value_name = "NAME",
        conflicts_with_all = [
            "trace", "zipf", "nodes", "concurrency", "writes", "tags", "store", "store_latency", "reads",
            "bound", "kill_redis", "redis", "in_process",
        ]
    )]
    scenario: Option<Scenario>,

    /// Callers of a scenario, each at its pace [default: that of the scenario].
    #[arg(long, value_name = "N", requires = "scenario")]
    callers: Option<NonZeroUsize>,

    /// Leave out what the scenario is about, such as the limit or the deadline: such a run fails.
    #[arg(long, requires = "scenario")]
    unprotected: bool,

    /// Let reads leave a Redis alone that is slower than the store.
    #[arg(long, requires = "scenario")]
    skip_slow_redis: bool,
}

/// Scenarios that were chosen, with their settings.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Choice {
    scenario: Scenario,
    callers: Option<NonZeroUsize>,
    is_protected: bool,
    skips_slow: bool,
    seconds: Option<Duration>,
    seed: u64,
}

impl ScenarioArguments {
    /// What was chosen, if that was a scenario. `seconds`: how long each pass takes.
    ///
    /// # Errors
    /// When there is not enough time for something to break and to mend.
    pub(crate) fn choice(
        &self,
        seconds: Option<Duration>,
        seed: u64,
    ) -> Result<Option<Choice>, Failure> {
        let Some(scenario) = self.scenario else {
            return Ok(None);
        };
        if seconds.is_some_and(|seconds| seconds < SHORTEST) {
            return Err(Failure::plain(format!(
                "a scenario needs time to break something and to see it mend: --seconds must be at least {}",
                SHORTEST.as_secs()
            )));
        }
        Ok(Some(Choice {
            scenario,
            callers: self.callers,
            is_protected: !self.unprotected,
            skips_slow: self.skip_slow_redis,
            seconds,
            seed,
        }))
    }
}

impl Choice {
    /// The plan of each scenario.
    pub(super) fn plans(&self) -> Vec<Plan> {
        let each = Scenario::value_variants().iter().copied();
        each.filter(|scenario| *scenario != Scenario::All)
            .filter(|scenario| [*scenario, Scenario::All].contains(&self.scenario))
            .map(|scenario| self.plan(scenario))
            .collect()
    }

    fn plan(&self, scenario: Scenario) -> Plan {
        let mut plan = plans::of(scenario, self.seconds);
        plan.seed = self.seed;
        plan.is_protected = self.is_protected;
        plan.skips_slow = self.skips_slow;
        if let Some(callers) = self.callers {
            plan.callers = callers.get();
        }
        plan
    }
}

impl Scenario {
    /// The name on the command line and in the JSON.
    pub(super) fn name(self) -> String {
        let value = self.to_possible_value();
        value.map_or_else(String::new, |value| value.get_name().to_owned())
    }
}

const SHORTEST: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn choice(scenario: Scenario) -> Choice {
        let arguments = ScenarioArguments {
            scenario: Some(scenario),
            callers: NonZeroUsize::new(7),
            unprotected: true,
            skip_slow_redis: true,
        };
        let choice = arguments.choice(Some(Duration::from_secs(5)), 42);
        choice.unwrap().unwrap()
    }

    #[test]
    fn one_scenario_is_one_plan_with_the_settings_of_the_command_line() {
        let plans = choice(Scenario::HotKey).plans();

        assert_eq!(plans.len(), 1);
        let plan = &plans[0];
        assert_eq!(plan.scenario, Scenario::HotKey);
        assert_eq!(plan.lasts, Duration::from_secs(5));
        assert_eq!((plan.callers, plan.seed), (7, 42));
        assert!(!plan.is_protected && plan.skips_slow);
    }

    #[test]
    fn all_are_each_of_the_others_once() {
        let plans = choice(Scenario::All).plans();

        let names: HashSet<_> = plans.iter().map(|plan| plan.scenario.name()).collect();
        assert_eq!(names.len(), plans.len());
        assert_eq!(names.len(), Scenario::value_variants().len() - 1);
        assert!(!names.contains("all"));
    }

    #[test]
    fn without_a_scenario_there_is_no_choice_and_too_little_time_is_refused() {
        let arguments = |scenario| ScenarioArguments {
            scenario,
            callers: None,
            unprotected: false,
            skip_slow_redis: false,
        };
        let second = Some(Duration::from_secs(1));

        assert!(arguments(None).choice(second, 1).unwrap().is_none());
        assert!(arguments(Some(Scenario::All)).choice(second, 1).is_err());
    }
}
