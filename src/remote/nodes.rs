//! Which server has a bucket: always the same one, or a node of a cluster.
//!
//! Whoever asks for a bucket asks here first, at the price of a read lock where there is a cluster. What a node answers that
//! has the bucket no longer is followed once, and no more: nothing is retried in a loop.

use super::{
    Fencing, Layout, RemoteError, Standing, Trouble, breaker::Signals, cluster::Cluster,
    confirm::Quorum, connection::Settings, identity::Server, many::Answers, node::Node,
    way::Whereabouts,
};
use crate::error::Error;
use futures_util::future::join_all;
use std::{future::Future, sync::Arc, time::Duration};

/// The servers of one `Tiers`.
pub(super) struct Nodes {
    who: Who,
    feeds: u16,
    signals: Signals,
}

enum Who {
    One(Arc<Node>),
    Cluster(Box<Cluster>),
}

/// Where the remote tier is, and how it is called.
pub(crate) struct Target<'a> {
    pub(crate) at: &'a Whereabouts,
    /// The deadline of one call.
    pub(crate) limit: Duration,
    /// Whether reads leave a server alone while it is slower than the store.
    pub(crate) skip_slow: bool,
    /// Whether an epoch counts only on the server that it began on.
    pub(crate) fenced: bool,
    pub(crate) quorum: Quorum,
}

impl Nodes {
    pub(super) fn new(target: &Target<'_>, layout: &Layout) -> Result<Self, Error> {
        let signals = Signals::default();
        let settings = Settings {
            limit: target.limit,
            skip_slow: target.skip_slow,
            fenced: target.fenced,
            quorum: target.quorum.clone(),
            signals: signals.clone(),
        };
        let who = match target.at.seeds()? {
            Some(seeds) => Who::Cluster(Box::new(Cluster::new(seeds, settings, layout)?)),
            None => Who::One(Node::new(target.at.way()?, &settings, false)),
        };
        Ok(Self {
            who,
            feeds: layout.feeds(),
            signals,
        })
    }

    pub(super) fn is_cluster(&self) -> bool {
        self.cluster().is_some()
    }

    pub(super) fn cluster(&self) -> Option<&Cluster> {
        match &self.who {
            Who::One(_) => None,
            Who::Cluster(cluster) => Some(cluster),
        }
    }

    /// The server of a bucket.
    pub(super) fn of(&self, bucket: u16) -> Result<Arc<Node>, RemoteError> {
        match &self.who {
            Who::One(node) => Ok(Arc::clone(node)),
            Who::Cluster(cluster) => {
                let home = cluster.home(bucket);
                home.ok_or(RemoteError::Uncovered)
            }
        }
    }

    /// All servers that have any bucket.
    pub(super) fn all(&self) -> Vec<Arc<Node>> {
        match &self.who {
            Who::One(node) => vec![Arc::clone(node)],
            Who::Cluster(cluster) => cluster.map().nodes().to_vec(),
        }
    }

    pub(super) fn buckets_of(&self, node: &Arc<Node>) -> Vec<u16> {
        match &self.who {
            Who::One(_) => (0..self.feeds).collect(),
            Who::Cluster(cluster) => cluster.map().buckets_of(node),
        }
    }

    /// Whether this is the server of the bucket.
    pub(super) fn has(&self, node: &Arc<Node>, bucket: u16) -> bool {
        self.of(bucket).is_ok_and(|home| Arc::ptr_eq(&home, node))
    }

    /// The server that the sentinels name, if there are any and they did.
    pub(super) fn master(&self) -> Option<String> {
        match &self.who {
            Who::One(node) => node.connections.master(),
            Who::Cluster(_) => None,
        }
    }

    /// Keeps to whoever has the buckets, whether sentinels or the cluster tell; never ends.
    pub(super) async fn keep(&self, every: Duration) {
        match &self.who {
            Who::One(node) => node.connections.follow_master(every).await,
            Who::Cluster(cluster) => cluster.keep().await,
        }
    }

    /// Buckets that no server has.
    pub(super) fn uncovered(&self) -> usize {
        self.cluster()
            .map_or(0, |cluster| cluster.map().uncovered())
    }

    /// Which of these may be named in one command: all, or those of one bucket each.
    pub(super) fn in_commands(&self, buckets: &[u16]) -> Vec<Vec<usize>> {
        if !self.is_cluster() {
            return vec![(0..buckets.len()).collect()];
        }
        let mut places: Vec<_> = (0..buckets.len()).collect();
        places.sort_by_key(|place| buckets[*place]);
        places
            .chunk_by(|one, other| buckets[*one] == buckets[*other])
            .map(<[_]>::to_vec)
            .collect()
    }

    /// Asks the server of a bucket; where that names the one that has it now, that one, once.
    pub(super) async fn ask<T, F>(
        &self,
        bucket: u16,
        ask: impl Fn(Arc<Node>) -> F,
    ) -> Result<T, RemoteError>
    where
        F: Future<Output = Result<T, RemoteError>>,
    {
        let answer = ask(self.of(bucket)?).await;
        match self.named_by(&answer) {
            Some(node) => ask(node).await,
            None => answer,
        }
    }

    /// The same for many questions, each with its bucket: those to one server travel together.
    pub(super) async fn ask_all<T, F>(
        &self,
        buckets: &[u16],
        ask: impl Fn(Arc<Node>, Vec<usize>) -> F,
    ) -> Answers<T>
    where
        F: Future<Output = Answers<T>>,
    {
        if let Who::One(node) = &self.who {
            return ask(Arc::clone(node), (0..buckets.len()).collect()).await;
        }
        let homes = buckets.iter().map(|bucket| self.of(*bucket));
        let (mut parcels, mut answers) = (Parcels::default(), Vec::new());
        for (place, home) in homes.enumerate() {
            answers.push(Err(RemoteError::Uncovered));
            if let Ok(node) = home {
                parcels.add(node, place);
            }
        }
        parcels.send(&ask, &mut answers).await;
        let mut moved = Parcels::default();
        for (place, answer) in answers.iter().enumerate() {
            if let Some(node) = self.named_by(answer) {
                moved.add(node, place);
            }
        }
        moved.send(&ask, &mut answers).await;
        answers
    }

    /// The server that another one has named as that of a bucket. What is found to be out of date is asked for again.
    fn named_by<T>(&self, answer: &Result<T, RemoteError>) -> Option<Arc<Node>> {
        match answer {
            Err(RemoteError::Failed(error)) => self.cluster()?.named_by(error),
            _ => None,
        }
    }

    /// A server did not answer a probe: another one may have its buckets.
    pub(super) fn missed(&self) {
        if let Some(cluster) = self.cluster() {
            cluster.want();
        }
    }

    pub(super) fn signals(&self) -> &Signals {
        &self.signals
    }

    /// That of the worst.
    pub(super) fn standing(&self) -> Standing {
        if self.uncovered() > 0 {
            return Standing::Away;
        }
        let nodes = self.all();
        let standings = nodes.iter().map(|node| node.connections.standing());
        standings.max().unwrap_or(Standing::Away)
    }

    /// That which lasts longest.
    pub(super) fn trouble(&self) -> Option<Trouble> {
        let nodes = self.all();
        let troubles = nodes.iter().filter_map(|node| node.connections.trouble());
        troubles.max_by_key(|trouble| trouble.lasting)
    }

    /// What holds for all of them.
    pub(super) fn fencing(&self) -> Fencing {
        let servers: Vec<_> = self
            .all()
            .iter()
            .map(|node| node.connections.server())
            .collect();
        if servers.is_empty() || servers.contains(&Server::Unknown) {
            Fencing::Unknown
        } else if servers.contains(&Server::Silent) {
            Fencing::Heartbeats
        } else {
            Fencing::Connections
        }
    }

    pub(super) fn loaded(&self, took: Duration) {
        match &self.who {
            Who::One(node) => node.connections.pace().loaded(took),
            Who::Cluster(cluster) => {
                for node in cluster.map().nodes() {
                    node.connections.pace().loaded(took);
                }
            }
        }
    }

    pub(super) fn close(&self) {
        self.all().iter().for_each(|node| node.connections.close());
    }
}

/// Questions by the server that they go to.
#[derive(Default)]
struct Parcels(Vec<(Arc<Node>, Vec<usize>)>);

impl Parcels {
    fn add(&mut self, node: Arc<Node>, place: usize) {
        // Masters of a cluster are few.
        let parcel = self.0.iter_mut().find(|(to, _)| Arc::ptr_eq(to, &node));
        match parcel {
            Some((_, places)) => places.push(place),
            None => self.0.push((node, vec![place])),
        }
    }

    /// All at once; each answer goes to the place of its question.
    async fn send<T, F>(self, ask: impl Fn(Arc<Node>, Vec<usize>) -> F, answers: &mut Answers<T>)
    where
        F: Future<Output = Answers<T>>,
    {
        let sent = self.0.into_iter().map(|(node, places)| {
            let answered = Box::pin(ask(node, places.clone()));
            async move { (places, answered.await) }
        });
        for (places, replies) in join_all(sent).await {
            for (place, reply) in places.into_iter().zip(replies) {
                answers[place] = reply;
            }
        }
    }
}
