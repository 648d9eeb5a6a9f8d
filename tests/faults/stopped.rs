//! F35 in earnest: a node in a process of its own is stopped by a signal, and goes on.
//!
//! The pause is as long as fifty heartbeats of another node, of which two outlast its proof. The request that it answers
//! first was sent to it while it was stopped, so nothing can have told it anything before.

use crate::scene::{Node, SOON, at, ends, patient, use_buckets};
use std::{
    env,
    io::{BufRead, BufReader, Read, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};
use tricache_test_support::{CountingStore, Proxy, RedisServer, eventually};

/// Waiting for the other process blocks a thread: network and heartbeats have theirs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f35_a_stopped_process_serves_nothing_from_before_when_it_goes_on() {
    let redis = RedisServer::start();
    let proxy = Proxy::before(&redis).await;
    use_buckets(at(&redis.url()), &[1]).await;
    let writer = Node::start(at(&redis.url())).await;
    let _beating = Node::start(at(&proxy.url()).heartbeat(SOON)).await;
    let store = CountingStore::new();
    let mut stopped = Victim::start(&redis);
    assert_eq!(stopped.asked("hold"), "0 local_hit");

    stopped.signal("STOP");
    writer.change(&store, 1).await;
    let beats = proxy.commands("TIME") + 50;
    eventually("fifty heartbeats have passed", async || {
        proxy.commands("TIME") >= beats
    })
    .await;
    stopped.tell("read");
    stopped.signal("CONT");

    assert_eq!(stopped.heard(), "1 loaded");
}

/// The other half: a node that answers what it is asked on its standard input. Among the other tests it does nothing.
#[tokio::test]
async fn a_victim_reads_when_it_is_told() {
    let Ok(url) = env::var(REDIS) else { return };
    let node = Node::with(at(&url).heartbeat(SOON), patient()).await;
    let store = CountingStore::new();
    for line in std::io::stdin().lines() {
        if line.unwrap() == "hold" {
            node.hold(&store, 1).await;
        } else {
            // Its store has the new row; what it holds is the old one.
            store.commit(&1);
        }
        let (value, outcome) = ends(node.answer(&store, 1)).await;
        println!("{ANSWER}{value} {}", outcome.as_str());
    }
}

struct Victim {
    process: Child,
    asks: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Victim {
    fn start(redis: &RedisServer) -> Self {
        let mut process = Command::new(env::current_exe().unwrap())
            .args(["--exact", VICTIM, "--nocapture"])
            .env(REDIS, redis.url())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let asks = process.stdin.take().unwrap();
        let answers = BufReader::new(process.stdout.take().unwrap());
        Self {
            process,
            asks,
            answers,
        }
    }

    fn asked(&mut self, what: &str) -> String {
        self.tell(what);
        self.heard()
    }

    fn tell(&mut self, what: &str) {
        writeln!(self.asks, "{what}").unwrap();
    }

    fn heard(&mut self) -> String {
        let mut lines = self.answers.by_ref().lines().map(Result::unwrap);
        let answer =
            lines.find_map(|line| line.split_once(ANSWER).map(|(_, rest)| rest.to_owned()));
        answer.expect("an answer before its end")
    }

    fn signal(&self, name: &str) {
        let id = self.process.id().to_string();
        let kill = ["-c", "kill -s \"$1\" \"$2\"", "sh", name, &id];
        assert!(Command::new("sh").args(kill).status().unwrap().success());
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        // SIGKILL ends a stopped process, too; it may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

const VICTIM: &str = "stopped::a_victim_reads_when_it_is_told";
const REDIS: &str = "TRICACHE_TEST_STOPPED";
const ANSWER: &str = "the answer is ";
