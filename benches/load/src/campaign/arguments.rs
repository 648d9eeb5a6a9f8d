//! The command line of a campaign, and the one that its nodes are started with.

use std::{path::PathBuf, time::Duration};

use clap::{Args, ValueEnum};

use super::{plan::Plan, servers::TopologyName, words::LevelName};

/// Breaks everything that can break, and judges every read of every level.
///
/// Nodes are processes of their own. The exit status is 0 if no read broke its level, 1 if one did, and 2 if the campaign could
/// not be made, or has tested nothing: too few reads, a kind of fault that was never made, no acknowledged invalidation.
#[derive(Debug, Args)]
pub(crate) struct CampaignArguments {
    /// How long it takes, in minutes; at least 1. One round of all faults takes about one.
    #[arg(long, value_name = "M", default_value = "5", value_parser = minutes)]
    minutes: Duration,

    /// Seed of every random choice: what is read and written, the order of the faults and how long they last.
    #[arg(long, default_value = "1")]
    seed: u64,

    /// How Redis is set up.
    #[arg(long, value_enum, default_value = "standalone")]
    topology: TopologyName,

    /// Which levels are read and judged, each with entities of its own.
    #[arg(long, value_enum, default_value = "all")]
    level: LevelChoice,

    /// How many replicas must confirm an invalidation, 0 to 2 [default: 1, and 0 where only `eventual` is read; sentinel 2, cluster 1].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(0..=2))]
    replicas: Option<u8>,

    /// Switch a protection of tricache off: such a campaign should find violations.
    #[cfg(feature = "proof")]
    #[arg(long, value_enum, value_name = "PROTECTION", ignore_case = true)]
    without: Option<ProtectionName>,

    /// Write the report to this file as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// One level, or all.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum LevelChoice {
    /// At most two heartbeats behind, or labelled unproven.
    Eventual,
    /// At most 500 ms behind.
    Bounded,
    /// Never behind.
    Strict,
    /// All of these.
    All,
}

/// A protection that can be switched off.
#[cfg(feature = "proof")]
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum ProtectionName {
    /// Data that came back on another server are refused.
    Fence,
    /// A lost event is noticed.
    Chain,
    /// A value loaded before an invalidation is refused after it.
    #[value(alias = "stalefill")]
    StaleFill,
}

/// What a node is started with; see `nodes.rs`.
#[derive(Debug, Args)]
pub(crate) struct NodeArguments {
    /// The number of the node.
    #[arg(long)]
    pub(super) node: u64,

    /// The number of the process among all of the campaign.
    #[arg(long)]
    pub(super) life: u64,

    /// Where the campaign listens.
    #[arg(long)]
    pub(super) hub: u16,

    /// Where the node finds Redis, or the sentinels that tell.
    #[arg(long, required = true, value_delimiter = ',')]
    pub(super) redis: Vec<String>,

    /// What the sentinels are asked for.
    #[arg(long)]
    pub(super) master: Option<String>,

    /// Whether it finds nodes of a cluster there.
    #[arg(long)]
    pub(super) cluster: bool,

    /// How many replicas must confirm an invalidation.
    #[arg(long)]
    pub(super) replicas: u8,

    /// The levels to read.
    #[arg(long, value_enum, value_delimiter = ',')]
    pub(super) levels: Vec<LevelName>,

    /// Seed of the campaign.
    #[arg(long)]
    pub(super) seed: u64,

    /// What is switched off.
    #[cfg(feature = "proof")]
    #[arg(long, value_enum)]
    pub(super) without: Option<ProtectionName>,
}

impl CampaignArguments {
    /// What is to be done.
    pub(super) fn plan(&self) -> Plan {
        let levels = match self.level {
            LevelChoice::Eventual => vec![LevelName::Eventual],
            LevelChoice::Bounded => vec![LevelName::Bounded],
            LevelChoice::Strict => vec![LevelName::Strict],
            LevelChoice::All => LevelName::value_variants().to_vec(),
        };
        Plan {
            length: self.minutes,
            seed: self.seed,
            topology: self.topology,
            replicas: self
                .replicas
                .unwrap_or_else(|| self.topology.replicas(&levels)),
            levels,
            without: self.without(),
        }
    }

    pub(super) fn json(&self) -> Option<&std::path::Path> {
        self.json.as_deref()
    }

    #[cfg(feature = "proof")]
    fn without(&self) -> Option<String> {
        let value = self.without?.to_possible_value()?;
        Some(value.get_name().to_owned())
    }

    #[cfg(not(feature = "proof"))]
    fn without(&self) -> Option<String> {
        None
    }
}

fn minutes(text: &str) -> Result<Duration, String> {
    let minutes = text.parse::<f64>().map_err(|error| error.to_string())?;
    if !(1.0..=LONGEST).contains(&minutes) {
        return Err(format!("it must be 1 to {LONGEST} minutes"));
    }
    Ok(Duration::from_secs_f64(minutes * 60.0))
}

/// All reads are kept until the end: a day of them is more than the memory of a machine.
const LONGEST: f64 = 120.0;
