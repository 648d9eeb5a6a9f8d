//! What the proxy's connections share: who may reach whom, and what was counted.
//!
//! A byte is written under the lock that `cut` takes, so nothing passes once `cut` has returned.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

#[derive(Debug)]
pub(super) struct Network {
    state: Mutex<State>,
    /// Nothing goes from the server to whoever subscribes, and nothing is taken from it either.
    stalled: watch::Sender<bool>,
}

#[derive(Debug)]
struct State {
    target: SocketAddr,
    reach: Reach,
    delay: Duration,
    lines: HashMap<u64, Line>,
    accepted: u64,
    to_server: u64,
    to_clients: u64,
    commands: HashMap<String, u64>,
}

/// Who gets through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    Everybody,
    NoSubscriber,
    Nobody,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    ToServer,
    ToClient,
}

/// One connection, as the network sees it.
#[derive(Debug)]
pub(super) struct Line {
    cut: bool,
    subscriber: bool,
    close: watch::Sender<bool>,
}

impl Line {
    pub(super) fn is_subscriber(&self) -> bool {
        self.subscriber
    }

    fn close(&mut self) {
        self.cut = true;
        self.close.send_replace(true);
    }
}

/// A connection's name in the network, and the signal that ends it.
pub(super) struct Ticket {
    pub(super) id: u64,
    pub(super) closed: watch::Receiver<bool>,
}

impl Network {
    pub(super) fn new(target: SocketAddr) -> Self {
        let state = State {
            target,
            reach: Reach::Everybody,
            delay: Duration::ZERO,
            lines: HashMap::new(),
            accepted: 0,
            to_server: 0,
            to_clients: 0,
            commands: HashMap::new(),
        };
        Self {
            state: Mutex::new(state),
            stalled: watch::Sender::new(false),
        }
    }

    pub(super) fn register(&self) -> Ticket {
        let mut state = self.lock();
        state.accepted += 1;
        let id = state.accepted;
        let (close, closed) = watch::channel(false);
        let cut = state.reach == Reach::Nobody;
        state.lines.insert(
            id,
            Line {
                cut,
                subscriber: false,
                close,
            },
        );
        Ticket { id, closed }
    }

    pub(super) fn forget(&self, id: u64) {
        self.lock().lines.remove(&id);
    }

    pub(super) fn is_cut(&self, id: u64) -> bool {
        self.lock().is_cut(id)
    }

    /// Writes by `write` unless the connection is cut; what is not written is lost.
    /// Answers how much is done with.
    pub(super) fn forward(
        &self,
        id: u64,
        direction: Direction,
        bytes: &[u8],
        write: impl FnOnce(&[u8]) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let mut state = self.lock();
        if state.is_cut(id) {
            return Ok(bytes.len());
        }
        if *self.stalled.borrow() && state.is_stallable(id, direction) {
            return Ok(0);
        }
        let written = write(bytes)?;
        match direction {
            Direction::ToServer => state.to_server += written as u64,
            Direction::ToClient => state.to_clients += written as u64,
        }
        Ok(written)
    }

    /// Takes note of the commands that a client has sent.
    pub(super) fn saw(&self, id: u64, names: Vec<String>) {
        let mut state = self.lock();
        let subscribes = names
            .iter()
            .any(|name| SUBSCRIBING.contains(&name.as_str()));
        for name in names {
            *state.commands.entry(name).or_default() += 1;
        }
        let reach = state.reach;
        if let Some(line) = state.lines.get_mut(&id).filter(|_| subscribes) {
            line.subscriber = true;
            line.cut |= reach == Reach::NoSubscriber;
        }
    }

    pub(super) fn cut(&self, reach: Reach) {
        let mut state = self.lock();
        state.reach = reach;
        for line in state.lines.values_mut() {
            line.cut |= line.subscriber || reach == Reach::Nobody;
        }
    }

    pub(super) fn stall(&self, yes: bool) {
        // Under the lock: what is being written is written when this returns.
        let _state = self.lock();
        self.stalled.send_replace(yes);
    }

    /// Waits while this direction of the connection is stalled.
    pub(super) async fn flows(&self, id: u64, direction: Direction) {
        let mut stalled = self.stalled.subscribe();
        loop {
            let now = *stalled.borrow_and_update();
            if !now || !self.lock().is_stallable(id, direction) {
                return;
            }
            // The sender is a field of `self`.
            let _ = stalled.changed().await;
        }
    }

    pub(super) fn heal(&self) {
        let mut state = self.lock();
        state.reach = Reach::Everybody;
        state
            .lines
            .values_mut()
            .filter(|line| line.cut)
            .for_each(Line::close);
    }

    pub(super) fn sever(&self, which: impl Fn(&Line) -> bool) {
        self.lock()
            .lines
            .values_mut()
            .filter(|line| which(line))
            .for_each(Line::close);
    }

    pub(super) fn set_delay(&self, delay: Duration) {
        self.lock().delay = delay;
    }

    /// Where new connections lead.
    pub(super) fn target(&self) -> SocketAddr {
        self.lock().target
    }

    /// Leads new connections elsewhere, and closes the others.
    pub(super) fn lead_to(&self, target: SocketAddr) {
        let mut state = self.lock();
        state.target = target;
        state.lines.values_mut().for_each(Line::close);
    }

    pub(super) fn delay(&self) -> Duration {
        self.lock().delay
    }

    pub(super) fn connections(&self) -> u64 {
        self.lock().accepted
    }

    pub(super) fn open(&self, which: impl Fn(&Line) -> bool) -> usize {
        self.lock()
            .lines
            .values()
            .filter(|line| which(line))
            .count()
    }

    pub(super) fn commands(&self, name: &str) -> u64 {
        self.lock()
            .commands
            .get(&name.to_ascii_uppercase())
            .copied()
            .unwrap_or(0)
    }

    pub(super) fn forwarded(&self) -> (u64, u64) {
        let state = self.lock();
        (state.to_server, state.to_clients)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_stallable(&self, id: u64, direction: Direction) -> bool {
        let subscribes = self.lines.get(&id).is_some_and(|line| line.subscriber);
        subscribes && direction == Direction::ToClient
    }

    fn is_cut(&self, id: u64) -> bool {
        self.lines.get(&id).is_none_or(|line| line.cut)
    }
}

const SUBSCRIBING: [&str; 3] = ["SUBSCRIBE", "SSUBSCRIBE", "PSUBSCRIBE"];
