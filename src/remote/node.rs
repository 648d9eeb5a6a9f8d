//! One Redis server: its connections with their breaker, and the reads that are under way to it.

use super::{
    RemoteError, Snapshot,
    confirm::Beats,
    connection::{Class, Connections, Settings},
    reader::{self, Names, Reader},
    way::Way,
};
use std::sync::Arc;

/// A server, as one `Tiers` knows it.
pub(super) struct Node {
    /// `host:port`, without credentials.
    address: String,
    pub(super) connections: Arc<Connections>,
    reader: Arc<Reader>,
    /// Whether its replicas follow it.
    beats: Beats,
}

impl Node {
    /// `parted`: keys of several buckets must not stand in one command. Must be called inside a runtime.
    pub(super) fn new(way: Way, settings: &Settings, parted: bool) -> Arc<Self> {
        let address = way.address();
        let connections = Arc::new(Connections::new(way, settings));
        let reader = Reader::new(Arc::clone(&connections), parted);
        Arc::new(Self {
            address,
            connections,
            reader,
            beats: Beats::new(settings.quorum.clone()),
        })
    }

    pub(super) fn address(&self) -> &str {
        &self.address
    }

    pub(super) fn beats(&self) -> &Beats {
        &self.beats
    }

    pub(super) fn is_up(&self) -> bool {
        self.connections.is_up()
    }

    /// The records under these names, unless this server is slower than the store.
    pub(super) async fn read(&self, class: Class, names: Names) -> Result<Snapshot, RemoteError> {
        self.connections.check_quick()?;
        match class {
            Class::Small => self.reader.read(names).await,
            Class::Large => reader::ask(&self.connections, class, &names).await,
        }
    }
}
