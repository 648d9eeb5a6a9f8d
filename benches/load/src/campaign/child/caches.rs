//! The tiers of a node, with a cache for each level.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};
use tricache::{
    Cached, Clock, Error, Level, Loaded, Outcome, Policy, Receipt, TieredCache, Tiers, TiersBuilder,
};

use super::{
    super::{
        arguments::NodeArguments,
        clock::now,
        message::FromNode,
        plan::{BOUND, ENTITIES, HEARTBEAT, LOCAL_TTL},
        words::{Entity, Label, LevelName},
    },
    line::Line,
};
use crate::failure::Failure;

/// What is cached of an entity.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Item {
    level: u8,
    number: u32,
    commit: u64,
}

/// The caches of a node, and the line to the store.
#[derive(Debug)]
pub(super) struct Caches {
    tiers: Tiers,
    of: Vec<(LevelName, TieredCache<u32, Item>)>,
    line: Arc<Line>,
    node: u64,
    nodes: u64,
    pending: Arc<AtomicUsize>,
}

impl Caches {
    /// Builds the tiers, also while Redis is away.
    ///
    /// # Errors
    /// When a setting is refused.
    pub(super) async fn build(
        arguments: &NodeArguments,
        line: Arc<Line>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, Failure> {
        let failed = |error| Failure::new("cannot build the node", error);
        let builder = led_to_redis(Tiers::builder("campaign"), arguments)
            .heartbeat(HEARTBEAT)
            .replicas(usize::from(arguments.replicas))
            // A busy machine is no fault.
            .remote_timeout(REMOTE_TIMEOUT)
            .start_without_redis(true)
            .clock(clock);
        let tiers = unprotected(builder, arguments)
            .build()
            .await
            .map_err(failed)?;
        let mut of = Vec::new();
        for name in &arguments.levels {
            let policy = Policy::ttl(TTL)
                .local_ttl(LOCAL_TTL)
                .hard_timeout(PATIENCE)
                .level(level(*name));
            let cache = tiers.cache(name.as_str(), policy).map_err(failed)?;
            of.push((*name, cache));
        }
        Ok(Self {
            tiers,
            of,
            line,
            node: arguments.node,
            nodes: super::super::plan::NODES as u64,
            pending: Arc::default(),
        })
    }

    pub(super) fn line(&self) -> &Line {
        &self.line
    }

    pub(super) fn levels(&self) -> impl Iterator<Item = LevelName> {
        self.of.iter().map(|(name, _)| *name)
    }

    /// Reads an entity, and tells the campaign what was seen.
    pub(super) async fn read(&self, entity: Entity) {
        let begin = now();
        let (line, is_versioned) = (Arc::clone(&self.line), is_versioned(entity));
        let load = |_| async move {
            let commit = line.load(entity).await?;
            Ok::<_, io::Error>(loaded(entity, commit, is_versioned))
        };
        let cache = self.cache(entity.level);
        let found = cache.get_or_load(&entity.number, load).await;
        self.saw(entity, begin, now(), found.as_ref());
    }

    /// Reads some entities in one call.
    pub(super) async fn read_many(&self, level: LevelName, numbers: &[u32]) {
        let begin = now();
        let load = |context: tricache::BatchContext<u32>| {
            let line = Arc::clone(&self.line);
            async move {
                let mut all = Vec::new();
                for number in context.into_keys() {
                    let entity = Entity { level, number };
                    let commit = line.load(entity).await?;
                    all.push((number, loaded(entity, commit, is_versioned(entity))));
                }
                Ok::<_, io::Error>(all)
            }
        };
        let Ok(batch) = self.cache(level).get_or_load_many(numbers, load).await else {
            return;
        };
        let end = now();
        for (number, found) in batch.iter() {
            let entity = Entity {
                level,
                number: *number,
            };
            self.saw(entity, begin, end, found);
        }
    }

    /// Commits, and invalidates by the key.
    pub(super) async fn write(&self, entity: Entity) -> io::Result<()> {
        let commit = self.line.commit(entity).await?;
        let told = self.cache(entity.level).invalidate(&entity.number).await;
        self.told(told, vec![(entity, commit)]);
        Ok(())
    }

    /// Commits, and invalidates the entity's tag, and with it its neighbours.
    pub(super) async fn write_by_tag(&self, entity: Entity) -> io::Result<()> {
        let commit = self.line.commit(entity).await?;
        let told = self.tiers.invalidate_tags([tag(entity)]).await;
        self.told(told, vec![(entity, commit)]);
        Ok(())
    }

    /// Commits, and brings the new value along.
    ///
    /// Where the store's versions tell the newer one, any node may. Elsewhere writers must take turns, so there only one node
    /// writes.
    pub(super) async fn write_with_value(&self, entity: Entity) -> io::Result<()> {
        let commit = self.line.commit(entity).await?;
        let (cache, item) = (self.cache(entity.level), item(entity, commit));
        let value = Loaded::new(item).tag(tag(entity));
        let told = if is_versioned(entity) {
            cache.insert_at(&entity.number, commit, value).await
        } else {
            cache.insert(&entity.number, value).await
        };
        self.told(told, vec![(entity, commit)]);
        Ok(())
    }

    /// Commits some entities, and invalidates them in one call.
    pub(super) async fn write_many(&self, entities: &[Entity]) -> io::Result<()> {
        let mut commits = Vec::new();
        for entity in entities {
            commits.push((*entity, self.line.commit(*entity).await?));
        }
        let Some(first) = entities.first() else {
            return Ok(());
        };
        let numbers: Vec<_> = entities.iter().map(|entity| entity.number).collect();
        let told = self.cache(first.level).invalidate_many(&numbers).await;
        self.told(told, commits);
        Ok(())
    }

    /// Whether this node may write the entity, and whether with its value.
    pub(super) fn may_write(&self, entity: Entity) -> (bool, bool) {
        if is_versioned(entity) {
            return (true, true);
        }
        let is_owned = entity.number % 4 == 1;
        let is_own = u64::from(entity.number) / 4 % self.nodes == self.node;
        (!is_owned || is_own, is_owned && is_own)
    }

    /// Waits until all invalidations are acknowledged, or the time is over.
    pub(super) async fn until_nothing_is_pending(&self, limit: Duration) {
        let end = Instant::now() + limit;
        while self.pending.load(Ordering::SeqCst) > 0 && Instant::now() < end {
            sleep(POLL).await;
        }
    }

    fn saw(&self, entity: Entity, begin: u64, end: u64, found: Result<&Cached<Item>, &Error>) {
        let (label, value) = match found {
            Ok(item) if item.level != entity.level as u8 || item.number != entity.number => {
                (Label::Foreign, item.commit)
            }
            Ok(item) => (label(item.outcome()), item.commit),
            Err(_) => (Label::Failed, 0),
        };
        self.line.tell(FromNode::Read {
            entity,
            label,
            begin,
            end,
            value,
        });
    }

    /// Tells the campaign what the invalidation of these commits has answered, now and when it is no longer pending.
    fn told(&self, receipt: Result<Receipt, Error>, commits: Vec<(Entity, u64)>) {
        let at = now();
        // Only after a shutdown, which there is none.
        let Ok(receipt) = receipt else { return };
        if !receipt.is_pending() {
            return acknowledge(&self.line, &commits, at);
        }
        for (entity, commit) in &commits {
            let (entity, commit) = (*entity, *commit);
            self.line.tell(FromNode::Pending { entity, commit, at });
        }
        self.pending.fetch_add(1, Ordering::SeqCst);
        let (line, pending) = (Arc::clone(&self.line), Arc::clone(&self.pending));
        tokio::spawn(async move {
            if !receipt.settled().await.is_pending() {
                acknowledge(&line, &commits, now());
            }
            pending.fetch_sub(1, Ordering::SeqCst);
        });
    }

    fn cache(&self, level: LevelName) -> &TieredCache<u32, Item> {
        let mut all = self.of.iter();
        let found = all.find(|(name, _)| *name == level);
        &found.expect("only levels of this node are read").1
    }
}

fn acknowledge(line: &Line, commits: &[(Entity, u64)], at: u64) {
    for (entity, commit) in commits {
        let (entity, commit) = (*entity, *commit);
        line.tell(FromNode::Acknowledged { entity, commit, at });
    }
}

fn led_to_redis(builder: TiersBuilder, arguments: &NodeArguments) -> TiersBuilder {
    match &arguments.master {
        _ if arguments.cluster => builder.redis_cluster(&arguments.redis),
        Some(master) => builder.redis_sentinel(&arguments.redis, master),
        None => builder.redis(&arguments.redis[0]),
    }
}

fn level(name: LevelName) -> Level {
    match name {
        LevelName::Eventual => Level::Eventual,
        LevelName::Bounded => Level::Bounded(BOUND),
        LevelName::Strict => Level::Strict,
    }
}

#[cfg(feature = "proof")]
fn unprotected(builder: TiersBuilder, arguments: &NodeArguments) -> TiersBuilder {
    use super::super::arguments::ProtectionName;
    use tricache::Protection;

    match arguments.without {
        None => builder,
        Some(ProtectionName::Fence) => builder.without(Protection::Fence),
        Some(ProtectionName::Chain) => builder.without(Protection::Chain),
        Some(ProtectionName::StaleFill) => builder.without(Protection::StaleFill),
    }
}

#[cfg(not(feature = "proof"))]
fn unprotected(builder: TiersBuilder, _: &NodeArguments) -> TiersBuilder {
    builder
}

fn item(entity: Entity, commit: u64) -> Item {
    Item {
        level: entity.level as u8,
        number: entity.number,
        commit,
    }
}

fn loaded(entity: Entity, commit: u64, is_versioned: bool) -> Loaded<Item> {
    let loaded = Loaded::new(item(entity, commit)).tag(tag(entity));
    if is_versioned {
        loaded.at_version(commit)
    } else {
        loaded
    }
}

/// Whether the loads of the entity tell the store's version. Only a quarter do: it would hide other losses.
fn is_versioned(entity: Entity) -> bool {
    entity.number.is_multiple_of(4)
}

/// Four neighbours share a tag.
fn tag(entity: Entity) -> String {
    debug_assert!(entity.number < ENTITIES);
    format!("{}-{}", entity.level.as_str(), entity.number / 4)
}

fn label(outcome: Outcome) -> Label {
    match outcome {
        Outcome::LocalHit => Label::LocalHit,
        Outcome::LocalRevalidated => Label::LocalRevalidated,
        Outcome::LocalUnproven => Label::LocalUnproven,
        Outcome::RemoteHit => Label::RemoteHit,
        Outcome::Loaded => Label::Loaded,
        _ => Label::Other,
    }
}

const TTL: Duration = Duration::from_secs(60);
const REMOTE_TIMEOUT: Duration = Duration::from_millis(250);
const POLL: Duration = Duration::from_millis(10);
/// Of a call: longer than any stop of a node, which is no fault of the cache.
const PATIENCE: Duration = Duration::from_secs(120);
