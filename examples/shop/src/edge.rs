//! Tells Varnish what a write has made old.

use std::time::Duration;

use tricache::Tag;
use tricache_middleware::{
    purge::{Mode, PurgeError, Purger, Secret, Varnish},
    purge_keys, purge_keys_of_tag,
};

/// The Varnish servers in front of the shop; none if there are none.
#[derive(Clone, Default)]
pub struct Edge {
    purger: Option<Purger>,
}

/// What a write has made old: entities as cache name and key, and tags.
pub(crate) struct Old {
    pub(crate) entities: Vec<String>,
    pub(crate) tags: Vec<Tag>,
    /// Softly: the next visitor is still shown the old page, while Varnish fetches the new one.
    pub(crate) mode: Mode,
}

impl Edge {
    /// The servers at these addresses, which take purges from whoever has the token.
    ///
    /// # Errors
    /// An address or the token is none.
    pub fn varnish<'a>(
        addresses: impl IntoIterator<Item = &'a str>,
        token: &str,
    ) -> Result<Self, PurgeError> {
        let servers = Varnish::builder(addresses).token(Secret::new(token)?);
        let purger = Purger::builder(TWO_HEARTBEATS).window(WINDOW);
        Ok(Self {
            purger: Some(purger.vendors(servers.build()?).build()?),
        })
    }

    /// After the tiers were told: purges every page that shows it. Waits for Varnish, but not for ever: what it did not take
    /// is sent again.
    pub(crate) async fn purge(&self, old: Old) {
        let Some(purger) = &self.purger else {
            return;
        };
        let entities = old.entities.iter().flat_map(|name| purge_keys(name));
        let tags = old.tags.iter().flat_map(purge_keys_of_tag);
        let receipt = match purger.purge(entities.chain(tags), old.mode) {
            Ok(receipt) => receipt,
            Err(error) => return tracing::error!(%error, "Varnish was not told what is old"),
        };
        match tokio::time::timeout(PATIENCE, receipt.acknowledged()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "Varnish did not purge what is old"),
            Err(_) => tracing::warn!("Varnish takes its time to purge what is old"),
        }
    }

    /// Sends what is still to be sent, for at most `limit`.
    pub(crate) async fn close(&self, limit: Duration) {
        if let Some(purger) = &self.purger {
            let left = purger.shutdown(limit).await;
            if left > 0 {
                tracing::warn!(left, "closed before Varnish was told all that is old");
            }
        }
    }
}

/// After this every node of the shop has heard; then each key is purged once more.
const TWO_HEARTBEATS: Duration = Duration::from_secs(1);

/// How long a key waits for others: writes are rare here, and their clients wait.
const WINDOW: Duration = Duration::from_millis(5);

/// How long a write waits for Varnish.
const PATIENCE: Duration = Duration::from_secs(2);
