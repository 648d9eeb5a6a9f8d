//! What tricache's tests stand on. It does not depend on tricache: tests of one can use it to judge the other.
//!
//! | item | what it is for |
//! |---|---|
//! | [`RedisServer`] | a private Redis that can be killed, frozen and restarted empty |
//! | [`RedisCluster`] | three such masters and their replicas, whose slots can be moved |
//! | [`SentinelGroup`] | a master, two replicas and three sentinels |
//! | [`VarnishServer`] | a private Varnish with the test's configuration |
//! | [`NginxServer`] | a private nginx with the test's configuration |
//! | [`Proxy`] | a network in front of it that cuts, heals, delays, severs and refuses |
//! | [`CountingStore`] | the slow source of truth: it counts its loads and can hold them |
//! | [`free_port`] | a port for a server of the test's own |
//! | [`eventually`] | awaiting a condition, with a limit and a label |
//! | [`Seeds`] | randomness that can be repeated |
//!
//! Nothing here sleeps to guess: each fault takes effect before its call returns, each wait ends by an event.

mod counting_store;
mod directory;
mod eventually;
mod nginx_server;
mod port;
mod process;
mod proxy;
mod redis_cluster;
mod redis_server;
mod resp;
mod seeds;
mod sentinel;
mod sentinel_group;
mod varnish_server;
mod wire;

pub use counting_store::CountingStore;
pub use eventually::{LIMIT, eventually, eventually_within};
pub use nginx_server::NginxServer;
pub use port::free_port;
pub use proxy::Proxy;
pub use redis_cluster::RedisCluster;
pub use redis_server::RedisServer;
pub use resp::Reply;
pub use seeds::{Seeds, VARIABLE as SEED_VARIABLE};
pub use sentinel::Sentinel;
pub use sentinel_group::SentinelGroup;
pub use varnish_server::VarnishServer;
