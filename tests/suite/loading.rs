//! Loads: one per key and fleet, whoever goes away meanwhile, and how long what they found lives.

mod callers;
mod circles;
mod failures;
mod fleet;
mod lifetimes;
mod writes;
