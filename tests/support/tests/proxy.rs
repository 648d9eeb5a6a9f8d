//! The proxy keeps its word: what it says is cut carries nothing, what it says is healed carries again.

use std::io::ErrorKind;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
use tricache_test_support::{LIMIT, Proxy, RedisServer, eventually};

#[tokio::test]
async fn forwards_both_ways_and_counts() {
    let (proxy, _echo) = before_echo().await;
    let mut client = connect(&proxy).await;

    assert_eq!(ask(&mut client, b"hello").await, b"hello");

    assert_eq!((proxy.connections(), proxy.open_connections()), (1, 1));
    assert_eq!((proxy.bytes_to_server(), proxy.bytes_to_clients()), (5, 5));
}

#[tokio::test]
async fn passes_on_the_end_of_either_side() {
    let (proxy, _echo) = before_echo().await;
    let mut client = connect(&proxy).await;
    ask(&mut client, b"hello").await;

    client.shutdown().await.unwrap();

    assert_closed(&mut client).await;
    eventually("the connection is forgotten", async || {
        proxy.open_connections() == 0
    })
    .await;
}

#[tokio::test]
async fn a_cut_connection_stays_open_and_carries_nothing() {
    let (proxy, _echo) = before_echo().await;
    let mut old = connect(&proxy).await;
    ask(&mut old, b"hello").await;

    proxy.cut();
    let mut new = connect(&proxy).await;

    assert_silent(&mut old).await;
    assert_silent(&mut new).await;
    assert_eq!((proxy.bytes_to_server(), proxy.bytes_to_clients()), (5, 5));
}

#[tokio::test]
async fn healing_closes_what_was_cut_and_takes_new_connections() {
    let (proxy, _echo) = before_echo().await;
    let mut old = connect(&proxy).await;
    ask(&mut old, b"hello").await;
    proxy.cut();
    let mut silent = connect(&proxy).await;
    assert_silent(&mut silent).await;

    proxy.heal();

    assert_closed(&mut old).await;
    assert_closed(&mut silent).await;
    assert_eq!(ask(&mut connect(&proxy).await, b"again").await, b"again");
}

#[tokio::test]
async fn a_cut_hides_the_death_of_the_server() {
    let redis = RedisServer::start();
    let proxy = Proxy::before(&redis).await;
    let mut client = connect(&proxy).await;
    assert_eq!(ask(&mut client, PING).await, b"+PONG\r\n");

    proxy.cut();
    redis.kill();

    assert_silent(&mut client).await;
    proxy.heal();
    assert_closed(&mut client).await;
}

#[tokio::test]
async fn severing_closes_once() {
    let (proxy, _echo) = before_echo().await;
    let mut old = connect(&proxy).await;
    ask(&mut old, b"hello").await;

    proxy.sever();

    assert_closed(&mut old).await;
    assert_eq!(ask(&mut connect(&proxy).await, b"again").await, b"again");
}

#[tokio::test]
async fn a_delay_counts_once_for_each_direction_and_for_all_that_is_sent_together() {
    const DELAY: Duration = Duration::from_millis(60);
    let (proxy, _echo) = before_echo().await;
    let mut client = connect(&proxy).await;
    ask(&mut client, b"hello").await;
    proxy.delay(DELAY);

    let start = Instant::now();
    for _ in 0..20 {
        client.write_all(b"piece").await.unwrap();
        tokio::task::yield_now().await;
    }
    read_exactly(&mut client, 100).await;

    assert!(start.elapsed() >= 2 * DELAY, "only {:?}", start.elapsed());
    assert!(
        start.elapsed() < 20 * DELAY,
        "{:?}: the pieces waited for one another",
        start.elapsed()
    );
}

#[tokio::test]
async fn a_refusing_proxy_keeps_its_connections_and_takes_no_new_ones() {
    let (proxy, _echo) = before_echo().await;
    let mut old = connect(&proxy).await;
    ask(&mut old, b"hello").await;

    proxy.refuse(true).await;
    let refused = TcpStream::connect(("127.0.0.1", proxy.port())).await;

    assert_eq!(refused.unwrap_err().kind(), ErrorKind::ConnectionRefused);
    assert_eq!(ask(&mut old, b"still").await, b"still");
    proxy.refuse(false).await;
    assert_eq!(ask(&mut connect(&proxy).await, b"again").await, b"again");
}

#[tokio::test]
async fn cutting_subscribers_leaves_the_others_alone() {
    let redis = RedisServer::start();
    let proxy = Proxy::before(&redis).await;
    let (mut subscriber, mut other) = (subscribed(&proxy).await, connect(&proxy).await);
    assert_eq!(proxy.subscribers(), 1);

    proxy.cut_subscribers();
    redis.command(&["PUBLISH", "c", "lost"]);

    assert_silent(&mut subscriber).await;
    assert_eq!(ask(&mut other, PING).await, b"+PONG\r\n");
    proxy.heal();
    assert_closed(&mut subscriber).await;
    assert_eq!(ask(&mut other, PING).await, b"+PONG\r\n");
}

#[tokio::test]
async fn a_connection_that_subscribes_during_the_cut_is_cut_with_its_command() {
    let redis = RedisServer::start();
    let proxy = Proxy::before(&redis).await;
    let mut client = connect(&proxy).await;
    assert_eq!(ask(&mut client, PING).await, b"+PONG\r\n");
    proxy.cut_subscribers();

    client.write_all(SUBSCRIBE).await.unwrap();
    eventually("the command was seen", async || {
        proxy.commands("subscribe") == 1
    })
    .await;

    assert_silent(&mut client).await;
    assert_eq!(redis.command(&["PUBSUB", "CHANNELS"]), "");
}

#[tokio::test]
async fn a_stalled_subscriber_gets_later_what_the_others_get_at_once() {
    let redis = RedisServer::start();
    let proxy = Proxy::before(&redis).await;
    let (mut other, mut slow) = (connect(&proxy).await, subscribed(&proxy).await);

    proxy.stall_subscribers(true);
    assert_silent(&mut slow).await;
    assert_eq!(ask(&mut other, PING).await, b"+PONG\r\n");
    proxy.stall_subscribers(false);

    // What was asked during the silence.
    assert_eq!(read_exactly(&mut slow, 14).await, b"*2\r\n$4\r\npong\r\n");
}

#[tokio::test]
async fn severing_subscribers_closes_only_those() {
    let redis = RedisServer::start();
    let proxy = Proxy::before(&redis).await;
    let (mut subscriber, mut other) = (subscribed(&proxy).await, connect(&proxy).await);

    proxy.sever_subscribers();

    assert_closed(&mut subscriber).await;
    assert_eq!(ask(&mut other, PING).await, b"+PONG\r\n");
    subscribed(&proxy).await;
}

#[tokio::test]
async fn counts_commands_by_name() {
    let redis = RedisServer::start();
    let proxy = Proxy::before(&redis).await;
    let mut client = connect(&proxy).await;

    ask(&mut client, PING).await;
    ask(&mut client, PING).await;

    assert_eq!((proxy.commands("PING"), proxy.commands("GET")), (2, 0));
}

#[tokio::test]
async fn a_dropped_proxy_closes_its_connections() {
    let (proxy, _echo) = before_echo().await;
    let mut client = connect(&proxy).await;
    ask(&mut client, b"hello").await;

    drop(proxy);

    assert_closed(&mut client).await;
}

const PING: &[u8] = b"*1\r\n$4\r\nPING\r\n";
const SUBSCRIBE: &[u8] = b"*2\r\n$9\r\nSUBSCRIBE\r\n$1\r\nc\r\n";
const SUBSCRIBED: &[u8] = b"*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n";

/// A server that sends back what it gets, stopped when the handle is dropped.
struct Echo(JoinHandle<()>);

impl Drop for Echo {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn before_echo() -> (Proxy, Echo) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let task = tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut reads, mut writes) = socket.split();
                tokio::io::copy(&mut reads, &mut writes).await
            });
        }
    });
    (Proxy::start(address).await, Echo(task))
}

async fn connect(proxy: &Proxy) -> TcpStream {
    let client = TcpStream::connect(("127.0.0.1", proxy.port()))
        .await
        .unwrap();
    client.set_nodelay(true).unwrap();
    client
}

async fn subscribed(proxy: &Proxy) -> TcpStream {
    let mut client = connect(proxy).await;
    client.write_all(SUBSCRIBE).await.unwrap();
    assert_eq!(
        read_exactly(&mut client, SUBSCRIBED.len()).await,
        SUBSCRIBED
    );
    client
}

/// Sends and reads as much as an echo or a `+PONG` has.
async fn ask(client: &mut TcpStream, bytes: &[u8]) -> Vec<u8> {
    client.write_all(bytes).await.unwrap();
    let length = if bytes == PING {
        "+PONG\r\n".len()
    } else {
        bytes.len()
    };
    read_exactly(client, length).await
}

async fn read_exactly(client: &mut TcpStream, length: usize) -> Vec<u8> {
    let mut answer = vec![0; length];
    timeout(LIMIT, client.read_exact(&mut answer))
        .await
        .expect("an answer in time")
        .unwrap();
    answer
}

/// Silence has no event: a short wait can miss a fault of the proxy, but never fails a correct one.
async fn assert_silent(client: &mut TcpStream) {
    client.write_all(PING).await.unwrap();
    let answer = timeout(Duration::from_millis(50), client.read_u8()).await;
    assert!(answer.is_err(), "not silent: {answer:?}");
}

async fn assert_closed(client: &mut TcpStream) {
    let end = timeout(LIMIT, client.read(&mut [0; 1]))
        .await
        .expect("closed in time");
    assert!(
        matches!(end, Ok(0) | Err(_)),
        "still open, and it says {end:?}"
    );
}

#[tokio::test]
async fn leads_to_another_server_and_leaves_the_one_before() {
    let (one, other) = (RedisServer::start(), RedisServer::start());
    other.command(&["SET", "a", "other"]);
    let proxy = Proxy::before(&one).await;
    let mut client = connect(&proxy).await;
    client.write_all(b"GET a\r\n").await.unwrap();
    assert_eq!(read_exactly(&mut client, 5).await, b"$-1\r\n");

    proxy.lead_to(&other);

    assert_closed(&mut client).await;
    let mut client = connect(&proxy).await;
    client.write_all(b"GET a\r\n").await.unwrap();
    assert_eq!(read_exactly(&mut client, 11).await, b"$5\r\nother\r\n");
}
