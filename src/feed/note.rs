//! What this process tells its follower, which alone applies it.

use crate::{
    model::Head,
    remote::{Agreement, Heard},
};

/// What this process tells its follower.
#[derive(Debug)]
pub(crate) enum Note {
    /// The heads of the feeds that one server has, asked for at `sent`.
    Beat {
        sent: u64,
        heads: Vec<Heard>,
        /// `None`: whoever was asked does not have it.
        agreement: Option<Agreement>,
    },
    /// The server of the heartbeat that was sent at `sent` was confirmed after it; it has these buckets.
    Confirmed { sent: u64, buckets: Vec<u16> },
    /// A heartbeat of which what is ahead is fetched at once.
    #[cfg(feature = "test-util")]
    CatchUp {
        sent: u64,
        heads: Vec<Heard>,
        agreement: Option<Agreement>,
        confirmed: bool,
        done: tokio::sync::oneshot::Sender<()>,
    },
    /// A read saw a head that was not applied yet.
    Seen { bucket: u16, head: Head },
}
