//! The nodes under load: the only place that calls tricache.

use std::{sync::Arc, time::Duration};

use tricache::{
    BoxError, Cached, Error, InProcess, Loaded, Outcome, Policy, Receipt, TieredCache, Tiers,
};

use crate::{
    failure::Failure,
    lists::{self, Line, List, Lists},
    meter::{Meter, Question, Subject},
    store::{Row, Store},
};

/// One node: its own tiers, over the remote and the store that all share.
pub(crate) struct Node {
    tiers: Tiers,
    rows: Rows,
    lists: TieredCache<u32, List>,
}

/// What stands behind all nodes.
#[derive(Clone)]
pub(crate) struct Source {
    /// Where rows are kept.
    pub(crate) store: Arc<Store>,
    /// What lists show.
    pub(crate) lists: Arc<Lists>,
    /// Who records what is asked of the store.
    pub(crate) meter: Arc<Meter>,
}

/// The rows as this node caches them.
#[derive(Clone)]
struct Rows {
    cache: TieredCache<u32, Row>,
    source: Source,
    /// The number of the node.
    node: usize,
}

/// What a read returned.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The commit of the row.
    pub(crate) commit: u64,
    /// The tier it came from.
    pub(crate) class: Class,
    /// The same in the words of the cache.
    pub(crate) outcome: &'static str,
    /// Whether nobody could prove it when it was read.
    pub(crate) is_unproven: bool,
    /// Whether it is the row that was asked for, and of one piece.
    pub(crate) is_whole: bool,
}

/// What a read of a list returned.
#[derive(Debug)]
pub(crate) struct ListAnswer {
    /// The list.
    pub(crate) list: Cached<List>,
    /// The tier it came from.
    pub(crate) class: Class,
    /// Whether nobody could prove the list, or a row that it was made of, when it was read.
    pub(crate) is_unproven: bool,
}

/// What an invalidation answered.
#[derive(Debug)]
pub(crate) struct Told(Receipt);

impl Told {
    /// Whether it is acknowledged, rather than pending.
    pub(crate) fn is_acknowledged(&self) -> bool {
        !self.0.is_pending()
    }

    /// Waits until it is acknowledged; false if that will never be.
    ///
    /// # Cancel safety
    /// Dropping this future stops the waiting and nothing else.
    pub(crate) async fn in_the_end(self) -> bool {
        !self.0.settled().await.is_pending()
    }
}

/// What nodes counted by themselves.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counted {
    /// Reads that joined the flight of another read of their node, wherever it ended.
    pub(crate) joined: u64,
    /// Calls that the remote tier did not answer in time, or not well.
    pub(crate) remote_errors: u64,
}

impl std::iter::Sum for Counted {
    fn sum<I: Iterator<Item = Self>>(nodes: I) -> Self {
        nodes.fold(Self::default(), |sum, node| Self {
            joined: sum.joined + node.joined,
            remote_errors: sum.remote_errors + node.remote_errors,
        })
    }
}

/// Where an answer came from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Class {
    /// This node's memory.
    Local,
    /// The remote tier.
    Remote,
    /// The store, by an own load or one that was joined.
    Load,
}

impl Node {
    /// Builds `count` nodes that share the Redis at `redis`, or else a hub in this process.
    ///
    /// # Errors
    /// When a node cannot be built, as when Redis cannot be reached.
    pub(crate) async fn fleet(
        count: usize,
        redis: Option<&str>,
        namespace: &str,
        source: &Source,
    ) -> Result<Vec<Arc<Self>>, Failure> {
        let hub = InProcess::new();
        let mut nodes = Vec::with_capacity(count);
        for node in 0..count {
            let builder = Tiers::builder(namespace);
            let builder = match redis {
                Some(url) => builder.redis(url),
                None => builder.in_process(&hub),
            };
            let failed = |error| Failure::new("cannot build a node", error);
            let tiers = builder.build().await.map_err(failed)?;
            let rows = Rows {
                cache: tiers.cache("row", POLICY).map_err(failed)?,
                source: source.clone(),
                node,
            };
            let lists = tiers.cache("list", POLICY).map_err(failed)?;
            nodes.push(Arc::new(Self { tiers, rows, lists }));
        }
        Ok(nodes)
    }

    /// Reads a row through the tiers.
    ///
    /// # Errors
    /// With the message of the cache.
    pub(crate) async fn read(&self, id: u32) -> Result<Answer, Error> {
        let row = self.rows.get(id).await?;
        let class = class(row.outcome());
        // A local hit is what was checked when it came; checking it again would cost more than the hit.
        let is_whole = row.id == id && (class == Class::Local || row.is_whole());
        Ok(Answer {
            commit: row.commit,
            class,
            outcome: row.outcome().as_str(),
            is_unproven: is_unproven(row.outcome()),
            is_whole,
        })
    }

    /// Reads a list through the tiers.
    ///
    /// # Errors
    /// With the message of the cache.
    pub(crate) async fn read_list(&self, number: u32) -> Result<ListAnswer, Error> {
        let load = |_| make_list(self.rows.clone(), number);
        let list = self.lists.get_or_load(&number, load).await?;
        Ok(ListAnswer {
            class: class(list.outcome()),
            is_unproven: is_unproven(list.outcome()) || list.is_unproven,
            list,
        })
    }

    /// Tells all nodes that the row has changed.
    ///
    /// # Errors
    /// With the message of the cache.
    pub(crate) async fn invalidate(&self, id: u32) -> Result<Told, Error> {
        self.rows.note_invalidation(Subject::Row(id));
        self.rows.cache.invalidate(&id).await.map(Told)
    }

    /// Tells all nodes that a row has changed which belongs in this list.
    ///
    /// # Errors
    /// With the message of the cache.
    pub(crate) async fn invalidate_list(&self, number: u32) -> Result<Told, Error> {
        self.rows.note_invalidation(Subject::List(number));
        let tags = [lists::tag(number)];
        self.tiers.invalidate_tags(tags).await.map(Told)
    }

    /// What the node counted by itself.
    pub(crate) fn counted(&self) -> Counted {
        let report = self.tiers.report();
        let counters = report.counters();
        Counted {
            joined: counters.flights_joined,
            remote_errors: counters.remote_errors,
        }
    }

    /// Ends the node's tasks.
    pub(crate) async fn shutdown(&self) {
        // What is still pending was counted when its receipt said so.
        self.tiers.shutdown(DRAIN).await;
    }
}

impl Rows {
    async fn get(&self, id: u32) -> Result<Cached<Row>, Error> {
        let load = |_| {
            let (source, question) = (self.source.clone(), self.question(Subject::Row(id)));
            async move {
                let _under_way = source.meter.begin(question);
                source.store.load(id).await
            }
        };
        self.cache.get_or_load(&id, load).await
    }

    fn note_invalidation(&self, subject: Subject) {
        self.source.meter.invalidation(self.question(subject));
    }

    fn question(&self, subject: Subject) -> Question {
        Question {
            node: self.node,
            subject,
        }
    }
}

async fn make_list(rows: Rows, number: u32) -> Result<Loaded<List>, BoxError> {
    rows.source.lists.note_load();
    let members = rows.source.lists.members(number);
    let ids = members.into_iter().map(|key| key.id).collect();
    let list = if lists::is_nested(number) {
        of_cached_rows(&rows, number, ids).await?
    } else {
        of_the_store(&rows, number, ids).await?
    };
    let loaded = Loaded::new(list);
    Ok(if lists::is_tagged(number) {
        loaded.tag(lists::tag(number))
    } else {
        loaded
    })
}

async fn of_cached_rows(rows: &Rows, number: u32, ids: Vec<u32>) -> Result<List, BoxError> {
    let mut list = List {
        number,
        lines: Vec::with_capacity(ids.len()),
        is_unproven: false,
    };
    for id in ids {
        let row = rows.get(id).await?;
        list.is_unproven |= is_unproven(row.outcome());
        list.lines.push(Line {
            id: row.id,
            commit: row.commit,
        });
    }
    Ok(list)
}

async fn of_the_store(rows: &Rows, number: u32, ids: Vec<u32>) -> Result<List, BoxError> {
    let _under_way = (rows.source.meter).begin(rows.question(Subject::List(number)));
    let commits = rows.source.store.load_commits(ids.clone()).await?;
    let lines = ids.into_iter().zip(commits);
    Ok(List {
        number,
        lines: lines.map(|(id, commit)| Line { id, commit }).collect(),
        is_unproven: false,
    })
}

fn is_unproven(outcome: Outcome) -> bool {
    outcome == Outcome::LocalUnproven
}

fn class(outcome: Outcome) -> Class {
    match outcome {
        Outcome::LocalHit | Outcome::LocalRevalidated | Outcome::LocalUnproven => Class::Local,
        Outcome::RemoteHit => Class::Remote,
        _ => Class::Load,
    }
}

const POLICY: Policy = Policy::ttl(Duration::from_secs(3600)).local_ttl(LOCAL_TTL);

/// How long a node may serve what nobody can prove while Redis is away.
pub(crate) const LOCAL_TTL: Duration = Duration::from_secs(30);

const DRAIN: Duration = Duration::from_secs(2);
