//! Redis time as this node knows it.
//!
//! Birth and deadline of a value travel in Redis time, so that no two nodes' clocks are ever compared. The
//! heartbeat dates Redis' answer with the moment the question was *sent*: the estimate runs ahead of the truth by
//! at most a round trip, and a remaining life computed from it is never too long.

use std::sync::atomic::{AtomicI64, Ordering};

/// The offset between this node's clock and Redis', in milliseconds.
#[derive(Debug)]
pub(crate) struct ServerTime(AtomicI64);

impl ServerTime {
    pub(crate) fn new() -> Self {
        Self(AtomicI64::new(UNKNOWN))
    }

    /// Redis answered `server` to a question sent at `sent` of this node's clock.
    pub(crate) fn learn(&self, server: u64, sent: u64) {
        self.0.store(server as i64 - sent as i64, Ordering::Relaxed);
    }

    /// A time of Redis on this node's clock; `None` before the first heartbeat, or if it lies before the clock's origin.
    pub(crate) fn to_local(&self, server: u64) -> Option<u64> {
        let offset = self.offset()?;
        // A value may be older than this node's clock: its birth is then the clock's origin.
        Some(u64::try_from(server as i64 - offset).unwrap_or(0))
    }

    /// A time of this node's clock on Redis'.
    pub(crate) fn to_server(&self, local: u64) -> Option<u64> {
        u64::try_from(local as i64 + self.offset()?).ok()
    }

    fn offset(&self) -> Option<i64> {
        match self.0.load(Ordering::Relaxed) {
            UNKNOWN => None,
            offset => Some(offset),
        }
    }
}

const UNKNOWN: i64 = i64::MIN;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_comes_no_later_than_it_is() {
        let time = ServerTime::new();
        assert_eq!(time.to_local(5), None);

        // Sent at 100, answered 10 ms later when Redis' clock showed 5000.
        time.learn(5000, 100);

        assert_eq!(time.to_local(5100), Some(200));
        assert_eq!(time.to_server(200), Some(5100));
        assert_eq!(time.to_local(10), Some(0));
    }
}
