//! Nodes as users: each logs in as one of its own, and all servers refuse that one where a network of its own would be cut.
//!
//! Sentinels and clusters name one address to all nodes, so no network of a single node can stand before a server. A refusal is
//! not silence: the node knows at once that it was refused.

use tricache_test_support::RedisServer;

use super::commands::command;

/// As whom a node logs in; the password is `secret`.
pub(super) fn user(node: usize) -> String {
    format!("node{node}")
}

/// The arguments of a server that knows the users of so many nodes.
pub(super) fn users(nodes: usize) -> Vec<String> {
    (0..nodes).flat_map(|node| rights(&user(node))).collect()
}

/// The arguments of a server that knows this user.
pub(super) fn rights(name: &str) -> [String; 7] {
    ["--user", name, "on", ">secret", "~*", "&*", "+@all"].map(str::to_owned)
}

/// Refuses everything.
pub(super) fn cut<'a>(servers: impl Iterator<Item = &'a RedisServer>, node: usize) {
    let user = user(node);
    for server in servers {
        command(server, &["ACL", "SETUSER", &user, "off"]);
        command(server, &["CLIENT", "KILL", "USER", &user]);
    }
}

/// Refuses subscriptions, and closes those there are.
pub(super) fn deafen<'a>(servers: impl Iterator<Item = &'a RedisServer>, node: usize) {
    let user = user(node);
    let rules = ["-subscribe", "-psubscribe", "-ssubscribe"];
    let refuse = [&["ACL", "SETUSER", &user], &rules[..]].concat();
    for server in servers {
        command(server, &refuse);
        command(server, &["CLIENT", "KILL", "USER", &user, "TYPE", "pubsub"]);
    }
}

/// Refuses nothing any more.
pub(super) fn heal<'a>(servers: impl Iterator<Item = &'a RedisServer>, node: usize) {
    for server in servers {
        command(server, &["ACL", "SETUSER", &user(node), "on", "+@all"]);
    }
}

/// Closes all connections.
pub(super) fn sever<'a>(servers: impl Iterator<Item = &'a RedisServer>, node: usize) {
    for server in servers {
        command(server, &["CLIENT", "KILL", "USER", &user(node)]);
    }
}

/// A replica is refused by its master, as one that has the wrong password.
pub(super) fn cut_replica(replica: &RedisServer) {
    command(replica, &["CONFIG", "SET", "masterauth", "wrong"]);
    command(replica, &["CLIENT", "KILL", "TYPE", "master"]);
}

/// Ends that.
pub(super) fn heal_replica(replica: &RedisServer) {
    command(replica, &["CONFIG", "SET", "masterauth", "secret"]);
}
