//! Connections to one Redis: three classes, one deadline per call, no waiting for a reconnect.
//!
//! redis-rs must be tamed. By default a call during a reconnect blocks for 9.5 s, TCP_NODELAY is off, and a big
//! reply delays every small one behind it on the same connection. So: small and large values travel apart, the
//! subscriber has a connection of its own (`subscriber.rs`), every call ends within our own limit, which covers
//! queueing and reconnecting, and a connection on which a probe was not answered is thrown away (`link.rs`).

use super::{
    RemoteError,
    breaker::{Breaker, Signals, Standing, Trouble},
    confirm::Quorum,
    identity::{Server, question},
    link::{Link, Wire},
    pace::Pace,
    sentinel::Enough,
    way::{CONNECT, Line, Way},
};
use redis::{AsyncConnectionConfig, Cmd, ErrorKind, Pipeline, RedisError, ServerErrorKind, Value};
use std::{future::Future, time::Duration};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep, timeout_at},
};

/// The connections of one `Tiers` to its Redis.
pub(super) struct Connections {
    small: Link,
    large: Link,
    /// For beats: `WAIT` holds up whatever comes behind it.
    beating: Link,
    /// The same server over RESP3, which pushes need.
    pushing: Way,
    breaker: Breaker,
    pace: Pace,
    limit: Duration,
}

/// How servers are called: the same for all nodes.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    /// The deadline of one call.
    pub(super) limit: Duration,
    /// Whether reads leave a server alone while it is slower than the store.
    pub(super) skip_slow: bool,
    /// Whether each server is asked who it is.
    pub(super) fenced: bool,
    pub(super) quorum: Quorum,
    pub(super) signals: Signals,
}

/// What was answered, and what the connection knows of the server that did.
pub(super) type Answered<T> = Result<(T, Server), RemoteError>;

/// What travels: a big value must not delay the small ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    Small,
    Large,
}

impl Connections {
    /// Prepares connections to one server; connects at the first call.
    pub(super) fn new(way: Way, settings: &Settings) -> Self {
        let fenced = settings.fenced;
        Self {
            pushing: way.pushing(),
            small: Link::new(way.clone(), fenced),
            large: Link::new(way.clone(), fenced),
            beating: Link::new(way, fenced),
            breaker: Breaker::new(settings.signals.clone()),
            pace: Pace::new(settings.limit, settings.skip_slow),
            limit: settings.limit,
        }
    }

    /// Sends one command, unless Redis is away.
    pub(super) async fn send(&self, class: Class, command: &Cmd) -> Result<Value, RemoteError> {
        Ok(self.send_since(class, command, Instant::now()).await?.0)
    }

    /// Sends one command that was asked for at `since`, from where its limit counts.
    pub(super) async fn send_since(
        &self,
        class: Class,
        command: &Cmd,
        since: Instant,
    ) -> Answered<Value> {
        self.check_up()?;
        let until = since + self.limit(class);
        let answer = self.call(class, until, |wire| wire.send(command)).await;
        if class == Class::Small && answer.is_ok() {
            self.note_pace(since);
        }
        self.judge(class, since, answer)
    }

    /// Sends one command that is made for the server that it goes to.
    pub(super) async fn send_to(
        &self,
        class: Class,
        command: impl FnOnce(Server) -> Cmd,
    ) -> Result<Value, RemoteError> {
        self.check_up()?;
        let since = Instant::now();
        let call = |wire: Wire| async move {
            let command = command(wire.server());
            wire.send(&command).await
        };
        let answer = self.call(class, since + self.limit(class), call).await;
        if class == Class::Small && answer.is_ok() {
            self.note_pace(since);
        }
        Ok(self.judge(class, since, answer)?.0)
    }

    /// Sends a pipeline that is made for the server that it goes to, within the limit of a large value, unless Redis is away.
    /// Each command has an answer of its own.
    pub(super) async fn send_all(
        &self,
        class: Class,
        pipeline: impl FnOnce(Server) -> Pipeline,
    ) -> Answered<Vec<Result<Value, RemoteError>>> {
        let since = Instant::now();
        let until = since + self.limit(Class::Large);
        self.send_each(class, pipeline, since, until).await
    }

    /// The same for calls that were asked for at `since`, from where the limit of their class counts.
    pub(super) async fn send_all_since(
        &self,
        class: Class,
        pipeline: impl FnOnce(Server) -> Pipeline,
        since: Instant,
    ) -> Answered<Vec<Result<Value, RemoteError>>> {
        let until = since + self.limit(class);
        self.send_each(class, pipeline, since, until).await
    }

    async fn send_each(
        &self,
        class: Class,
        pipeline: impl FnOnce(Server) -> Pipeline,
        since: Instant,
        until: Instant,
    ) -> Answered<Vec<Result<Value, RemoteError>>> {
        self.check_up()?;
        let call = |wire: Wire| async move {
            let pipeline = pipeline(wire.server());
            wire.send_all(&pipeline, 0, pipeline.len()).await
        };
        let answer = self.call(class, until, call).await;
        let (replies, server) = self.judge(class, since, answer)?;
        let of_each = |reply: Value| reply.extract_error().map_err(RemoteError::Failed);
        let answers: Vec<_> = replies.into_iter().map(of_each).collect();
        let errors = answers.iter().filter_map(|answer| answer.as_ref().err());
        match errors.into_iter().find(|error| tells_of_the_server(error)) {
            Some(error) => self.judge(class, since, Err(error.clone())),
            None => Ok((answers, server)),
        }
    }

    /// Asks the server who it is, now.
    pub(super) async fn identify(&self, class: Class) -> Result<(), RemoteError> {
        self.check_up()?;
        let since = Instant::now();
        let until = since + self.limit(class);
        let answer = self.call(class, until, Wire::identify).await;
        self.judge(class, since, answer).map(drop)
    }

    /// Sends a pipeline and asks the server who it is, also while Redis is away: this is the probe that decides whether it is.
    ///
    /// It waits longer than a call, so that a connection that takes its time to stand is not given up each time. But
    /// only an answer within the limit of a call closes the breaker: a Redis slower than that is not worth asking.
    pub(super) async fn probe(&self, pipeline: &Pipeline) -> Answered<Vec<Value>> {
        let sent = Instant::now();
        let call = |wire: Wire| probed(wire, pipeline);
        let until = sent + self.limit.max(PROBE);
        let answer = self.call(Class::Small, until, call).await;
        match &answer {
            Ok((_, server)) => {
                self.large.agree(*server);
                self.beating.agree(*server);
                self.answered(sent);
            }
            Err(error) => {
                if self.breaker.probe_failed() {
                    tracing::warn!(%error, "redis is away: reads go to the store");
                }
                self.leave(error, &[Class::Small, Class::Large]);
                self.beating.renew();
            }
        }
        answer
    }

    /// Sends a pipeline on the connection of its own and asks the server who it is, unless Redis is away. It may take
    /// [`patience`](Self::patience) longer than a call.
    ///
    /// What fails here tells nothing of the server: replicas may be late.
    pub(super) async fn witness(&self, pipeline: &Pipeline) -> Answered<Vec<Value>> {
        self.check_up()?;
        let until = Instant::now() + self.limit + self.patience();
        let ask = |wire: Wire| probed(wire, pipeline);
        let answer = over(&self.beating, until, ask).await;
        if matches!(answer, Err(RemoteError::Timeout)) {
            self.beating.renew();
        }
        answer
    }

    /// How long replicas are waited for.
    pub(super) fn patience(&self) -> Duration {
        self.limit
    }

    /// A probe that was sent at `sent` was answered.
    fn answered(&self, sent: Instant) {
        if sent.elapsed() > self.limit {
            self.breaker.failed(sent);
            return;
        }
        if self.breaker.probed() {
            tracing::info!("redis answers");
        }
        self.note_pace(sent);
        if self.pace.probed(sent.elapsed()) {
            tracing::info!("redis is quicker than the store again");
        }
    }

    /// Sends a pipeline between MULTI and EXEC, unless Redis is away; answers the reply to EXEC.
    pub(super) async fn transact(&self, pipeline: &Pipeline) -> Answered<Vec<Value>> {
        self.check_up()?;
        let (since, commands) = (Instant::now(), pipeline.len());
        let call = |wire: Wire| async move {
            without_errors(wire.send_all(pipeline, commands + 1, 1).await?)
        };
        let answer = self.call(Class::Small, since + self.limit, call).await;
        self.judge(Class::Small, since, answer)
    }

    /// Makes a call on the connection of its class until `until`; answers what that connection knows of its server.
    async fn call<T, F>(
        &self,
        class: Class,
        until: Instant,
        ask: impl FnOnce(Wire) -> F,
    ) -> Answered<T>
    where
        F: Future<Output = Result<T, RedisError>>,
    {
        over(self.link(class), until, ask).await
    }

    /// Asks the server something beside its keys, also while it is away: the answer tells nothing of how it stands.
    pub(super) async fn consult(&self, pipeline: &Pipeline) -> Result<Vec<Value>, RemoteError> {
        let until = Instant::now() + CONNECT;
        let call = |wire: Wire| async move {
            without_errors(wire.send_all(pipeline, 0, pipeline.len()).await?)
        };
        Ok(self.call(Class::Small, until, call).await?.0)
    }

    /// A connection that pushes to `sink`, for the subscriber.
    pub(super) async fn pushing(
        &self,
        sink: mpsc::UnboundedSender<redis::PushInfo>,
    ) -> Result<Line, RedisError> {
        let config = AsyncConnectionConfig::new().set_push_sender(sink);
        self.pushing.connect(config).await
    }

    /// Waits until the sentinels name another server than this connection leads to.
    pub(super) async fn master_moved(&self, line: &Line) {
        self.pushing.leads_elsewhere(line).await;
    }

    /// Asks the sentinels in these intervals, and leaves a server that they do not name any more; never ends.
    ///
    /// A master that is frozen or cut off tells nobody that it was replaced.
    pub(super) async fn follow_master(&self, every: Duration) {
        let Some(sentinels) = self.small.way().sentinels() else {
            return std::future::pending().await;
        };
        let mut named = sentinels.named();
        loop {
            tokio::select! {
                () = sleep(every) => {
                    if let Err(error) = sentinels.look(Enough::All).await {
                        tracing::debug!(%error, "the sentinels name nobody");
                    }
                }
                _ = named.changed() => {
                    self.small.follow();
                    self.large.follow();
                    // What the new one holds is looked at now, not in half a second.
                    self.breaker.signals().want();
                }
            }
        }
    }

    /// The server that the sentinels name.
    pub(super) fn master(&self) -> Option<String> {
        let named = self.small.way().sentinels()?.named();
        let named = named.borrow();
        named.as_ref().map(ToString::to_string)
    }

    pub(super) fn is_up(&self) -> bool {
        self.breaker.is_up()
    }

    pub(super) fn standing(&self) -> Standing {
        match self.breaker.standing() {
            Standing::Up if self.pace.is_slow() => Standing::Slow,
            standing => standing,
        }
    }

    pub(super) fn pace(&self) -> &Pace {
        &self.pace
    }

    /// Whether a read is worth its while.
    pub(super) fn check_quick(&self) -> Result<(), RemoteError> {
        if self.pace.is_slow() {
            Err(RemoteError::Away)
        } else {
            Ok(())
        }
    }

    pub(super) fn trouble(&self) -> Option<Trouble> {
        self.breaker.trouble()
    }

    /// How long a call of this class may take.
    pub(super) fn limit(&self, class: Class) -> Duration {
        match class {
            Class::Small => self.limit,
            Class::Large => self.limit * LARGE_FACTOR,
        }
    }

    fn note_pace(&self, since: Instant) {
        if self.pace.answered(since.elapsed()) {
            tracing::warn!("redis is slower than the store: reads go to the store");
        }
    }

    fn check_up(&self) -> Result<(), RemoteError> {
        if self.is_up() {
            Ok(())
        } else {
            Err(RemoteError::Away)
        }
    }

    fn judge<T>(
        &self,
        class: Class,
        since: Instant,
        answer: Result<T, RemoteError>,
    ) -> Result<T, RemoteError> {
        if let Err(error) = &answer
            && tells_of_the_server(error)
            && self.breaker.failed(since)
        {
            tracing::debug!(%error, "redis did not answer: a probe decides");
            if class == Class::Large {
                // The probe travels with the small ones, and says nothing of this connection.
                self.leave(error, &[Class::Large]);
            }
        }
        answer
    }

    /// Lets go of the connections: those in their place would connect at the next call.
    pub(super) fn close(&self) {
        self.renew(&[Class::Small, Class::Large]);
        self.beating.renew();
    }

    /// Throws connections away: one that is frozen or half open would never be left otherwise, and one that was
    /// greeted with nonsense is never made anew by its manager.
    fn leave(&self, error: &RemoteError, classes: &[Class]) {
        if let RemoteError::Failed(error) = error
            && matches!(error.kind(), ErrorKind::Server(_) | ErrorKind::Extension)
        {
            // The connection is good, and the server does not want to.
            return;
        }
        self.renew(classes);
    }

    fn renew(&self, classes: &[Class]) {
        classes.iter().for_each(|class| self.link(*class).renew());
    }

    /// What the connection in use knows of its server.
    pub(super) fn server(&self) -> Server {
        self.small.server().unwrap_or(Server::Unknown)
    }

    fn link(&self, class: Class) -> &Link {
        match class {
            Class::Small => &self.small,
            Class::Large => &self.large,
        }
    }
}

/// Makes a call on this connection until `until`; answers what the connection knows of its server.
async fn over<T, F>(link: &Link, until: Instant, ask: impl FnOnce(Wire) -> F) -> Answered<T>
where
    F: Future<Output = Result<T, RedisError>>,
{
    let call = async {
        let wire = link.wire().await?;
        let answer = ask(wire.clone()).await;
        if answer
            .as_ref()
            .is_err_and(RedisError::is_unrecoverable_error)
        {
            link.leave(&wire);
        }
        // After the answer: whoever was asked meanwhile has told of a later moment.
        Ok((answer?, wire.server()))
    };
    match timeout_at(until, call).await {
        Ok(answer) => answer.map_err(RemoteError::Failed),
        Err(_) => Err(RemoteError::Timeout),
    }
}

/// The question who answers goes last: what was read before it is at most as new as its answer.
async fn probed(wire: Wire, pipeline: &Pipeline) -> Result<Vec<Value>, RedisError> {
    if wire.server() == Server::Silent {
        let replies = wire.send_all(pipeline, 0, pipeline.len()).await?;
        return but_for_slots(replies);
    }
    let mut whole = pipeline.clone();
    whole.add_command(question());
    let mut replies = wire.clone().send_all(&whole, 0, whole.len()).await?;
    if let Some(answer) = replies.pop() {
        wire.learn(Server::of_answer(&answer.extract_error()));
    }
    but_for_slots(replies)
}

/// What another node of a cluster has, or nobody at present, is no error of the node that says so: it stays as a value.
fn but_for_slots(replies: Vec<Value>) -> Result<Vec<Value>, RedisError> {
    let checked = |reply: Value| match &reply {
        Value::ServerError(error) if !RedisError::from(error.clone()).is_cluster_error() => {
            reply.extract_error()
        }
        _ => Ok(reply),
    };
    replies.into_iter().map(checked).collect()
}

fn without_errors(replies: Vec<Value>) -> Result<Vec<Value>, RedisError> {
    replies.into_iter().map(Value::extract_error).collect()
}

/// Whether a failure says that the server is away, rather than that it refused this one command.
fn tells_of_the_server(error: &RemoteError) -> bool {
    match error {
        RemoteError::Timeout => true,
        RemoteError::Failed(error) => {
            let loading = ErrorKind::Server(ServerErrorKind::BusyLoading);
            // Such as a certificate that has run out.
            let lasting = ErrorKind::InvalidClientConfig;
            error.is_io_error()
                || error.is_timeout()
                || error.is_unrecoverable_error()
                || [loading, lasting].contains(&error.kind())
        }
        RemoteError::Away
        | RemoteError::Doubted
        | RemoteError::Uncovered
        | RemoteError::Unconfirmed
        | RemoteError::Nonsense(_) => false,
    }
}

/// How long a probe waits at least: a new connection, and the answer.
const PROBE: Duration = Duration::from_millis(500);
/// A large value, or a call for many entities, may take this many times the limit of a small one.
pub(crate) const LARGE_FACTOR: u32 = 5;
