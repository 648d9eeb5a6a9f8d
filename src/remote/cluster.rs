//! The nodes of a cluster, and which of them has a bucket.
//!
//! The picture is asked for at the start, where a node says that a bucket has moved or that the cluster is down, and where a node
//! does not answer: one that is frozen says nothing of the replica that has taken its place. One question is under way
//! at a time, to those that answer; only where none of them does, to all that were ever heard of.

use super::{
    Layout, RemoteError,
    connection::{Connections, Settings},
    node::Node,
    slots::slot_of,
    topology::{self, Place, View},
    way::Way,
};
use crate::error::Error;
use futures_util::future::join_all;
use redis::{ErrorKind, RedisError, ServerErrorKind};
use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{Notify, watch},
    time::{sleep, timeout},
};

/// A cluster, as one `Tiers` knows it.
pub(super) struct Cluster {
    /// What was configured: any of them leads to all.
    seeds: Vec<Way>,
    settings: Settings,
    /// That of each bucket.
    slots: Vec<u16>,
    map: watch::Sender<Arc<Map>>,
    /// Nodes that were heard of, replicas too.
    heard: Mutex<BTreeSet<Place>>,
    wanted: Notify,
    asking: tokio::sync::Mutex<()>,
}

/// Which node has a bucket, at one moment.
#[derive(Default)]
pub(super) struct Map {
    homes: Vec<Option<Arc<Node>>>,
    /// Those that have any, each once.
    nodes: Vec<Arc<Node>>,
}

impl Map {
    fn new(homes: Vec<Option<Arc<Node>>>) -> Self {
        let mut nodes: Vec<Arc<Node>> = Vec::new();
        for home in homes.iter().flatten() {
            if !nodes.iter().any(|node| Arc::ptr_eq(node, home)) {
                nodes.push(Arc::clone(home));
            }
        }
        Self { homes, nodes }
    }

    pub(super) fn nodes(&self) -> &[Arc<Node>] {
        &self.nodes
    }

    pub(super) fn buckets_of(&self, node: &Arc<Node>) -> Vec<u16> {
        let homes = (0..).zip(&self.homes);
        let own = homes.filter(|(_, home)| home.as_ref().is_some_and(|it| Arc::ptr_eq(it, node)));
        own.map(|(bucket, _)| bucket).collect()
    }

    pub(super) fn uncovered(&self) -> usize {
        self.homes.iter().filter(|home| home.is_none()).count()
    }

    fn at(&self, address: &str) -> Option<Arc<Node>> {
        let node = self.nodes.iter().find(|node| node.address() == address);
        node.cloned()
    }

    fn is_same(&self, other: &Self) -> bool {
        let same = |(one, other): (&Option<Arc<Node>>, &Option<Arc<Node>>)| match (one, other) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            (None, None) => true,
            _ => false,
        };
        self.homes.len() == other.homes.len() && self.homes.iter().zip(&other.homes).all(same)
    }
}

impl Cluster {
    pub(super) fn new(seeds: Vec<Way>, settings: Settings, layout: &Layout) -> Result<Self, Error> {
        if seeds.is_empty() {
            return Err(Error::config(
                "a Redis Cluster needs the address of one node at least",
            ));
        }
        if seeds.iter().any(|seed| place_of(seed).is_none()) {
            return Err(Error::config(
                "the nodes of a Redis Cluster are reached by host and port, not by a file",
            ));
        }
        let slots: Vec<_> = (0..layout.feeds())
            .map(|bucket| slot_of(&layout.control(bucket)))
            .collect();
        let nowhere = Map::new(vec![None; slots.len()]);
        Ok(Self {
            seeds,
            settings,
            slots,
            map: watch::Sender::new(Arc::new(nowhere)),
            heard: Mutex::default(),
            wanted: Notify::new(),
            asking: tokio::sync::Mutex::default(),
        })
    }

    pub(super) fn map(&self) -> Arc<Map> {
        Arc::clone(&self.map.borrow())
    }

    /// Tells of each change of the map.
    pub(super) fn changes(&self) -> watch::Receiver<Arc<Map>> {
        self.map.subscribe()
    }

    pub(super) fn home(&self, bucket: u16) -> Option<Arc<Node>> {
        self.map.borrow().homes.get(usize::from(bucket))?.clone()
    }

    /// Asks for the picture soon.
    pub(super) fn want(&self) {
        self.wanted.notify_one();
    }

    /// The node that this error names; what tells of a change is asked for.
    pub(super) fn named_by(&self, error: &RedisError) -> Option<Arc<Node>> {
        match error.kind() {
            ErrorKind::Server(ServerErrorKind::Moved) => {
                self.want();
                let (address, _) = error.redirect_node()?;
                // One that is new is known a moment later.
                self.map().at(address)
            }
            ErrorKind::Server(ServerErrorKind::ClusterDown) => {
                self.want();
                None
            }
            // A slot is on its way: its keys are in two places, and will be in one again.
            _ => None,
        }
    }

    /// Keeps the picture current; never ends.
    pub(super) async fn keep(&self) {
        loop {
            if self.map().uncovered() > 0 {
                // Nobody is there whose silence would tell.
                let _ = timeout(LOOK, self.wanted.notified()).await;
            } else {
                self.wanted.notified().await;
            }
            if let Err(error) = self.refresh().await {
                tracing::debug!(%error, "no node of the redis cluster says who has which slots");
            }
            sleep(PAUSE).await;
        }
    }

    /// Asks who has which slots, and goes by it from here on.
    ///
    /// # Errors
    /// Why nobody answered: what waiting would not help against before all else.
    pub(super) async fn refresh(&self) -> Result<(), RemoteError> {
        let _one = self.asking.lock().await;
        let views = self.views().await?;
        self.adopt(&views)
    }

    async fn views(&self) -> Result<Vec<View>, RemoteError> {
        let map = self.map();
        let up = map.nodes().iter().filter(|node| node.is_up());
        let asked = up.filter_map(|node| {
            let place = Place::parse(node.address(), &nowhere())?;
            Some(async move { ask(&node.connections, &place).await })
        });
        let views: Vec<_> = join_all(asked).await.into_iter().flatten().collect();
        if !views.is_empty() {
            return Ok(views);
        }
        let strangers = self.places();
        let asked = strangers.iter().map(|place| self.ask_at(place));
        let (mut views, mut failure) = (Vec::new(), RemoteError::Away);
        for answer in join_all(asked).await {
            match answer {
                Ok(view) => views.push(view),
                Err(error) if is_plain(&failure) => failure = error,
                Err(_) => {}
            }
        }
        if views.is_empty() {
            return Err(failure);
        }
        Ok(views)
    }

    /// Over a connection for this one question.
    async fn ask_at(&self, place: &Place) -> Result<View, RemoteError> {
        let connections = Connections::new(self.way_to(place), &self.settings);
        ask(&connections, place).await
    }

    /// The seeds, and whoever was heard of.
    fn places(&self) -> BTreeSet<Place> {
        let mut places = self.heard().clone();
        places.extend(self.seeds.iter().filter_map(place_of));
        places
    }

    fn adopt(&self, views: &[View]) -> Result<(), RemoteError> {
        self.note_heard(views);
        let before = self.map();
        let mut made: Vec<Arc<Node>> = Vec::new();
        let home = |slot: &u16| {
            let place = topology::owner(views, *slot)?;
            Some(self.node_at(place, &before, &mut made))
        };
        let map = Map::new(self.slots.iter().map(home).collect());
        if map.nodes().is_empty() {
            return Err(RemoteError::Uncovered);
        }
        if map.is_same(&before) {
            return Ok(());
        }
        let (nodes, uncovered) = (map.nodes().len(), map.uncovered());
        tracing::info!(
            nodes,
            uncovered,
            "the slots of the redis cluster have changed hands"
        );
        let stays = |node: &&Arc<Node>| map.nodes().iter().any(|it| Arc::ptr_eq(it, node));
        let gone: Vec<_> = before.nodes().iter().filter(|it| !stays(it)).collect();
        gone.iter().for_each(|node| node.connections.close());
        self.map.send_replace(Arc::new(map));
        // Whoever is new is away until it has answered.
        self.settings.signals.want();
        Ok(())
    }

    fn node_at(&self, place: &Place, before: &Map, made: &mut Vec<Arc<Node>>) -> Arc<Node> {
        let address = place.to_string();
        let known = before.at(&address);
        let made_before = || made.iter().find(|it| it.address() == address).cloned();
        if let Some(node) = known.or_else(made_before) {
            return node;
        }
        let node = Node::new(self.way_to(place), &self.settings, true);
        made.push(Arc::clone(&node));
        node
    }

    fn note_heard(&self, views: &[View]) {
        let places = topology::places(views);
        let mut heard = self.heard();
        if heard.len() + places.len() > REMEMBERED {
            heard.clear();
        }
        heard.extend(places);
    }

    fn heard(&self) -> std::sync::MutexGuard<'_, BTreeSet<Place>> {
        // It is whole after every step, so a panic elsewhere spoils nothing.
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A node is reached as the seeds are, at its own place.
    fn way_to(&self, place: &Place) -> Way {
        self.seeds[0].at(&place.host, place.port)
    }
}

async fn ask(connections: &Connections, place: &Place) -> Result<View, RemoteError> {
    let answer = connections.consult(&topology::question()).await?;
    View::of_answer(answer, place)
}

/// Whether waiting may help: only the others are worth telling.
fn is_plain(error: &RemoteError) -> bool {
    match error {
        RemoteError::Failed(error) => error.is_io_error() || error.is_timeout(),
        _ => true,
    }
}

fn place_of(way: &Way) -> Option<Place> {
    let (host, port) = way.place()?;
    Some(Place {
        host: host.to_owned(),
        port,
    })
}

fn nowhere() -> Place {
    Place {
        host: String::new(),
        port: 0,
    }
}

/// Between two questions for the picture.
const PAUSE: Duration = Duration::from_millis(100);
/// How long a bucket that nobody has waits for the next look.
const LOOK: Duration = Duration::from_millis(500);
/// Nodes that are remembered: where machines come and go for months, the oldest lead nowhere.
const REMEMBERED: usize = 256;
