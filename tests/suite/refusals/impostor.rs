//! Something on Redis' port that is not Redis.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::task::JoinSet;

/// Says the same to whatever it is told, until it is dropped.
pub(super) struct Impostor {
    accepting: JoinHandle<()>,
    asked: Arc<AtomicU64>,
}

impl Impostor {
    /// Answers every piece of data with `reply`.
    pub(super) async fn at(port: u16, reply: &'static [u8]) -> Self {
        Self::start(port, reply, false).await
    }

    /// The same, and closes the connection in the middle of its first reply.
    pub(super) async fn cutting(port: u16, half: &'static [u8]) -> Self {
        Self::start(port, half, true).await
    }

    /// How often it was told something.
    pub(super) fn asked(&self) -> u64 {
        self.asked.load(Ordering::SeqCst)
    }

    /// Gives the port back.
    pub(super) async fn end(self) {
        self.accepting.abort();
        assert!(self.accepting.await.unwrap_err().is_cancelled());
    }

    async fn start(port: u16, reply: &'static [u8], once: bool) -> Self {
        let listener = bind(port).await;
        let asked = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&asked);
        let accepting = tokio::spawn(async move {
            // Its connections end with it.
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                connections.spawn(answer(client, reply, once, Arc::clone(&counter)));
            }
        });
        Self { accepting, asked }
    }
}

async fn answer(mut client: TcpStream, reply: &[u8], once: bool, asked: Arc<AtomicU64>) {
    let mut buffer = [0; 4096];
    while let Ok(1..) = client.read(&mut buffer).await {
        asked.fetch_add(1, Ordering::SeqCst);
        // Whoever asked may have gone.
        if client.write_all(reply).await.is_err() || once {
            return;
        }
    }
}

/// The port of a server that was just killed: the system may need a moment to give it away.
async fn bind(port: u16) -> TcpListener {
    for _ in 0..ATTEMPTS {
        if let Ok(listener) = TcpListener::bind(("127.0.0.1", port)).await {
            return listener;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("port {port} is not free")
}

const ATTEMPTS: usize = 500;
