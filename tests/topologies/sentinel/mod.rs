//! Sentinels: their word is followed, and what a failover loses stays invalid.

mod failovers;
mod lists;
mod scene;
