//! Replays reads through several nodes of tricache, writes beside them, and reports every stale read.
//!
//! Every node is a `Tiers` of its own, all in this process, so one monotonic clock judges them all. Every row of the
//! store carries its commit number; `truth.rs` decides from it, and from the instants at which invalidations were
//! acknowledged, whether a read was stale and by how long.
//!
//! With `campaign` it breaks everything that can break, and judges every read of every level; see `campaign/`.
//!
//! With `--scenario` it breaks something instead, and compares callers with tricache and without it; see `scenario/`.
//!
//! The exit status is 0 when no read was stale for longer than the bound and nothing failed, and 1 otherwise; also when
//! none of the writes was acknowledged as invalidated, since such a run shows nothing. It is 2 when the run could not be
//! made, and 130 when it was interrupted.

mod arguments;
#[cfg(unix)]
mod campaign;
mod failure;
mod keys;
mod last_pass;
mod lists;
mod meter;
mod node;
mod outage;
mod outage_report;
mod progress;
mod reader;
mod redis_probe;
mod redis_server;
mod remote;
mod report;
mod run;
mod scenario;
mod settling;
mod stop;
mod store;
mod tally;
mod temp_dir;
mod truth;

use std::{process::ExitCode, time::Duration};

use clap::Parser;
use tokio::time::timeout;

#[cfg(unix)]
use crate::arguments::Command;
use crate::{arguments::Arguments, failure::Failure, report::Report, stop::Stop};

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return refuse(&Failure::new("cannot start the runtime", error)),
    };
    let code = runtime.block_on(execute(&arguments));
    // Bounded: a trace that is still being checked must not hold up the end of an interrupted run.
    runtime.shutdown_timeout(SHUTDOWN);
    code
}

async fn execute(arguments: &Arguments) -> ExitCode {
    let stop = Stop::new();
    let run = work(arguments, &stop);
    tokio::pin!(run);
    let result = tokio::select! {
        result = &mut run => result,
        () = stop::interrupted() => {
            stop.stop();
            // Dropping the run after that ends its Redis and removes its folders.
            timeout(GRACE, run).await.unwrap_or_else(|_| Err(Failure::plain("interrupted")))
        }
    };
    match result {
        Ok(_) if stop.is_stopped() => ExitCode::from(INTERRUPTED),
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(UNCLEAN),
        Err(failure) => refuse(&failure),
    }
}

/// Makes the run or the scenarios that were asked for, and publishes what they have shown; true if all is well.
async fn work(arguments: &Arguments, stop: &Stop) -> Result<bool, Failure> {
    #[cfg(unix)]
    if let Some(command) = arguments.command() {
        return match command {
            Command::Campaign(arguments) => campaign::run(arguments, stop).await,
            Command::CampaignNode(arguments) => campaign::run_node(arguments).await.map(|()| true),
        };
    }
    if let Some(choice) = arguments.scenario()? {
        return scenario::run(&choice, arguments.json(), stop).await;
    }
    let report = run::run(arguments, stop).await?;
    publish(&report, arguments)?;
    Ok(report.is_clean())
}

fn publish(report: &Report, arguments: &Arguments) -> Result<(), Failure> {
    report::print(report)?;
    let Some(path) = arguments.json() else {
        return Ok(());
    };
    std::fs::write(path, report.to_json()).map_err(|error| {
        Failure::new(
            format!("cannot write the report to {}", path.display()),
            error,
        )
    })
}

fn refuse(failure: &Failure) -> ExitCode {
    eprintln!("error: {failure}");
    ExitCode::from(REFUSED)
}

/// How long an interrupted run may take to end by itself and show what it has measured.
const GRACE: Duration = Duration::from_secs(5);

/// How long tasks may take to end.
const SHUTDOWN: Duration = Duration::from_secs(1);

const UNCLEAN: u8 = 1;
const REFUSED: u8 = 2;
const INTERRUPTED: u8 = 130;
