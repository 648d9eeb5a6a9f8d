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

#[cfg(test)]
mod tests {
    use redis::{Client, Connection, RedisResult, cmd};

    use super::*;

    fn server() -> RedisServer {
        let arguments = users(2);
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        RedisServer::start_with(&arguments)
    }

    fn log_in(server: &RedisServer, node: usize) -> RedisResult<Connection> {
        let url = format!("redis://{}:secret@127.0.0.1:{}", user(node), server.port());
        Client::open(url)?.get_connection()
    }

    fn subscribe(server: &RedisServer) -> RedisResult<()> {
        cmd("SUBSCRIBE").arg("news").exec(&mut log_in(server, 0)?)
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_node_that_is_cut_off_is_refused_and_its_neighbour_is_not() {
        let server = server();
        let mut before = log_in(&server, 0).unwrap();
        let mut other = log_in(&server, 1).unwrap();

        cut([&server].into_iter(), 0);

        assert!(cmd("PING").exec(&mut before).is_err());
        assert!(log_in(&server, 0).is_err());
        cmd("PING").exec(&mut other).unwrap();
        heal([&server].into_iter(), 0);
        assert!(log_in(&server, 0).is_ok());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_deafened_node_can_say_and_not_hear() {
        let server = server();
        let mut speaker = log_in(&server, 0).unwrap();
        let mut listener = log_in(&server, 0).unwrap();
        listener.as_pubsub().subscribe("news").unwrap();

        deafen([&server].into_iter(), 0);

        let heard: RedisResult<u8> = cmd("PUBLISH").arg(&["news", "old"]).query(&mut speaker);
        assert_eq!(heard.unwrap(), 0);
        assert!(subscribe(&server).is_err());
        heal([&server].into_iter(), 0);
        subscribe(&server).unwrap();
    }
}
