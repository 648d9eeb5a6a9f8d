//! One connection through the proxy, from its acceptance to its end.

use std::future::pending;
use std::io;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::network::{Direction, Network, Ticket};
use crate::wire::Commands;

/// Carries a connection until one side ends it or the network closes it.
pub(super) async fn serve(network: Arc<Network>, mut ticket: Ticket, client: TcpStream) {
    let link = Link {
        network: &network,
        id: ticket.id,
    };
    tokio::select! {
        _ = ticket.closed.wait_for(|closed| *closed) => {}
        // However it ends, both sockets close.
        _ = link.carry(client) => {}
    }
    network.forget(ticket.id);
}

#[derive(Clone, Copy)]
struct Link<'a> {
    network: &'a Network,
    id: u64,
}

impl Link<'_> {
    async fn carry(self, mut client: TcpStream) -> io::Result<()> {
        if self.network.is_cut(self.id) {
            return swallow(client).await;
        }
        let mut server = TcpStream::connect(self.network.target()).await?;
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        let (client_reads, client_writes) = client.split();
        let (server_reads, server_writes) = server.split();
        tokio::try_join!(
            self.pump(Direction::ToServer, client_reads, server_writes),
            self.pump(Direction::ToClient, server_reads, client_writes),
        )?;
        Ok(())
    }

    /// Reads and writes at the same time, so that a delay does not hold up what comes after.
    async fn pump(
        self,
        direction: Direction,
        from: ReadHalf<'_>,
        to: WriteHalf<'_>,
    ) -> io::Result<()> {
        let (queue, pieces) = mpsc::channel(QUEUE);
        tokio::try_join!(
            self.receive(direction, from, queue),
            self.deliver(direction, pieces, to)
        )?;
        Ok(())
    }

    async fn receive(
        self,
        direction: Direction,
        mut from: ReadHalf<'_>,
        queue: mpsc::Sender<Piece>,
    ) -> io::Result<()> {
        let mut commands = Commands::default();
        let mut buffer = vec![0; BUFFER];
        // An error is an end like any other: whether the other side learns of it is up to the network.
        loop {
            self.network.flows(self.id, direction).await;
            let Ok(length @ 1..) = from.read(&mut buffer).await else {
                break;
            };
            let bytes = buffer[..length].to_vec();
            if direction == Direction::ToServer {
                self.network.saw(self.id, commands.feed(&bytes));
            }
            let due = Instant::now() + self.network.delay();
            if queue.send(Piece { due, bytes }).await.is_err() {
                break;
            }
        }
        Ok(())
    }

    async fn deliver(
        self,
        direction: Direction,
        mut pieces: mpsc::Receiver<Piece>,
        mut to: WriteHalf<'_>,
    ) -> io::Result<()> {
        while let Some(piece) = pieces.recv().await {
            sleep_until(piece.due).await;
            self.write(direction, &piece.bytes, &to).await?;
        }
        if self.network.is_cut(self.id) {
            return pending().await;
        }
        to.shutdown().await
    }

    async fn write(
        self,
        direction: Direction,
        mut bytes: &[u8],
        to: &WriteHalf<'_>,
    ) -> io::Result<()> {
        while !bytes.is_empty() {
            self.network.flows(self.id, direction).await;
            to.writable().await?;
            match self
                .network
                .forward(self.id, direction, bytes, |bytes| to.try_write(bytes))
            {
                Ok(done) => bytes = &bytes[done..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                // What the far side does must not show through a cut.
                Err(_) if self.network.is_cut(self.id) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// A connection that was made during a cut: what is sent goes nowhere.
async fn swallow(mut client: TcpStream) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER];
    while client.read(&mut buffer).await? > 0 {}
    Ok(())
}

struct Piece {
    due: Instant,
    bytes: Vec<u8>,
}

const BUFFER: usize = 16 * 1024;
const QUEUE: usize = 1_024;
