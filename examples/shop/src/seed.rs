//! Makes and fills the database, once, whoever comes first.

use rusqlite::{Connection, Transaction, TransactionBehavior, params};

/// Makes the tables and fills them, unless that was done before.
///
/// Of several processes that start at once, the first to take the write lock does it; the others wait for its commit
/// and then see that nothing is left to do.
pub(crate) fn fill_if_new(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let filled: u32 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if filled == SEED {
        return Ok(());
    }
    transaction.execute_batch(TABLES)?;
    products(&transaction)?;
    customers(&transaction)?;
    orders(&transaction)?;
    reviews(&transaction)?;
    transaction.pragma_update(None, "user_version", SEED)?;
    transaction.commit()
}

fn products(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    let mut insert = transaction.prepare("INSERT INTO products VALUES (?1, ?2, ?3, ?4)")?;
    for (id, (category, name)) in (1..=PRODUCTS).zip(CATEGORIES.iter().cycle().skip(1)) {
        insert.execute(params![
            id,
            format!("{name} {id}"),
            category,
            500 + id * 37 % 20_000
        ])?;
    }
    Ok(())
}

fn customers(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    let mut insert = transaction.prepare("INSERT INTO customers VALUES (?1, ?2)")?;
    for id in 1..=CUSTOMERS {
        insert.execute(params![id, format!("Customer {id}")])?;
    }
    Ok(())
}

fn orders(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    let mut insert = transaction.prepare("INSERT INTO orders VALUES (?1, ?2, ?3, ?4)")?;
    for id in 1..=ORDERS {
        insert.execute(params![
            id,
            id % CUSTOMERS + 1,
            id * 7919 % PRODUCTS + 1,
            id % 3 + 1
        ])?;
    }
    Ok(())
}

fn reviews(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    let mut insert = transaction.prepare("INSERT INTO reviews VALUES (?1, ?2, ?3, ?4, ?5)")?;
    for id in 1..=REVIEWS {
        let round = id / PRODUCTS;
        let author = format!("Customer {}", (id + round) % CUSTOMERS + 1);
        let (stars, text) = OPINIONS[(id + round) as usize % OPINIONS.len()];
        insert.execute(params![id, id * 31 % PRODUCTS + 1, author, stars, text])?;
    }
    Ok(())
}

const TABLES: &str = "
    DROP TABLE IF EXISTS reviews;
    DROP TABLE IF EXISTS orders;
    DROP TABLE IF EXISTS customers;
    DROP TABLE IF EXISTS products;
    CREATE TABLE products (id INTEGER PRIMARY KEY, name TEXT NOT NULL, category TEXT NOT NULL, price_cents INTEGER NOT NULL);
    CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
    CREATE TABLE orders (id INTEGER PRIMARY KEY, customer_id INTEGER NOT NULL REFERENCES customers,
                         product_id INTEGER NOT NULL REFERENCES products, pieces INTEGER NOT NULL);
    CREATE TABLE reviews (id INTEGER PRIMARY KEY, product INTEGER NOT NULL REFERENCES products, author TEXT NOT NULL,
                          stars INTEGER NOT NULL, text TEXT NOT NULL);
    CREATE INDEX products_by_category ON products (category);
    CREATE INDEX orders_by_product ON orders (product_id);
    CREATE INDEX orders_by_customer ON orders (customer_id);
    CREATE INDEX reviews_by_product ON reviews (product);
";

/// Stars, and why.
const OPINIONS: [(u8, &str); 4] = [
    (5, "Just as I hoped."),
    (4, "Good, but the box was dented."),
    (2, "Smaller than it looks."),
    (5, "My second one."),
];

/// The category, and what one of its products is called.
pub(crate) const CATEGORIES: [(&str, &str); 10] = [
    ("chairs", "Chair"),
    ("tables", "Table"),
    ("lamps", "Lamp"),
    ("shelves", "Shelf"),
    ("carpets", "Carpet"),
    ("mirrors", "Mirror"),
    ("clocks", "Clock"),
    ("vases", "Vase"),
    ("sofas", "Sofa"),
    ("beds", "Bed"),
];

const PRODUCTS: u32 = 3_000;
const CUSTOMERS: u32 = 500;
const ORDERS: u32 = 8_000;
const REVIEWS: u32 = 6_000;

/// Stands in the database once it is filled. Another number fills it anew.
const SEED: u32 = 2;
