//! The fault campaign: nodes that are killed, stopped and cut off over servers that are too, and every read judged.
//!
//! The parent process holds the store, the servers, a network for each link, and the nemesis; each node is a process of its own.
//! Nodes tell the parent whatever they read and wrote, with instants of the one monotonic clock of the machine. When all is
//! over the checker looks for reads that broke their level. See `docs/campaign.md`.

mod arguments;
mod checker;
mod child;
mod clock;
mod history;
mod hub;
mod ledger;
mod message;
mod nemesis;
mod nodes;
mod plan;
mod report;
mod servers;
mod story;
mod unavailable;
mod words;

use std::{io::Write, sync::Arc, time::Duration};

use tokio::time::{Instant, interval};

pub(crate) use self::arguments::{CampaignArguments, NodeArguments};
use self::{
    checker::{Verdict, check},
    history::History,
    hub::Hub,
    ledger::Ledger,
    nemesis::Nemesis,
    nodes::Nodes,
    plan::{NODES, Plan},
    report::CampaignReport,
    servers::Servers,
    story::story,
};
use crate::{failure::Failure, stop::Stop};

/// Runs a campaign, prints what it has shown, and answers whether no read broke its level.
///
/// # Errors
/// When it cannot be made, or has tested nothing.
///
/// # Cancel safety
/// Dropping this future kills the nodes and the servers.
pub(crate) async fn run(arguments: &CampaignArguments, stop: &Stop) -> Result<bool, Failure> {
    let plan = arguments.plan();
    let ledger = Arc::new(Ledger::default());
    let begin = Instant::now();
    wage(&plan, &ledger, stop).await?;
    let history = ledger.take();
    let verdict = check(&history, &plan.limits());
    let report = CampaignReport::new(&plan, begin.elapsed().as_secs_f64(), &history, &verdict);
    tell(&history, &verdict, &report)?;
    if let Some(path) = arguments.json() {
        let written = std::fs::write(path, report.to_json());
        let attempt = format!("cannot write the report to {}", path.display());
        written.map_err(|error| Failure::new(attempt, error))?;
    }
    match report.emptiness() {
        // What was found counts, however little was tested.
        Some(why) if report.is_clean() && !stop.is_stopped() => {
            Err(Failure::new("this campaign shows nothing", why))
        }
        _ => Ok(report.is_clean()),
    }
}

/// Runs one node of a campaign, in a process that a campaign has started.
///
/// # Errors
/// When the campaign or its Redis cannot be used.
pub(crate) async fn run_node(arguments: &NodeArguments) -> Result<(), Failure> {
    child::run(arguments).await
}

/// Everything that happens, until the last read.
async fn wage(plan: &Plan, ledger: &Arc<Ledger>, stop: &Stop) -> Result<(), Failure> {
    let mut servers = Servers::start(plan.topology, NODES).await?;
    let hub = Hub::listen(Arc::clone(ledger), plan.seed).await?;
    let mut nodes = Nodes::start(plan, hub, servers.ways()).await?;
    let mut nemesis = Nemesis::new(plan, &mut servers, &mut nodes, ledger);
    tokio::select! {
        raged = nemesis.rage(plan.length, stop) => raged?,
        () = progress(plan, ledger) => {}
    }
    nodes.finish().await
}

/// Says now and then how far it is; never ends.
async fn progress(plan: &Plan, ledger: &Ledger) {
    let begin = Instant::now();
    let mut ticks = interval(PROGRESS);
    ticks.tick().await;
    loop {
        ticks.tick().await;
        let (reads, writes, faults) = ledger.counts();
        let (passed, all) = (begin.elapsed().as_secs(), plan.length.as_secs());
        eprintln!("{passed:>4} of {all} s: {reads} reads, {writes} writes, {faults} faults");
    }
}

/// Prints the table, and the first violations with what was around them.
fn tell(history: &History, verdict: &Verdict, report: &CampaignReport) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    let mut text = String::new();
    for violation in verdict.violations.iter().take(SHOWN) {
        text.push_str(&story(history, violation));
        text.push('\n');
    }
    let more = verdict.violations.len().saturating_sub(SHOWN);
    if more > 0 {
        text.push_str(&format!("and {more} more violations\n\n"));
    }
    text.push_str(&report.to_string());
    out.write_all(text.as_bytes())
        .map_err(|error| Failure::new("cannot print the report", error))
}

const PROGRESS: Duration = Duration::from_secs(5);
/// How many violations are shown with what was around them.
const SHOWN: usize = 10;
