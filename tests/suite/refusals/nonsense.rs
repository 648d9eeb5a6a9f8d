//! Replies that are none: of another protocol, of another type, or cut off in the middle.

use super::impostor::Impostor;
use super::{does_without_redis, quick_node, works_again};
use crate::nodes::Remote;
use crate::reads::{counters, read};
use tricache_test_support::{CountingStore, eventually};

#[tokio::test]
async fn replies_of_another_protocol_are_no_answers() {
    survives(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
}

#[tokio::test]
async fn replies_of_another_type_are_no_answers() {
    // To a connection's first words, `+OK` would be right: it stands, and what follows is nonsense.
    for reply in [
        &b"+OK\r\n"[..],
        b":42\r\n",
        b"*1\r\n:7\r\n",
        b"$-1\r\n",
        b"*0\r\n",
    ] {
        survives(reply).await;
    }
}

#[tokio::test]
async fn replies_of_absurd_lengths_are_no_answers() {
    for reply in [
        &b"$99999999999999999999\r\n"[..],
        b"$-7\r\nx\r\n",
        b"*-9\r\n",
    ] {
        survives(reply).await;
    }
}

#[tokio::test]
async fn a_connection_that_is_cut_in_the_middle_of_a_reply_has_said_nothing() {
    let remote = Remote::around_redis();
    let (one, other) = (quick_node(&remote).await, quick_node(&remote).await);
    let store = CountingStore::new();
    read(&one.cache, &store, 0).await;

    remote.server().kill();
    // Half of a value: whoever believed it would decode a shorter one.
    let cutting = Impostor::cutting(remote.server().port(), b"*3\r\n$20\r\n1|1|-|").await;
    does_without_redis(&one, &store, 0..5).await;
    eventually("it is asked", async || cutting.asked() > 2).await;
    cutting.end().await;
    remote.server().restart_empty();

    works_again([&one, &other], &store, 0..5).await;
}

/// A Redis is replaced by something that says the same to everything, and comes back.
async fn survives(reply: &'static [u8]) {
    let remote = Remote::around_redis();
    let (one, other) = (quick_node(&remote).await, quick_node(&remote).await);
    let store = CountingStore::new();
    read(&one.cache, &store, 0).await;
    let errors = counters(&one).remote_errors;

    remote.server().kill();
    let impostor = Impostor::at(remote.server().port(), reply).await;
    does_without_redis(&one, &store, 0..5).await;
    eventually("it is asked", async || impostor.asked() > 2).await;
    assert!(counters(&one).remote_errors > errors);
    impostor.end().await;
    remote.server().restart_empty();

    works_again([&one, &other], &store, 0..5).await;
}
