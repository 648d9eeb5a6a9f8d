//! What an invalidation answers.

use super::{journal::Awaited, send::Sent};
use crate::model::Stamp;

/// Proof of an invalidation: where it stands in the feed, or that Redis has yet to take it.
#[derive(Clone, Debug, Default)]
pub struct Receipt {
    stamps: Vec<Stamp>,
    pending: Vec<Awaited>,
}

impl Receipt {
    /// Whether Redis did not take some of it yet. This node already bypasses the entities concerned, and sends the
    /// invalidations until Redis takes them; other nodes learn of them then.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// How many invalidations Redis had not taken when the call answered.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    /// One stamp for each invalidation that Redis took.
    #[must_use]
    pub fn stamps(&self) -> &[Stamp] {
        &self.stamps
    }

    /// Waits until Redis has taken what is pending; the answer holds the stamps of that, too.
    ///
    /// What is still pending in the answer will never be sent: the `Tiers` was shut down. There is no limit to the
    /// waiting; put one around it.
    ///
    /// # Cancel safety
    /// Dropping this future stops the waiting and nothing else.
    pub async fn settled(self) -> Self {
        let mut settled = Self {
            stamps: self.stamps,
            pending: Vec::new(),
        };
        for mut awaited in self.pending {
            let taken = awaited.wait_for(Option::is_some).await.map(|stamp| *stamp);
            match taken {
                Ok(Some(stamp)) => settled.stamps.push(stamp),
                _ => settled.pending.push(awaited),
            }
        }
        settled
    }

    pub(crate) fn add(&mut self, sent: Sent) {
        match sent {
            Sent::Acknowledged(stamp, _) => self.stamps.push(stamp),
            Sent::Pending(awaited) => self.pending.push(awaited),
        }
    }
}
