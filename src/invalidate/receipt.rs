//! What an invalidation answers.

use super::{
    journal::{Awaited, Taken},
    send::{Invalidated, Sent},
};
use crate::{error::Error, model::Stamp, purge::Handed};
use futures_util::{StreamExt, stream::FuturesUnordered};
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// Proof of an invalidation: where it stands in the feed, or that Redis has yet to take it; and how far its purge is.
#[derive(Clone, Debug, Default)]
pub struct Receipt {
    stamps: Vec<Stamp>,
    pending: Vec<Awaited>,
    /// When Redis had taken the last of those with a stamp.
    taken_at: Option<Instant>,
    audience: Audience,
    handed: Vec<Handed>,
}

/// Who else is to know of an invalidation.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Audience {
    /// How long after Redis has taken an invalidation no node serves what is older as proven.
    pub(crate) heard_after: Duration,
    pub(crate) has_edge: bool,
}

impl Receipt {
    pub(crate) fn new(audience: Audience) -> Self {
        Self {
            audience,
            ..Self::default()
        }
    }

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
            pending: Vec::new(),
            ..self
        };
        for mut awaited in self.pending {
            match until_taken(&mut awaited).await {
                Some(taken) => {
                    settled.stamps.push(taken.stamp);
                    settled.taken_at = settled.taken_at.max(Some(taken.at));
                }
                None => settled.pending.push(awaited),
            }
        }
        settled
    }

    /// Waits until Redis has taken all of it: at once, unless it is [pending](Self::is_pending). There is no limit to the
    /// waiting.
    ///
    /// # Errors
    /// With [`is_closed`](Error::is_closed) if the `Tiers` was shut down first: then it is never sent.
    ///
    /// # Cancel safety
    /// Dropping this future stops the waiting and nothing else, and the receipt can be asked again.
    pub async fn remote(&self) -> Result<(), Error> {
        self.until_all_taken().await.map(drop)
    }

    /// Waits until no node serves what is older from its own memory, but as [unproven](crate::Outcome::LocalUnproven): until
    /// two heartbeats after Redis has taken all of it.
    ///
    /// Usually the others know within a millisecond. Nobody asks them: by then each of them has applied the event, or knows that
    /// its feed is not live. That holds for nodes with the same [`heartbeat`](crate::TiersBuilder::heartbeat) as this one.
    ///
    /// # Errors
    /// As for [`remote`](Self::remote).
    ///
    /// # Cancel safety
    /// As for [`remote`](Self::remote).
    pub async fn peers(&self) -> Result<(), Error> {
        if let Some(taken_at) = self.until_all_taken().await? {
            sleep_until(taken_at + self.audience.heard_after).await;
        }
        Ok(())
    }

    /// Waits until the edge has purged whatever shows it, everywhere, or will not purge some of it. It does not wait for the second
    /// purge.
    ///
    /// Of what is [pending](Self::is_pending) it is the purge that went out at once; another one follows when Redis has taken it.
    /// An edge that is away is waited for until it is back: put a limit around it.
    ///
    /// # Errors
    /// With [`is_config`](Error::is_config) if this `Tiers` has no [`edge`](crate::TiersBuilder::edge). With
    /// [`is_edge`](Error::is_edge) if the edge refuses, or too many purges were under way; the name is in the purge record then, and
    /// is tried again. With [`is_closed`](Error::is_closed) after a shutdown: other nodes purge what is recorded.
    ///
    /// # Cancel safety
    /// As for [`remote`](Self::remote).
    pub async fn edge(&self) -> Result<(), Error> {
        if !self.audience.has_edge {
            return Err(Error::config(
                "no edge is configured: nothing is purged by this process",
            ));
        }
        let answers = self.handed.iter().cloned().map(until_answered);
        let mut answers: FuturesUnordered<_> = answers.collect();
        while let Some(answer) = answers.next().await {
            answer?;
        }
        Ok(())
    }

    pub(crate) fn add(&mut self, invalidated: Invalidated) {
        match invalidated.sent {
            Sent::Acknowledged(stamp, _) => {
                self.stamps.push(stamp);
                self.taken_at = Some(Instant::now());
            }
            Sent::Pending(awaited) => self.pending.push(awaited),
        }
        self.handed.extend(invalidated.edge);
    }

    /// When Redis had taken the last of it; `None`: there was nothing to take.
    async fn until_all_taken(&self) -> Result<Option<Instant>, Error> {
        let mut last = self.taken_at;
        for awaited in &self.pending {
            let taken = until_taken(&mut awaited.clone()).await;
            last = last.max(Some(taken.ok_or_else(Error::closed)?.at));
        }
        Ok(last)
    }
}

async fn until_answered(mut handed: Handed) -> Result<(), Error> {
    let answer = handed.wait_for(Option::is_some).await;
    let answer = answer.ok().and_then(|answer| answer.clone());
    answer.unwrap_or_else(|| Err(Error::closed()))
}

/// `None`: it will never be.
async fn until_taken(awaited: &mut Awaited) -> Option<Taken> {
    awaited
        .wait_for(Option::is_some)
        .await
        .ok()
        .and_then(|taken| *taken)
}
