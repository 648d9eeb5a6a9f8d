//! Invalidating: a bump in Redis, then this process, in an order that is never changed.
//!
//! The caller has committed. First the bump: from then on no value loaded before it can be stored or accepted by
//! anybody. Then this process' own local entry and flights. Only then the invalidation is acknowledged. Redis not
//! taking the bump is not an error of the caller: the [`Journal`] sends it until Redis does, and meanwhile this node
//! asks the store for that entity.

mod journal;
mod receipt;
mod send;

pub use self::receipt::Receipt;
pub(crate) use self::{
    journal::Journal,
    send::{Sender, Sent, resend},
};
