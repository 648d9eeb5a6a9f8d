//! Models of tricache's protocol, explored exhaustively.
//!
//! Each model is small enough that every order of its steps can be looked at. What must hold is shown to hold in all of
//! them; each protection that is taken away is shown to be missed, by a shortest way to harm. See `docs/models.md` for
//! what is modelled, what is not, and the verdicts.

pub mod admission;
pub mod beats;
pub mod explore;
pub mod orderings;
pub mod protocol;
pub mod split_brain;
pub mod tags;
pub mod variants;
