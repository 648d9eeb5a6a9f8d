//! What a server's settings may lead to. Pure: from its own texts to words for the people who run it.

use serde::Serialize;
use std::{collections::HashMap, fmt, time::Duration};

/// Something about the Redis server that may surprise later: what was found, what may happen, what to set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Advice {
    subject: &'static str,
    message: String,
}

impl Advice {
    pub(super) fn new(subject: &'static str, message: impl Into<String>) -> Self {
        Self {
            subject,
            message: message.into(),
        }
    }

    /// What it is about: a stable label in snake case, such as `maxmemory`.
    #[must_use]
    pub fn subject(&self) -> &'static str {
        self.subject
    }

    /// What was found, what may happen, and what to set.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.subject, self.message)
    }
}

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Finding {
    /// It works, and may surprise.
    Unwise(Advice),
    /// A promise cannot be kept on such a server.
    Broken(Advice),
}

impl Finding {
    pub(super) fn advice(&self) -> &Advice {
        match self {
            Self::Unwise(advice) | Self::Broken(advice) => advice,
        }
    }

    pub(super) fn is_broken(&self) -> bool {
        matches!(self, Self::Broken(_))
    }
}

/// What a server says of itself, by the names that it uses; `Err` is why it did not.
pub(super) struct Facts {
    pub(super) info: Result<Texts, String>,
    pub(super) config: Result<Texts, String>,
    /// How long it takes to answer a PING, where it did.
    pub(super) latency: Option<Duration>,
    /// How many replicas are to have what is invalidated.
    pub(super) wanted: usize,
}

/// Texts by name: a reply to INFO or CONFIG GET.
#[derive(Clone, Debug, Default)]
pub(super) struct Texts(HashMap<String, String>);

impl Texts {
    /// Lines of `name:text`, between headings.
    pub(super) fn of_info(info: &str) -> Self {
        let pairs = info.lines().filter_map(|line| line.split_once(':'));
        Self::of_pairs(pairs.map(|(name, text)| (name.to_owned(), text.trim().to_owned())))
    }

    pub(super) fn of_pairs(pairs: impl Iterator<Item = (String, String)>) -> Self {
        Self(pairs.collect())
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    fn number(&self, name: &str) -> Option<u64> {
        self.get(name)?.parse().ok()
    }

    fn is(&self, name: &str, text: &str) -> bool {
        self.get(name) == Some(text)
    }
}

/// The server is one of several that share the keys.
pub(super) fn of_a_cluster() -> Finding {
    broken(
        "cluster",
        "the redis server is a node of a cluster, which has a part of the keys only; give it to \
         `TiersBuilder::redis_cluster`, or give the address of a single server",
    )
}

/// It is not, where several were expected.
pub(super) fn no_cluster() -> Finding {
    broken(
        "cluster",
        "the redis server is not a node of a cluster (`cluster-enabled` is `no`); give its address to \
         `TiersBuilder::redis`, or give the addresses of nodes of a cluster",
    )
}

/// All that is worth saying. `limit` is how long a call may take; `clustered`: a node of a cluster is wanted.
pub(super) fn judge(facts: &Facts, limit: Duration, clustered: bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    match &facts.info {
        Ok(info) => {
            findings.extend(version(info));
            findings.extend(cluster(info, clustered));
            findings.extend(replication(info, facts.wanted as u64));
            findings.extend(memory(info));
        }
        Err(why) => findings.push(unchecked("info", "INFO", why, INFO_TELLS)),
    }
    match &facts.config {
        Ok(config) => {
            findings.extend(pushes(config));
            if clustered {
                findings.extend(coverage(config));
            }
        }
        Err(why) => findings.push(unchecked("config", "CONFIG GET", why, CONFIG_TELLS)),
    }
    findings.extend(persistence(facts));
    findings.extend(facts.latency.and_then(|took| latency(took, limit)));
    findings
}

fn version(info: &Texts) -> Option<Finding> {
    let version = info.get("redis_version")?;
    let major: u32 = version.split('.').next()?.parse().ok()?;
    (major < 7).then(|| {
        broken(
            "version",
            format!("the redis server is of version {version}: tricache needs 7.0 or newer, for sharded Pub/Sub"),
        )
    })
}

fn cluster(info: &Texts, wanted: bool) -> Option<Finding> {
    if wanted {
        info.is("cluster_enabled", "0").then(no_cluster)
    } else {
        info.is("cluster_enabled", "1").then(of_a_cluster)
    }
}

/// What a cluster does with the slots that are left when a part of it is gone.
fn coverage(config: &Texts) -> Option<Finding> {
    if config.is("cluster-require-full-coverage", "yes") {
        return Some(unwise(
            "cluster_coverage",
            "`cluster-require-full-coverage` is `yes`: while one master is away no node answers, and nothing at all is cached \
             or invalidated; set `no`, so that only the slots of that master are away",
        ));
    }
    config.is("cluster-allow-reads-when-down", "yes").then(|| {
        unwise(
            "cluster_reads",
            "`cluster-allow-reads-when-down` is `yes`: a node that was cut off from the others goes on answering reads, also \
             those of what was invalidated at the node that has taken its place; set `no`",
        )
    })
}

fn replication(info: &Texts, wanted: u64) -> Option<Finding> {
    if info.is("role", "slave") {
        let master = info.get("master_host").unwrap_or("unknown");
        let port = info.get("master_port").unwrap_or("unknown");
        return Some(broken(
            "replica",
            format!(
                "the redis server is a replica of {master} port {port}, where nothing can be written: give the address \
                 of the master"
            ),
        ));
    }
    let replicas = info.number("connected_slaves")?;
    if replicas < wanted {
        return Some(unwise(
            "replicas",
            format!(
                "the redis server has {replicas} replica(s), and `replicas` is {wanted}: invalidations stay pending, and caches of \
                 the levels Bounded and Strict ask the store, until as many follow"
            ),
        ));
    }
    if replicas == 0 || wanted > 0 {
        return None;
    }
    Some(unwise(
        "replicas",
        format!(
            "the redis server has {replicas} replica(s), and replication is asynchronous: a failover may lose \
             invalidations, so everything is loaded anew after it; and as long as a master that was replaced still answers \
             some nodes, these do not hear of what the others invalidate. Set `min-replicas-to-write 1` and \
             `min-replicas-max-lag 1`, so that it soon takes no more invalidations; for the levels Bounded and Strict set \
             `TiersBuilder::replicas`"
        ),
    ))
}

fn memory(info: &Texts) -> Option<Finding> {
    let policy = info.get("maxmemory_policy")?;
    let maxmemory = info.number("maxmemory")?;
    if policy.starts_with("allkeys-") {
        return Some(unwise(
            "maxmemory",
            format!(
                "`maxmemory-policy` is `{policy}`: control records have no TTL and can be evicted all the same, and each \
                 one takes the values of its bucket with it; set `volatile-lfu` or `volatile-lru`"
            ),
        ));
    }
    (policy == "noeviction" && maxmemory > 0).then(|| {
        unwise(
            "maxmemory",
            format!(
                "`maxmemory` is {maxmemory} bytes and `maxmemory-policy` is `noeviction`: once it is full, values are not \
                 stored and invalidations stay pending; set `volatile-lfu` or `volatile-lru`"
            ),
        )
    })
}

/// `client-output-buffer-limit`: four words for each class of clients, `pubsub hard soft seconds`. Zero is no limit.
fn pushes(config: &Texts) -> Option<Finding> {
    let limits = config.get("client-output-buffer-limit")?;
    let mut words = limits
        .split_whitespace()
        .skip_while(|word| *word != "pubsub");
    let mut number = || words.next()?.parse::<u64>().ok();
    let (_class, hard, soft, seconds) = (number(), number()?, number()?, number()?);
    let too_little = |limit: u64, least: u64| limit != 0 && limit < least;
    let soon = soft != 0 && seconds < SOFT_SECONDS;
    if !too_little(hard, HARD) && !too_little(soft, SOFT) && !soon {
        return None;
    }
    Some(unwise(
        "pubsub_buffer",
        format!(
            "`client-output-buffer-limit pubsub` is {hard} bytes, or {soft} bytes for {seconds} s: a node that is slow to \
             read a burst of invalidations is cut off, and its local entries must prove themselves; set at least \
             `pubsub 32mb 8mb 60`, better `pubsub 64mb 32mb 60`"
        ),
    ))
}

fn persistence(facts: &Facts) -> Option<Finding> {
    let on = |texts: &Result<Texts, String>, name: &str, text: &str| {
        texts.as_ref().is_ok_and(|texts| texts.is(name, text))
    };
    let log = on(&facts.info, "aof_enabled", "1") || on(&facts.config, "appendonly", "yes");
    let save = facts
        .config
        .as_ref()
        .ok()
        .and_then(|config| config.get("save"));
    let how = match (log, save.filter(|save| !save.is_empty())) {
        (true, _) => "`appendonly` is on".to_owned(),
        (false, Some(save)) => format!("`save` is `{save}`"),
        (false, None) => return None,
    };
    Some(unwise(
        "persistence",
        format!(
            "{how}: what a restart brings back from the disk is not used, since invalidations may be missing from it, and \
             where `INFO` is forbidden old values may be; set `save \"\"` and `appendonly no` on a server that is only a cache"
        ),
    ))
}

fn latency(took: Duration, limit: Duration) -> Option<Finding> {
    (took > limit / 2).then(|| {
        unwise(
            "latency",
            format!(
                "the redis server answers a PING in {took:.1?}, and `remote_timeout` is {limit:?}: a slow moment will count \
                 as an outage; bring the server nearer, or set `remote_timeout` to {:.0?} or more",
                took * 4
            ),
        )
    })
}

fn unchecked(subject: &'static str, command: &str, why: &str, tells: &str) -> Finding {
    unwise(
        subject,
        format!("{tells} could not be checked, since {command} was refused: {why}"),
    )
}

fn unwise(subject: &'static str, message: impl Into<String>) -> Finding {
    Finding::Unwise(Advice::new(subject, message))
}

pub(super) fn broken(subject: &'static str, message: impl Into<String>) -> Finding {
    Finding::Broken(Advice::new(subject, message))
}

const INFO_TELLS: &str = "version, memory limit, role and cluster mode of the redis server, and whether another one has taken its place";
const CONFIG_TELLS: &str = "`client-output-buffer-limit` and `save` of the redis server";
/// What Redis has by default, and what a burst of ten thousand events needs on a node that is busy.
const HARD: u64 = 32 << 20;
const SOFT: u64 = 8 << 20;
const SOFT_SECONDS: u64 = 60;

#[cfg(test)]
mod tests {
    use super::*;

    /// As Redis 7.0.15 answers, shortened.
    const INFO: &str = "# Server\r\nredis_version:7.0.15\r\nredis_mode:standalone\r\n\r\n# Memory\r\nmaxmemory:0\r\n\
        maxmemory_human:0B\r\nmaxmemory_policy:noeviction\r\n\r\n# Persistence\r\nloading:0\r\naof_enabled:0\r\n\r\n\
        # Replication\r\nrole:master\r\nconnected_slaves:0\r\nmaster_failover_state:no-failover\r\n\r\n\
        # Cluster\r\ncluster_enabled:0\r\n";
    const REPLICA: &str = "role:slave\r\nmaster_host:10.0.0.7\r\nmaster_port:6379\r\nmaster_link_status:up\r\n\
        connected_slaves:0\r\n";
    const LIMITS: &str = "normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60";

    fn config(limits: &str, save: &str) -> Texts {
        let pairs = [
            ("client-output-buffer-limit", limits),
            ("save", save),
            ("appendonly", "no"),
        ];
        Texts::of_pairs(
            pairs
                .map(|(name, text)| (name.into(), text.into()))
                .into_iter(),
        )
    }

    fn found(info: &str, limits: &str, save: &str) -> Vec<(&'static str, bool)> {
        let facts = Facts {
            info: Ok(Texts::of_info(info)),
            config: Ok(config(limits, save)),
            latency: Some(Duration::from_millis(1)),
            wanted: 0,
        };
        let findings = judge(&facts, Duration::from_millis(50), false);
        let summary = |finding: &Finding| (finding.advice().subject(), finding.is_broken());
        findings.iter().map(summary).collect()
    }

    #[test]
    fn a_server_as_it_is_installed_without_persistence_needs_no_advice() {
        assert_eq!(found(INFO, LIMITS, ""), []);
    }

    #[test]
    fn what_the_protocol_cannot_run_on_is_an_error() {
        for (from, to, subject) in [
            ("redis_version:7.0.15", "redis_version:6.2.14", "version"),
            ("cluster_enabled:0", "cluster_enabled:1", "cluster"),
            ("role:master\r\nconnected_slaves:0\r\n", REPLICA, "replica"),
        ] {
            assert_eq!(
                found(&INFO.replace(from, to), LIMITS, ""),
                [(subject, true)]
            );
        }
    }

    #[test]
    fn memory_that_fills_up_or_evicts_control_records_is_advised_against() {
        let with = |maxmemory: &str, policy: &str| {
            let info = INFO
                .replace("maxmemory:0", &format!("maxmemory:{maxmemory}"))
                .replace("noeviction", policy);
            found(&info, LIMITS, "")
        };

        assert_eq!(with("1000000", "noeviction"), [("maxmemory", false)]);
        assert_eq!(with("1000000", "allkeys-lru"), [("maxmemory", false)]);
        assert_eq!(with("0", "allkeys-random"), [("maxmemory", false)]);
        for policy in ["volatile-lru", "volatile-lfu", "volatile-ttl"] {
            assert_eq!(with("1000000", policy), []);
        }
    }

    #[test]
    fn replicas_are_told_of() {
        let info = INFO.replace("connected_slaves:0", "connected_slaves:2");

        assert_eq!(found(&info, LIMITS, ""), [("replicas", false)]);
    }

    #[test]
    fn buffers_that_cut_subscribers_off_are_advised_against() {
        let with = |limit: &str| found(INFO, &format!("normal 0 0 0 pubsub {limit}"), "");

        for enough in ["0 0 0", "33554432 8388608 60", "67108864 0 0"] {
            assert_eq!(with(enough), [], "{enough}");
        }
        for little in [
            "33554431 8388608 60",
            "33554432 8388607 60",
            "33554432 8388608 59",
            "1 0 0",
        ] {
            assert_eq!(with(little), [("pubsub_buffer", false)], "{little}");
        }
    }

    #[test]
    fn a_server_that_remembers_is_advised_against() {
        assert_eq!(
            found(INFO, LIMITS, "3600 1 300 100"),
            [("persistence", false)]
        );
        let log = INFO.replace("aof_enabled:0", "aof_enabled:1");
        assert_eq!(found(&log, LIMITS, ""), [("persistence", false)]);
    }

    #[test]
    fn a_latency_beyond_half_of_the_limit_is_told() {
        let limit = Duration::from_millis(50);

        assert!(latency(Duration::from_millis(25), limit).is_none());
        let finding = latency(Duration::from_micros(25_400), limit).unwrap();
        assert!(finding.advice().message().contains("25.4ms"), "{finding:?}");
        assert!(finding.advice().message().contains("102ms"), "{finding:?}");
    }

    #[test]
    fn fewer_replicas_than_are_wanted_are_told_of_and_as_many_are_not() {
        let told = |following: u32, wanted| {
            let info = Texts::of_info(&format!("role:master\nconnected_slaves:{following}"));
            let finding = replication(&info, wanted)?;
            Some(finding.advice().message().to_owned())
        };

        assert_eq!((told(0, 0), told(1, 1), told(2, 1)), (None, None, None));
        assert!(told(1, 2).unwrap().contains("stay pending"));
        assert!(told(1, 0).unwrap().contains("TiersBuilder::replicas"));
    }

    #[test]
    fn what_could_not_be_asked_is_said_and_is_no_error() {
        let facts = Facts {
            info: Err("NOPERM".into()),
            config: Err("NOPERM".into()),
            latency: None,
            wanted: 0,
        };

        let findings = judge(&facts, Duration::from_millis(50), false);

        let subjects: Vec<_> = findings.iter().map(|it| it.advice().subject()).collect();
        assert_eq!(subjects, ["info", "config"]);
        assert!(findings.iter().all(|finding| !finding.is_broken()));
        let told = findings[0].advice().to_string();
        assert!(
            told.starts_with("info: ") && told.contains("could not be checked"),
            "{told}"
        );
    }
}
