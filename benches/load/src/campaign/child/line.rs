//! The node's end of its connection: the store to ask, and the campaign to tell.

use std::{
    collections::HashMap,
    io,
    net::Ipv4Addr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncWriteExt, BufReader, BufWriter},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{mpsc, oneshot},
};

use super::super::{
    arguments::NodeArguments,
    message::{FromNode, ToNode, next},
    words::Entity,
};
use crate::failure::Failure;

/// What the campaign tells the node to do; ends with the campaign.
pub(super) type Orders = mpsc::UnboundedReceiver<Order>;

/// One of them.
#[derive(Clone, Copy, Debug)]
pub(super) enum Order {
    /// Step the clock forward.
    Step(Duration),
    Stop,
}

/// The connection, shared by all tasks of the node.
#[derive(Debug)]
pub(super) struct Line {
    messages: mpsc::UnboundedSender<FromNode>,
    asked: Mutex<HashMap<u64, oneshot::Sender<u64>>>,
    requests: AtomicU64,
    told: AtomicU64,
    sent: AtomicU64,
}

impl Line {
    /// Connects to the campaign and greets it.
    ///
    /// # Errors
    /// When nobody listens.
    pub(super) async fn connect(arguments: &NodeArguments) -> Result<(Arc<Self>, Orders), Failure> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, arguments.hub)).await;
        let failed = |error| Failure::new("cannot reach the campaign", error);
        let stream = stream.map_err(failed)?;
        stream.set_nodelay(true).map_err(failed)?;
        let (from, to) = stream.into_split();
        let (messages, outgoing) = mpsc::unbounded_channel();
        let (give, orders) = mpsc::unbounded_channel();
        let line = Arc::new(Self {
            messages,
            asked: Mutex::default(),
            requests: AtomicU64::new(0),
            told: AtomicU64::new(0),
            sent: AtomicU64::new(0),
        });
        line.tell(FromNode::Hello {
            node: arguments.node,
            life: arguments.life,
        });
        tokio::spawn(write(Arc::clone(&line), outgoing, to));
        tokio::spawn(read(Arc::clone(&line), from, give));
        Ok((line, orders))
    }

    /// The entity's commit number.
    ///
    /// # Errors
    /// When the campaign is gone.
    pub(super) async fn load(&self, entity: Entity) -> io::Result<u64> {
        self.ask(|request| FromNode::Load { entity, request }).await
    }

    /// Makes a commit, and answers its number.
    ///
    /// # Errors
    /// When the campaign is gone.
    pub(super) async fn commit(&self, entity: Entity) -> io::Result<u64> {
        self.ask(|request| FromNode::Commit { entity, request })
            .await
    }

    /// Tells the campaign something.
    pub(super) fn tell(&self, message: FromNode) {
        self.told.fetch_add(1, Ordering::SeqCst);
        // Without the campaign this process ends, too.
        let _ = self.messages.send(message);
    }

    /// Whether all that was told is on its way.
    pub(super) fn is_flushed(&self) -> bool {
        self.sent.load(Ordering::SeqCst) == self.told.load(Ordering::SeqCst)
    }

    async fn ask(&self, message: impl FnOnce(u64) -> FromNode) -> io::Result<u64> {
        let request = self.requests.fetch_add(1, Ordering::Relaxed);
        let (answer, answered) = oneshot::channel();
        self.asked().insert(request, answer);
        self.tell(message(request));
        answered
            .await
            .map_err(|_| io::Error::other("the campaign is gone"))
    }

    fn asked(&self) -> MutexGuard<'_, HashMap<u64, oneshot::Sender<u64>>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn write(
    line: Arc<Line>,
    mut outgoing: mpsc::UnboundedReceiver<FromNode>,
    to: OwnedWriteHalf,
) -> io::Result<()> {
    let mut to = BufWriter::new(to);
    let mut batch = Vec::new();
    while outgoing.recv_many(&mut batch, BATCH).await > 0 {
        let messages = batch.len() as u64;
        for message in batch.drain(..) {
            to.write_all(&message.frame()).await?;
        }
        to.flush().await?;
        line.sent.fetch_add(messages, Ordering::SeqCst);
    }
    Ok(())
}

/// Ends with the connection; that nobody gives orders any more ends the node.
async fn read(
    line: Arc<Line>,
    from: OwnedReadHalf,
    give: mpsc::UnboundedSender<Order>,
) -> io::Result<()> {
    let mut from = BufReader::new(from);
    loop {
        let order = match ToNode::of(&next(&mut from).await?)? {
            ToNode::Answer { request, number } => {
                if let Some(asked) = line.asked().remove(&request) {
                    // A load whose reader has given up needs no answer.
                    let _ = asked.send(number);
                }
                continue;
            }
            ToNode::Step { nanos } => Order::Step(Duration::from_nanos(nanos)),
            ToNode::Stop => Order::Stop,
        };
        if give.send(order).is_err() {
            return Ok(());
        }
    }
}

const BATCH: usize = 256;
