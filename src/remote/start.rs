//! The start: wait until the servers answer, and look whether the protocol can run on them.

use super::{Agreement, Beat, RedisRemote, RemoteError};
use crate::error::Error;
use futures_util::future::join_all;
use std::time::Duration;
use tokio::time::{Instant, sleep};

impl RedisRemote {
    /// Waits until the servers answer, and checks that the protocol can run on them.
    pub(super) async fn check_start(&self, limit: Duration) -> Result<Agreement, Error> {
        let agreement = self.reach(limit).await?;
        if agreement == Agreement::Same {
            self.inspector().check_start().await?;
        }
        Ok(agreement)
    }

    async fn reach(&self, limit: Duration) -> Result<Agreement, Error> {
        let began = Instant::now();
        loop {
            let failure = match self.first_look(began.elapsed() > limit / PATIENCE).await {
                Ok(agreement) => return Ok(agreement),
                Err(error) => error,
            };
            if let Some(refusal) = self.inspector().refusal(&failure) {
                return Err(Error::config(refusal));
            }
            if began.elapsed() >= limit {
                return Err(Error::unavailable("reach redis", Some(failure.into())));
            }
            sleep(RETRY).await;
        }
    }

    /// What all nodes agree on. `some`: it is enough if the server of the tags answers, without which nothing can be cached.
    async fn first_look(&self, some: bool) -> Result<Agreement, RemoteError> {
        if let Some(cluster) = self.nodes.cluster() {
            cluster.refresh().await?;
        }
        let nodes = self.nodes.all();
        let beats = join_all(nodes.iter().map(|node| self.beat(node, &[]))).await;
        let mut agreed = None;
        for (node, beat) in nodes.iter().zip(beats) {
            match beat {
                Ok(Beat { agreement, .. }) if node.is_up() => agreed = agreement.or(agreed),
                // Slower than any call would wait for.
                Ok(_) if !some => return Err(RemoteError::Timeout),
                Err(error) if !some || self.inspector().refusal(&error).is_some() => {
                    return Err(error);
                }
                _ => {}
            }
        }
        if self.nodes.uncovered() > 0 && !some {
            return Err(RemoteError::Uncovered);
        }
        agreed.ok_or(RemoteError::Uncovered)
    }
}

/// Between two attempts.
const RETRY: Duration = Duration::from_millis(50);
/// For this part of the time all servers are waited for; after it some are enough.
const PATIENCE: u32 = 3;
