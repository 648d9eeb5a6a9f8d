//! The purger as the edge of a `Tiers`: from what was invalidated to the keys of the pages that show it.

use tricache::{Edge, EdgePurge, EdgeSubject, Strength};

use super::{batch::Mode, error::PurgeError, purger::Purger, receipt::PurgeReceipt};
use crate::{purge_keys, purge_keys_of_tag};

/// Given to `TiersBuilder::edge`, it purges whatever is invalidated. A cleared cache is a purge of everything, unless
/// [`PurgerBuilder::key_of_cache`](super::PurgerBuilder::key_of_cache) knows better.
impl Edge for Purger {
    fn purge(&self, subject: &EdgeSubject, strength: Strength) -> EdgePurge {
        let mode = match strength {
            Strength::Hard => Mode::Hard,
            Strength::Soft => Mode::Soft,
        };
        match self.purge_subject(subject, mode) {
            Ok(receipt) => followed(receipt),
            Err(error) => EdgePurge::refused(error),
        }
    }

    fn expected(&self) -> std::time::Duration {
        self.usual_time()
    }
}

impl Purger {
    fn purge_subject(&self, subject: &EdgeSubject, mode: Mode) -> Result<PurgeReceipt, PurgeError> {
        match subject {
            EdgeSubject::Entity(name) => self.purge(purge_keys(name.as_str()), mode),
            EdgeSubject::Tag(tag) => self.purge(purge_keys_of_tag(tag), mode),
            EdgeSubject::Cache(cache) => match self.key_of_cache(cache) {
                Some(key) => self.purge([key], mode),
                None => self.purge_everything(),
            },
            // What is not known yet is in everything, too.
            _ => self.purge_everything(),
        }
    }
}

fn followed(receipt: PurgeReceipt) -> EdgePurge {
    let receipt = std::sync::Arc::new(receipt);
    let second = std::sync::Arc::clone(&receipt);
    EdgePurge::new(
        async move { Ok(receipt.acknowledged().await?) },
        async move { Ok(second.done().await?) },
    )
}
