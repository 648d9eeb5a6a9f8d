//! Redis time as this node knows it: that of the server of each bucket, since the masters of a cluster have clocks of their own.
//!
//! Birth and deadline of a value travel in Redis time, so that no two nodes' clocks are ever compared. The
//! heartbeat dates Redis' answer with the moment the question was *sent*: the estimate runs ahead of the truth by
//! at most a round trip, and a remaining life computed from it is never too long.

use std::sync::atomic::{AtomicI64, Ordering};

/// The offset between this node's clock and that of each bucket's server, in milliseconds.
#[derive(Debug)]
pub(crate) struct ServerTime(Box<[AtomicI64]>);

impl ServerTime {
    pub(crate) fn new(feeds: u16) -> Self {
        Self((0..feeds).map(|_| AtomicI64::new(UNKNOWN)).collect())
    }

    /// The server of this bucket answered `server` to a question sent at `sent` of this node's clock.
    pub(crate) fn learn(&self, bucket: u16, server: u64, sent: u64) {
        let offset = server as i64 - sent as i64;
        self.0[usize::from(bucket)].store(offset, Ordering::Relaxed);
    }

    /// A time of the bucket's server on this node's clock; `None` before the first heartbeat.
    pub(crate) fn to_local(&self, bucket: u16, server: u64) -> Option<u64> {
        let offset = self.offset(bucket)?;
        // A value may be older than this node's clock: its birth is then the clock's origin.
        Some(u64::try_from(server as i64 - offset).unwrap_or(0))
    }

    /// A time of this node's clock on that of the bucket's server.
    pub(crate) fn to_server(&self, bucket: u16, local: u64) -> Option<u64> {
        u64::try_from(local as i64 + self.offset(bucket)?).ok()
    }

    fn offset(&self, bucket: u16) -> Option<i64> {
        match self.0[usize::from(bucket)].load(Ordering::Relaxed) {
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
        let time = ServerTime::new(2);
        assert_eq!(time.to_local(0, 5), None);

        // Sent at 100, answered 10 ms later when Redis' clock showed 5000.
        time.learn(0, 5000, 100);

        assert_eq!(time.to_local(0, 5100), Some(200));
        assert_eq!(time.to_server(0, 200), Some(5100));
        assert_eq!(time.to_local(0, 10), Some(0));
    }

    #[test]
    fn servers_whose_clocks_differ_by_minutes_are_not_mistaken_for_each_other() {
        let time = ServerTime::new(2);
        time.learn(0, 5000, 100);
        time.learn(1, 605_000, 100);

        assert_eq!(time.to_local(0, 5100), Some(200));
        assert_eq!(time.to_local(1, 605_100), Some(200));
        assert_eq!(time.to_server(1, 200), Some(605_100));
    }
}
