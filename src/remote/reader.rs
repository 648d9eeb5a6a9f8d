//! Reads that come together travel together.
//!
//! Up to a few reads are under way at once, each on its own. What comes beyond waits until one of them is answered,
//! and then goes as one `MGET`: a busy node sends fewer, longer commands, and a quiet one waits for nothing. All
//! within the limit of a call, which counts from the moment a read was asked for.

use super::{
    RemoteError, Snapshot,
    connection::{Class, Connections},
    identity::Server,
    layout::Name,
    wire,
};
use redis::{Cmd, Pipeline, Value};
use smallvec::SmallVec;
use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicUsize, Ordering},
};
use tokio::{runtime::Handle, sync::oneshot, time::Instant};

/// The reads of one `Tiers`.
pub(super) struct Reader {
    connections: Arc<Connections>,
    /// Whether keys of several buckets must not stand in one command, as in a cluster.
    parted: bool,
    /// A read may be dropped outside of any runtime, and those that wait must go on all the same.
    runtime: Handle,
    waiting: Mutex<Vec<Waiting>>,
    /// How many wait; beside the lock, so that a read that need not wait does not take it.
    queued: AtomicUsize,
    under_way: AtomicUsize,
}

/// The keys of one read: control, pointer, and the value unless only the version is asked for.
pub(super) type Names = SmallVec<[Name; 3]>;

struct Waiting {
    names: Names,
    since: Instant,
    answer: oneshot::Sender<Result<Snapshot, RemoteError>>,
}

impl Reader {
    /// Must be called inside a runtime.
    pub(super) fn new(connections: Arc<Connections>, parted: bool) -> Arc<Self> {
        Arc::new(Self {
            connections,
            parted,
            runtime: Handle::current(),
            waiting: Mutex::default(),
            queued: AtomicUsize::new(0),
            under_way: AtomicUsize::new(0),
        })
    }

    /// Reads the records under these names.
    ///
    /// # Cancel safety
    /// A read that is dropped is not waited for; those that travel with it are.
    pub(super) async fn read(self: &Arc<Self>, names: Names) -> Result<Snapshot, RemoteError> {
        if self.queued.load(Ordering::SeqCst) == 0
            && let Some(_place) = self.enter()
        {
            return ask(&self.connections, Class::Small, &names).await;
        }
        self.wait(names).await
    }

    async fn wait(self: &Arc<Self>, names: Names) -> Result<Snapshot, RemoteError> {
        let (answer, answered) = oneshot::channel();
        {
            let mut waiting = self.lock();
            waiting.push(Waiting {
                names,
                since: Instant::now(),
                answer,
            });
            self.queued.store(waiting.len(), Ordering::SeqCst);
        }
        // The last read under way may have left before it could see this one.
        self.go_on();
        // Only a runtime that shuts down drops the other end.
        answered.await.unwrap_or(Err(RemoteError::Away))
    }

    /// Sends what waits, if there is a place for it.
    fn go_on(self: &Arc<Self>) {
        if self.queued.load(Ordering::SeqCst) > 0
            && let Some(mut place) = self.enter()
        {
            place.to_carry = true;
            self.runtime.spawn(Arc::clone(self).carry(place));
        }
    }

    async fn carry(self: Arc<Self>, mut place: Place) {
        place.to_carry = false;
        let batch = {
            let mut waiting = self.lock();
            // They stand in order, the oldest first.
            let taken = waiting.len().min(BATCH);
            let rest = waiting.split_off(taken);
            self.queued.store(rest.len(), Ordering::SeqCst);
            std::mem::replace(&mut *waiting, rest)
        };
        if let Some(oldest) = batch.first() {
            let since = oldest.since;
            if self.parted {
                self.answer_each(batch, since).await;
            } else {
                self.answer(batch, since).await;
            }
        }
        drop(place);
    }

    /// One command for each bucket, all in one round trip.
    async fn answer_each(&self, mut batch: Vec<Waiting>, since: Instant) {
        // The control record comes first.
        let bucket = |waiting: &Waiting| waiting.names[0].to_vec();
        batch.sort_by_cached_key(bucket);
        let mut buckets: Vec<Vec<Waiting>> = Vec::new();
        for waiting in batch {
            match buckets.last_mut() {
                Some(last) if *last[0].names[0] == *waiting.names[0] => last.push(waiting),
                _ => buckets.push(vec![waiting]),
            }
        }
        let pipeline = |_| {
            let mut pipeline = Pipeline::with_capacity(buckets.len());
            for bucket in &buckets {
                pipeline.add_command(mget_of(bucket));
            }
            pipeline
        };
        let answers = self
            .connections
            .send_all_since(Class::Small, pipeline, since);
        match answers.await {
            Ok((answers, server)) if answers.len() == buckets.len() => {
                for (bucket, answer) in buckets.into_iter().zip(answers) {
                    tell(bucket, answer.and_then(values), server);
                }
            }
            Ok((_, server)) => {
                let nonsense = RemoteError::Nonsense("the number of answers");
                for bucket in buckets {
                    tell(bucket, Err(nonsense.clone()), server);
                }
            }
            Err(error) => {
                for bucket in buckets {
                    tell(bucket, Err(error.clone()), Server::Unknown);
                }
            }
        }
    }

    async fn answer(&self, batch: Vec<Waiting>, since: Instant) {
        let command = mget_of(&batch);
        match self
            .connections
            .send_since(Class::Small, &command, since)
            .await
            .and_then(|(reply, server)| Ok((values(reply)?, server)))
        {
            Ok((values, server)) => tell(batch, Ok(values), server),
            Err(error) => tell(batch, Err(error), Server::Unknown),
        }
    }

    fn enter(self: &Arc<Self>) -> Option<Place> {
        let enter = |places| (places < UNDER_WAY).then_some(places + 1);
        let entered = self
            .under_way
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, enter);
        entered.is_ok().then(|| Place {
            reader: Arc::clone(self),
            to_carry: false,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Waiting>> {
        // The list is whole after every step, so a panic elsewhere spoils nothing.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One of the places of reads under way. Given up, it goes to those that wait.
struct Place {
    reader: Arc<Reader>,
    /// Its task has not begun. Dropped so, the runtime is shut down and nobody will ever carry what waits.
    to_carry: bool,
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.to_carry {
            let left = {
                let mut waiting = self.reader.lock();
                self.reader.queued.store(0, Ordering::SeqCst);
                std::mem::take(&mut *waiting)
            };
            drop(left);
        }
        self.reader.under_way.fetch_sub(1, Ordering::SeqCst);
        self.reader.go_on();
    }
}

/// One read on its own, as large values need it.
pub(super) async fn ask(
    connections: &Connections,
    class: Class,
    names: &[Name],
) -> Result<Snapshot, RemoteError> {
    let command = mget(names.iter(), 1);
    let sent = connections.send_since(class, &command, Instant::now());
    let (reply, server) = sent.await?;
    Ok(snapshot(values(reply)?.into_iter(), server))
}

/// Tells those that travelled together.
fn tell(batch: Vec<Waiting>, values: Result<Vec<Value>, RemoteError>, server: Server) {
    match values {
        Ok(values) => {
            let mut values = values.into_iter();
            for waiting in batch {
                let own = values.by_ref().take(waiting.names.len());
                let snapshot = snapshot(own, server);
                // Whoever asked may have gone.
                let _ = waiting.answer.send(Ok(snapshot));
            }
        }
        Err(error) => {
            for waiting in batch {
                let _ = waiting.answer.send(Err(error.clone()));
            }
        }
    }
}

fn mget_of(batch: &[Waiting]) -> Cmd {
    let names = batch.iter().flat_map(|waiting| &waiting.names);
    mget(names, batch.len())
}

fn mget<'a>(names: impl Iterator<Item = &'a Name>, reads: usize) -> Cmd {
    let mut command = Cmd::with_capacity(1 + reads * 3, reads * BYTES);
    command.arg("MGET");
    for name in names {
        command.arg(&**name);
    }
    command
}

pub(super) fn values(reply: Value) -> Result<Vec<Value>, RemoteError> {
    match reply {
        Value::Array(values) => Ok(values),
        _ => Err(RemoteError::Nonsense("the answer to a read")),
    }
}

/// Without a head where the server is not the one that the epoch began on: then nothing that was read counts.
pub(super) fn snapshot(mut values: impl Iterator<Item = Value>, server: Server) -> Snapshot {
    let mut bytes = || match values.next() {
        Some(Value::BulkString(bytes)) => Some(bytes),
        _ => None,
    };
    Snapshot {
        by: server,
        head: bytes().and_then(|text| wire::own_head(&text, server)),
        pointer: bytes().as_deref().and_then(wire::pointer),
        value: bytes(),
    }
}

/// Reads under way at once before others wait to travel together.
const UNDER_WAY: usize = 4;
/// Reads that travel together at most.
const BATCH: usize = 64;
/// Bytes that the names of one read usually take.
const BYTES: usize = 256;
