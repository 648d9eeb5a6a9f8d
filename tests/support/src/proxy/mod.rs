//! A network that fails on demand: a TCP proxy in front of a server.
//!
//! The faults worth having are the silent ones: a cut connection is not closed, it just carries nothing
//! any more, in either direction, and not even the end of the other side comes through.

mod link;
mod network;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet, yield_now};

use crate::RedisServer;
use crate::port::{free_listener, listen, loopback};
use network::{Network, Reach};

/// A proxy on a loopback port of its own. Dropping it closes its connections and its port.
///
/// A fault is in force when its call returns: not one byte passes a cut connection afterwards.
///
/// # Examples
/// ```
/// # use tricache_test_support::{Proxy, RedisServer};
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let redis = RedisServer::start();
/// let proxy = Proxy::before(&redis).await;
/// let url = proxy.url(); // for the client under test
///
/// proxy.cut();
/// // Whoever asks now waits for ever.
/// proxy.heal();
/// # drop(url); }
/// ```
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    network: Arc<Network>,
    refuse: watch::Sender<bool>,
    refuses: watch::Receiver<bool>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// A proxy in front of a Redis.
    ///
    /// # Panics
    /// As [`start`](Self::start).
    pub async fn before(redis: &RedisServer) -> Self {
        Self::start(loopback(redis.port())).await
    }

    /// A proxy in front of any server; it need not run yet.
    ///
    /// # Panics
    /// If no loopback port is free.
    #[expect(
        clippy::unused_async,
        reason = "it spawns: callers need a runtime, and the signature says so"
    )]
    pub async fn start(target: SocketAddr) -> Self {
        let listener = free_listener();
        let port = listener
            .local_addr()
            .expect("a bound listener has an address")
            .port();
        let network = Arc::new(Network::new(target));
        let (refuse, wish) = watch::channel(false);
        let (done, refuses) = watch::channel(false);
        let gate = Gate {
            port,
            listener: Some(register(listener)),
            wish,
            done,
        };
        let task = tokio::spawn(gate.run(Arc::clone(&network)));
        Self {
            port,
            network,
            refuse,
            refuses,
            task,
        }
    }

    /// The address for a client: `redis://127.0.0.1:<port>`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// The port that clients connect to.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Drops everything in both directions, silently: connections stay open, new ones are accepted and
    /// never answered. Lasts until [`heal`](Self::heal).
    pub fn cut(&self) {
        self.network.cut(Reach::Nobody);
    }

    /// Like [`cut`](Self::cut), but only for connections that have sent a subscribing command
    /// (`SUBSCRIBE`, `SSUBSCRIBE`, `PSUBSCRIBE`); one that sends its first while this lasts is cut there
    /// and then, and the command is lost.
    pub fn cut_subscribers(&self) {
        self.network.cut(Reach::NoSubscriber);
    }

    /// Makes slow readers of the connections that have sent a subscribing command, or ends that: nothing is delivered to them,
    /// and nothing is taken from the server for them, so that it piles up there. Nothing is lost by the network itself.
    pub fn stall_subscribers(&self, yes: bool) {
        self.network.stall(yes);
    }

    /// Ends a cut: closes the connections that were cut, forwards again. Others stay as they are.
    pub fn heal(&self) {
        self.network.heal();
    }

    /// Closes all connections once; later ones work.
    pub fn sever(&self) {
        self.network.sever(|_| true);
    }

    /// Closes all connections, and leads later ones to this server, as an address does whose server was replaced.
    pub fn lead_to(&self, redis: &RedisServer) {
        self.network.lead_to(loopback(redis.port()));
    }

    /// Closes the connections that have sent a subscribing command, once.
    pub fn sever_subscribers(&self) {
        self.network.sever(|line| line.is_subscriber());
    }

    /// Delivers each piece of data this much later, in each direction, without holding up the next.
    /// Default: zero.
    pub fn delay(&self, delay: Duration) {
        self.network.set_delay(delay);
    }

    /// Refuses new connections (the port is closed), or takes them again. Open connections stay.
    ///
    /// # Panics
    /// If the port cannot be opened again.
    pub async fn refuse(&self, refuse: bool) {
        self.refuse.send_replace(refuse);
        let mut refuses = self.refuses.clone();
        assert!(
            refuses.wait_for(|now| *now == refuse).await.is_ok(),
            "cannot listen on port {} again",
            self.port
        );
    }

    /// How many connections were accepted so far, silent ones too.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.network.connections()
    }

    /// How many connections are open, cut ones too.
    #[must_use]
    pub fn open_connections(&self) -> usize {
        self.network.open(|_| true)
    }

    /// How many open connections have sent a subscribing command.
    #[must_use]
    pub fn subscribers(&self) -> usize {
        self.network.open(|line| line.is_subscriber())
    }

    /// How often a command, such as `"MGET"`, was sent by clients so far, lost ones too.
    #[must_use]
    pub fn commands(&self, name: &str) -> u64 {
        self.network.commands(name)
    }

    /// How many bytes were forwarded to the server so far.
    #[must_use]
    pub fn bytes_to_server(&self) -> u64 {
        self.network.forwarded().0
    }

    /// How many bytes were forwarded to clients so far.
    #[must_use]
    pub fn bytes_to_clients(&self) -> u64 {
        self.network.forwarded().1
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // The task owns the connections' tasks: they end with it.
        self.task.abort();
    }
}

/// The listening side: accepts connections, and opens and closes the port.
struct Gate {
    port: u16,
    listener: Option<TcpListener>,
    wish: watch::Receiver<bool>,
    done: watch::Sender<bool>,
}

impl Gate {
    async fn run(mut self, network: Arc<Network>) {
        let mut links = JoinSet::new();
        loop {
            tokio::select! {
                changed = self.wish.changed() => match changed {
                    Ok(()) => self.open_or_close(),
                    Err(_) => return,
                },
                client = accept(self.listener.as_ref()) => {
                    links.spawn(link::serve(Arc::clone(&network), network.register(), client));
                }
                Some(_) = links.join_next() => {}
            }
        }
    }

    fn open_or_close(&mut self) {
        let refuse = *self.wish.borrow_and_update();
        if refuse {
            self.listener = None;
        } else if self.listener.is_none() {
            self.listener = Some(register(listen(self.port).expect("our own port is free")));
        }
        self.done.send_replace(refuse);
    }
}

async fn accept(listener: Option<&TcpListener>) -> TcpStream {
    let Some(listener) = listener else {
        return std::future::pending().await;
    };
    loop {
        match listener.accept().await {
            Ok((client, _)) => return client,
            // A connection that was gone before we took it; the next one may be better.
            Err(_) => yield_now().await,
        }
    }
}

fn register(listener: std::net::TcpListener) -> TcpListener {
    listener
        .set_nonblocking(true)
        .and_then(|()| TcpListener::from_std(listener))
        .expect("a listener can be registered")
}
