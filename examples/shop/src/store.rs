//! The slow source of truth: SQLite.
//!
//! It is slow on purpose: each read holds its connection for [`SLOW`] longer than it needs, as a busy database would.

use std::{collections::HashMap, fmt, path::Path, time::Duration};

use rusqlite::Connection;

use crate::{
    model::{Account, Change, Moved, NewProduct, NewReview, Product, Review},
    pool::Pool,
    queries, seed,
};

/// The shop's database. Clones share its connections.
#[derive(Clone)]
pub struct Store {
    pool: Pool,
}

impl Store {
    /// Opens the database in the file `path`, and makes and fills it if it is new.
    ///
    /// Several processes may do this at the same time: one fills it, the others wait for that.
    ///
    /// # Errors
    /// The file cannot be opened or is no database.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        let path = path.to_owned();
        let opened = tokio::task::spawn_blocking(move || open(&path)).await;
        Ok(Self {
            pool: Pool::new(opened.map_err(|_| StoreError::Stopped)??),
        })
    }

    /// The product `id`, and how often it was sold; `None` if there is none. Slow.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn product(&self, id: u32) -> Result<Option<Product>, StoreError> {
        self.pool
            .run(move |connection| slowly(|| queries::products(connection, &[id])))
            .await
            .map(|mut found| found.remove(&id))
    }

    /// Those of the products `ids` that there are, in one query. Slow, but no slower than one product.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn products(&self, ids: Vec<u32>) -> Result<HashMap<u32, Product>, StoreError> {
        self.pool
            .run(move |connection| slowly(|| queries::products(connection, &ids)))
            .await
    }

    /// The numbers of the products on a page of `category`, [`PAGE`] of them but on the last one; the first page is 0.
    /// None if there is no such page. Slow.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn listing(&self, category: String, page: u32) -> Result<Vec<u32>, StoreError> {
        self.pool
            .run(move |connection| slowly(|| queries::listing(connection, &category, page)))
            .await
    }

    /// The newest reviews of the product `id`, the newest first; none if there is no such product. Slow.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn reviews_of(&self, id: u32) -> Result<Vec<Review>, StoreError> {
        self.pool
            .run(move |connection| slowly(|| queries::reviews_of(connection, id)))
            .await
    }

    /// The newest reviews of all products, the newest first. Slow.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn newest_reviews(&self) -> Result<Vec<Review>, StoreError> {
        self.pool
            .run(|connection| slowly(|| queries::newest_reviews(connection)))
            .await
    }

    /// The customer of this number, and what they bought last; `None` if there is none. Slow.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn account(&self, customer: u32) -> Result<Option<Account>, StoreError> {
        self.pool
            .run(move |connection| slowly(|| queries::account(connection, customer)))
            .await
    }

    /// Adds a product, commits, and answers its number. Quick.
    ///
    /// # Errors
    /// The database does not answer; then nothing was added.
    pub async fn create(&self, product: NewProduct) -> Result<u32, StoreError> {
        self.pool
            .run(move |connection| queries::create(connection, &product))
            .await
    }

    /// Changes the product `id` and commits; `None` if there is none. Quick.
    ///
    /// # Errors
    /// The database does not answer; then nothing was changed.
    pub async fn change(&self, id: u32, change: Change) -> Result<Option<Moved>, StoreError> {
        self.pool
            .run(move |connection| queries::change(connection, id, &change))
            .await
    }

    /// Adds a review of the product `id` and commits; `false` if there is no such product. Quick.
    ///
    /// # Errors
    /// The database does not answer; then nothing was added.
    pub async fn review(&self, id: u32, review: NewReview) -> Result<bool, StoreError> {
        self.pool
            .run(move |connection| queries::review(connection, id, &review))
            .await
    }

    /// How many queries it was asked so far, writes among them.
    #[must_use]
    pub fn queries(&self) -> usize {
        self.pool.turns()
    }
}

/// Why the store did not answer.
#[derive(Debug)]
#[non_exhaustive]
pub enum StoreError {
    /// SQLite refused.
    Sqlite(rusqlite::Error),
    /// The query broke off, or the process is about to end.
    Stopped,
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(_) => f.write_str("the database refused a query"),
            Self::Stopped => f.write_str("a query broke off"),
        }
    }
}

impl std::error::Error for StoreError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Sqlite(error) => Some(error),
            Self::Stopped => None,
        }
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

fn open(path: &Path) -> rusqlite::Result<Vec<Connection>> {
    let mut connections = (0..CONNECTIONS)
        .map(|_| connect(path))
        .collect::<rusqlite::Result<Vec<_>>>()?;
    seed::fill_if_new(&mut connections[0])?;
    Ok(connections)
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(PATIENCE)?;
    Ok(connection)
}

fn slowly<T>(query: impl FnOnce() -> T) -> T {
    std::thread::sleep(SLOW);
    query()
}

/// How many products a page lists.
pub const PAGE: u32 = 20;

/// What each read waits, on top of its query.
const SLOW: Duration = Duration::from_millis(40);

/// How many queries run at the same time.
const CONNECTIONS: usize = 4;

/// How long a query waits for another process that writes.
const PATIENCE: Duration = Duration::from_secs(10);
