//! One connection that is made anew where it breaks, and that knows whose server it reaches.
//!
//! redis-rs' own manager reconnects unasked, and the server behind the address may be another one then: a replica that was
//! promoted, or one that came back with older data. So a new connection first asks who answers, and carries nothing before.

use super::{
    identity::{Identity, Server, question},
    way::{CONNECT, Line, Way},
};
use futures_util::{
    FutureExt,
    future::{BoxFuture, Shared},
};
use redis::{AsyncConnectionConfig, Cmd, Pipeline, RedisError, Value};
use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::time::timeout;

/// The way to one server: at most one connection at a time, made at the first call.
pub(super) struct Link {
    way: Way,
    /// Whether servers are asked who they are.
    asks: bool,
    attempt: Mutex<Option<Attempt>>,
}

type Attempt = Shared<BoxFuture<'static, Result<Wire, RedisError>>>;

/// One connection, and what it knows of its server.
#[derive(Clone)]
pub(super) struct Wire {
    line: Line,
    server: Arc<Identity>,
}

impl Link {
    pub(super) fn new(way: Way, asks: bool) -> Self {
        Self {
            way,
            asks,
            attempt: Mutex::new(None),
        }
    }

    /// The connection; where there is none, it is made.
    ///
    /// # Cancel safety
    /// An attempt goes on when nobody waits for it.
    pub(super) async fn wire(&self) -> Result<Wire, RedisError> {
        loop {
            let attempt = self.attempt();
            let made = attempt.clone().await;
            match &made {
                // Meanwhile another server is the master.
                Ok(wire) if !self.way.leads_to(&wire.line) => self.leave(wire),
                Ok(_) => return made,
                Err(_) => {
                    self.forget(|current| current.ptr_eq(&attempt));
                    return made;
                }
            }
        }
    }

    /// Lets this connection go, if it is still the one in use: the next call makes another.
    pub(super) fn leave(&self, wire: &Wire) {
        self.forget(|current| current.peek().is_some_and(|made| is_made_of(made, wire)));
    }

    /// Lets go of whatever is there.
    pub(super) fn renew(&self) {
        self.forget(|_| true);
    }

    /// Who was reached last, as far as there is a connection.
    pub(super) fn server(&self) -> Option<Server> {
        let attempt = self.lock();
        let made = attempt.as_ref()?.peek()?.as_ref().ok()?;
        Some(made.server())
    }

    /// Lets the connection go if it was made to another server than this one.
    pub(super) fn agree(&self, server: Server) {
        let known = self.server();
        if known.is_some_and(|known| known != server) {
            self.disown(|_| true);
        }
    }

    /// Lets the connection go if the way leads to another server now.
    pub(super) fn follow(&self) {
        self.disown(|wire| !self.way.leads_to(&wire.line));
    }

    fn disown(&self, which: impl FnOnce(&Wire) -> bool) {
        self.forget(|current| match current.peek() {
            Some(Ok(wire)) if which(wire) => {
                // Answers that are under way are not believed either.
                wire.server.learn(Server::Unknown);
                true
            }
            _ => false,
        });
    }

    /// Where its connections lead.
    pub(super) fn way(&self) -> &Way {
        &self.way
    }

    fn attempt(&self) -> Attempt {
        let mut current = self.lock();
        if let Some(attempt) = &*current {
            return attempt.clone();
        }
        let attempt = connect(self.way.clone(), self.asks).boxed().shared();
        tokio::spawn(attempt.clone());
        *current = Some(attempt.clone());
        attempt
    }

    fn forget(&self, which: impl FnOnce(&Attempt) -> bool) {
        let mut current = self.lock();
        if current.as_ref().is_some_and(which) {
            *current = None;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Attempt>> {
        // It is replaced as a whole, so a panic elsewhere spoils nothing.
        self.attempt.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wire {
    pub(super) fn server(&self) -> Server {
        self.server.is()
    }

    pub(super) fn learn(&self, server: Server) {
        self.server.learn(server);
    }

    /// Sends one command; an error of the server is an error.
    pub(super) async fn send(mut self, command: &Cmd) -> Result<Value, RedisError> {
        // It comes as a value.
        self.line
            .connection
            .send_packed_command(command)
            .await?
            .extract_error()
    }

    /// Sends a pipeline, and skips as many answers at the beginning; errors of the server come as values.
    pub(super) async fn send_all(
        mut self,
        pipeline: &Pipeline,
        skipped: usize,
        answers: usize,
    ) -> Result<Vec<Value>, RedisError> {
        self.line
            .connection
            .send_packed_commands(pipeline, skipped, answers)
            .await
    }

    /// Asks the server who it is.
    pub(super) async fn identify(self) -> Result<(), RedisError> {
        let answer = self.clone().send(&question()).await;
        let server = Server::of_answer(&answer);
        if server == Server::Unknown {
            answer?;
        }
        self.server.learn(server);
        Ok(())
    }
}

fn is_made_of(made: &Result<Wire, RedisError>, wire: &Wire) -> bool {
    made.as_ref()
        .is_ok_and(|made| Arc::ptr_eq(&made.server, &wire.server))
}

async fn connect(way: Way, asks: bool) -> Result<Wire, RedisError> {
    let line = way.connect(AsyncConnectionConfig::new()).await?;
    let by_sentinels = way.sentinels().is_some();
    let unknown = if asks {
        Server::Unknown
    } else {
        Server::Silent
    };
    let wire = Wire {
        line,
        server: Arc::new(Identity::new(unknown)),
    };
    if asks || by_sentinels {
        let server = introduced(&wire).await?;
        if by_sentinels && server == Server::Unknown {
            // It is not one yet, or not any more.
            return Err(io::Error::other("whom the sentinels name is no master").into());
        }
        if asks {
            wire.learn(server);
        }
    }
    Ok(wire)
}

/// Asks a server that was just reached. One that is still loading is asked again by the next heartbeat.
async fn introduced(wire: &Wire) -> Result<Server, RedisError> {
    match timeout(CONNECT, wire.clone().send(&question())).await {
        Ok(Err(error)) if error.is_unrecoverable_error() => Err(error),
        Ok(answer) => Ok(Server::of_answer(&answer)),
        Err(_) => Err(io::Error::from(io::ErrorKind::TimedOut).into()),
    }
}
