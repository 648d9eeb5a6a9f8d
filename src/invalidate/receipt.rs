//! What an invalidation answers.

use crate::model::Stamp;

/// Proof of an invalidation: where it stands in the feed, or that Redis has yet to take it.
#[derive(Clone, Debug, Default)]
pub struct Receipt {
    stamps: Vec<Stamp>,
    pending: usize,
}

impl Receipt {
    /// Whether Redis did not take some of it yet. This node already bypasses the entities concerned, and sends the
    /// invalidations until Redis takes them; other nodes learn of them then.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        self.pending > 0
    }

    /// How many invalidations Redis did not take yet.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.pending
    }

    /// One stamp for each invalidation that Redis took.
    #[must_use]
    pub fn stamps(&self) -> &[Stamp] {
        &self.stamps
    }

    pub(crate) fn add(&mut self, stamp: Option<Stamp>) {
        match stamp {
            Some(stamp) => self.stamps.push(stamp),
            None => self.pending += 1,
        }
    }
}
