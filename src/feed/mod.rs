//! The feed: how every node learns what was invalidated, and knows whether it missed anything.
//!
//! Events are pushed and also logged. Each names the nonce of the one before, so a hole in the chain is seen with
//! the next event or heartbeat; what is missing is replayed from the log, and where the log does not reach, the
//! bucket has a *gap*: all its local entries must prove themselves. See `docs/coherence.md`.

mod audience;
mod chain;
mod follower;
mod heartbeat;
mod note;
mod proof;
mod prune;

pub(crate) use self::{
    audience::{Audience, Listener},
    follower::{Follower, Ready},
    heartbeat::Heartbeat,
    note::Note,
    proof::{Proof, Proofs},
    prune::Pruner,
};
