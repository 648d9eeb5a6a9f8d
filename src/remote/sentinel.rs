//! Asking the sentinels which server is the master.
//!
//! redis-rs' own client for them has no limits, asks the first and believes it, and makes a further connection to the master for each
//! look. Here all are asked at once, each within one limit, so that a dead or frozen one costs nothing while most answer.

mod answer;
mod words;

use self::words::{Word, Words};
use super::{
    link::Link,
    way::{Way, lasting},
};
use futures_util::stream::{FuturesUnordered, StreamExt};
use redis::{ConnectionAddr, ErrorKind, RedisError};
use std::{
    io,
    sync::{Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    sync::watch,
    time::{Instant, timeout_at},
};

/// All sentinels of one master, with a connection to each.
pub(super) struct Sentinels {
    /// The name of the master.
    master: String,
    nodes: Vec<Node>,
    words: Mutex<Words>,
    named: watch::Sender<Option<ConnectionAddr>>,
}

struct Node {
    /// Its address, for errors.
    at: String,
    link: Link,
}

/// How many have to answer before a look ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Enough {
    /// More than half: somebody waits for the answer.
    Most,
    All,
}

/// What came of a look beside the words that were heard.
#[derive(Default)]
struct Heard {
    words: usize,
    /// One that knows no such master.
    ignorant: Option<usize>,
    failed: Vec<(usize, RedisError)>,
}

impl Sentinels {
    /// `ways`: to each of them, with its address for errors.
    pub(super) fn new(master: &str, ways: Vec<(String, Way)>) -> Self {
        let nodes: Vec<_> = ways.into_iter().map(Node::new).collect();
        Self {
            master: master.to_owned(),
            words: Mutex::new(Words::new(nodes.len())),
            nodes,
            named: watch::Sender::new(None),
        }
    }

    /// Who was named last, and whether that changes.
    pub(super) fn named(&self) -> watch::Receiver<Option<ConnectionAddr>> {
        self.named.subscribe()
    }

    /// Whether it is this one.
    pub(super) fn name(&self, server: &ConnectionAddr) -> bool {
        self.named.borrow().as_ref() == Some(server)
    }

    /// Asks them all. Where none answers, it is whoever was named before.
    ///
    /// # Errors
    /// If nobody was named yet: they do not answer, or know no such master.
    pub(super) async fn look(&self, enough: Enough) -> Result<ConnectionAddr, RedisError> {
        let until = Instant::now() + ANSWER;
        let ask = |(index, node)| async move { (index, self.ask(node, until).await) };
        let mut asked: FuturesUnordered<_> = self.nodes.iter().enumerate().map(ask).collect();
        let (most, mut heard) = (self.nodes.len() / 2 + 1, Heard::default());
        while let Some((index, answer)) = asked.next().await {
            heard.take(index, &answer);
            if let Ok(Some(word)) = answer {
                self.words().hear(index, word);
            }
            if enough == Enough::Most && heard.words >= most {
                break;
            }
        }
        match self.decide() {
            Some(master) => Ok(master),
            None => Err(self.failure(heard, until).await),
        }
    }

    async fn ask(&self, node: &Node, until: Instant) -> Result<Option<Word>, RedisError> {
        // An attempt to connect goes on when this ends.
        let wire = in_time(until, node.link.wire()).await?;
        let question = answer::question(&self.master);
        let answers = wire.clone().send_all(&question, 0, question.len());
        match in_time(until, answers).await {
            Ok(answers) => answer::named(answers),
            Err(error) => {
                node.link.leave(&wire);
                Err(error)
            }
        }
    }

    /// Lets everybody know who is named now.
    fn decide(&self) -> Option<ConnectionAddr> {
        // While it is locked, so that an older choice does not come after a newer one.
        let mut words = self.words();
        let chosen = words.choose(Instant::now())?;
        let changed = self.named.send_if_modified(|named| {
            let changed = named.as_ref() != Some(&chosen);
            *named = Some(chosen.clone());
            changed
        });
        if changed {
            tracing::info!(name = self.master, master = %chosen, "the sentinels name the master");
        }
        Some(chosen)
    }

    /// Why nobody is named.
    async fn failure(&self, heard: Heard, since: Instant) -> RedisError {
        let master = &self.master;
        if let Some(ignorant) = heard.ignorant {
            let known = self.names(&self.nodes[ignorant], since + ANSWER).await;
            return lasting(format!(
                "no sentinel that answers knows a master named {master:?}; {known}"
            ));
        }
        let of_server = heard.failed.iter().find(|(_, error)| is_refusal(error));
        if let Some((index, error)) = of_server {
            let at = &self.nodes[*index].at;
            return lasting(format!(
                "the sentinel {at} refuses to name {master:?}: {error}"
            ));
        }
        let each =
            |(index, error): &(usize, RedisError)| format!("{}: {error}", self.nodes[*index].at);
        let each: Vec<_> = heard.failed.iter().map(each).collect();
        let told = format!("no sentinel answers ({})", each.join(", "));
        io::Error::new(io::ErrorKind::NotConnected, told).into()
    }

    /// What a sentinel knows instead.
    async fn names(&self, node: &Node, until: Instant) -> String {
        let question = answer::question_of_names();
        let names = async { node.link.wire().await?.send(&question).await };
        match in_time(until, names)
            .await
            .map(|answer| answer::names(&answer))
        {
            Ok(names) if names.is_empty() => format!("{} knows none", node.at),
            Ok(names) => format!("{} knows {}", node.at, names.join(", ")),
            Err(_) => format!("{} does not say which it knows", node.at),
        }
    }

    fn words(&self) -> std::sync::MutexGuard<'_, Words> {
        // A word is replaced as a whole, so a panic elsewhere spoils nothing.
        self.words.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Node {
    fn new((at, way): (String, Way)) -> Self {
        // Who a sentinel is does not matter: it holds no records.
        let link = Link::new(way, false);
        Self { at, link }
    }
}

impl Heard {
    fn take(&mut self, index: usize, answer: &Result<Option<Word>, RedisError>) {
        match answer {
            Ok(Some(_)) => self.words += 1,
            Ok(None) => self.ignorant = Some(index),
            Err(error) => self.failed.push((index, error.clone())),
        }
    }
}

/// Whether waiting would not help.
fn is_refusal(error: &RedisError) -> bool {
    use ErrorKind::{AuthenticationFailed, InvalidClientConfig, Server};
    matches!(
        error.kind(),
        AuthenticationFailed | InvalidClientConfig | Server(_)
    )
}

async fn in_time<T>(
    until: Instant,
    answer: impl Future<Output = Result<T, RedisError>>,
) -> Result<T, RedisError> {
    match timeout_at(until, answer).await {
        Ok(answer) => answer,
        Err(_) => Err(io::Error::from(io::ErrorKind::TimedOut).into()),
    }
}

/// How long a sentinel may take, its connection included.
const ANSWER: Duration = Duration::from_millis(200);
