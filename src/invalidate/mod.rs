//! Invalidating: a bump in Redis, then this process, then the edge, in an order that is never changed.
//!
//! The caller has committed. First the bump: from then on no value loaded before it can be stored or accepted by
//! anybody. Then this process' own local entry and flights. Only then the invalidation is acknowledged. Redis not
//! taking the bump is not an error of the caller: the [`Journal`] sends it until Redis does, and meanwhile this node
//! asks the store for that entity.
//!
//! The edge comes last, or it would refill itself with what is old behind it. The bump notes in Redis what is to be purged, so
//! that a node which dies on the way is not missed: whoever [sweeps](Sweeper) finds the note.

mod carry_out;
mod journal;
mod old_tags;
mod receipt;
mod resend;
mod send;
mod sweep;
mod to_edge;

pub use self::receipt::Receipt;
pub(crate) use self::{
    carry_out::carry_out,
    journal::{Journal, OldTag},
    resend::resend,
    send::{Invalidated, Sender, Sent},
    sweep::Sweeper,
};
