//! The Varnish servers in front of the shop: whoever is told of an invalidation purges them.

use std::time::Duration;

use tricache_middleware::purge::{PurgeError, Purger, Secret, Varnish};

/// Purges the servers at these addresses, which take that from whoever has the token. Given to the tiers, it needs no other
/// call.
///
/// # Errors
/// An address or the token is none.
pub fn varnish<'a>(
    addresses: impl IntoIterator<Item = &'a str>,
    token: &str,
) -> Result<Purger, PurgeError> {
    let servers = Varnish::builder(addresses).token(Secret::new(token)?);
    let purger = Purger::builder(TWO_HEARTBEATS).window(WINDOW);
    purger.vendors(servers.build()?).build()
}

/// After this every node of the shop has heard; then each key is purged once more.
const TWO_HEARTBEATS: Duration = Duration::from_secs(1);

/// How long a key waits for others: writes are rare here, and their clients wait.
const WINDOW: Duration = Duration::from_millis(5);
