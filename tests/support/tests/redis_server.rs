//! The private Redis can be killed, frozen and restarted, and leaves nothing behind.

use std::io::{BufRead, BufReader, ErrorKind, Read};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::{park, spawn};
#[cfg(target_os = "linux")]
use std::thread::{scope, yield_now};
#[cfg(target_os = "linux")]
use std::time::Instant;

use tricache_test_support::{LIMIT, RedisServer, Reply};

#[test]
fn answers_commands_with_every_kind_of_reply() {
    let redis = RedisServer::start();

    assert_eq!(redis.command(&["SET", "a", "one two"]), "OK");
    assert_eq!(redis.command(&["MGET", "a", "b"]), "one two\n");
    assert_eq!(redis.command(&["INCR", "n"]), "1");
    assert!(
        redis
            .command(&["INCR", "a"])
            .starts_with("ERR value is not an integer")
    );
    assert_eq!(redis.reply(&["GET", "b"]).unwrap(), Reply::Nil);
}

#[test]
fn two_servers_have_nothing_in_common() {
    let (one, other) = (RedisServer::start(), RedisServer::start());

    one.command(&["SET", "a", "1"]);

    assert_ne!(one.url(), other.url());
    assert_eq!(other.command(&["DBSIZE"]), "0");
}

#[test]
fn takes_more_arguments() {
    let redis = RedisServer::start_with(&["--maxmemory", "10mb"]);

    assert_eq!(
        redis.command(&["CONFIG", "GET", "maxmemory"]),
        "maxmemory\n10485760"
    );
}

#[test]
#[should_panic(expected = "redis-server ended 5 times at its start")]
fn arguments_that_redis_refuses_are_told() {
    let _ = RedisServer::start_with(&["--no-such-setting", "1"]);
}

#[test]
fn persists_nothing() {
    let redis = RedisServer::start();

    assert_eq!(redis.command(&["CONFIG", "GET", "save"]), "save\n");
    assert_eq!(
        redis.command(&["CONFIG", "GET", "appendonly"]),
        "appendonly\nno"
    );
}

#[test]
fn a_killed_server_refuses_and_comes_back_empty_on_its_port() {
    let redis = RedisServer::start();
    let (port, pid) = (redis.port(), redis.pid());
    redis.command(&["SET", "a", "1"]);

    redis.kill();

    assert_eq!(
        redis.reply(&["PING"]).unwrap_err().kind(),
        ErrorKind::ConnectionRefused
    );
    redis.restart_empty();
    assert_eq!(redis.port(), port);
    assert_ne!(redis.pid(), pid);
    assert_eq!(redis.command(&["DBSIZE"]), "0");
}

#[test]
fn a_running_server_can_be_restarted_empty_with_clients_connected() {
    let redis = RedisServer::start();
    let _client = TcpStream::connect(("127.0.0.1", redis.port())).unwrap();
    redis.command(&["SET", "a", "1"]);

    redis.restart_empty();

    assert_eq!(redis.command(&["DBSIZE"]), "0");
}

#[test]
#[cfg(target_os = "linux")]
fn a_frozen_server_answers_only_when_it_thaws() {
    let redis = RedisServer::start();

    redis.freeze();

    wait_until_stopped(redis.pid());
    scope(|scope| {
        let answer = scope.spawn(|| redis.command(&["PING"]));
        redis.thaw();
        assert_eq!(answer.join().unwrap(), "PONG");
    });
}

#[test]
fn a_frozen_server_can_be_killed_and_terminated() {
    for end in [RedisServer::kill, RedisServer::terminate] {
        let redis = RedisServer::start();
        redis.freeze();

        end(&redis);

        assert!(redis.reply(&["PING"]).is_err());
    }
}

#[test]
fn a_dropped_server_leaves_no_process_and_no_directory() {
    let redis = RedisServer::start();
    let pid = redis.pid();
    let directory = redis
        .command(&["CONFIG", "GET", "dir"])
        .lines()
        .nth(1)
        .unwrap()
        .to_owned();
    assert!(Path::new(&directory).is_dir());

    drop(redis);

    assert!(!Path::new(&directory).exists());
    // Where there is no such folder this says nothing.
    assert!(!Path::new("/proc").join(pid.to_string()).exists());
}

#[test]
fn a_killed_test_takes_its_server_with_it() {
    const NAME: &str = "a_killed_test_takes_its_server_with_it";
    if std::env::var_os(VICTIM).is_some() {
        start_and_wait_to_be_killed();
    }
    let mut victim = Command::new(std::env::current_exe().unwrap())
        .args([NAME, "--exact", "--nocapture"])
        .env(VICTIM, "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(victim.stdout.take().unwrap()).lines();
    let address = lines
        .map(Result::unwrap)
        .find(|line| line.starts_with("127.0.0.1:"))
        .unwrap();
    let mut connection = TcpStream::connect(address).unwrap();
    connection.set_read_timeout(Some(LIMIT)).unwrap();

    victim.kill().unwrap();
    victim.wait().unwrap();

    // A connection that Redis had not accepted yet is reset.
    let end = connection
        .read(&mut [0; 1])
        .or_else(|error| match error.kind() {
            ErrorKind::ConnectionReset => Ok(0),
            _ => Err(error),
        });
    assert!(
        matches!(end, Ok(0)),
        "the server has outlived its test: {end:?}"
    );
}

/// The other half of the test above, in a process of its own.
fn start_and_wait_to_be_killed() -> ! {
    let redis = RedisServer::start();
    println!("\n127.0.0.1:{}", redis.port());
    loop {
        park();
    }
}

const VICTIM: &str = "TRICACHE_TEST_VICTIM";

#[test]
fn many_servers_start_at_the_same_time() {
    let threads: Vec<_> = (0..8).map(|_| spawn(RedisServer::start)).collect();

    // All are kept: a port that is free again may be taken again.
    let servers: Vec<_> = threads
        .into_iter()
        .map(|thread| thread.join().unwrap())
        .collect();

    let mut ports: Vec<_> = servers.iter().map(RedisServer::port).collect();
    ports.sort_unstable();
    ports.dedup();
    assert_eq!(ports.len(), 8);
}

/// A running process takes a moment to notice its signal; `T` is what Linux calls it then.
#[cfg(target_os = "linux")]
fn wait_until_stopped(pid: u32) {
    let start = Instant::now();
    loop {
        let line = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        if line.rsplit_once(") ").unwrap().1.starts_with('T') {
            return;
        }
        assert!(start.elapsed() < LIMIT, "not stopped: {line}");
        yield_now();
    }
}

#[test]
fn comes_back_from_its_file_and_empty_without() {
    let redis = RedisServer::start();
    redis.command(&["SET", "a", "1"]);
    redis.save();
    redis.command(&["SET", "a", "2"]);

    redis.restart_from_file();
    assert_eq!(redis.command(&["GET", "a"]), "1");
    redis.restart_empty();
    assert_eq!(redis.command(&["DBSIZE"]), "0");
}
