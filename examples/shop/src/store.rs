//! The slow source of truth: SQLite.
//!
//! It is slow on purpose: each read holds its connection for [`SLOW`] longer than it needs, as a busy database would.

use std::{collections::HashMap, fmt, path::Path, time::Duration};

use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params, params_from_iter};

use crate::{
    model::{Change, Moved, NewProduct, Product},
    pool::Pool,
    seed,
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
            .run(move |connection| slowly(|| products(connection, &[id])))
            .await
            .map(|mut found| found.remove(&id))
    }

    /// Those of the products `ids` that there are, in one query. Slow, but no slower than one product.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn products(&self, ids: Vec<u32>) -> Result<HashMap<u32, Product>, StoreError> {
        self.pool
            .run(move |connection| slowly(|| products(connection, &ids)))
            .await
    }

    /// The numbers of the products on a page of `category`, [`PAGE`] of them but on the last one; the first page is 0.
    /// None if there is no such page. Slow.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn listing(&self, category: String, page: u32) -> Result<Vec<u32>, StoreError> {
        self.pool
            .run(move |connection| slowly(|| listing(connection, &category, page)))
            .await
    }

    /// Adds a product, commits, and answers its number. Quick.
    ///
    /// # Errors
    /// The database does not answer; then nothing was added.
    pub async fn create(&self, product: NewProduct) -> Result<u32, StoreError> {
        self.pool
            .run(move |connection| create(connection, &product))
            .await
    }

    /// Changes the product `id` and commits; `None` if there is none. Quick.
    ///
    /// # Errors
    /// The database does not answer; then nothing was changed.
    pub async fn change(&self, id: u32, change: Change) -> Result<Option<Moved>, StoreError> {
        self.pool
            .run(move |connection| apply(connection, id, &change))
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

fn products(connection: &Connection, ids: &[u32]) -> rusqlite::Result<HashMap<u32, Product>> {
    let marks = vec!["?"; ids.len()].join(", ");
    let sql = format!(
        "SELECT id, name, category, price_cents,
                (SELECT COALESCE(SUM(pieces), 0) FROM orders WHERE product_id = products.id)
         FROM products WHERE id IN ({marks})"
    );
    let read = |row: &rusqlite::Row<'_>| {
        let product = Product {
            id: row.get(0)?,
            name: row.get(1)?,
            category: row.get(2)?,
            price_cents: row.get(3)?,
            sold: row.get(4)?,
        };
        Ok((product.id, product))
    };
    let mut statement = connection.prepare(&sql)?;
    statement.query_map(params_from_iter(ids), read)?.collect()
}

fn listing(connection: &Connection, category: &str, page: u32) -> rusqlite::Result<Vec<u32>> {
    let mut statement = connection.prepare(
        "SELECT id FROM products WHERE category = ?1 ORDER BY id LIMIT ?2 OFFSET ?2 * ?3",
    )?;
    statement
        .query_map(params![category, PAGE, page], |row| row.get(0))?
        .collect()
}

fn create(connection: &Connection, product: &NewProduct) -> rusqlite::Result<u32> {
    let NewProduct {
        name,
        category,
        price_cents,
    } = product;
    connection.query_row(
        "INSERT INTO products (name, category, price_cents) VALUES (?1, ?2, ?3) RETURNING id",
        params![name, category, price_cents],
        |row| row.get(0),
    )
}

fn apply(connection: &mut Connection, id: u32, change: &Change) -> rusqlite::Result<Option<Moved>> {
    // Takes the write lock at once: two writers that both begin with a read could not both go on.
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let from = transaction.query_row("SELECT category FROM products WHERE id = ?1", [id], |row| {
        row.get(0)
    });
    let Some(from) = from.optional()? else {
        return Ok(None);
    };
    let to = transaction.query_row(
        "UPDATE products SET name = COALESCE(?2, name), category = COALESCE(?3, category),
                             price_cents = COALESCE(?4, price_cents)
         WHERE id = ?1 RETURNING category",
        params![id, change.name, change.category, change.price_cents],
        |row| row.get(0),
    )?;
    transaction.commit()?;
    Ok(Some(Moved { from, to }))
}

/// How many products a page lists.
pub const PAGE: u32 = 20;

/// What each read waits, on top of its query.
const SLOW: Duration = Duration::from_millis(40);

/// How many queries run at the same time.
const CONNECTIONS: usize = 4;

/// How long a query waits for another process that writes.
const PATIENCE: Duration = Duration::from_secs(10);
