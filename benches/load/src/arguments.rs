//! The command line: every setting with its default, checked before anything starts.

use std::{
    num::{NonZeroU32, NonZeroU64, NonZeroUsize},
    path::{Path, PathBuf},
    time::Duration,
};

#[cfg(unix)]
use clap::Subcommand;
use clap::{Parser, ValueEnum};

#[cfg(unix)]
use crate::campaign::{CampaignArguments, NodeArguments};
use crate::{
    failure::Failure,
    node::LOCAL_TTL,
    scenario::{Choice, ScenarioArguments},
    tally::Bounds,
};

/// Replays reads through several nodes of tricache, writes beside them, and reports every stale read.
///
/// Each node is a `Tiers` of its own in this process. The exit status is 0 only if no read was stale for longer than
/// --bound, nothing failed, and there was something to be stale against: where writes were made, at least one of their
/// invalidations was acknowledged.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
pub(crate) struct Arguments {
    #[cfg(unix)]
    #[command(subcommand)]
    command: Option<Command>,

    /// Replay the reads of this trace: xz-compressed, a sequence of 32-bit big-endian ids.
    #[arg(long, value_name = "FILE", conflicts_with = "zipf")]
    trace: Option<PathBuf>,

    /// Read this many keys with zipf(0.99) popularity [default without --trace: 100000].
    #[arg(long, value_name = "KEYS")]
    zipf: Option<NonZeroU32>,

    /// Nodes that read and invalidate, each with a local tier of its own.
    #[arg(long, default_value = "4")]
    nodes: NonZeroUsize,

    /// Readers of each node; one read at a time each.
    #[arg(long, value_name = "READERS", default_value = "64")]
    concurrency: NonZeroUsize,

    /// How often a read is followed by a write of a recently read key: a percentage or a share of 1.
    #[arg(long, value_name = "SHARE", default_value = "1%", value_parser = share)]
    writes: f64,

    /// Beside the objects, so many lists that show up to 50 of them each; 5% of the reads are followed by one of a list.
    #[arg(long, value_name = "N")]
    tags: Option<NonZeroU32>,

    /// The store behind the caches.
    #[arg(long, value_enum, default_value_t = StoreKind::Sqlite)]
    store: StoreKind,

    /// How long the store takes for a load, beyond its own work.
    #[arg(long, value_name = "TIME", default_value = "5ms", value_parser = duration)]
    store_latency: Duration,

    /// End after this many reads [default: the whole trace; 1000000 with zipf].
    #[arg(long, value_name = "N", conflicts_with = "seconds")]
    reads: Option<NonZeroU64>,

    /// End after this many seconds; a trace may end sooner. Of a scenario: how long each of its passes takes.
    #[arg(long, value_name = "S", value_parser = seconds)]
    seconds: Option<Duration>,

    /// How stale a read may be; a read beyond it fails the run.
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = duration)]
    bound: Duration,

    /// Kill the run's own Redis in the middle, and start it again with nothing in it after so many seconds [10 if none
    /// are given].
    #[arg(
        long,
        value_name = "SECONDS",
        num_args = 0..=1,
        default_missing_value = "10",
        value_parser = seconds,
        conflicts_with_all = ["redis", "in_process"]
    )]
    kill_redis: Option<Duration>,

    /// Use this Redis, under a namespace of this run that is removed at the end [default: start a redis-server].
    #[arg(long, value_name = "URL", conflicts_with = "in_process")]
    redis: Option<String>,

    /// Use no Redis: the nodes share a hub in this process.
    #[arg(long)]
    in_process: bool,

    /// Write the report to this file as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,

    /// Seed of every random choice: keys, writes and the nodes that invalidate.
    #[arg(long, default_value = "1")]
    seed: u64,

    #[command(flatten)]
    scenario: ScenarioArguments,
}

/// What is done instead of a replay.
#[cfg(unix)]
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Break everything that can break, and judge every read of every level.
    Campaign(CampaignArguments),
    /// A node of a campaign, which the campaign starts.
    #[command(hide = true)]
    CampaignNode(NodeArguments),
}

/// Which store stands behind the caches.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum StoreKind {
    /// A SQLite file in a temporary folder.
    Sqlite,
    /// A map in memory.
    Sim,
}

/// Where the reads' keys come from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum KeySource<'a> {
    /// A trace file.
    Trace(&'a Path),
    /// This many keys with zipf popularity.
    Zipf(NonZeroU32),
}

/// Which remote tier the nodes share.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum RemoteChoice<'a> {
    /// A redis-server of this run's own.
    OwnRedis,
    /// The Redis at this URL.
    Redis(&'a str),
    /// A hub in this process.
    InProcess,
}

impl Arguments {
    /// What is to be done instead of a replay.
    #[cfg(unix)]
    pub(crate) fn command(&self) -> Option<&Command> {
        self.command.as_ref()
    }

    /// Where the keys come from; zipf over 100,000 keys unless said otherwise.
    pub(crate) fn keys(&self) -> KeySource<'_> {
        match (&self.trace, self.zipf) {
            (Some(path), _) => KeySource::Trace(path),
            (None, keys) => KeySource::Zipf(keys.unwrap_or(DEFAULT_KEYS)),
        }
    }

    /// The most reads of the run; `None` when a trace's end or the time ends it.
    pub(crate) fn reads(&self) -> Option<u64> {
        let unlimited = self.trace.is_some() || self.seconds.is_some();
        self.reads
            .map(NonZeroU64::get)
            .or((!unlimited).then_some(DEFAULT_READS))
    }

    /// How long the run may last.
    pub(crate) fn time(&self) -> Option<Duration> {
        self.seconds
    }

    /// The scenarios that were asked for in place of a run.
    ///
    /// # Errors
    /// When they are given too little time.
    pub(crate) fn scenario(&self) -> Result<Option<Choice>, Failure> {
        self.scenario.choice(self.seconds, self.seed)
    }

    /// How long Redis is to be away in the middle of the run.
    pub(crate) fn kill_redis(&self) -> Option<Duration> {
        self.kill_redis
    }

    /// Whether what was asked for can be done.
    ///
    /// # Errors
    /// When Redis is to be away until the end of the run or longer.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        match (self.kill_redis, self.seconds) {
            (Some(away), Some(time)) if away * 2 >= time => Err(Failure::plain(format!(
                "--kill-redis takes Redis away in the middle of the run, and for {} seconds: --seconds must be more than twice that",
                away.as_secs_f64()
            ))),
            _ => Ok(()),
        }
    }

    /// Which remote tier the nodes share.
    pub(crate) fn remote(&self) -> RemoteChoice<'_> {
        match &self.redis {
            _ if self.in_process => RemoteChoice::InProcess,
            Some(url) => RemoteChoice::Redis(url),
            None => RemoteChoice::OwnRedis,
        }
    }

    /// How many nodes take part.
    pub(crate) fn nodes(&self) -> usize {
        self.nodes.get()
    }

    /// How many reads each node makes at a time.
    pub(crate) fn concurrency(&self) -> usize {
        self.concurrency.get()
    }

    /// The probability that a read is followed by a write.
    pub(crate) fn writes(&self) -> f64 {
        self.writes
    }

    /// How many lists there are beside the objects.
    pub(crate) fn tags(&self) -> u32 {
        self.tags.map_or(0, NonZeroU32::get)
    }

    /// The probability that a read is followed by one of a list.
    pub(crate) fn lists(&self) -> f64 {
        self.tags.map_or(0.0, |_| LIST_READS)
    }

    /// The kind of store.
    pub(crate) fn store(&self) -> StoreKind {
        self.store
    }

    /// What the store takes for a load, beyond its own work.
    pub(crate) fn store_latency(&self) -> Duration {
        self.store_latency
    }

    /// How stale a read may be. While Redis is away on purpose, one that says that it is unproven may be as old as the
    /// local TTL.
    pub(crate) fn bounds(&self) -> Bounds {
        let unproven = self
            .kill_redis
            .map_or(self.bound, |_| self.bound.max(LOCAL_TTL));
        Bounds {
            proven: self.bound,
            unproven,
        }
    }

    /// Where the JSON goes.
    pub(crate) fn json(&self) -> Option<&Path> {
        self.json.as_deref()
    }

    /// The seed of every random choice.
    pub(crate) fn seed(&self) -> u64 {
        self.seed
    }
}

fn share(text: &str) -> Result<f64, String> {
    let (number, scale) = match text.strip_suffix('%') {
        Some(percent) => (percent, 100.0),
        None => (text, 1.0),
    };
    let share = number.trim().parse::<f64>().map(|number| number / scale);
    match share {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err("expected a percentage from 0% to 100%, or a share from 0 to 1".to_owned()),
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    let unit_at = text
        .find(|c: char| c.is_ascii_alphabetic())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(unit_at);
    let scale = match unit {
        "us" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        _ => return Err(DURATION_EXPECTED.to_owned()),
    };
    let number: f64 = number.parse().map_err(|_| DURATION_EXPECTED.to_owned())?;
    Duration::try_from_secs_f64(number * scale).map_err(|_| DURATION_EXPECTED.to_owned())
}

fn seconds(text: &str) -> Result<Duration, String> {
    let time = text
        .parse()
        .ok()
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    time.filter(|time| !time.is_zero() && *time <= LONGEST)
        .ok_or_else(|| "expected a number of seconds above 0".to_owned())
}

const DEFAULT_KEYS: NonZeroU32 = NonZeroU32::new(100_000).unwrap();
const LIST_READS: f64 = 0.05;
const DEFAULT_READS: u64 = 1_000_000;
const DURATION_EXPECTED: &str = "expected a number and a unit: us, ms, s or m";
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Arguments, clap::Error> {
        Arguments::try_parse_from(std::iter::once("tricache-load").chain(line.split_whitespace()))
    }

    #[test]
    fn defaults_are_those_of_the_help() {
        let arguments = parse("").unwrap();

        assert_eq!(arguments.keys(), KeySource::Zipf(DEFAULT_KEYS));
        assert_eq!(arguments.reads(), Some(1_000_000));
        assert_eq!(arguments.remote(), RemoteChoice::OwnRedis);
        assert_eq!(
            (arguments.nodes(), arguments.concurrency(), arguments.seed()),
            (4, 64, 1)
        );
        assert_eq!(arguments.writes(), 0.01);
        assert_eq!(
            (arguments.store_latency(), arguments.bounds().proven),
            (Duration::from_millis(5), Duration::from_secs(1))
        );
    }

    #[test]
    fn writes_are_a_percentage_or_a_share() {
        assert_eq!(parse("--writes 1%").unwrap().writes(), 0.01);
        assert_eq!(parse("--writes 0.01").unwrap().writes(), 0.01);
        assert_eq!(parse("--writes 0").unwrap().writes(), 0.0);
        assert_eq!(parse("--writes 100%").unwrap().writes(), 1.0);

        for wrong in ["101%", "1.5", "-1", "%", "many", "NaN", "inf"] {
            assert!(parse(&format!("--writes={wrong}")).is_err(), "{wrong}");
        }
    }

    #[test]
    fn times_carry_their_unit() {
        assert_eq!(
            parse("--bound 250us").unwrap().bounds().proven,
            Duration::from_micros(250)
        );
        assert_eq!(
            parse("--bound 1.5s").unwrap().bounds().proven,
            Duration::from_millis(1500)
        );
        assert_eq!(
            parse("--store-latency 2m").unwrap().store_latency(),
            Duration::from_secs(120)
        );

        for wrong in ["5", "s", "-1s", "5 parsecs", "1e400s"] {
            assert!(parse(&format!("--bound={wrong}")).is_err(), "{wrong}");
        }
    }

    #[test]
    fn settings_that_exclude_each_other_are_refused() {
        for wrong in [
            "--trace a.xz --zipf 10",
            "--redis redis://127.0.0.1 --in-process",
            "--reads 10 --seconds 1",
            "--kill-redis --in-process",
            "--kill-redis 1 --redis redis://127.0.0.1",
        ] {
            let kind = parse(wrong).unwrap_err().kind();
            assert_eq!(kind, clap::error::ErrorKind::ArgumentConflict, "{wrong}");
        }
    }

    #[test]
    fn nothing_of_which_one_is_needed_may_be_zero() {
        for wrong in [
            "--nodes 0",
            "--zipf 0",
            "--reads 0",
            "--seconds 0",
            "--concurrency 0",
            "--tags 0",
            "--kill-redis 0",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_trace_is_read_to_its_end_unless_limited() {
        assert_eq!(parse("--trace a.xz").unwrap().reads(), None);
        assert_eq!(parse("--trace a.xz --reads 7").unwrap().reads(), Some(7));
        assert_eq!(parse("--zipf 10 --seconds 2").unwrap().reads(), None);
    }

    #[test]
    fn redis_is_killed_for_ten_seconds_unless_said_otherwise() {
        assert_eq!(parse("").unwrap().kill_redis(), None);
        assert_eq!(
            parse("--kill-redis --tags 3").unwrap().kill_redis(),
            Some(Duration::from_secs(10))
        );
        assert_eq!(
            parse("--kill-redis 1.5").unwrap().kill_redis(),
            Some(Duration::from_millis(1500))
        );
    }

    #[test]
    fn redis_must_be_back_before_the_time_is_over() {
        assert!(parse("--kill-redis 2 --seconds 5").unwrap().check().is_ok());
        assert!(
            parse("--kill-redis 2 --seconds 4")
                .unwrap()
                .check()
                .is_err()
        );
        assert!(parse("--kill-redis 2").unwrap().check().is_ok());
    }

    #[test]
    fn only_without_redis_an_unproven_read_may_be_older() {
        let bound = Duration::from_secs(1);

        assert_eq!(parse("").unwrap().bounds().unproven, bound);
        assert_eq!(parse("--kill-redis").unwrap().bounds().unproven, LOCAL_TTL);
        assert_eq!(parse("--kill-redis").unwrap().bounds().proven, bound);
    }
}
