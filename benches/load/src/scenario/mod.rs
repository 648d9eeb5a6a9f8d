//! What happens when something breaks: the same callers with tricache and without it, and the store's load over time.
//!
//! Each scenario makes two passes over a Redis of its own: one with nodes of tricache, one with plain cache-aside. Both
//! have the same callers, keys, seed and store, and the same thing breaks at the same moment. Only the first is judged. See
//! `docs/scenarios.md`.

mod bucket;
mod callers;
mod choice;
mod fault;
mod node;
mod pass;
mod plain;
mod plan;
mod plans;
mod reader;
mod recovery;
mod report;
mod slow_store;
mod stall;
mod table;
mod timeline;
mod verdict;
mod world;

use std::{io::Write, path::Path};

pub(crate) use self::choice::{Choice, ScenarioArguments};
use self::{
    pass::{Pass, Side},
    report::ScenarioReport,
};
use crate::{failure::Failure, stop::Stop};

/// Runs what was chosen, prints each scenario when it is over, and writes `json`. Answers whether all of them kept what they
/// promise.
///
/// # Errors
/// When a scenario cannot be run: no redis-server, or one that does not come back.
///
/// # Cancel safety
/// Dropping this future ends the callers and the redis-server of the pass.
pub(crate) async fn run(
    choice: &Choice,
    json: Option<&Path>,
    stop: &Stop,
) -> Result<bool, Failure> {
    let mut reports = Vec::new();
    for plan in choice.plans() {
        if stop.is_stopped() {
            break;
        }
        let with = Pass::make(&plan, Side::With, stop).await?;
        let without = if plan.is_protected && !stop.is_stopped() {
            Some(Pass::make(&plan, Side::Without, stop).await?)
        } else {
            None
        };
        let report = ScenarioReport::new(&plan, &with, without.as_ref());
        write!(std::io::stdout(), "{report}")
            .map_err(|error| Failure::new("cannot print the report", error))?;
        reports.push(report);
    }
    if let Some(path) = json {
        report::write(path, &reports)?;
    }
    Ok(reports.iter().all(ScenarioReport::is_clean))
}
