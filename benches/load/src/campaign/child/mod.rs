//! A node of a campaign: a process with its own tiers, which reads and writes until it is told to stop, or killed.

mod caches;
mod line;
mod reader;
mod writer;

use std::{sync::Arc, time::Duration};

use tokio::{
    task::JoinSet,
    time::{Instant, sleep, timeout},
};

use self::{
    caches::Caches,
    line::{Line, Order, Orders},
};
use super::{
    arguments::NodeArguments, clock::SteppedClock, message::FromNode, plan::ENTITIES, words::Entity,
};
use crate::{failure::Failure, stop::Stop};

/// Runs the node until the campaign tells it to stop, or is gone.
///
/// # Errors
/// When the campaign cannot be reached or the tiers cannot be built.
pub(super) async fn run(arguments: &NodeArguments) -> Result<(), Failure> {
    let seed = arguments.seed ^ arguments.life.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let (line, orders) = Line::connect(arguments).await?;
    // The nodes' clocks have nothing in common.
    let clock = Arc::new(SteppedClock::ahead_by(HOUR * arguments.life as u32));
    let clocked = Arc::clone(&clock);
    let caches = Arc::new(Caches::build(arguments, Arc::clone(&line), clocked).await?);
    line.tell(FromNode::Ready);
    let mut node = Node::start(caches, seed);
    if node.obey(orders, &clock).await {
        node.finish().await;
    }
    Ok(())
}

/// The tasks that read and write.
struct Node {
    caches: Arc<Caches>,
    writing: Stop,
    reading: Stop,
    writer: JoinSet<()>,
    readers: JoinSet<()>,
}

impl Node {
    fn start(caches: Arc<Caches>, seed: u64) -> Self {
        let (writing, reading) = (Stop::new(), Stop::new());
        let (mut writer, mut readers) = (JoinSet::new(), JoinSet::new());
        writer.spawn(writer::run(Arc::clone(&caches), seed, writing.clone()));
        for reader in 1..=READERS {
            let seed = seed.wrapping_add(reader);
            readers.spawn(reader::run(Arc::clone(&caches), seed, reading.clone()));
        }
        Self {
            caches,
            writing,
            reading,
            writer,
            readers,
        }
    }

    /// Does what it is told until it is to stop; false: the campaign is gone.
    async fn obey(&self, mut orders: Orders, clock: &SteppedClock) -> bool {
        loop {
            match orders.recv().await {
                Some(Order::Step(by)) => clock.step(by),
                Some(Order::Stop) => return true,
                None => return false,
            }
        }
    }

    /// Ends the writer, lets the bounds pass while the readers go on, and looks at everything once more.
    async fn finish(&mut self) {
        self.writing.stop();
        while self.writer.join_next().await.is_some() {}
        self.caches.until_nothing_is_pending(PENDING).await;
        sleep(LAST_BOUND).await;
        self.reading.stop();
        while self.readers.join_next().await.is_some() {}
        self.look_at_everything().await;
        self.caches.line().tell(FromNode::Done);
        let end = Instant::now() + FLUSH;
        while !self.caches.line().is_flushed() && Instant::now() < end {
            sleep(POLL).await;
        }
    }

    async fn look_at_everything(&self) {
        let mut reads = JoinSet::new();
        for level in self.caches.levels() {
            for number in 0..ENTITIES {
                let caches = Arc::clone(&self.caches);
                let read = async move { caches.read(Entity { level, number }).await };
                // A read has a deadline of its own; this one is for the pass.
                reads.spawn(timeout(FLUSH, read));
                if reads.len() >= AT_ONCE {
                    reads.join_next().await;
                }
            }
        }
        while reads.join_next().await.is_some() {}
    }
}

const READERS: u64 = 4;
const HOUR: Duration = Duration::from_secs(3600);
/// How long invalidations may stay pending at the end.
const PENDING: Duration = Duration::from_secs(5);
/// Beyond every bound of a connected node.
const LAST_BOUND: Duration = Duration::from_millis(1_500);
/// Reads of the last pass that are under way.
const AT_ONCE: usize = 16;
const FLUSH: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(5);
