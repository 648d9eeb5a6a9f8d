//! A cache over a Redis Cluster: the values of all slots, and what happens to them while slots, nodes and masters change.

mod basics;
mod failovers;
mod moves;
mod scene;
mod starts;
mod traffic;
