//! Who is subscribed to where: at each server, to the channels of the buckets that it has.
//!
//! When buckets change hands, those who lose or gain any are subscribed anew. What is pushed in between is lost, and each new
//! subscription is followed by a heartbeat, whose heads tell what is to be replayed.

use super::{
    Layout, Push,
    cluster::{Cluster, Map},
    node::Node,
    nodes::Nodes,
    subscriber::{self, Channels},
};
use std::sync::Arc;
use tokio::{sync::mpsc, task::JoinHandle};

/// Sends pushes to `sink` until it is closed.
pub(super) async fn follow(nodes: &Arc<Nodes>, layout: &Layout, sink: mpsc::UnboundedSender<Push>) {
    let Some(cluster) = nodes.cluster() else {
        for node in nodes.all() {
            let channels = Channels::new(layout, &nodes.buckets_of(&node), false);
            subscriber::follow(&node.connections, &channels, &sink, || ()).await;
        }
        return;
    };
    follow_cluster(cluster, nodes, layout, &sink).await;
}

async fn follow_cluster(
    cluster: &Cluster,
    nodes: &Arc<Nodes>,
    layout: &Layout,
    sink: &mpsc::UnboundedSender<Push>,
) {
    let mut changes = cluster.changes();
    let mut followed: Vec<Followed> = Vec::new();
    loop {
        let map = Arc::clone(&changes.borrow_and_update());
        // Those that are dropped here end.
        followed.retain(|it| it.is_of(&map));
        for node in map.nodes() {
            if !followed.iter().any(|it| Arc::ptr_eq(&it.node, node)) {
                let buckets = map.buckets_of(node);
                followed.push(Followed::begin(nodes, node, buckets, layout, sink.clone()));
            }
        }
        tokio::select! {
            changed = changes.changed() => if changed.is_err() {
                return;
            },
            () = sink.closed() => return,
        }
    }
}

/// The subscription at one node, which ends with this.
struct Followed {
    node: Arc<Node>,
    buckets: Vec<u16>,
    task: JoinHandle<()>,
}

impl Followed {
    fn begin(
        nodes: &Arc<Nodes>,
        node: &Arc<Node>,
        buckets: Vec<u16>,
        layout: &Layout,
        sink: mpsc::UnboundedSender<Push>,
    ) -> Self {
        let channels = Channels::new(layout, &buckets, true);
        let (nodes, at) = (Arc::clone(nodes), Arc::clone(node));
        let task = async move {
            subscriber::follow(&at.connections, &channels, &sink, || nodes.missed()).await;
        };
        Self {
            node: Arc::clone(node),
            buckets,
            task: tokio::spawn(task),
        }
    }

    fn is_of(&self, map: &Map) -> bool {
        map.buckets_of(&self.node) == self.buckets
    }
}

impl Drop for Followed {
    fn drop(&mut self) {
        self.task.abort();
    }
}
