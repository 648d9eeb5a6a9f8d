//! A server that takes over from the one that a hub stands for, with what it has.

use super::super::records::Records;
use std::sync::Mutex;

/// The replica of one namespace: what it had when it stopped to hear of what is written; nothing while it is in step.
#[derive(Debug, Default)]
pub(super) struct Replica(Mutex<Option<Box<[Records]>>>);

impl Replica {
    pub(super) fn is_held(&self) -> bool {
        super::locked(&self.0).is_some()
    }
}

#[cfg(feature = "test-util")]
mod switches {
    use super::super::{InProcess, Records, Space, locked};

    /// Faults of a remote tier that has a replica, for tests: with the feature `test-util` only.
    impl InProcess {
        /// While this is on nothing that is written reaches the replica, as when the link between the two servers is cut.
        /// Turned off, the replica is in step again. Default: off.
        pub fn hold_replica(&self, yes: bool) {
            for space in locked(&self.0.spaces).values() {
                let had = yes.then(|| space.copy());
                *locked(&space.replica.0) = had;
            }
        }

        /// The replica takes over. Whatever was written while it was [held](Self::hold_replica) is lost, and what it replaced
        /// is back; the replica of the new server is in step with it.
        pub fn fail_over(&self) {
            let server = fastrand::u64(1..);
            self.take_over(Some(server));
        }

        /// The same data come back on the same server, as from an older file that was loaded again.
        #[cfg(feature = "proof")]
        #[doc(hidden)]
        pub fn roll_back(&self) {
            self.take_over(None);
        }

        fn take_over(&self, server: Option<u64>) {
            for space in locked(&self.0.spaces).values() {
                let had = locked(&space.replica.0).take();
                let had = had.unwrap_or_else(|| space.copy());
                for (bucket, had) in space.buckets.iter().zip(had) {
                    let mut records = locked(bucket);
                    let server = server.unwrap_or(records.server);
                    *records = had;
                    records.server = server;
                }
            }
        }
    }

    impl Space {
        fn copy(&self) -> Box<[Records]> {
            let records = self.buckets.iter();
            records.map(|bucket| locked(bucket).clone()).collect()
        }
    }
}
