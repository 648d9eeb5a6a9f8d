//! A store in a SQLite file: a few threads that read, one that writes.
//!
//! SQLite blocks, so it has threads of its own, each with its own connection; they end with the store. Durability is
//! off: the file goes with the run.

use std::{
    path::Path,
    sync::mpsc::{Sender, channel},
    thread::JoinHandle,
};

use rusqlite::{Connection, OptionalExtension, Result, TransactionBehavior};
use tokio::sync::oneshot;

use super::{Row, StoreError};
use crate::failure::Failure;

/// The database.
#[derive(Debug)]
pub(super) struct Sqlite {
    readers: Vec<Worker>,
    writer: Worker,
}

impl Sqlite {
    pub(super) fn new(folder: &Path) -> Result<Self, Failure> {
        Self::open(&folder.join("rows.sqlite"))
            .map_err(|error| Failure::new("cannot make the SQLite store", error))
    }

    pub(super) async fn load(&self, id: u32) -> Result<Row, StoreError> {
        let reader = &self.readers[id as usize % READERS];
        match reader.run(move |connection| row(connection, id)).await? {
            Some(row) => Ok(row),
            None => {
                self.writer
                    .run(move |connection| create(connection, id))
                    .await
            }
        }
    }

    pub(super) async fn commits(&self, ids: Vec<u32>) -> Result<Vec<u64>, StoreError> {
        let any = ids.first().map_or(0, |id| *id as usize % READERS);
        self.readers[any]
            .run(move |connection| commits(connection, &ids))
            .await
    }

    pub(super) async fn write(&self, id: u32) -> Result<u64, StoreError> {
        self.writer
            .run(move |connection| write(connection, id))
            .await
    }

    fn open(path: &Path) -> Result<Self> {
        let writer = connect(path)?;
        writer.execute_batch(TABLE)?;
        let readers: Result<_> = (0..READERS)
            .map(|_| connect(path).map(Worker::start))
            .collect();
        Ok(Self {
            readers: readers?,
            writer: Worker::start(writer),
        })
    }
}

fn connect(path: &Path) -> Result<Connection> {
    let connection = Connection::open(path)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "OFF")?;
    Ok(connection)
}

fn row(connection: &Connection, id: u32) -> Result<Option<Row>> {
    let mut select =
        connection.prepare_cached("SELECT commit_number, payload FROM rows WHERE id = ?1")?;
    select
        .query_row([id], |row| {
            Ok(Row {
                id,
                commit: row.get(0)?,
                payload: row.get(1)?,
            })
        })
        .optional()
}

/// All as of one moment; a row that nobody has read or written yet is as it will be made.
fn commits(connection: &mut Connection, ids: &[u32]) -> Result<Vec<u64>> {
    let moment = connection.transaction()?;
    let mut select = moment.prepare_cached("SELECT commit_number FROM rows WHERE id = ?1")?;
    ids.iter()
        .map(|id| {
            let commit = select.query_row([id], |row| row.get(0)).optional()?;
            Ok(commit.unwrap_or(0))
        })
        .collect()
}

fn create(connection: &mut Connection, id: u32) -> Result<Row> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let row = match row(&transaction, id)? {
        Some(row) => row,
        None => put(&transaction, Row::new(id, 0))?,
    };
    transaction.commit()?;
    Ok(row)
}

fn write(connection: &mut Connection, id: u32) -> Result<u64> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let commit = row(&transaction, id)?.map_or(0, |row| row.commit) + 1;
    put(&transaction, Row::new(id, commit))?;
    transaction.commit()?;
    Ok(commit)
}

fn put(connection: &Connection, row: Row) -> Result<Row> {
    let mut replace = connection
        .prepare_cached("REPLACE INTO rows (id, commit_number, payload) VALUES (?1, ?2, ?3)")?;
    replace.execute((row.id, row.commit, &row.payload))?;
    Ok(row)
}

const TABLE: &str = "CREATE TABLE rows (id INTEGER PRIMARY KEY, commit_number INTEGER NOT NULL, payload TEXT NOT NULL)";
const READERS: usize = 2;

/// A thread with a connection; dropping it ends and joins the thread.
#[derive(Debug)]
struct Worker {
    jobs: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

type Job = Box<dyn FnOnce(&mut Connection) + Send>;

impl Worker {
    fn start(mut connection: Connection) -> Self {
        let (jobs, queue) = channel::<Job>();
        let thread = std::thread::spawn(move || {
            for job in queue {
                job(&mut connection);
            }
        });
        Self {
            jobs: Some(jobs),
            thread: Some(thread),
        }
    }

    async fn run<T: Send + 'static>(
        &self,
        query: impl FnOnce(&mut Connection) -> Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        let job = move |connection: &mut Connection| {
            // A reader that was dropped does not want its answer any more.
            let _ = reply.send(query(connection));
        };
        let sent = self
            .jobs
            .as_ref()
            .is_some_and(|jobs| jobs.send(Box::new(job)).is_ok());
        match answer.await {
            Ok(result) if sent => result.map_err(StoreError::from),
            _ => Err(StoreError("its thread has ended".to_owned())),
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // A panic was printed by its thread and seen by its caller as an error.
            let _ = thread.join();
        }
    }
}
