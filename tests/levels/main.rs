//! The levels `Bounded` and `Strict`: what a read may return while events are lost, Redis is away, or another server has taken over.

mod bounded;
mod pending;
mod scene;
mod split_brain;
mod strict;
